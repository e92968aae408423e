//! From what a client wrote to a tree that has the shape's types and the model's member names.
//!
//! JSON protocols write numbers as numbers; query strings, headers and templates write everything as text. The style
//! says which is at hand; the walk is the same. Constraints are checked afterwards, in `validate`.

use crate::typed::Typed;
use crate::{Kind, Member, Shape};
use barge_core::{AwsError, Document, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;

/// How the writer names members and writes scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// The json protocols: the model's names, typed scalars.
    Json,
    /// The rest-json protocol: wire names, typed scalars.
    RestJson,
    /// Query parameters and XML: scalars as text; names are already the model's.
    Text,
    /// CloudFormation: names differ in their first letter's case; any scalar may be written as another.
    Template,
}

/// Reads the properties of a CloudFormation resource into an operation's input: `JobQueueName` fills `jobQueueName`,
/// `"1"` fills an integer, `0.25` a text.
///
/// # Errors
/// The same validation errors as a request with these members would get; a property that the type lacks is named.
pub fn from_properties<T: Typed>(properties: &Document) -> Result<T, AwsError> {
    let document =
        coerce(properties.clone(), T::SHAPE, Style::Template).map_err(|error| error.into_aws("ValidationError"))?;
    crate::validate::check(&document, T::SHAPE).map_err(|message| AwsError::new("ValidationError", 400, message))?;
    T::from_document(document)
}

/// A value as a CloudFormation template writes it, the other way round: `jobQueueName` is `JobQueueName` again.
pub fn to_properties<T: Typed>(value: T) -> Document {
    as_template(value.into_document(), T::SHAPE)
}

fn as_template(document: Document, shape: &'static Shape) -> Document {
    match (&shape.kind, document) {
        (Kind::Structure(members), Document::Map(entries)) => {
            let named = entries.into_iter().filter_map(|(name, value)| {
                let member = members.iter().find(|member| member.name == name)?;
                Some((capitalized(&name), as_template(value, member.shape)))
            });
            Document::map(named)
        }
        (Kind::List { entry, .. }, Document::List(entries)) => {
            Document::List(entries.into_iter().map(|value| as_template(value, entry)).collect())
        }
        (Kind::Map { value: shape, .. }, Document::Map(entries)) => {
            Document::map(entries.into_iter().map(|(key, value)| (key, as_template(value, shape))))
        }
        (_, document) => document,
    }
}

/// A member's name as templates write it.
pub(crate) fn capitalized(name: &str) -> String {
    let mut rest = name.chars();
    rest.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(rest).collect()
}

/// Why a tree does not have a shape.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// A structure has no such member.
    Unknown { path: String },
    /// A value is of another type.
    Type { path: String, expected: &'static str, found: &'static str },
}

impl Misfit {
    pub(crate) fn into_aws(self, unknown_code: &'static str) -> AwsError {
        match self {
            Self::Unknown { path } => AwsError::new(unknown_code, 400, format!("Unknown parameter: {path}")),
            Self::Type { path, expected, found } => AwsError::new(
                "SerializationException",
                400,
                format!("Value at '{path}' must be of type {expected}, found {found}."),
            ),
        }
    }
}

/// Gives `document` the types and names of `shape`.
pub(crate) fn coerce(document: Document, shape: &'static Shape, style: Style) -> Result<Document, Misfit> {
    Walk { style, path: Vec::new() }.value(document, shape)
}

struct Walk {
    style: Style,
    path: Vec<String>,
}

impl Walk {
    fn value(&mut self, document: Document, shape: &'static Shape) -> Result<Document, Misfit> {
        match (&shape.kind, document) {
            (_, Document::Null) => Ok(Document::Null),
            (Kind::Structure(members), Document::Map(entries)) => self.structure(members, entries),
            (Kind::List { entry, .. }, Document::List(entries)) => {
                let mut list = Vec::with_capacity(entries.len());
                for (index, value) in entries.into_iter().enumerate() {
                    list.push(self.at((index + 1).to_string(), value, entry)?);
                }
                Ok(Document::List(list))
            }
            (Kind::Map { value: shape, .. }, Document::Map(entries)) => {
                let mut map = IndexMap::with_capacity(entries.len());
                for (key, value) in entries {
                    let value = self.at(key.clone(), value, shape)?;
                    map.insert(key, value);
                }
                Ok(Document::Map(map))
            }
            (_, document) => self.scalar(&document, shape),
        }
    }

