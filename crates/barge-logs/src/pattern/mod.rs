//! Filter patterns: terms, phrases, options, exclusions and JSON conditions (Amazon CloudWatch Logs User Guide, "Filter
//! pattern syntax for metric filters, subscription filters, filter log events, and Live Tail").
//!
//! Space-delimited patterns `[a, b]` and regular expressions `%…%` are refused by name.

mod json;
mod scan;

use json::Condition;
use scan::Scanner;

/// Which messages are wanted.
#[derive(Debug, PartialEq)]
pub(crate) enum Pattern {
    /// By words in them.
    Terms {
        /// All of these.
        all: Vec<String>,
        /// At least one of these, where there are no others to go by.
        any: Vec<String>,
        /// None of these.
        none: Vec<String>,
    },
    /// By their JSON.
    Json(Condition),
}

impl Pattern {
    /// Reads a pattern; the error is for the client.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.chars().next() {
            Some('{') => json::parse(text).map(Self::Json),
            Some('[') => Err("Invalid filter pattern: Barge does not support space-delimited patterns.".to_owned()),
            _ => terms(text),
        }
    }

    /// Whether the pattern takes a message.
    pub(crate) fn takes(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term.as_str());
        match self {
            Self::Terms { all, any, none } => {
                // AWS ignores options beside other terms.
                let any = if all.is_empty() && none.is_empty() { any.as_slice() } else { &[] };
                all.iter().all(has) && !none.iter().any(has) && (any.is_empty() || any.iter().any(has))
            }
            Self::Json(condition) => condition.holds(message),
        }
    }
}

fn terms(text: &str) -> Result<Pattern, String> {
    let (mut all, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
    let mut scanner = Scanner::new(text);
    while let Some(c) = scanner.peek() {
        let list = match c {
            '?' => &mut any,
            '-' => &mut none,
            c if c.is_whitespace() => {
                scanner.next();
                continue;
            }
            _ => &mut all,
        };
        if matches!(c, '?' | '-') {
            scanner.next();
        }
        list.push(term(&mut scanner)?);
    }
    Ok(Pattern::Terms { all, any, none })
}

fn term(scanner: &mut Scanner<'_>) -> Result<String, String> {
    match scanner.peek() {
        Some('"') => scanner.quoted(),
        Some('%') => Err("Invalid filter pattern: Barge does not support regular expressions.".to_owned()),
        _ => {
            let word = scanner.take_while(|c| !c.is_whitespace());
            match word.chars().find(|c| !(c.is_alphanumeric() || *c == '_')) {
                Some(c) => Err(format!("Invalid character(s) in term '{word}': {c} must be within quotes.")),
                None if word.is_empty() => Err("Invalid filter pattern: a term is missing.".to_owned()),
                None => Ok(word.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_take_what_they_say() {
        for (pattern, taken, left) in [
            ("", &["anything", ""][..], &[][..]),
            ("ERROR", &["an ERROR here", "ERRORS"], &["error"]),
            ("ERROR disk", &["disk ERROR"], &["ERROR", "disk"]),
            ("\"disk full\"", &["the disk full now"], &["disk is full"]),
            ("?WARN ?ERROR", &["WARN x", "ERROR y"], &["INFO"]),
            ("ERROR -retry", &["ERROR"], &["ERROR retry"]),
            ("-\"a b\"", &["ab"], &["a b"]),
            ("\"say \\\"hi\\\"\"", &["say \"hi\""], &["say hi"]),
            ("ERROR ?WARN", &["ERROR"], &["WARN"]),
            ("{ $.level = \"error\" }", &[r#"{"level":"error"}"#], &[r#"{"level":"info"}"#, "error", "[]"]),
            ("{ $.level = err* }", &[r#"{"level":"error"}"#], &[r#"{"level":"terror"}"#]),
            ("{ $.n >= 2.5 }", &[r#"{"n":2.5}"#, r#"{"n":3}"#], &[r#"{"n":2}"#, r#"{"n":"3"}"#]),
            ("{ $.n != 2 }", &[r#"{"n":3}"#], &[r#"{"n":2}"#, "{}"]),
            ("{ $.a.b[1] = 7 }", &[r#"{"a":{"b":[6,7]}}"#], &[r#"{"a":{"b":[7]}}"#]),
            ("{ $.a IS NULL }", &[r#"{"a":null}"#], &["{}", r#"{"a":1}"#]),
            ("{ $.a IS TRUE }", &[r#"{"a":true}"#], &[r#"{"a":false}"#]),
            ("{ $.a NOT EXISTS }", &["{}"], &[r#"{"a":null}"#]),
            (
                "{ ($.a = 1 || $.b = 2) && $.c = \"x y\" }",
                &[r#"{"a":1,"c":"x y"}"#, r#"{"b":2,"c":"x y"}"#],
                &[r#"{"a":1}"#, r#"{"c":"x y"}"#],
            ),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            for message in taken {
                assert!(parsed.takes(message), "{pattern} takes {message}");
            }
            for message in left {
                assert!(!parsed.takes(message), "{pattern} leaves {message}");
            }
        }
    }

    #[test]
    fn what_is_not_supported_or_not_a_pattern_is_refused() {
        for pattern in [
            "[ip, user]",
            "%regex%",
            "a-b",
            "\"open",
            "?",
            "{",
            "{ }",
            "{ $.a }",
            "{ $.a = }",
            "{ a = 1 }",
            "{ $.a = 1 && }",
            "{ ($.a = 1 }",
            "{ $.a = 1 } x",
            "{ $.a = %x% }",
            "{ $.a[x] = 1 }",
            "{ $.a IS SAD }",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\{\\}\\[\\]\\(\\)$.a1 =!<>&|\"\\\\?%*-]{0,40}", message: String) {
            if let Ok(pattern) = Pattern::parse(&text) {
                pattern.takes(&message);
            }
        }
    }
}
