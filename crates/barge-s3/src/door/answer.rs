//! The last touches to an answer: request ids on every one, and complete error documents (Amazon S3 API Reference,
//! "Error responses"); s3s leaves out messages that it has none for.

use crate::caller::host_id;
use http::{HeaderValue, Response, StatusCode, header};
use s3s::Body;

/// Completes `response` to the request `request_id` for `resource`, a path.
pub(crate) fn complete(mut response: Response<Body>, request_id: &str, resource: &str) -> Response<Body> {
    let status = response.status();
    if status == StatusCode::NOT_MODIFIED {
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
    } else if (status.is_client_error() || status.is_server_error())
        && let Some(bytes) = response.body().bytes()
        && let Ok(document) = std::str::from_utf8(&bytes)
    {
        let region = response.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
        if let Some(document) = error_document(document, region, request_id, resource) {
            *response.body_mut() = Body::from(document);
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
    }
    let headers = response.headers_mut();
    for (name, value) in
        [("x-amz-request-id", request_id), ("x-amz-id-2", &host_id(request_id)), ("server", "AmazonS3")]
    {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

fn error_document(document: &str, region: Option<&str>, request_id: &str, resource: &str) -> Option<String> {
    let (before, end) = document.rsplit_once("</Error>")?;
    let code = before.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let mut whole = before.to_owned();
    let mut add = |name: &str, value: &str| {
        whole.extend(["<", name, ">", &escape(value), "</", name, ">"]);
    };
    if !before.contains("<Message>") {
        add("Message", default_message(code));
    }
    if let Some(region) = region {
        add("Region", region);
    }
    add("Resource", resource);
    if !before.contains("<RequestId>") {
        add("RequestId", request_id);
    }
    add("HostId", &host_id(request_id));
    Some(format!("{whole}</Error>{end}"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// AWS's words for errors that s3s raises without any.
fn default_message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied",
        "IncompleteBody" => "You did not provide the number of bytes specified by the Content-Length HTTP header",
        "InternalError" => "We encountered an internal error. Please try again.",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against our published schema",
        "MaxMessageLengthExceeded" => "Your request was too large.",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MissingRequestBodyError" => "Request body is empty.",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        }
        _ => "The request failed.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_documents_are_completed() {
        let document = "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code></Error>";
        let whole = error_document(document, None, "R", "/b/a&b").unwrap();
        assert!(whole.contains("<Message>The request signature we calculated"), "{whole}");
        assert!(whole.contains("<Resource>/b/a&amp;b</Resource><RequestId>R</RequestId><HostId>"), "{whole}");
        assert!(whole.ends_with("</HostId></Error>"));

        let document = "<Error><Code>X</Code><Message>m</Message></Error>";
        let whole = error_document(document, Some("eu-west-1"), "R", "/").unwrap();
        assert!(whole.contains("<Message>m</Message><Region>eu-west-1</Region><Resource>/</Resource>"), "{whole}");

        assert_eq!(error_document("not a document", None, "R", "/"), None);
    }
}
