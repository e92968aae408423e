//! Pushes and pulls images to and from a registry (OCI Distribution Specification) over plain HTTP.
//!
//! Written here rather than taken from `oci-client`: that crate brings a second HTTP stack (reqwest and what it stands
//! on) for six kinds of requests. TLS is not spoken: the registry meant is Barge's own, on this machine.

use crate::{Digest, ImageError, ImageStore, references};
use base64::Engine as _;
use bytes::Bytes;
use futures::TryStreamExt;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use std::io;
use tokio_util::io::ReaderStream;

const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Answers other than blobs are read into memory: as large as a manifest may be.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A registry.
pub struct Registry {
    base: String,
    authorization: Option<String>,
    client: Client<HttpConnector, Body>,
}

/// The registry's way to say no.
#[derive(Deserialize)]
struct Refusal {
    errors: Vec<RefusalDetail>,
}

#[derive(Deserialize)]
struct RefusalDetail {
    code: String,
    #[serde(default)]
    message: String,
}

impl Registry {
    /// The registry at `base` (`http://host:port`), asked with a user name and password where given.
    pub fn new(base: &str, credentials: Option<(&str, &str)>) -> Result<Self, ImageError> {
        let uri: Uri = base.parse().map_err(|_| ImageError::Registry(format!("{base:?} is not an address")))?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return Err(ImageError::Registry(format!("{base:?}: only http://host:port is supported")));
        }
        let authorization = credentials.map(|(user, password)| {
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { base: base.trim_end_matches('/').to_owned(), authorization, client })
    }

    /// Pushes the image `digest` of `store` as `repository:tag`. Blobs that the registry has are not sent again.
    pub async fn push(
        &self,
        store: &ImageStore,
        digest: &Digest,
        repository: &str,
        tag: &str,
    ) -> Result<(), ImageError> {
        self.push_manifest(store, digest, repository, tag).await
    }

    async fn push_manifest(
        &self,
        store: &ImageStore,
        digest: &Digest,
        repository: &str,
        name: &str,
    ) -> Result<(), ImageError> {
        let manifest = store.manifest(digest)?;
        for reference in references(&manifest)? {
            if reference.is_manifest {
                let child = reference.digest;
                Box::pin(self.push_manifest(store, &child, repository, child.as_str())).await?;
            } else {
                self.push_blob(store, &reference.digest, repository).await?;
            }
        }
        let request = self
            .request(Method::PUT, &format!("/v2/{repository}/manifests/{name}"))
            .header(CONTENT_TYPE, media_type(&manifest));
        let answer = self.send(request, full(manifest)).await?;
        expect(answer, &[StatusCode::CREATED]).await.map(drop)
    }

