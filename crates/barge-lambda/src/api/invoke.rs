//! Invoke: wait for the answer, or queue the event.

use crate::LambdaService;
use crate::function::Function;
use crate::instance::{Outcome, Verdict};
use crate::names::{Qualifier, resolve};
use crate::shared::Event;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{InvocationRequest, InvocationResponse, InvocationType, LogType, error};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::sync::Arc;

/// Bytes of an event that a client waits for (Lambda Developer Guide, "Lambda quotas").
const WAITING_LIMIT: usize = 6_291_456;
/// Bytes of an event that is queued (same page).
const QUEUED_LIMIT: usize = 1_048_576;
/// Bytes of a client context before base64 (Lambda API reference, Invoke).
const CONTEXT_LIMIT: usize = 3_583;

impl LambdaService {
    pub(super) async fn invoke_function(
        &self,
        cx: &Context,
        request: InvocationRequest,
    ) -> Result<InvocationResponse, AwsError> {
        let target = resolve(&cx.scope, &request.function_name, request.qualifier.as_deref())?;
        let whole = self.shared.registry.require(&target.key)?;
        let function = whole.pointed(&target.qualifier, self.shared.chance());
        let function = function.ok_or_else(|| target.qualifier.not_found(&target.key))?;
        if request.tenant_id.is_some() || request.durable_execution_name.is_some() {
            let member = if request.tenant_id.is_some() { "TenantId" } else { "DurableExecutionName" };
            return Err(error::invalid_parameter_value_exception(format!("{member} is not supported by Barge.")));
        }
        let payload = request.payload.unwrap_or_default().into();
        match request.invocation_type.unwrap_or(InvocationType::RequestResponse) {
            InvocationType::DryRun => Ok(InvocationResponse { status_code: Some(204), ..Default::default() }),
            InvocationType::Event => {
                self.queue(&whole, &target.qualifier, &cx.request_id, payload).await?;
                Ok(InvocationResponse { status_code: Some(202), ..Default::default() })
            }
            InvocationType::RequestResponse => {
                let client_context = request.client_context.as_deref().map(client_context).transpose()?;
                let outcome = self.answer(&function, &cx.request_id, payload, client_context).await?;
                Ok(response(&function, &outcome, request.log_type))
            }
        }
    }

    /// Queues an event; returns once it is durable.
    pub(crate) async fn queue(
        &self,
        whole: &Arc<Function>,
        qualifier: &Qualifier,
        request_id: &str,
        payload: Bytes,
    ) -> Result<(), AwsError> {
        let payload = checked(payload, QUEUED_LIMIT)?;
        // What is not there now is refused now, not when the event runs.
        whole.pointed(qualifier, 0.0).ok_or_else(|| qualifier.not_found(&whole.key))?;
        self.events.accept(&whole.key, qualifier, request_id, payload).await
    }

    /// Runs a function and waits for what comes of it.
    pub(crate) async fn answer(
        &self,
        function: &Arc<Function>,
        request_id: &str,
        payload: Bytes,
        client_context: Option<String>,
    ) -> Result<Outcome, AwsError> {
        let payload = checked(payload, WAITING_LIMIT)?;
        self.shared.run(function, Event { request_id: request_id.to_owned(), payload, client_context }).await
    }
}

/// The payload, where it is JSON and not too long; no payload is an empty object.
fn checked(payload: Bytes, limit: usize) -> Result<Bytes, AwsError> {
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    if payload.len() > limit {
        return Err(error::request_too_large_exception(format!(
            "Request must be smaller than {limit} bytes for the InvokeFunction operation"
        )));
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        Ok(_) => Ok(payload),
        Err(wrong) => {
            Err(error::invalid_request_content_exception(format!("Could not parse request body into json: {wrong}")))
        }
    }
}

fn client_context(base64: &str) -> Result<String, AwsError> {
    let decoded = STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // It goes into a header, and so must be one line.
    let compact = decoded
        .filter(|text| text.len() <= CONTEXT_LIMIT)
        .and_then(|text| serde_json::from_str::<barge_core::Document>(&text).ok().map(|document| document.to_json()));
    compact
        .ok_or_else(|| error::invalid_request_content_exception("Client context must be a valid Base64-encoded JSON."))
}

fn response(function: &Function, outcome: &Outcome, log_type: Option<LogType>) -> InvocationResponse {
    InvocationResponse {
        status_code: Some(200),
        function_error: (outcome.verdict == Verdict::Failed).then(|| "Unhandled".to_owned()),
        log_result: (log_type == Some(LogType::Tail)).then(|| STANDARD.encode(&outcome.tail)),
        payload: Some(outcome.payload.to_vec()),
        executed_version: Some(function.key.version_name()),
        durable_execution_arn: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_json_and_bounded() {
        let big = Bytes::from(vec![b' '; 11]);
        for (payload, expected) in [
            (Bytes::new(), Ok("{}")),
            (Bytes::from_static(b"[1]"), Ok("[1]")),
            (Bytes::from_static(b"{\"a\":"), Err("InvalidRequestContentException")),
            (Bytes::from_static(b"\xff"), Err("InvalidRequestContentException")),
            (big, Err("RequestTooLargeException")),
        ] {
            let checked = checked(payload, 10);
            match (checked, expected) {
                (Ok(payload), Ok(expected)) => assert_eq!(payload, expected),
                (Err(error), Err(code)) => assert_eq!(error.code, code),
                (checked, expected) => panic!("{checked:?} {expected:?}"),
            }
        }
    }

    #[test]
    fn client_contexts_are_base64_of_json() {
        assert_eq!(client_context(&STANDARD.encode("{\"a\":\n 1}")).unwrap(), r#"{"a":1}"#);
        assert!(client_context("!").is_err());
        assert!(client_context(&STANDARD.encode("{")).is_err());
    }
}
