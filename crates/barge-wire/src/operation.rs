//! Operations as data: names, HTTP bindings and shapes.

use crate::Shape;

/// Where a member goes in an HTTP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the body, beside others.
    Body,
    /// It is the body.
    Payload,
    /// In the path.
    Uri,
    /// In the query string.
    Query,
    /// A header.
    Header,
    /// All headers with a prefix.
    Headers,
    /// The response's status.
    StatusCode,
}

/// An operation of a model, implemented or not.
#[derive(Debug)]
pub struct Operation {
    /// e.g. `SubmitJob`.
    pub name: &'static str,
    /// HTTP method.
    pub method: &'static str,
    /// Path with labels, e.g. `/v1/tags/{resourceArn}`.
    pub path: &'static str,
    /// Status of a successful response.
    pub status: u16,
    /// Shape of its input.
    pub input: &'static Shape,
    /// Shape of its output.
    pub output: &'static Shape,
    /// The element around the output in query responses, e.g. `DescribeStacksResult`.
    pub wrapper: Option<&'static str>,
}
