//! Parameters: their declarations, and binding the values of a call to them (CloudFormation Template Reference,
//! "Parameters").

use super::problem::{Fault, Path, Problems};
use barge_core::Document;
use indexmap::IndexMap;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// The longest value, in bytes (CloudFormation User Guide, "Understand CloudFormation quotas").
const LONGEST_VALUE: usize = 4096;

/// What kind of value a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterType {
    /// Text; also the names and ids of AWS-specific types, which are not looked up.
    String,
    /// A number, handed on as text.
    Number,
    /// Texts parted by commas.
    List,
    /// Numbers parted by commas.
    NumberList,
}

/// Where a parameter's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterSource {
    /// The text itself.
    Given,
    /// The text names an entry of the parameter store, whose value it is (`AWS::SSM::Parameter::Value<…>`).
    Store,
}

/// One parameter of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// As declared, e.g. `List<AWS::EC2::Subnet::Id>`.
    pub type_name: String,
    /// What it takes.
    pub kind: ParameterType,
    /// Where its value comes from.
    pub source: ParameterSource,
    /// `Default`.
    pub default: Option<String>,
    /// Whether its value is hidden from every answer.
    pub no_echo: bool,
    /// `Description`.
    pub description: Option<String>,
    /// `AllowedValues`; empty where any value goes.
    pub allowed_values: Vec<String>,
    /// `AllowedPattern`, which the whole value matches.
    pub allowed_pattern: Option<String>,
    /// `MinLength` and `MaxLength`, in characters.
    pub length: (Option<u64>, Option<u64>),
    /// `MinValue` and `MaxValue`.
    pub range: (Option<f64>, Option<f64>),
    /// `ConstraintDescription`.
    pub constraint_description: Option<String>,
}

/// A parameter's value in a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// As given, or the default.
    pub text: String,
    /// The parameter store's value, where the text names one.
    pub resolved: Option<String>,
    /// What `Ref` gives: text, or a list of texts.
    pub value: Document,
}

pub(super) fn read(declaration: &Document, path: &Path, problems: &mut Problems) -> Option<Parameter> {
    let Document::Map(members) = declaration else {
        problems.add(path.clone(), Fault::Format("Any Parameters member must be an object.".to_owned()));
        return None;
    };
    let Some(type_name) = members.get("Type").and_then(Document::as_str) else {
        problems.add(path.clone(), Fault::Format("Every Parameters object must contain a Type member.".to_owned()));
        return None;
    };
    let (source, value_type) = match type_name.strip_prefix(STORED).and_then(|inner| inner.strip_suffix('>')) {
        Some(inner) => (ParameterSource::Store, inner),
        None => (ParameterSource::Given, type_name),
    };
    let kind = kind(value_type, type_name, &path.at("Type"), problems)?;
    let mut reader = Members { by_name: members, path, problems };
    let parameter = Parameter {
        type_name: type_name.to_owned(),
        kind,
        source,
        default: reader.text("Default"),
        no_echo: reader.flag("NoEcho"),
        description: reader.text("Description"),
        allowed_values: reader.texts("AllowedValues"),
        allowed_pattern: reader.pattern("AllowedPattern"),
        length: (reader.number("MinLength"), reader.number("MaxLength")),
        range: (reader.number("MinValue"), reader.number("MaxValue")),
        constraint_description: reader.text("ConstraintDescription"),
    };
    reader.unknown();
    Some(parameter)
}

/// How the types begin whose values are in the parameter store.
const STORED: &str = "AWS::SSM::Parameter::Value<";

/// The kind of `value_type`, which is the parameter's type `declared` or the one that the parameter store's value has.
fn kind(value_type: &str, declared: &str, path: &Path, problems: &mut Problems) -> Option<ParameterType> {
    let named = |name: &str| {
        name.starts_with("AWS::EC2::") || name.starts_with("AWS::Route53::") || name == "AWS::SSM::Parameter::Name"
    };
    match value_type {
        "String" => Some(ParameterType::String),
        "Number" => Some(ParameterType::Number),
        "CommaDelimitedList" | "List<String>" => Some(ParameterType::List),
        "List<Number>" => Some(ParameterType::NumberList),
        name if named(name) => Some(ParameterType::String),
        name if name.strip_prefix("List<").and_then(|name| name.strip_suffix('>')).is_some_and(named) => {
            Some(ParameterType::List)
        }
        _ => {
            problems.add(path.clone(), Fault::Format(format!("Unrecognized parameter type: {declared}")));
            None
        }
    }
}

struct Members<'a> {
    by_name: &'a IndexMap<String, Document>,
    path: &'a Path,
    problems: &'a mut Problems,
}

