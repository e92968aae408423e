//! The four protocols: which operation a request asks for, its input as a tree, and answers and errors as messages.

mod json;
mod query;
mod rest_json;
mod xml;

use crate::coerce::Style;
use crate::{Description, Operation};
use barge_core::{AwsError, Document};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};

/// A wire protocol of AWS (Smithy documentation, "AWS protocols").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// awsJson 1.0.
    Json10,
    /// awsJson 1.1.
    Json11,
    /// restJson1.
    RestJson,
    /// awsQuery.
    Query,
    /// ec2Query.
    Ec2,
    /// restXml: S3's. Only its errors are written here; the rest is the s3s crate's.
    RestXml,
}

/// The operation that a request asks for.
pub(crate) struct Named {
    pub(crate) name: String,
    /// `None` where Barge does not have it.
    pub(crate) implemented: Option<&'static Operation>,
    /// What the path's labels stand for, decoded.
    pub(crate) labels: Vec<(&'static str, String)>,
}

impl Named {
    fn find(description: &Description, name: &str) -> Option<Self> {
        let implemented = description.operations.iter().find(|operation| operation.name == name);
        let known = implemented.is_some() || description.others.iter().any(|(other, ..)| *other == name);
        known.then(|| Self { name: name.to_owned(), implemented, labels: Vec::new() })
    }
}

impl Protocol {
    /// The operation that `request` asks for; `UnknownOperationException` or AWS's equal where it asks for none.
    pub(crate) fn operation(self, description: &Description, request: &Request<Bytes>) -> Result<Named, AwsError> {
        match self {
            Self::Json10 | Self::Json11 => json::operation(description, request),
            Self::RestJson => rest_json::operation(description, request),
            Self::Query | Self::Ec2 | Self::RestXml => query::operation(description, request),
        }
    }

    /// The input as the client wrote it, and the style it is written in.
    pub(crate) fn decode(
        self,
        description: &Description,
        operation: &'static Operation,
        labels: &[(&'static str, String)],
        request: &Request<Bytes>,
    ) -> Result<(Document, Style), AwsError> {
        match self {
            Self::Json10 | Self::Json11 => Ok((json::decode(request.body())?, Style::Json)),
            Self::RestJson => Ok((rest_json::decode(description, operation, labels, request)?, Style::Json)),
            Self::Query | Self::RestXml => Ok((query::decode(query::Dialect::Query, operation, request)?, Style::Text)),
            Self::Ec2 => Ok((query::decode(query::Dialect::Ec2, operation, request)?, Style::Text)),
        }
    }

    /// A successful answer.
    pub(crate) fn encode(
        self,
        description: &Description,
        operation: &'static Operation,
        request_id: &str,
        output: Document,
    ) -> Response<Bytes> {
        match self {
            Self::Json10 | Self::Json11 => {
                let body = json::body(output, operation.output, Style::Json);
                self.response(200, request_id, body)
            }
            Self::RestJson => rest_json::encode(operation, request_id, output),
            Self::Query | Self::RestXml => self.response(
                200,
                request_id,
                query::encode(query::Dialect::Query, description, operation, request_id, &output),
            ),
            Self::Ec2 => self.response(
                200,
                request_id,
                query::encode(query::Dialect::Ec2, description, operation, request_id, &output),
            ),
        }
    }

    /// An error in this protocol.
    pub fn error(self, request_id: &str, error: &AwsError) -> Response<Bytes> {
        let body = match self {
            Self::Json10 | Self::Json11 => json::error(error),
            Self::RestJson => rest_json::error(error),
            Self::Query => query::error(request_id, error),
            Self::Ec2 => query::ec2_error(request_id, error),
            Self::RestXml => query::rest_error(request_id, error),
        };
        let mut response = self.response(error.status, request_id, body);
        if matches!(self, Self::Json10 | Self::Json11 | Self::RestJson)
            && let Ok(code) = HeaderValue::from_str(&error.code)
        {
            response.headers_mut().insert("x-amzn-errortype", code);
        }
        response
    }

    /// A response with this protocol's content type and the request's id.
    pub(crate) fn response(self, status: u16, request_id: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        let content_type = match self {
            Self::Json10 => "application/x-amz-json-1.0",
            Self::Json11 => "application/x-amz-json-1.1",
            Self::RestJson => "application/json",
            Self::Query | Self::Ec2 => "text/xml;charset=UTF-8",
            Self::RestXml => "application/xml",
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

/// The answer to a request that names no operation of the service.
fn unknown_operation(what: &str) -> AwsError {
    AwsError::new("UnknownOperationException", 404, format!("{what} is not an operation of this service."))
}