    fn at(&mut self, name: String, value: Document, shape: &'static Shape) -> Result<Document, Misfit> {
        self.path.push(name);
        let value = self.value(value, shape)?;
        self.path.pop();
        Ok(value)
    }

    fn structure(
        &mut self,
        members: &'static [Member],
        entries: IndexMap<String, Document>,
    ) -> Result<Document, Misfit> {
        let mut map = IndexMap::with_capacity(entries.len());
        for (name, value) in entries {
            let Some(member) = members.iter().find(|member| self.names(member, &name)) else {
                self.path.push(name);
                return Err(Misfit::Unknown { path: self.path.join(".") });
            };
            let value = self.at(name, value, member.shape)?;
            map.insert(member.name.to_owned(), value);
        }
        Ok(Document::Map(map))
    }

    fn names(&self, member: &Member, name: &str) -> bool {
        match self.style {
            Style::Json | Style::Text => member.name == name,
            Style::RestJson => member.wire_name() == name,
            Style::Template => same_but_for_first_case(member.name, name),
        }
    }

    fn scalar(&self, document: &Document, shape: &'static Shape) -> Result<Document, Misfit> {
        let text = match self.style {
            Style::Json | Style::RestJson => None,
            Style::Text | Style::Template => document.scalar_text(),
        };
        let read = match text {
            Some(text) => from_text(&text, &shape.kind),
            None => from_typed(document, &shape.kind),
        };
        read.ok_or_else(|| Misfit::Type {
            path: self.path.join("."),
            expected: expected(&shape.kind),
            found: document.kind(),
        })
    }
}

