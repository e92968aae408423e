//! A small signed client, for the commands that talk to a running server.

use anyhow::{Context as _, bail};
use barge_core::{Clock as _, Document, SystemClock};
use barge_gateway::Signer;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

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

/// Calls an operation of a service that speaks JSON 1.1; `target` is its `X-Amz-Target`.
pub(crate) async fn call_json(
    endpoint: &str,
    signer: &Signer,
    target: &str,
    input: &Document,
) -> anyhow::Result<Document> {
    let authority = endpoint.split_once("://").map_or(endpoint, |(_, authority)| authority);
    let body = input.to_json();
    let request = Request::post(format!("{endpoint}/"))
        .header("host", authority)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .body(())?;
    let (mut parts, ()) = request.into_parts();
    signer.sign(&mut parts, body.as_bytes(), SystemClock.now())?;
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client
        .request(Request::from_parts(parts, Full::from(body)))
        .await
        .with_context(|| format!("no server answers on {endpoint}"))?;
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), LARGEST_ANSWER);
    let bytes = body.collect().await.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    let answer = Document::from_json(&bytes).unwrap_or_default();
    if !status.is_success() {
        let text = |member: &str| answer.get(member).and_then(Document::as_str).unwrap_or_default().to_owned();
        bail!("{target}: {} {}", text("__type"), text("message"));
    }
    Ok(answer)
}
