//! The operator's calls: Barge's own, signed for `barge` as AWS's are signed for their service. JSON in, JSON out, at
//! `/_barge/batch/CALL`; what the calls mean is the services' affair.

use async_trait::async_trait;
use barge_batch::BatchService;
use barge_core::{AwsError, Context};
use barge_wire::{Protocol, Service};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The name that the operator's calls are signed for.
pub(crate) const SIGNING_NAME: &str = "barge";
/// What comes before the name of a call.
pub(crate) const PATH: &str = "/_barge/batch/";

const CALLS: [&str; 7] = ["jobs", "why", "attempts", "board", "history", "setup", "interrupt"];

/// The calls.
pub(crate) struct OperatorCalls(pub(crate) Arc<BatchService>);

impl OperatorCalls {
    async fn answer(&self, cx: &Context, request: &Request<Bytes>) -> Result<String, AwsError> {
        let Self(batch) = self;
        let body = request.body();
        match call(request) {
            Some("jobs") => written(&batch.list_for_operator(cx, read(body)?).await?),
            Some("why") => written(&batch.why(cx, &read(body)?).await?),
            Some("attempts") => written(&batch.attempts(cx, &read(body)?).await?),
            Some("board") => written(&batch.board().await?.within(&cx.scope)),
            Some("history") => written(&batch.history(cx, read(body)?).await?),
            Some("setup") => written(&batch.setup(cx).await?),
            Some("interrupt") => written(&batch.interrupt_spot(cx, read(body)?).await?),
            _ => {
                Err(AwsError::new("UnknownOperationException", 404, format!("No call is at {}.", request.uri().path())))
            }
        }
    }
}

fn call(request: &Request<Bytes>) -> Option<&'static str> {
    let name = request.uri().path().strip_prefix(PATH)?;
    CALLS.into_iter().find(|call| *call == name)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    serde_json::from_slice(body).map_err(|error| AwsError::new("SerializationException", 400, error.to_string()))
}

fn written<T: Serialize>(answer: &T) -> Result<String, AwsError> {
    serde_json::to_string(answer).map_err(AwsError::internal)
}

#[async_trait]
impl Service for OperatorCalls {
    fn signing_name(&self) -> &'static str {
        SIGNING_NAME
    }

    fn protocol(&self) -> Protocol {
        Protocol::RestJson
    }

    fn operation(&self, request: &Request<Bytes>) -> Option<String> {
        call(request).map(str::to_owned)
    }

    async fn call(&self, cx: &Context, request: Request<Bytes>) -> Response<Bytes> {
        match self.answer(cx, &request).await {
            Ok(json) => {
                let mut response = Response::new(Bytes::from(json));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Err(error) => Protocol::RestJson.error(&cx.request_id, &error),
        }
    }
}
