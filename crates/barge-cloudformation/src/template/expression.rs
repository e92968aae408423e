//! Values that may depend on parameters, conditions and resources: intrinsic functions as a type, and reading them from a
//! template's tree. Evaluating them happens in `evaluate`.

use super::problem::{Fault, Path, Problems};
use super::sub::{self, Part};
use barge_core::Document;
use indexmap::IndexMap;

/// A value in a template (CloudFormation Template Reference, "Intrinsic function reference").
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A scalar.
    Literal(Document),
    /// A list.
    List(Vec<Expression>),
    /// A map.
    Map(IndexMap<String, Expression>),
    /// `Ref`: a parameter's value, a resource's physical id, a pseudo parameter.
    Ref(String),
    /// `Fn::GetAtt`.
    GetAtt {
        /// Logical id.
        resource: String,
        /// The attribute's name, which may be given by a parameter.
        attribute: Box<Expression>,
    },
    /// `Fn::Sub`.
    Sub {
        /// Its text, cut at the variables.
        parts: Vec<Part>,
        /// Variables of its own.
        variables: IndexMap<String, Expression>,
    },
    /// `Fn::Join`.
    Join {
        /// Goes between the values.
        delimiter: String,
        /// A list.
        values: Box<Expression>,
    },
    /// `Fn::Select`.
    Select {
        /// From 0.
        index: Box<Expression>,
        /// A list.
        list: Box<Expression>,
    },
    /// `Fn::Split`.
    Split {
        /// What stands between the parts.
        delimiter: String,
        /// Text.
        text: Box<Expression>,
    },
    /// `Fn::If`.
    If {
        /// A condition's name.
        condition: String,
        /// Where it holds.
        then: Box<Expression>,
        /// Where it doesn't.
        otherwise: Box<Expression>,
    },
    /// `Fn::FindInMap`.
    FindInMap {
        /// The mapping's name.
        map: Box<Expression>,
        /// Its top-level key.
        top: Box<Expression>,
        /// Its second-level key.
        second: Box<Expression>,
        /// What stands in for a missing key (`AWS::LanguageExtensions`).
        default: Option<Box<Expression>>,
    },
    /// `Fn::ImportValue`: another stack's export, by its name.
    ImportValue(Box<Expression>),
    /// `Fn::Length`: how many entries a list has (`AWS::LanguageExtensions`).
    Length(Box<Expression>),
    /// `Fn::ToJsonString`: a map or list as JSON text (`AWS::LanguageExtensions`).
    ToJson(Box<Expression>),
    /// `Fn::Base64`.
    Base64(Box<Expression>),
    /// `Fn::GetAZs`: a region's availability zones; this one's where the text is empty.
    GetAzs(Box<Expression>),
    /// `Fn::Cidr`: `count` blocks of `bits` host bits out of a block.
    Cidr {
        /// e.g. `10.0.0.0/16`.
        block: Box<Expression>,
        /// 1 to 256.
        count: Box<Expression>,
        /// Host bits of each; 8 where left out.
        bits: Option<Box<Expression>>,
    },
}

/// A condition (CloudFormation Template Reference, "Condition functions").
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Another condition's value.
    Condition(String),
    /// `Fn::Equals`.
    Equals(Expression, Expression),
    /// `Fn::And`.
    And(Vec<Predicate>),
    /// `Fn::Or`.
    Or(Vec<Predicate>),
    /// `Fn::Not`.
    Not(Box<Predicate>),
}

/// The pseudo parameters (CloudFormation Template Reference, "Pseudo parameters reference").
pub const PSEUDO_PARAMETERS: &[&str] = &[
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::NoValue",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

const FUNCTIONS: &str = "[Fn::Base64, Fn::GetAtt, Fn::GetAZs, Fn::ImportValue, Fn::Join, Fn::Split, Fn::FindInMap, \
                         Fn::Select, Ref, Fn::Equals, Fn::If, Fn::Not, Condition, Fn::And, Fn::Or, Fn::Contains, \
                         Fn::EachMemberEquals, Fn::EachMemberIn, Fn::ValueOf, Fn::ValueOfAll, Fn::RefAll, Fn::Sub, \
                         Fn::Cidr]";

/// Which functions there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Those of every template.
    #[default]
    Plain,
    /// Also those of the transform `AWS::LanguageExtensions`.
    Extended,
}

