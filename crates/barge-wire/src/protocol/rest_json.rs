//! restJson1: the operation in method and path; input in path, query string, headers and a JSON body.

use super::{Named, Protocol, json, unknown_operation};
use crate::coerce::{Style, coerce, from_text};
use crate::{Description, Kind, Location, Member, Operation, Shape};
use barge_core::{AwsError, Document};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use indexmap::IndexMap;
use percent_encoding::percent_decode_str;

pub(super) fn operation(description: &Description, request: &Request<Bytes>) -> Result<Named, AwsError> {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let query = request.uri().query().unwrap_or_default();
    // A pattern with a query of its own is more particular than the same path without.
    for form in [Form::WithQuery, Form::PathOnly] {
        for operation in description.operations {
            if operation.method == method
                && form.is(operation.path, query)
                && let Some(labels) = labels(operation.path, path)
            {
                return Ok(Named { name: operation.name.to_owned(), implemented: Some(operation), labels });
            }
        }
        for (name, other_method, pattern) in description.others {
            if *other_method == method && form.is(pattern, query) && labels(pattern, path).is_some() {
                return Ok(Named { name: (*name).to_owned(), implemented: None, labels: Vec::new() });
            }
        }
    }
    Err(unknown_operation(&format!("{method} {path}")))
}

/// What a pattern looks at.
#[derive(Clone, Copy)]
enum Form {
    /// The path, and a pair that the query must have (`/layers?find=LayerVersion`).
    WithQuery,
    /// The path alone.
    PathOnly,
}

impl Form {
    /// Whether `pattern` is of this form, and the request's `query` has what it wants.
    fn is(self, pattern: &str, query: &str) -> bool {
        match (self, pattern.split_once('?')) {
            (Self::WithQuery, Some((_, wanted))) => query.split('&').any(|pair| pair == wanted),
            (Self::PathOnly, None) => true,
            _ => false,
        }
    }
}