fn same_but_for_first_case(member: &str, name: &str) -> bool {
    let (mut a, mut b) = (member.chars(), name.chars());
    match (a.next(), b.next()) {
        (Some(x), Some(y)) => x.eq_ignore_ascii_case(&y) && a.as_str() == b.as_str(),
        _ => false,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // guarded: whole, and in range by saturation
fn from_typed(document: &Document, kind: &Kind) -> Option<Document> {
    match (kind, document) {
        (Kind::String(_), Document::String(_))
        | (Kind::Boolean, Document::Bool(_))
        | (Kind::Integer { .. }, Document::Integer(_))
        | (Kind::Float { .. }, Document::Float(_))
        | (Kind::Blob { .. }, Document::Blob(_))
        | (Kind::Timestamp, Document::Timestamp(_)) => Some(document.clone()),
        (Kind::Integer { .. }, Document::Float(n)) if n.fract() == 0.0 => Some(Document::Integer(*n as i64)),
        (Kind::Float { .. }, Document::Integer(n)) => Some(Document::Float(*n as f64)),
        (Kind::Blob { .. }, Document::String(text)) => STANDARD.decode(text).ok().map(Document::Blob),
        (Kind::Timestamp, Document::Integer(seconds)) => {
            Some(Document::Timestamp(Timestamp::from_millis(seconds.saturating_mul(1000))))
        }
        (Kind::Timestamp, Document::Float(seconds)) => {
            Some(Document::Timestamp(Timestamp::from_millis((seconds * 1000.0).round() as i64)))
        }
        (Kind::Timestamp, Document::String(text)) => Timestamp::parse_iso8601(text).map(Document::Timestamp),
        _ => None,
    }
}

pub(crate) fn from_text(text: &str, kind: &Kind) -> Option<Document> {
    match kind {
        Kind::String(_) => Some(text.into()),
        Kind::Integer { .. } => text.parse().ok().map(Document::Integer),
        Kind::Float { .. } => text.parse().ok().map(Document::Float),
        Kind::Boolean if text.eq_ignore_ascii_case("true") => Some(Document::Bool(true)),
        Kind::Boolean if text.eq_ignore_ascii_case("false") => Some(Document::Bool(false)),
        Kind::Blob { .. } => STANDARD.decode(text).ok().map(Document::Blob),
        Kind::Timestamp => Timestamp::parse_iso8601(text).map(Document::Timestamp),
        _ => None,
    }
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::String(_) => "string",
        Kind::Integer { .. } => "integer",
        Kind::Float { .. } => "number",
        Kind::Boolean => "boolean",
        Kind::Blob { .. } => "blob (base64)",
        Kind::Timestamp => "timestamp",
        Kind::List { .. } => "list",
        Kind::Map { .. } => "map",
        Kind::Structure(_) => "structure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{CreateJobQueueRequest, SubmitJobRequest};
    use crate::typed::Value;

    #[test]
    fn properties_as_people_write_them() {
        let properties = Document::from_json(
            br#"{"JobQueueName": "q", "Priority": "10",
                 "ComputeEnvironmentOrder": [{"Order": 1, "ComputeEnvironment": "ce"}]}"#,
        );
        let request: CreateJobQueueRequest = from_properties(&properties.unwrap()).unwrap();
        assert_eq!((request.job_queue_name.as_str(), request.priority), ("q", 10));
        assert_eq!(request.compute_environment_order.unwrap()[0].order, 1);
    }

    #[test]
    fn what_was_read_out_of_properties_is_written_as_them_again() {
        let text = r#"{"JobQueueName":"q","Priority":10,"ComputeEnvironmentOrder":[{"Order":1,"ComputeEnvironment":"ce"}],"Tags":{"a":"b"}}"#;
        let request: CreateJobQueueRequest = from_properties(&Document::from_json(text.as_bytes()).unwrap()).unwrap();
        let again = to_properties(request);
        let sorted =
            |document: &Document| document.as_map().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sorted(&again), sorted(&Document::from_json(text.as_bytes()).unwrap()));
        assert_eq!(
            again.get("ComputeEnvironmentOrder"),
            Document::from_json(text.as_bytes()).unwrap().get("ComputeEnvironmentOrder")
        );
        assert_eq!(again.get("Tags").unwrap().to_json(), r#"{"a":"b"}"#);
    }

    #[test]
    fn a_number_where_text_is_wanted_becomes_text() {
        let properties = Document::from_json(br#"{"JobName": 7, "JobQueue": true, "JobDefinition": 0.25}"#);
        let request: SubmitJobRequest = from_properties(&properties.unwrap()).unwrap();
        assert_eq!(
            (request.job_name, request.job_queue, request.job_definition),
            ("7".into(), "true".into(), "0.25".into())
        );
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_path() {
        let request = |text: &str| {
            coerce(Document::from_json(text.as_bytes()).unwrap(), SubmitJobRequest::SHAPE, Style::RestJson)
        };
        assert_eq!(
            request(r#"{"containerOverrides": {"comand": []}}"#),
            Err(Misfit::Unknown { path: "containerOverrides.comand".into() })
        );
        assert_eq!(
            request(r#"{"containerOverrides": {"command": ["a", 7]}}"#),
            Err(Misfit::Type { path: "containerOverrides.command.2".into(), expected: "string", found: "integer" })
        );
        assert_eq!(
            request(r#"{"jobName": ["x"]}"#),
            Err(Misfit::Type { path: "jobName".into(), expected: "string", found: "list" })
        );
    }

    #[test]
    fn a_typed_value_keeps_through_json() {
        let text = r#"{"jobName":"a","jobQueue":"b","jobDefinition":"c","timeout":{"attemptDurationSeconds":60}}"#;
        let request: SubmitJobRequest = serde_json::from_str(text).unwrap();
        let again = SubmitJobRequest::from_document(request.clone().into_document()).unwrap();
        assert_eq!(again, request);
        assert_eq!(
            serde_json::from_str::<SubmitJobRequest>(&serde_json::to_string(&request).unwrap()).unwrap(),
            request
        );
    }
}
