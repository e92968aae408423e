//! awsJson 1.0 and 1.1: the operation in a header, everything else in a JSON body.

use super::{Named, unknown_operation};
use crate::coerce::Style;
use crate::{Description, Kind, Member, Shape};
use barge_core::{AwsError, Document};
use bytes::Bytes;
use http::Request;
use indexmap::IndexMap;

pub(super) fn operation(description: &Description, request: &Request<Bytes>) -> Result<Named, AwsError> {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    target
        .strip_prefix(description.target_prefix)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|name| Named::find(description, name))
        .ok_or_else(|| unknown_operation(if target.is_empty() { "A request without X-Amz-Target" } else { target }))
}

pub(super) fn decode(body: &[u8]) -> Result<Document, AwsError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Document::Map(IndexMap::new()));
    }
    let malformed = |message: String| AwsError::new("SerializationException", 400, message);
    match Document::from_json(body) {
        Ok(document @ Document::Map(_)) => Ok(document),
        Ok(other) => Err(malformed(format!("The body must be a JSON object, found {}.", other.kind()))),
        Err(error) => Err(malformed(format!("The body is not JSON: {error}"))),
    }
}

/// A tree with the model's names as JSON text.
pub(super) fn body(output: Document, shape: &'static Shape, style: Style) -> String {
    rename(output, shape, style, false).to_json()
}

/// Gives a tree the names it has on the wire, and moments the form they have there.
pub(super) fn rename(document: Document, shape: &'static Shape, style: Style, iso8601: bool) -> Document {
    match (&shape.kind, document) {
        (Kind::Structure(members), Document::Map(entries)) => {
            let mut map = IndexMap::with_capacity(entries.len());
            for (name, value) in entries {
                if let Some(member) = members.iter().find(|member| member.name == name) {
                    let value = rename(value, member.shape, style, member.iso8601);
                    map.insert(json_name(member, style).to_owned(), value);
                }
            }
            Document::Map(map)
        }
        (Kind::List { entry, .. }, Document::List(entries)) => {
            Document::List(entries.into_iter().map(|value| rename(value, entry, style, iso8601)).collect())
        }
        (Kind::Map { value: shape, .. }, Document::Map(entries)) => {
            Document::Map(entries.into_iter().map(|(key, value)| (key, rename(value, shape, style, iso8601))).collect())
        }
        (_, Document::Timestamp(moment)) if iso8601 => Document::String(moment.iso8601()),
        (_, other) => other,
    }
}

fn json_name(member: &Member, style: Style) -> &'static str {
    match style {
        Style::RestJson => member.wire_name(),
        Style::Json | Style::Text | Style::Template => member.name,
    }
}

pub(super) fn error(error: &AwsError) -> String {
    Document::map([("__type", Document::from(error.code.as_ref())), ("message", error.message.as_str().into())])
        .to_json()
}
