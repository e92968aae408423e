//! DynamoDB's JSON 1.0 protocol: the operation's name from its header, requests decoded with DynamoDB's own complaints,
//! responses with its headers (Amazon DynamoDB Developer Guide, "DynamoDB low-level API").

use barge_core::Context;
use bytes::Bytes;
use dynoxide::DynoxideError;
use http::{HeaderValue, Request, Response, StatusCode};
use serde::de::DeserializeOwned;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const PREFIXES: [&str; 2] = ["DynamoDB_20120810.", "DynamoDBStreams_20120810."];

/// The operation that a request's `X-Amz-Target` names.
pub(crate) fn operation(request: &Request<Bytes>) -> Option<&str> {
    let target = request.headers().get("x-amz-target")?.to_str().ok()?;
    PREFIXES.iter().find_map(|prefix| target.strip_prefix(prefix))
}

/// A successful response.
pub(crate) fn success(cx: &Context, body: String) -> Response<Bytes> {
    respond(cx, StatusCode::OK, body)
}

/// The response of a failed operation.
pub(crate) fn failure(cx: &Context, error: &DynoxideError) -> Response<Bytes> {
    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut body = error.to_json();
    crate::arns::to_client(&mut body, &cx.scope);
    respond(cx, status, body)
}

/// The response to an operation that DynamoDB does not know.
pub(crate) fn unknown_operation(cx: &Context) -> Response<Bytes> {
    let body = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
    respond(cx, StatusCode::BAD_REQUEST, body.to_owned())
}

/// The response to an operation of DynamoDB's that Barge lacks.
pub(crate) fn not_implemented(cx: &Context, operation: &str) -> Response<Bytes> {
    let body = serde_json::json!({
        "__type": "com.amazonaws.dynamodb.v20120810#NotImplemented",
        "message": format!("Barge does not implement {operation} of dynamodb."),
    });
    respond(cx, StatusCode::NOT_IMPLEMENTED, body.to_string())
}

fn respond(cx: &Context, status: StatusCode, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let crc = crc32fast::hash(response.body());
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(CONTENT_TYPE));
    headers.insert("x-amz-crc32", HeaderValue::from(crc));
    if let Ok(id) = HeaderValue::from_str(&cx.request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// Reads a request, or says what is wrong with it as DynamoDB does.
pub(crate) fn decode<T: DeserializeOwned>(operation: &str, body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| complaint(operation, &error))
}

/// Writes a response.
pub(crate) fn encode<T: serde::Serialize>(response: &T) -> Result<String, DynoxideError> {
    serde_json::to_string(response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

fn complaint(operation: &str, error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    // dynoxide's types mark what kind of error DynamoDB would give; the marks themselves are not for clients.
    if let Some(message) = text.strip_prefix("SERIALIZATION_AS_READ:") {
        return DynoxideError::SerializationException(message.to_owned());
    }
    if let Some(message) = text.strip_prefix("VALIDATION_AS_READ:") {
        return DynoxideError::ValidationException(message.to_owned());
    }
    let message = without_position(&text);
    if let Some(message) = message.strip_prefix("SERIALIZATION:") {
        return DynoxideError::SerializationException(message.to_owned());
    }
    if let Some(message) = message.strip_prefix("VALIDATION_REQUEST:") {
        let enveloped = matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem");
        let prefix = if enveloped { "1 validation error detected: " } else { "" };
        return DynoxideError::ValidationException(format!("{prefix}{message}"));
    }
    if let Some(message) = message.strip_prefix("VALIDATION:") {
        return DynoxideError::ValidationException(message.to_owned());
    }
    if let Some(member) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return DynoxideError::ValidationException(format!(
            "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
            lower_first(member)
        ));
    }
    if message.contains("empty AttributeValue") {
        return DynoxideError::ValidationException(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes".to_owned(),
        );
    }
    if message.contains("Supplied AttributeValue") || message.starts_with("unknown variant") {
        return DynoxideError::ValidationException(message.to_owned());
    }
    // A body that isn't JSON gets no message, as DynamoDB sends none.
    DynoxideError::SerializationException(if error.is_data() { wrong_type(message) } else { String::new() })
}

/// serde's complaint about a type in DynamoDB's words.
fn wrong_type(message: &str) -> String {
    let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    else {
        return message.to_owned();
    };
    let found = match found.split_once(' ').map_or(found, |(kind, _)| kind) {
        "string" => "STRING_VALUE",
        "integer" => "NUMBER_VALUE",
        "floating" => "DECIMAL_VALUE",
        "boolean" if found.contains("true") => "TRUE_VALUE",
        "boolean" => "FALSE_VALUE",
        "sequence" => return "Unrecognized collection type class java.lang.String".to_owned(),
        "map" => return "Start of structure or map found where not expected".to_owned(),
        _ => return message.to_owned(),
    };
    let expected = match expected {
        "a string" => "String",
        "a boolean" => "Boolean",
        "i64" | "u64" | "usize" => "Long",
        "i32" | "u32" => "Integer",
        _ => return "Unexpected value type in payload".to_owned(),
    };
    format!("{found} cannot be converted to {expected}")
}

fn without_position(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |at| &message[..at])
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dynoxide::actions::{batch_write_item::BatchWriteItemRequest, put_item::PutItemRequest};

    #[test]
    fn bad_bodies_get_dynamodbs_complaints() {
        for (body, kind, message) in [
            ("{", "SerializationException", ""),
            (r#"{"RequestItems":7}"#, "SerializationException", "NUMBER_VALUE"),
            ("{}", "ValidationException", "Value null at 'requestItems'"),
            (
                r#"{"RequestItems":{"t":[{"PutRequest":{"Item":{"a":{}}}}]}}"#,
                "ValidationException",
                "Supplied AttributeValue is empty",
            ),
        ] {
            let error = decode::<BatchWriteItemRequest>("BatchWriteItem", body.as_bytes()).unwrap_err();
            assert!(error.error_type().ends_with(kind), "{body}: {error:?}");
            assert!(error.to_string().contains(message) || kind == "SerializationException", "{body}: {error}");
            assert!(!error.to_string().contains("VALIDATION"), "{body}: {error}");
        }
    }

    #[test]
    fn a_null_attribute_that_is_not_true_is_refused_in_put_items_envelope() {
        let body = br#"{"TableName":"ttt","Item":{"a":{"NULL":false}}}"#;
        let error = decode::<PutItemRequest>("PutItem", body).unwrap_err();
        assert!(error.to_string().starts_with("1 validation error detected: "), "{error}");
    }
}
