//! Lambda as event sources need it.

use crate::{Arn, AwsError};
use async_trait::async_trait;
use bytes::Bytes;

/// How to invoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationMode {
    /// Wait for the function's answer.
    RequestResponse,
    /// Queue the event durably and return.
    Event,
}

/// What came of a request-response invocation. In event mode the payload is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The function's answer, or its error object.
    pub payload: Bytes,
    /// `Unhandled` or `Handled` where the function failed.
    pub function_error: Option<String>,
}

/// Invokes functions.
#[async_trait]
pub trait FunctionInvoker: Send + Sync {
    /// Invokes `function` (with or without a qualifier) with a JSON payload. In event mode it returns once the event
    /// is durable.
    async fn invoke(&self, function: &Arn, payload: Bytes, mode: InvocationMode) -> Result<Invocation, AwsError>;

    /// Whether the function's resource policy lets `service` (e.g. `s3.amazonaws.com`) invoke it on behalf of
    /// `source` of `source_account`. `ResourceNotFoundException` where there is no such function.
    async fn permits(
        &self,
        function: &Arn,
        service: &str,
        source: &Arn,
        source_account: &str,
    ) -> Result<bool, AwsError>;
}
