//! A small signed client, for the commands that talk to a running server.

use anyhow::Context as _;
use barge_core::{Clock as _, Document, SystemClock};
use barge_gateway::Signer;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest answer that is read.
const LARGEST_ANSWER: usize = 16 << 20;

/// Credentials from the environment variables that AWS's own tools read.
pub(crate) fn signer_from_environment(service: &str) -> anyhow::Result<Signer> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let required =
        |name: &str| variable(name).with_context(|| format!("{name} is not set: eval \"$(barge env)\" sets it"));
    Ok(Signer {
        access_key_id: required("AWS_ACCESS_KEY_ID")?,
        secret_access_key: required("AWS_SECRET_ACCESS_KEY")?,
        session_token: variable("AWS_SESSION_TOKEN"),
        region: variable("AWS_REGION")
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| "us-east-1".to_owned()),
        service: service.to_owned(),
    })
}

/// The server's refusal of a call.
#[derive(Debug)]
pub(crate) struct Refused {
    /// AWS's code, e.g. `ClientException`.
    pub(crate) code: String,
    message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Refused {}

/// Calls an operation of a service that speaks JSON 1.1; `target` is its `X-Amz-Target`. [`Refused`] where the server says no.
pub(crate) async fn call_json(
    endpoint: &str,
    signer: &Signer,
    target: &str,
    input: &Document,
) -> anyhow::Result<Document> {
    let request = Request::post(format!("{endpoint}/"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target);
    let answer = send(endpoint, signer, request, input.to_json()).await.with_context(|| target.to_owned())?;
    Ok(Document::from_json(&answer).unwrap_or_default())
}

/// Posts JSON to a path and reads the JSON of the answer: operations of services that speak REST and JSON, and Barge's own.
/// [`Refused`] where the server says no.
pub(crate) async fn post_json<I: Serialize, O: DeserializeOwned>(
    endpoint: &str,
    signer: &Signer,
    path: &str,
    input: &I,
) -> anyhow::Result<O> {
    let request = Request::post(format!("{endpoint}{path}")).header("content-type", "application/json");
    let answer = send(endpoint, signer, request, serde_json::to_string(input)?).await?;
    serde_json::from_slice(&answer).with_context(|| format!("{path} answered what this program does not understand"))
}

async fn send(
    endpoint: &str,
    signer: &Signer,
    request: http::request::Builder,
    body: String,
) -> anyhow::Result<bytes::Bytes> {
    let authority = endpoint.split_once("://").map_or(endpoint, |(_, authority)| authority);
    let (mut parts, ()) = request.header("host", authority).body(())?.into_parts();
    signer.sign(&mut parts, body.as_bytes(), SystemClock.now())?;
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client
        .request(Request::from_parts(parts, Full::from(body)))
        .await
        .with_context(|| format!("no server answers on {endpoint}"))?;
    let (head, body) = response.into_parts();
    let body = http_body_util::Limited::new(body, LARGEST_ANSWER);
    let bytes = body.collect().await.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    if head.status.is_success() {
        return Ok(bytes);
    }
    Err(refused(&Response::from_parts(head, bytes)).into())
}

/// The refusal that a service's JSON says.
fn refused(response: &Response<bytes::Bytes>) -> Refused {
    let answer = Document::from_json(response.body()).unwrap_or_default();
    let text = |member: &str| answer.get(member).and_then(Document::as_str).map(str::to_owned);
    let header = response.headers().get("x-amzn-errortype").and_then(|code| code.to_str().ok());
    Refused {
        code: text("__type").or(header.map(str::to_owned)).unwrap_or_else(|| response.status().to_string()),
        message: text("message").or_else(|| text("Message")).unwrap_or_default(),
    }
}