/// What the labels of `pattern` stand for in `path`; `None` where the path is not of that pattern.
fn labels(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let pattern = pattern.split('?').next()?.trim_end_matches('/');
    let mut rest = path.trim_end_matches('/');
    let mut labels = Vec::new();
    for segment in pattern.split('/').skip(1) {
        rest = rest.strip_prefix('/')?;
        let label = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
        let end = match label {
            Some(label) if label.ends_with('+') => rest.len(),
            _ => rest.find('/').unwrap_or(rest.len()),
        };
        let (value, after) = rest.split_at(end);
        match label {
            Some(_) if value.is_empty() => return None,
            Some(label) => labels.push((label.trim_end_matches('+'), decoded(value))),
            None if value != segment => return None,
            None => {}
        }
        rest = after;
    }
    rest.is_empty().then_some(labels)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The input with the model's names: members outside the body are read here, those in it are coerced by name.
pub(super) fn decode(
    description: &Description,
    operation: &'static Operation,
    labels: &[(&'static str, String)],
    request: &Request<Bytes>,
) -> Result<Document, AwsError> {
    let members = operation.input.members();
    let mut input = IndexMap::new();
    let payload = members.iter().find(|member| member.location == Location::Payload);
    if payload.is_none() && members.iter().any(|member| member.location == Location::Body) {
        input = body_members(description, operation.input, request.body())?;
    }
    let query = query_pairs(request.uri().query().unwrap_or_default());
    for member in members {
        let value = match member.location {
            Location::Body | Location::StatusCode | Location::Headers => continue,
            Location::Payload => payload_value(description, member, request.body())?,
            Location::Uri => labels
                .iter()
                .find(|(name, _)| *name == member.wire_name())
                .map(|(_, text)| scalar(member, text))
                .transpose()?,
            Location::Query => query_value(member, &query)?,
            Location::Header => request
                .headers()
                .get(member.wire_name())
                .and_then(|value| value.to_str().ok())
                .map(|text| scalar(member, text))
                .transpose()?,
        };
        if let Some(value) = value {
            input.insert(member.name.to_owned(), value);
        }
    }
    Ok(Document::Map(input))
}

/// The members in a JSON body, with the model's names. A body may repeat a member of the path, as older clients do.
fn body_members(
    description: &Description,
    shape: &'static Shape,
    body: &[u8],
) -> Result<IndexMap<String, Document>, AwsError> {
    let document = coerce(json::decode(body)?, shape, Style::RestJson)
        .map_err(|misfit| misfit.into_aws(description.validation_code))?;
    match document {
        Document::Map(members) => Ok(members),
        _ => Ok(IndexMap::new()),
    }
}

fn payload_value(
    description: &Description,
    member: &'static Member,
    body: &Bytes,
) -> Result<Option<Document>, AwsError> {
    if body.is_empty() {
        return Ok(None);
    }
    match member.shape.kind {
        Kind::Blob { .. } => Ok(Some(Document::Blob(body.to_vec()))),
        _ => coerce(json::decode(body)?, member.shape, Style::RestJson)
            .map(Some)
            .map_err(|misfit| misfit.into_aws(description.validation_code)),
    }
}

fn query_value(member: &'static Member, query: &[(String, String)]) -> Result<Option<Document>, AwsError> {
    let mut values = query.iter().filter(|(name, _)| name == member.wire_name()).map(|(_, value)| value);
    match &member.shape.kind {
        Kind::List { .. } => {
            let list: Vec<Document> = values.map(|text| text.as_str().into()).collect();
            Ok((!list.is_empty()).then_some(Document::List(list)))
        }
        _ => values.next().map(|text| scalar(member, text)).transpose(),
    }
}

fn scalar(member: &Member, text: &str) -> Result<Document, AwsError> {
    from_text(text, &member.shape.kind).ok_or_else(|| {
        AwsError::new("SerializationException", 400, format!("Value at '{}' can not be read: {text}", member.name))
    })
}

fn query_pairs(query: &str) -> Vec<(String, String)> {
    super::query::pairs(query.as_bytes())
}

pub(super) fn encode(operation: &'static Operation, request_id: &str, output: Document) -> Response<Bytes> {
    let Document::Map(mut entries) = output else {
        return Protocol::RestJson.response(operation.status, request_id, "{}");
    };
    let mut status = operation.status;
    let mut headers = Vec::new();
    let mut payload = None;
    for member in operation.output.members() {
        if member.location == Location::Body {
            continue;
        }
        let Some(value) = entries.swap_remove(member.name) else { continue };
        match member.location {
            Location::StatusCode => status = status_code(&value).unwrap_or(status),
            Location::Payload => payload = Some((member, value)),
            _ => headers.push((member.wire_name(), value)),
        }
    }
    let has_payload = operation.output.members().iter().any(|member| member.location == Location::Payload);
    let body = match payload {
        Some((_, Document::Blob(bytes))) => Bytes::from(bytes),
        Some((member, value)) => json::body(value, member.shape, Style::RestJson).into(),
        None if has_payload || status == 204 => Bytes::new(),
        None => json::body(Document::Map(entries), operation.output, Style::RestJson).into(),
    };
    let mut response = Protocol::RestJson.response(status, request_id, body);
    for (name, value) in headers {
        if let (Ok(name), Some(Ok(value))) =
            (HeaderName::try_from(name), value.scalar_text().map(HeaderValue::try_from))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn status_code(value: &Document) -> Option<u16> {
    match value {
        Document::Integer(n) => u16::try_from(*n).ok(),
        _ => None,
    }
}

pub(super) fn error(error: &AwsError) -> String {
    let (code, message) = (Document::from(error.code.as_ref()), Document::from(error.message.as_str()));
    // Lambda's SDKs read `Type` and `Message`, all others `message`.
    let kind = if error.status < 500 { "User" } else { "Service" };
    Document::map([("code", code), ("message", message.clone()), ("Message", message), ("Type", kind.into())]).to_json()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_patterns_label_by_label() {
        for (pattern, path, expected) in [
            ("/v1/submitjob", "/v1/submitjob", Some(vec![])),
            ("/v1/submitjob", "/v1/submitjobs", None),
            ("/v1/tags/{arn}", "/v1/tags/a%2Fb%3Ac", Some(vec![("arn", "a/b:c".to_owned())])),
            ("/v1/tags/{arn}", "/v1/tags/", None),
            ("/f/{Name}/invocations", "/f/x/invocations", Some(vec![("Name", "x".to_owned())])),
            ("/f/{Name}", "/f/x/invocations", None),
            ("/k/{Rest+}", "/k/a/b/c", Some(vec![("Rest", "a/b/c".to_owned())])),
            ("/f/", "/f", Some(vec![])),
        ] {
            assert_eq!(labels(pattern, path), expected, "{pattern} {path}");
        }
    }
}
