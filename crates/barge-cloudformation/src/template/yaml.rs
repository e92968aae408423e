//! YAML templates: events of the parser to a tree, with CloudFormation's short forms in their long form, anchors
//! expanded within a bound, and plain scalars typed as CloudFormation types them.

use super::problem::Path;
use super::source::{DEEPEST, MOST_WARNINGS, Source, SyntaxError, Warning};
use barge_core::Document;
use indexmap::IndexMap;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};
use std::collections::HashMap;

/// What a tree may weigh in memory, aliases expanded, in bytes: a few lines of aliases of aliases would otherwise fill
/// any memory.
const HEAVIEST: usize = 64 << 20;

/// What a value weighs besides its text.
const VALUE: usize = 64;

pub(super) fn parse(text: &str) -> Result<Source, SyntaxError> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        warnings: Vec::new(),
        path: Path::default(),
        weight: 0,
    };
    let root = builder.stream()?;
    Ok(Source { root, warnings: builder.warnings })
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Finished values by anchor, with the weight of each.
    anchors: HashMap<usize, (Document, usize)>,
    warnings: Vec<Warning>,
    path: Path,
    weight: usize,
}

fn error(mark: Marker, detail: impl Into<String>) -> SyntaxError {
    SyntaxError { notation: "YAML", line: mark.line(), column: mark.col() + 1, detail: detail.into() }
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(failure)) => Err(error(*failure.marker(), failure.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn stream(&mut self) -> Result<Document, SyntaxError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root.unwrap_or_default()),
                Event::StreamStart | Event::Nothing | Event::DocumentEnd => {}
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(error(span.start, "a template is one document"));
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    root = Some(self.value(event, span, 0)?);
                }
                _ => return Err(error(span.start, "a value outside a document")),
            }
        }
    }

    fn value(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Document, SyntaxError> {
        if depth > DEEPEST {
            return Err(error(span.start, format!("values nest deeper than {DEEPEST}")));
        }
        let before = self.weight;
        self.weigh(VALUE, span)?;
        let (anchor, tag, plain) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                self.weigh(text.len(), span)?;
                let value = scalar(&text, style, tag.as_deref(), span)?;
                (anchor, tag, value)
            }
            Event::SequenceStart(anchor, tag) => (anchor, tag, self.sequence(depth)?),
            Event::MappingStart(anchor, tag) => (anchor, tag, self.mapping(depth)?),
            _ => return Err(error(span.start, "a value is missing")),
        };
        let value = match tag {
            Some(tag) => tagged(&tag, plain, span)?,
            None => plain,
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), self.weight - before));
        }
        Ok(value)
    }

    fn weigh(&mut self, bytes: usize, span: Span) -> Result<(), SyntaxError> {
        self.weight += bytes;
        if self.weight > HEAVIEST {
            return Err(error(span.start, "the template is too large with its aliases expanded"));
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Document, SyntaxError> {
        // An alias inside its own anchor finds nothing, because the anchor's value is not finished.
        let unfinished = || error(span.start, "an alias refers to an unfinished value");
        let weight = self.anchors.get(&id).map(|(_, weight)| *weight).ok_or_else(unfinished)?;
        self.weigh(weight, span)?;
        self.anchors.get(&id).map(|(value, _)| value.clone()).ok_or_else(unfinished)
    }

    fn sequence(&mut self, depth: usize) -> Result<Document, SyntaxError> {
        let mut list = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Document::List(list));
            }
            let outer = self.path.clone();
            self.path = outer.at(list.len());
            list.push(self.value(event, span, depth + 1)?);
            self.path = outer;
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Document, SyntaxError> {
        let mut map = IndexMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Document::Map(map));
            }
            let key = self.key(event, span)?;
            let (event, value_span) = self.next()?;
            let outer = self.path.clone();
            self.path = outer.at(&key);
            let value = self.value(event, value_span, depth + 1)?;
            self.path = outer;
            if map.insert(key.clone(), value).is_some() && self.warnings.len() < MOST_WARNINGS {
                self.warnings.push(Warning::repeated(self.path.clone(), &key, span.start.line()));
            }
        }
    }

    fn key(&mut self, event: Event<'a>, span: Span) -> Result<String, SyntaxError> {
        match event {
            Event::Scalar(text, ScalarStyle::Plain, _, _) if text == "<<" => {
                Err(error(span.start, "CloudFormation does not support hash merges (<<)"))
            }
            Event::Scalar(text, _, anchor, None) => {
                self.weigh(text.len(), span)?;
                if anchor > 0 {
                    self.anchors.insert(anchor, (text.as_ref().into(), VALUE + text.len()));
                }
                Ok(text.into_owned())
            }
            Event::Alias(id) => match self.alias(id, span)?.scalar_text() {
                Some(text) => Ok(text),
                None => Err(error(span.start, "a key must be text")),
            },
            _ => Err(error(span.start, "a key must be text")),
        }
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Document, SyntaxError> {
    match tag {
        None if style == ScalarStyle::Plain => Ok(plain(text)),
        Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
            "str" => Ok(text.into()),
            "bool" | "int" | "float" | "null" => Ok(plain(text)),
            other => Err(error(span.start, format!("CloudFormation does not support the tag !!{other}"))),
        },
        // What a short form is applied to is its argument's text: `!Sub 1.0` means "1.0".
        None | Some(_) => Ok(text.into()),
    }
}

