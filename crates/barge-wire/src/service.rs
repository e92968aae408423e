//! A service as the gateway sees it, and the way from a request to a typed call and back that all of them share.

use crate::typed::Typed;
use crate::{Operation, Protocol, coerce, validate};
use async_trait::async_trait;
use barge_core::{AwsError, Context, Document};
use bytes::Bytes;
use http::{Request, Response};
use std::sync::Arc;

/// A service behind the gateway.
#[async_trait]
pub trait Service: Send + Sync {
    /// The name that requests are signed for, e.g. `batch`.
    fn signing_name(&self) -> &'static str;

    /// The protocol, in which the gateway also answers what it refuses itself.
    fn protocol(&self) -> Protocol;

    /// The name of the operation that a request asks for, where it names one of the service's.
    fn operation(&self, request: &Request<Bytes>) -> Option<String>;

    /// Answers a request whose signature was verified.
    async fn call(&self, cx: &Context, request: Request<Bytes>) -> Response<Bytes>;
}

/// What a model says of a whole service.
#[derive(Debug)]
pub struct Description {
    /// e.g. `AWS Batch`.
    pub name: &'static str,
    /// The name that requests are signed for.
    pub signing_name: &'static str,
    /// Its protocol.
    pub protocol: Protocol,
    /// Namespace of its XML.
    pub namespace: &'static str,
    /// What stands before the operation in `X-Amz-Target`.
    pub target_prefix: &'static str,
    /// The code of its errors about malformed input.
    pub validation_code: &'static str,
    /// The operations that Barge implements, or may: one without an implementation answers so.
    pub operations: &'static [Operation],
    /// The names and HTTP bindings of all others: `(name, method, path)`.
    pub others: &'static [(&'static str, &'static str, &'static str)],
}

/// Calls the trait method of an operation: generated for each service.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// The service's model.
    fn description(&self) -> &'static Description;

    /// Runs `operation` on a checked input.
    async fn dispatch(
        &self,
        cx: &Context,
        operation: &'static Operation,
        input: Document,
    ) -> Result<Document, AwsError>;
}

/// A [`Service`] out of a generated [`Dispatch`].
pub struct Dispatcher<D>(pub D);

impl<D: Dispatch + 'static> Dispatcher<D> {
    /// The service behind an `Arc`.
    pub fn service(dispatch: D) -> Arc<dyn Service> {
        Arc::new(Self(dispatch))
    }

    async fn answer(&self, cx: &Context, request: &Request<Bytes>) -> Result<Response<Bytes>, AwsError> {
        let description = self.0.description();
        let named = description.protocol.operation(description, request)?;
        let operation = named.implemented.ok_or_else(|| AwsError::not_implemented(description.name, &named.name))?;
        let (raw, style) = description.protocol.decode(description, operation, &named.labels, request)?;
        let input = coerce::coerce(raw, operation.input, style)
            .map_err(|misfit| misfit.into_aws(description.validation_code))?;
        validate::check(&input, operation.input)
            .map_err(|message| AwsError::new(description.validation_code, 400, message))?;
        let output = self.0.dispatch(cx, operation, input).await?;
        Ok(description.protocol.encode(description, operation, &cx.request_id, output))
    }
}

#[async_trait]
impl<D: Dispatch + 'static> Service for Dispatcher<D> {
    fn signing_name(&self) -> &'static str {
        self.0.description().signing_name
    }

    fn protocol(&self) -> Protocol {
        self.0.description().protocol
    }

    fn operation(&self, request: &Request<Bytes>) -> Option<String> {
        let description = self.0.description();
        description.protocol.operation(description, request).ok().map(|named| named.name)
    }

    async fn call(&self, cx: &Context, request: Request<Bytes>) -> Response<Bytes> {
        match self.answer(cx, &request).await {
            Ok(response) => response,
            Err(error) => self.protocol().error(&cx.request_id, &error),
        }
    }
}

/// Reads the input, calls, and writes the output: one line per operation in generated code.
#[doc(hidden)]
pub async fn run<I, O, F>(input: Document, call: impl FnOnce(I) -> F) -> Result<Document, AwsError>
where
    I: Typed,
    O: Typed,
    F: Future<Output = Result<O, AwsError>>,
{
    Ok(call(I::from_document(input)?).await?.into_document())
}