impl Members<'_> {
    fn wrong(&mut self, member: &str, rule: &str) {
        self.problems.add(self.path.at(member), Fault::Format(format!("Every {member} member must be {rule}.")));
    }

    fn text(&mut self, member: &str) -> Option<String> {
        let value = self.by_name.get(member)?;
        let text = match value {
            // A list of defaults, as people write it for list types.
            Document::List(list) if member == "Default" => {
                list.iter().map(Document::scalar_text).collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
            }
            value => value.scalar_text(),
        };
        if text.is_none() {
            self.wrong(member, "a string");
        }
        text
    }

    fn texts(&mut self, member: &str) -> Vec<String> {
        let Some(value) = self.by_name.get(member) else {
            return Vec::new();
        };
        let texts = value.as_list().and_then(|list| list.iter().map(Document::scalar_text).collect::<Option<Vec<_>>>());
        texts.unwrap_or_else(|| {
            self.wrong(member, "a list of strings");
            Vec::new()
        })
    }

    fn flag(&mut self, member: &str) -> bool {
        match self.by_name.get(member).map(Document::scalar_text) {
            None => false,
            Some(Some(text)) if text.eq_ignore_ascii_case("true") => true,
            Some(Some(text)) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => {
                self.wrong(member, "a boolean");
                false
            }
        }
    }

    fn number<N: std::str::FromStr>(&mut self, member: &str) -> Option<N> {
        let number = self.by_name.get(member)?.scalar_text().and_then(|text| text.parse().ok());
        if number.is_none() {
            self.wrong(member, "a number");
        }
        number
    }

    fn pattern(&mut self, member: &str) -> Option<String> {
        let pattern = self.text(member)?;
        if compile(&pattern).is_err() {
            let what = format!("the AllowedPattern '{pattern}' (it must be a regular expression without look-around)");
            self.problems.add(self.path.at(member), Fault::Unsupported(what));
            return None;
        }
        Some(pattern)
    }

    fn unknown(&mut self) {
        const KNOWN: &[&str] = &[
            "Type",
            "Default",
            "NoEcho",
            "Description",
            "AllowedValues",
            "AllowedPattern",
            "MinLength",
            "MaxLength",
            "MinValue",
            "MaxValue",
            "ConstraintDescription",
        ];
        for name in self.by_name.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
            self.problems
                .add(self.path.at(name), Fault::Format(format!("Invalid template parameter property '{name}'")));
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

/// The names of the parameter store's entries that the values of a call, `given`, and the defaults name.
pub fn stored_names(declared: &IndexMap<String, Parameter>, given: &BTreeMap<String, String>) -> BTreeSet<String> {
    let stored = declared.iter().filter(|(_, parameter)| parameter.source == ParameterSource::Store);
    stored.filter_map(|(name, parameter)| given.get(name).or(parameter.default.as_ref()).cloned()).collect()
}

/// Binds the values of a call, `given`, to the declared parameters; defaults fill in. No parameter may name an entry of
/// the parameter store: see [`bind_resolved`].
pub fn bind(
    declared: &IndexMap<String, Parameter>,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Bound>, Problems> {
    bind_resolved(declared, given, &BTreeMap::new())
}

/// The values of those parameters that have one that fits.
pub(super) fn known(
    declared: &IndexMap<String, Parameter>,
    given: &BTreeMap<String, String>,
    stored: &BTreeMap<String, String>,
) -> BTreeMap<String, Document> {
    let value = |(name, parameter): (&String, &Parameter)| {
        let text = given.get(name).or(parameter.default.as_ref())?;
        let (value, _) = parameter.bound(name, text, stored).ok()??;
        Some((name.clone(), value))
    };
    declared.iter().filter_map(value).collect()
}

/// Binds the values of a call, `given`, to the declared parameters; defaults fill in. `stored` are the parameter store's
/// values by name, as far as there are any.
pub fn bind_resolved(
    declared: &IndexMap<String, Parameter>,
    given: &BTreeMap<String, String>,
    stored: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Bound>, Problems> {
    let mut problems = Problems::default();
    let unknown: Vec<&str> = given.keys().map(String::as_str).filter(|name| !declared.contains_key(*name)).collect();
    if !unknown.is_empty() {
        let text = format!("Parameters: [{}] do not exist in the template", unknown.join(", "));
        problems.add(Path::default(), Fault::Parameter(text));
    }
    let (mut missing, mut absent) = (Vec::new(), Vec::new());
    let mut bound = BTreeMap::new();
    for (name, parameter) in declared {
        let Some(text) = given.get(name).or(parameter.default.as_ref()) else {
            missing.push(name.as_str());
            continue;
        };
        match parameter.bound(name, text, stored) {
            Ok(Some((value, resolved))) => {
                bound.insert(name.clone(), Bound { text: text.clone(), resolved, value });
            }
            Ok(None) => absent.push(text.as_str()),
            Err(message) => problems.add(Path::of(&["Parameters", name]), Fault::Parameter(message)),
        }
    }
    if !missing.is_empty() {
        let text = format!("Parameters: [{}] must have values", missing.join(", "));
        problems.add(Path::default(), Fault::Parameter(text));
    }
    if !absent.is_empty() {
        let text = format!("Unable to fetch parameters [{}] from parameter store for this account.", absent.join(","));
        problems.add(Path::default(), Fault::Parameter(text));
    }
    problems.into_result()?;
    Ok(bound)
}

impl Parameter {
    /// The value that `text` stands for, and the parameter store's text behind it; `None` where the store has none.
    /// Constraints apply to what is given, not to what is stored.
    fn bound(
        &self,
        name: &str,
        text: &str,
        stored: &BTreeMap<String, String>,
    ) -> Result<Option<(Document, Option<String>)>, String> {
        if text.contains("{{resolve:") {
            return Err(format!("Parameter '{name}': Barge does not support dynamic references ({{{{resolve:…}}}})"));
        }
        match self.source {
            ParameterSource::Given => self.take(name, text).map(|value| Some((value, None))),
            ParameterSource::Store => {
                self.constrain(name, text)?;
                let Some(found) = stored.get(text) else { return Ok(None) };
                let value = match self.kind {
                    ParameterType::String | ParameterType::Number => found.as_str().into(),
                    ParameterType::List | ParameterType::NumberList => list(found),
                };
                Ok(Some((value, Some(found.clone()))))
            }
        }
    }

    fn take(&self, name: &str, text: &str) -> Result<Document, String> {
        if text.len() > LONGEST_VALUE {
            return Err(format!("Parameter '{name}' value must not be longer than {LONGEST_VALUE} bytes"));
        }
        match self.kind {
            ParameterType::String => self.constrain(name, text).map(|()| text.into()),
            ParameterType::Number => {
                number(name, text)?;
                self.constrain(name, text).map(|()| text.into())
            }
            ParameterType::List | ParameterType::NumberList => {
                for entry in entries(text) {
                    if self.kind == ParameterType::NumberList {
                        number(name, entry)?;
                    }
                    self.constrain(name, entry)?;
                }
                Ok(list(text))
            }
        }
    }

    fn constrain(&self, name: &str, text: &str) -> Result<(), String> {
        self.broken_rule(text).map_or(Ok(()), |rule| match &self.constraint_description {
            Some(description) => Err(format!("Parameter {name} failed to satisfy constraint: {description}")),
            None => Err(format!("Parameter '{name}' {rule}")),
        })
    }

    fn broken_rule(&self, text: &str) -> Option<String> {
        if !self.allowed_values.is_empty() && !self.allowed_values.iter().any(|allowed| allowed == text) {
            return Some("must be one of AllowedValues".to_owned());
        }
        if let Some(pattern) = &self.allowed_pattern
            && !compile(pattern).is_ok_and(|regex| regex.is_match(text))
        {
            return Some(format!("must match pattern {pattern}"));
        }
        let length = text.chars().count() as u64;
        match self.length {
            (Some(min), _) if length < min => return Some(format!("must contain at least {min} characters")),
            (_, Some(max)) if length > max => return Some(format!("must contain at most {max} characters")),
            _ => {}
        }
        let value: Option<f64> = text.parse().ok();
        match (self.range, value) {
            ((Some(min), _), Some(value)) if value < min => Some(format!("must be a number not less than {min}")),
            ((_, Some(max)), Some(value)) if value > max => Some(format!("must be a number not greater than {max}")),
            _ => None,
        }
    }
}

/// Texts parted by commas.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    // Text that is empty stands for no entries, not for one empty one.
    text.split(',').map(str::trim).filter(move |_| !text.is_empty())
}

fn list(text: &str) -> Document {
    Document::List(entries(text).map(Document::from).collect())
}

fn number(name: &str, text: &str) -> Result<(), String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(()),
        _ => Err(format!("Parameter '{name}' must be a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Template;
    use super::*;

    fn value(declaration: &str, given: Option<&str>) -> Result<String, String> {
        let text = format!("Parameters: {{P: {declaration}}}\nResources: {{R: {{Type: X}}}}");
        let template = Template::parse(&text).map_err(|error| error.to_string())?;
        let given = given.map(|text| ("P".to_owned(), text.to_owned())).into_iter().collect();
        bind(&template.parameters, &given).map(|bound| bound["P"].value.to_json()).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_bound_by_type() {
        for (declaration, given, expected) in [
            ("{Type: String}", Some("x"), r#""x""#),
            ("{Type: String, Default: 7}", None, r#""7""#),
            ("{Type: String, Default: true}", None, r#""true""#),
            ("{Type: Number, Default: 0.25}", None, r#""0.25""#),
            ("{Type: CommaDelimitedList}", Some("a, b,c"), r#"["a","b","c"]"#),
            ("{Type: CommaDelimitedList, Default: ''}", None, "[]"),
            ("{Type: List<Number>}", Some("1,2"), r#"["1","2"]"#),
            ("{Type: 'List<AWS::EC2::Subnet::Id>'}", Some("subnet-1,subnet-2"), r#"["subnet-1","subnet-2"]"#),
            ("{Type: 'AWS::EC2::VPC::Id'}", Some("vpc-1"), r#""vpc-1""#),
            ("{Type: String, AllowedValues: [a, 1, true]}", Some("1"), r#""1""#),
            ("{Type: String, AllowedPattern: '[a-z]+'}", Some("abc"), r#""abc""#),
        ] {
            assert_eq!(value(declaration, given).as_deref(), Ok(expected), "{declaration}");
        }
    }

    #[test]
    fn stored_values_come_from_the_parameter_store() {
        let text = "Parameters:\n  One: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /a/one}\n\
                    \x20 Many: {Type: 'AWS::SSM::Parameter::Value<List<String>>'}\n\
                    Resources: {R: {Type: X}}";
        let template = Template::parse(text).unwrap();
        let given = [("Many".to_owned(), "/a/many".to_owned())].into();
        let names: Vec<String> = stored_names(&template.parameters, &given).into_iter().collect();
        assert_eq!(names, ["/a/many", "/a/one"]);
        let stored = [("/a/one".to_owned(), "1,2".to_owned()), ("/a/many".to_owned(), "x, y".to_owned())].into();
        let bound = bind_resolved(&template.parameters, &given, &stored).unwrap();
        assert_eq!(bound["One"].value.to_json(), r#""1,2""#);
        assert_eq!(bound["Many"].value.to_json(), r#"["x","y"]"#);
        assert_eq!((bound["One"].text.as_str(), bound["One"].resolved.as_deref()), ("/a/one", Some("1,2")));
        assert_eq!(
            bind(&template.parameters, &given).unwrap_err().to_string(),
            "Unable to fetch parameters [/a/one,/a/many] from parameter store for this account."
        );
    }

    #[test]
    fn what_breaks_a_rule_is_refused_in_aws_words() {
        for (declaration, given, expected) in [
            ("{Type: String}", None, "Parameters: [P] must have values"),
            ("{Type: Number}", Some("x"), "Parameter 'P' must be a number"),
            ("{Type: Number, MinValue: 1}", Some("0"), "Parameter 'P' must be a number not less than 1"),
            ("{Type: Number, MaxValue: 1.5}", Some("2"), "Parameter 'P' must be a number not greater than 1.5"),
            ("{Type: List<Number>}", Some("1,x"), "Parameter 'P' must be a number"),
            ("{Type: String, AllowedValues: [a]}", Some("b"), "Parameter 'P' must be one of AllowedValues"),
            ("{Type: String, AllowedPattern: '[a-z]+'}", Some("a1"), "Parameter 'P' must match pattern [a-z]+"),
            ("{Type: String, MinLength: 2}", Some("a"), "Parameter 'P' must contain at least 2 characters"),
            ("{Type: String, MaxLength: 2}", Some("abc"), "Parameter 'P' must contain at most 2 characters"),
            (
                "{Type: String, MaxLength: 2, ConstraintDescription: short}",
                Some("abc"),
                "Parameter P failed to satisfy constraint: short",
            ),
        ] {
            assert_eq!(value(declaration, given).unwrap_err(), expected, "{declaration}");
        }
        let unknown = bind(&IndexMap::new(), &[("Q".to_owned(), String::new())].into()).unwrap_err();
        assert_eq!(unknown.to_string(), "Parameters: [Q] do not exist in the template");
    }

    #[test]
    fn wrong_declarations_are_named() {
        for (declaration, part) in [
            ("{}", "Every Parameters object must contain a Type member."),
            ("{Type: Text}", "Unrecognized parameter type: Text (at /Parameters/P/Type)"),
            (
                "{Type: 'AWS::SSM::Parameter::Value<Text>'}",
                "Unrecognized parameter type: AWS::SSM::Parameter::Value<Text>",
            ),
            ("{Type: String, Foo: 1}", "Invalid template parameter property 'Foo'"),
            ("{Type: String, MinLength: x}", "Every MinLength member must be a number."),
            ("{Type: String, NoEcho: 7}", "Every NoEcho member must be a boolean."),
            ("{Type: String, AllowedPattern: '('}", "Barge does not support the AllowedPattern"),
        ] {
            let text = value(declaration, Some("x")).unwrap_err();
            assert!(text.contains(part), "{declaration}: {text}");
        }
    }
}