    async fn push_blob(&self, store: &ImageStore, digest: &Digest, repository: &str) -> Result<(), ImageError> {
        let there = self.request(Method::HEAD, &format!("/v2/{repository}/blobs/{digest}"));
        let there = self.send(there, full(Vec::new())).await?;
        if there.status() == StatusCode::OK {
            return Ok(());
        }
        let start = self.request(Method::POST, &format!("/v2/{repository}/blobs/uploads/"));
        let started = expect(self.send(start, full(Vec::new())).await?, &[StatusCode::ACCEPTED]).await?;
        let location = started
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| ImageError::Registry("the registry gives no place to upload to".to_owned()))?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let put = self.request(Method::PUT, &format!("{location}{separator}digest={digest}"));
        let (file, size) = store.open_blob(digest)?;
        let put = put.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, size);
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 256 * 1024);
        let body = StreamBody::new(stream.map_ok(Frame::data)).boxed_unsync();
        expect(self.send(put, body).await?, &[StatusCode::CREATED]).await.map(drop)
    }

    /// Pulls `repository`'s image `reference` (a tag or digest) into `store`. Gives its manifest's digest.
    pub async fn pull(&self, store: &ImageStore, repository: &str, reference: &str) -> Result<Digest, ImageError> {
        let request = self
            .request(Method::GET, &format!("/v2/{repository}/manifests/{reference}"))
            .header(ACCEPT, MANIFEST_TYPES);
        let answer = expect(self.send(request, full(Vec::new())).await?, &[StatusCode::OK]).await?;
        let manifest = collect(answer.into_body()).await?;
        let actual = Digest::of(&manifest);
        if let Ok(expected) = reference.parse::<Digest>()
            && expected != actual
        {
            return Err(ImageError::DigestMismatch { expected, actual });
        }
        for reference in references(&manifest)? {
            if reference.is_manifest {
                Box::pin(self.pull(store, repository, reference.digest.as_str())).await?;
            } else if store.blob_size(&reference.digest).is_none() {
                self.pull_blob(store, repository, &reference.digest).await?;
            }
        }
        store.put_manifest(&manifest)
    }

    async fn pull_blob(&self, store: &ImageStore, repository: &str, digest: &Digest) -> Result<(), ImageError> {
        let request = self.request(Method::GET, &format!("/v2/{repository}/blobs/{digest}"));
        let answer = expect(self.send(request, full(Vec::new())).await?, &[StatusCode::OK]).await?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| ImageError::Registry(error.to_string()))?;
        let upload = hex::encode(random);
        store.start_upload(&upload)?;
        let received = store.receive(&upload, None, answer.into_body().into_data_stream()).await;
        if let Err(error) = received {
            // The pull failed; what came of the blob is of no use.
            let _ = store.cancel_upload(&upload);
            return Err(error);
        }
        store.finish_upload(&upload, digest).map(drop)
    }

    fn request(&self, method: Method, place: &str) -> http::request::Builder {
        let uri = if place.starts_with('/') { format!("{}{place}", self.base) } else { place.to_owned() };
        let mut builder = Request::builder().method(method);
        // Credentials go to the registry only, wherever it says that uploads go.
        if let Some(authorization) = &self.authorization
            && uri.strip_prefix(self.base.as_str()).is_some_and(|rest| rest.starts_with('/'))
        {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        builder.uri(uri)
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> Result<Response<Incoming>, ImageError> {
        let request = request.body(body).map_err(|error| ImageError::Registry(error.to_string()))?;
        let what = format!("{} {}", request.method(), request.uri());
        self.client
            .request(request)
            .await
            .map_err(|error| ImageError::Io { what, source: io::Error::other(describe(&error)) })
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", describe(cause)),
        None => error.to_string(),
    }
}

fn full(bytes: Vec<u8>) -> Body {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync()
}

async fn collect(body: Incoming) -> Result<Vec<u8>, ImageError> {
    let collected = Limited::new(body, LARGEST_ANSWER).collect().await;
    collected.map(|body| body.to_bytes().to_vec()).map_err(|error| ImageError::Registry(error.to_string()))
}

/// The answer, where its status is one of `statuses`; else what the registry says about it.
async fn expect(answer: Response<Incoming>, statuses: &[StatusCode]) -> Result<Response<Incoming>, ImageError> {
    let status = answer.status();
    if statuses.contains(&status) {
        return Ok(answer);
    }
    let body = collect(answer.into_body()).await.unwrap_or_default();
    let said = serde_json::from_slice::<Refusal>(&body)
        .ok()
        .map(|refusal| {
            refusal.errors.iter().map(|e| format!("{}: {}", e.code, e.message)).collect::<Vec<_>>().join("; ")
        })
        .filter(|said| !said.is_empty())
        .unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    Err(ImageError::Registry(format!("the registry answers {status}: {said}")))
}

/// What a manifest calls itself, or what its form says.
fn media_type(manifest: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_slice::<Typed>(manifest) {
        Ok(Typed { media_type: Some(kind), .. }) => kind,
        Ok(Typed { manifests: Some(_), .. }) => "application/vnd.oci.image.index.v1+json".to_owned(),
        _ => "application/vnd.oci.image.manifest.v1+json".to_owned(),
    }
}