/// Reads values, noting what is wrong and going on.
pub(super) struct Reader<'a> {
    pub(super) problems: &'a mut Problems,
    pub(super) dialect: Dialect,
}

impl Reader<'_> {
    fn wrong(&mut self, path: &Path, text: impl Into<String>) -> Expression {
        self.problems.add(path.clone(), Fault::Function(text.into()));
        Expression::Literal(Document::Null)
    }

    /// Reads any value.
    pub(super) fn expression(&mut self, value: &Document, path: &Path) -> Expression {
        match value {
            Document::Null => {
                self.problems.add(
                    Path::default(),
                    Fault::Format(format!("[{path}] 'null' values are not allowed in templates")),
                );
                Expression::Literal(Document::Null)
            }
            Document::List(list) => {
                Expression::List(list.iter().enumerate().map(|(i, v)| self.expression(v, &path.at(i))).collect())
            }
            Document::Map(map) => self.map(map, path),
            Document::String(text) => self.text(text, path),
            scalar => Expression::Literal(scalar.clone()),
        }
    }

    fn text(&mut self, text: &str, path: &Path) -> Expression {
        // A dynamic reference would otherwise reach the service as its own text, secrets and all.
        if text.contains("{{resolve:") {
            self.problems.add(path.clone(), Fault::Unsupported("dynamic references ({{resolve:…}})".to_owned()));
        }
        Expression::Literal(text.into())
    }

    fn map(&mut self, map: &IndexMap<String, Document>, path: &Path) -> Expression {
        let function = |key: &str| key == "Ref" || key.starts_with("Fn::");
        if let (1, Some((name, argument))) = (map.len(), map.first())
            && function(name)
        {
            return self.function(name, argument, &path.at(name));
        }
        if let Some(name) = map.keys().find(|key| key.starts_with("Fn::")) {
            return self.wrong(path, format!("{name} must be the only key of its object"));
        }
        Expression::Map(map.iter().map(|(key, value)| (key.clone(), self.expression(value, &path.at(key)))).collect())
    }

    fn function(&mut self, name: &str, argument: &Document, path: &Path) -> Expression {
        match name {
            "Ref" => match argument.scalar_text() {
                Some(target) if !target.is_empty() => Expression::Ref(target),
                _ => self.wrong(path, "every Ref object must have a single String value."),
            },
            "Fn::GetAtt" => self.get_att(argument, path),
            "Fn::Sub" => self.sub(argument, path),
            "Fn::Join" => match argument.as_list() {
                Some([delimiter, values]) if delimiter.as_str().is_some() => Expression::Join {
                    delimiter: delimiter.as_str().unwrap_or_default().to_owned(),
                    values: self.boxed(values, &path.at(1)),
                },
                _ => self.wrong(
                    path,
                    "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings \
                     to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.",
                ),
            },
            "Fn::Select" => match argument.as_list() {
                Some([index, list]) => {
                    Expression::Select { index: self.boxed(index, &path.at(0)), list: self.boxed(list, &path.at(1)) }
                }
                _ => self
                    .wrong(path, "Fn::Select requires a list argument with two elements: an integer index and a list"),
            },
            "Fn::Split" => match argument.as_list() {
                Some([delimiter, text]) if delimiter.as_str().is_some_and(|d| !d.is_empty()) => Expression::Split {
                    delimiter: delimiter.as_str().unwrap_or_default().to_owned(),
                    text: self.boxed(text, &path.at(1)),
                },
                _ => self.wrong(
                    path,
                    "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be \
                     split or a function that returns a string to be split.",
                ),
            },
            "Fn::If" => match argument.as_list() {
                Some([condition, then, otherwise]) if condition.as_str().is_some() => Expression::If {
                    condition: condition.as_str().unwrap_or_default().to_owned(),
                    then: self.boxed(then, &path.at(1)),
                    otherwise: self.boxed(otherwise, &path.at(2)),
                },
                _ => self
                    .wrong(path, "Fn::If requires a list argument with three elements, the first a condition's name"),
            },
            "Fn::FindInMap" => match argument.as_list() {
                Some([map, top, second]) => self.find_in_map([map, top, second], None, path),
                Some([map, top, second, Document::Map(options)])
                    if self.dialect == Dialect::Extended && options.keys().all(|key| key == "DefaultValue") =>
                {
                    self.find_in_map([map, top, second], options.get("DefaultValue"), path)
                }
                _ => self.wrong(
                    path,
                    "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for \
                     return value",
                ),
            },
            "Fn::Base64" => Expression::Base64(self.boxed(argument, path)),
            "Fn::GetAZs" => Expression::GetAzs(self.boxed(argument, path)),
            "Fn::Cidr" => match argument.as_list() {
                Some([block, count, rest @ ..]) if rest.len() <= 1 => Expression::Cidr {
                    block: self.boxed(block, &path.at(0)),
                    count: self.boxed(count, &path.at(1)),
                    bits: rest.first().map(|bits| self.boxed(bits, &path.at(2))),
                },
                _ => self.wrong(path, "every Fn::Cidr object requires an IP block, a count and, optionally, cidrBits"),
            },
            "Fn::ImportValue" => Expression::ImportValue(self.boxed(argument, path)),
            "Fn::Length" if self.dialect == Dialect::Extended => Expression::Length(self.boxed(argument, path)),
            "Fn::ToJsonString" if self.dialect == Dialect::Extended => match argument {
                Document::Map(_) | Document::List(_) => Expression::ToJson(self.boxed(argument, path)),
                _ => self.wrong(path, "Fn::ToJsonString requires an object or an array"),
            },
            "Fn::Transform" | "Fn::GetStackOutput" => {
                self.problems.add(path.clone(), Fault::Unsupported(name.to_owned()));
                Expression::Literal(Document::Null)
            }
            "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => {
                self.wrong(path, format!("{name} is used outside the Conditions block"))
            }
            other => self
                .wrong(path, format!("Encountered unsupported function: {other} Supported functions are: {FUNCTIONS}")),
        }
    }

    fn find_in_map(&mut self, names: [&Document; 3], default: Option<&Document>, path: &Path) -> Expression {
        let [map, top, second] = names;
        Expression::FindInMap {
            map: self.boxed(map, &path.at(0)),
            top: self.boxed(top, &path.at(1)),
            second: self.boxed(second, &path.at(2)),
            default: default.map(|default| self.boxed(default, &path.at(3).at("DefaultValue"))),
        }
    }

    fn boxed(&mut self, value: &Document, path: &Path) -> Box<Expression> {
        Box::new(self.expression(value, path))
    }

    fn get_att(&mut self, argument: &Document, path: &Path) -> Expression {
        match argument {
            Document::String(text) => match text.split_once('.') {
                Some((resource, attribute)) if !resource.is_empty() && !attribute.is_empty() => Expression::GetAtt {
                    resource: resource.to_owned(),
                    attribute: Box::new(Expression::Literal(attribute.into())),
                },
                _ => self.wrong(
                    path,
                    "if specifying one argument to Fn::GetAtt, that argument must be a non-empty string in format \
                     <LogicalId>.<Attribute>",
                ),
            },
            Document::List(list) => match list.as_slice() {
                [Document::String(resource), attribute] if !resource.is_empty() => {
                    Expression::GetAtt { resource: resource.clone(), attribute: self.boxed(attribute, &path.at(1)) }
                }
                [Document::String(resource), rest @ ..]
                    if rest.iter().all(|part| part.as_str().is_some()) && !rest.is_empty() =>
                {
                    let names: Vec<&str> = rest.iter().filter_map(Document::as_str).collect();
                    Expression::GetAtt {
                        resource: resource.clone(),
                        attribute: Box::new(Expression::Literal(names.join(".").into())),
                    }
                }
                _ => self.bad_get_att(path),
            },
            _ => self.bad_get_att(path),
        }
    }

    fn bad_get_att(&mut self, path: &Path) -> Expression {
        self.wrong(
            path,
            "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
        )
    }

    fn sub(&mut self, argument: &Document, path: &Path) -> Expression {
        const RULE: &str = "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as \
                            first argument, and an optional second argument to specify a mapping of values to replace \
                            in the string";
        let (text, variables) = match argument {
            Document::List(list) => match list.as_slice() {
                [text, Document::Map(variables)] => (text, Some(variables)),
                [text] => (text, None),
                _ => return self.wrong(path, RULE),
            },
            text => (text, None),
        };
        let Some(text) = text.scalar_text() else {
            return self.wrong(path, RULE);
        };
        self.text(&text, path);
        let parts = match sub::parse(&text) {
            Ok(parts) => parts,
            Err(message) => return self.wrong(path, message),
        };
        let variables = variables
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), self.expression(value, &path.at(1).at(name))))
            .collect();
        Expression::Sub { parts, variables }
    }

    /// Reads a condition.
    pub(super) fn predicate(&mut self, value: &Document, path: &Path) -> Predicate {
        let single = value.as_map().filter(|map| map.len() == 1).and_then(IndexMap::first);
        let Some((name, argument)) = single else {
            self.wrong(path, "a condition must be one condition function");
            return Predicate::And(Vec::new());
        };
        let path = path.at(name);
        let list = argument.as_list();
        match (name.as_str(), list) {
            ("Condition", _) if argument.as_str().is_some() => {
                Predicate::Condition(argument.as_str().unwrap_or_default().to_owned())
            }
            ("Fn::Equals", Some([left, right])) => {
                Predicate::Equals(self.expression(left, &path.at(0)), self.expression(right, &path.at(1)))
            }
            ("Fn::Not", Some([inner])) => Predicate::Not(Box::new(self.predicate(inner, &path.at(0)))),
            ("Fn::And" | "Fn::Or", Some(list)) if (2..=10).contains(&list.len()) => {
                let inner = list.iter().enumerate().map(|(i, inner)| self.predicate(inner, &path.at(i))).collect();
                if name == "Fn::And" { Predicate::And(inner) } else { Predicate::Or(inner) }
            }
            (name, _) => {
                let rule = match name {
                    "Fn::Equals" => "every Fn::Equals object requires a list of 2 string parameters.".to_owned(),
                    "Fn::Not" => "every Fn::Not object requires a list argument with one boolean parameter.".to_owned(),
                    "Fn::And" | "Fn::Or" => {
                        format!("every {name} object requires a list of at least 2 and at most 10 boolean parameters.")
                    }
                    "Condition" => "every Condition object must have a single String value.".to_owned(),
                    other => format!("{other} is not a condition function"),
                };
                self.wrong(&path, rule);
                Predicate::And(Vec::new())
            }
        }
    }
}