/// A plain scalar's value: YAML 1.1's booleans, decimal and hexadecimal numbers, null. Dates, times, numbers with a
/// leading zero (account ids) and numbers that Rust's types would not write back stay text.
fn plain(text: &str) -> Document {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Document::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Document::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Document::Bool(false),
        _ => number(text).unwrap_or_else(|| text.into()),
    }
}

fn number(text: &str) -> Option<Document> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(digits) = unsigned.strip_prefix("0x") {
        let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let value = all_digits.then(|| i64::from_str_radix(digits, 16).ok()).flatten()?;
        return Some(Document::Integer(if text.starts_with('-') { -value } else { value }));
    }
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = unsigned.len() > 1 && unsigned.starts_with('0') && !unsigned.starts_with("0.");
    if unsigned.is_empty() || leading_zero {
        return None;
    }
    if digits(unsigned) {
        return text.parse().ok().map(Document::Integer);
    }
    let (whole, fraction) = unsigned.split_once('.')?;
    let fraction = fraction.split_once(['e', 'E']).map_or(fraction, |(fraction, _)| fraction);
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Document::Float)
}

fn tagged(tag: &Tag, value: Document, span: Span) -> Result<Document, SyntaxError> {
    if tag.is_yaml_core_schema() {
        return match (tag.suffix.as_str(), &value) {
            ("map", Document::Map(_)) | ("seq", Document::List(_)) => Ok(value),
            (_, Document::Map(_) | Document::List(_)) => {
                Err(error(span.start, format!("CloudFormation does not support the tag !!{}", tag.suffix)))
            }
            _ => Ok(value),
        };
    }
    let name = if tag.handle == "!" { tag.suffix.as_str() } else { tag.suffix.trim_start_matches('!') };
    let long = match name {
        "" => return Ok(value),
        "Ref" | "Condition" => name.to_owned(),
        _ => format!("Fn::{name}"),
    };
    let argument = match (name, &value) {
        ("GetAtt", Document::String(text)) => match text.split_once('.') {
            Some((resource, attribute)) => Document::List(vec![resource.into(), attribute.into()]),
            None => value,
        },
        _ => value,
    };
    Ok(Document::map([(long, argument)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        parse(text).unwrap().root.to_json()
    }

    #[test]
    fn plain_scalars_are_typed_as_cloudformation_types_them() {
        for (text, expected) in [
            ("a: 1", r#"{"a":1}"#),
            ("a: 0.25", r#"{"a":0.25}"#),
            ("a: -7", r#"{"a":-7}"#),
            ("a: 0", r#"{"a":0}"#),
            ("a: 0x1F", r#"{"a":31}"#),
            ("a: 1.5e3", r#"{"a":1500.0}"#),
            ("a: true", r#"{"a":true}"#),
            ("a: yes", r#"{"a":true}"#),
            ("a: Off", r#"{"a":false}"#),
            ("a: 'True'", r#"{"a":"True"}"#),
            ("a: \"1\"", r#"{"a":"1"}"#),
            ("a: 2012-10-17", r#"{"a":"2012-10-17"}"#),
            ("a: 2010-09-09T00:00:00Z", r#"{"a":"2010-09-09T00:00:00Z"}"#),
            ("a: 012345678901", r#"{"a":"012345678901"}"#),
            ("a: 10.0.0.0/16", r#"{"a":"10.0.0.0/16"}"#),
            ("a: 22:22", r#"{"a":"22:22"}"#),
            ("a: 1e3", r#"{"a":"1e3"}"#),
            ("a: .inf", r#"{"a":".inf"}"#),
            ("a: 99999999999999999999", r#"{"a":"99999999999999999999"}"#),
            ("a: ~", r#"{"a":null}"#),
            ("a:", r#"{"a":null}"#),
            ("a: !!str 7", r#"{"a":"7"}"#),
            ("a: |\n  x\n  y\n", r#"{"a":"x\ny\n"}"#),
            ("a: >-\n  x\n  y\n", r#"{"a":"x y"}"#),
            ("2012: x # comment", r#"{"2012":"x"}"#),
        ] {
            assert_eq!(json(text), expected, "{text}");
        }
    }

    #[test]
    fn short_forms_become_long_forms() {
        for (text, expected) in [
            ("a: !Ref b", r#"{"a":{"Ref":"b"}}"#),
            ("a: !GetAtt b.c.d", r#"{"a":{"Fn::GetAtt":["b","c.d"]}}"#),
            ("a: !GetAtt [b, c]", r#"{"a":{"Fn::GetAtt":["b","c"]}}"#),
            ("a: !Sub 1.0", r#"{"a":{"Fn::Sub":"1.0"}}"#),
            ("a: !Join ['-', [x, !Ref y]]", r#"{"a":{"Fn::Join":["-",["x",{"Ref":"y"}]]}}"#),
            ("a: !Base64\n  Fn::Sub: x", r#"{"a":{"Fn::Base64":{"Fn::Sub":"x"}}}"#),
            ("a: !GetAZs", r#"{"a":{"Fn::GetAZs":""}}"#),
            ("a: !If [c, x, !Ref AWS::NoValue]", r#"{"a":{"Fn::If":["c","x",{"Ref":"AWS::NoValue"}]}}"#),
            ("a: !Condition c", r#"{"a":{"Condition":"c"}}"#),
        ] {
            assert_eq!(json(text), expected, "{text}");
        }
    }

    #[test]
    fn anchors_are_expanded() {
        assert_eq!(json("a: &x {k: 1}\nb: *x\n"), r#"{"a":{"k":1},"b":{"k":1}}"#);
        assert_eq!(json("a: &x !Ref p\nb: [*x]\n"), r#"{"a":{"Ref":"p"},"b":[{"Ref":"p"}]}"#);
    }

    #[test]
    fn the_last_of_repeated_keys_counts_with_a_warning() {
        let source = parse("a:\n  k: 1\n  k: 2\n").unwrap();
        assert_eq!(source.root.to_json(), r#"{"a":{"k":2}}"#);
        assert_eq!(source.warnings[0].to_string(), "[/a] The key 'k' is repeated; the last one counts (line 3)");
    }

    #[test]
    fn what_is_not_a_template_s_yaml_is_placed() {
        for (text, line, detail) in [
            ("a: [1", 2, ""),
            ("a: 1\n b: 2", 2, ""),
            ("a: *x", 1, "unknown anchor"),
            ("a: &x [*x]", 1, "unfinished"),
            ("a: 1\n---\nb: 2", 2, "one document"),
            ("? [a]\n: b", 1, "key must be text"),
            ("a:\n  <<: {b: 1}", 2, "hash merges"),
            ("a: !!binary aGk=", 1, "!!binary"),
        ] {
            let failure = parse(text).unwrap_err();
            assert!(failure.line <= line && failure.detail.contains(detail), "{text}: {failure}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = format!("*a{}, ", level - 1).repeat(10);
            bomb = format!("{bomb}a{level}: &a{level} [{previous}]\n");
        }
        assert!(parse(&bomb).unwrap_err().detail.contains("aliases expanded"));
        let heavy = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(", "));
        assert!(parse(&heavy).unwrap_err().detail.contains("aliases expanded"));
        assert!(parse(&"[".repeat(5000)).is_err());
        let stairs: Vec<String> = (0..400).map(|n| format!("{}- ", "  ".repeat(n))).collect();
        assert!(parse(&stairs.join("\n")).is_err());
    }
}
