//! The registry that docker, podman and skopeo speak to (OCI Distribution Specification), at `/v2/`.
//!
//! - `path`: what a request is about.
//! - `blobs`, `uploads`, `manifests`: the answers.
//! - `reply`: messages and errors in the specification's form.

mod blobs;
mod manifests;
mod path;
mod reply;
mod uploads;

use crate::{EcrService, rows};
use barge_core::{AwsError, Scope};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use path::Target;
use reply::{Code, Refusal, empty, json};
use std::sync::Arc;

/// The body of a registry's response.
pub type RegistryBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A request whose sender was let in.
struct Call<B> {
    scope: Scope,
    request: Request<B>,
}

impl EcrService {
    /// Answers a request to the registry. Every request needs an authorization token by HTTP's Basic scheme
    /// (ECR User Guide, "Private registry authentication").
    pub async fn handle<B>(self: Arc<Self>, request: Request<B>) -> Response<RegistryBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let now = self.ambient.clock.now();
        let credentials = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(scope) = credentials.and_then(|text| self.token_key.verify(text, now)) else {
            return unauthorized();
        };
        match self.answer(Call { scope, request }).await {
            Ok(response) => response,
            Err(refusal) => refusal.response(),
        }
    }

    async fn answer<B>(&self, call: Call<B>) -> Result<Response<RegistryBody>, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let target =
            Target::parse(call.request.uri().path()).ok_or_else(|| Refusal::new(Code::Unsupported, "no such path"))?;
        if let Some(name) = target.repository() {
            self.repository(&call.scope, name).await?;
        }
        let method = call.request.method().clone();
        match (target, method) {
            (Target::Root, Method::GET | Method::HEAD) => Ok(json(StatusCode::OK, "{}")),
            (Target::Catalog, Method::GET) => self.catalog(&call).await,
            (Target::Tags(name), Method::GET) => self.tag_list(&call, name).await,
            (Target::Uploads(name), Method::POST) => self.start(call, name).await,
            (Target::Upload(name, id), Method::PATCH) => self.append(call, name, id).await,
            (Target::Upload(name, id), Method::PUT) => self.finish(call, name, id).await,
            (Target::Upload(name, id), Method::GET) => self.upload_status(name, id).await,
            (Target::Upload(_, id), Method::DELETE) => self.cancel(id).await,
            (Target::Blob(_, digest), Method::GET | Method::HEAD) => self.blob(&call, &digest).await,
            (Target::Manifest(name, pick), Method::GET | Method::HEAD) => self.manifest(&call, name, pick).await,
            (Target::Manifest(name, pick), Method::PUT) => self.receive_manifest(call, name, pick).await,
            (Target::Manifest(name, pick), Method::DELETE) => self.delete_manifest(&call, name, pick).await,
            _ => Err(Refusal::new(Code::Unsupported, "the operation is unsupported")),
        }
    }

    async fn catalog<B>(&self, call: &Call<B>) -> Result<Response<RegistryBody>, Refusal> {
        let (after, limit) = paging(call);
        let scope = call.scope.clone();
        let names: Vec<String> = self
            .store
            .read(move |db| rows::repositories(db, &scope, &after, limit))
            .await?
            .into_iter()
            .map(|repository| repository.name)
            .collect();
        Ok(json(StatusCode::OK, serde_json::json!({ "repositories": names }).to_string()))
    }

    async fn tag_list<B>(&self, call: &Call<B>, name: String) -> Result<Response<RegistryBody>, Refusal> {
        let (after, limit) = paging(call);
        let (scope, repository) = (call.scope.clone(), name.clone());
        let images = self.store.read(move |db| rows::images(db, &scope, &repository)).await?;
        let mut tags: Vec<String> =
            images.into_iter().flat_map(|image| image.tags).filter(|tag| *tag > after).collect();
        tags.sort();
        tags.truncate(limit);
        Ok(json(StatusCode::OK, serde_json::json!({ "name": name, "tags": tags }).to_string()))
    }
}

/// `last` and `n` of a listing.
fn paging<B>(call: &Call<B>) -> (String, usize) {
    let limit = query(call, "n").and_then(|n| n.parse().ok()).unwrap_or(1000);
    (query(call, "last").unwrap_or_default(), limit)
}

/// A parameter of the query string. Digests and names need no decoding but for their colon and slashes.
fn query<B>(call: &Call<B>, name: &str) -> Option<String> {
    call.request.uri().query()?.split('&').find_map(|pair| {
        let value = pair.strip_prefix(name)?.strip_prefix('=')?;
        Some(value.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/").replace("%2f", "/"))
    })
}

fn unauthorized() -> Response<RegistryBody> {
    let mut response =
        Refusal::new(Code::Unauthorized, "authentication required: see `aws ecr get-login-password`").response();
    let scheme = HeaderValue::from_static("Basic realm=\"barge\",service=\"ecr\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    response
}

impl From<AwsError> for Refusal {
    fn from(error: AwsError) -> Self {
        let code = match error.code.as_ref() {
            "RepositoryNotFoundException" => Code::NameUnknown,
            "ImageTagAlreadyExistsException" => Code::TagInvalid,
            "LayersNotFoundException" => Code::ManifestBlobUnknown,
            _ if error.status < 500 => Code::ManifestInvalid,
            _ => Code::Unknown,
        };
        Self::new(code, error.message)
    }
}

/// An answer without a body.
fn done(status: StatusCode) -> Response<RegistryBody> {
    empty(status)
}