/// Whether `name` is a pseudo parameter.
pub(super) fn is_pseudo(name: &str) -> bool {
    PSEUDO_PARAMETERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> String {
        let mut problems = Problems::default();
        let value = Document::from_json(json.as_bytes()).unwrap();
        Reader { problems: &mut problems, dialect: Dialect::Plain }.expression(&value, &Path::of(&["P"]));
        problems.to_string()
    }

    #[test]
    fn wrong_arguments_are_named_in_aws_words() {
        for (json, part) in [
            (r#"{"Ref": []}"#, "every Ref object must have a single String value."),
            (r#"{"Fn::GetAtt": "x"}"#, "in format <LogicalId>.<Attribute> (at /P/Fn::GetAtt)"),
            (r#"{"Fn::GetAtt": ["x"]}"#, "requires two non-empty parameters"),
            (r#"{"Fn::Join": ["x"]}"#, "every Fn::Join object requires two parameters"),
            (r#"{"Fn::Split": ["", "x"]}"#, "every Fn::Split object requires two parameters"),
            (r#"{"Fn::If": ["c", "x"]}"#, "Fn::If requires"),
            (r#"{"Fn::Sub": [1, 2, 3]}"#, "One or more Fn::Sub"),
            (r#"{"Fn::Sub": "${a b}"}"#, "variable names in Fn::Sub syntax"),
            (r#"{"Fn::Nope": "x"}"#, "Encountered unsupported function: Fn::Nope"),
            (r#"{"Fn::Transform": {}}"#, "Barge does not support Fn::Transform (at /P/Fn::Transform)"),
            (r#"{"Fn::Length": [1]}"#, "Encountered unsupported function: Fn::Length"),
            (r#"{"Fn::FindInMap": ["m", "t", "s", {"DefaultValue": 1}]}"#, "Fn::FindInMap object requires three"),
            (r#"{"a": "{{resolve:ssm:x}}"}"#, "dynamic references"),
            (r#"{"a": [null]}"#, "Template format error: [/P/a/0] 'null' values are not allowed in templates"),
            (r#"{"Fn::Sub": "x", "b": 1}"#, "Fn::Sub must be the only key of its object"),
        ] {
            assert!(problems(json).contains(part), "{json}: {}", problems(json));
        }
    }

    #[test]
    fn a_condition_key_in_a_policy_is_no_function() {
        assert_eq!(problems(r#"{"Condition": {"StringEquals": {"a": "b"}}}"#), "");
        assert_eq!(problems(r#"{"Ref": "x", "other": 1}"#), "");
    }
}
