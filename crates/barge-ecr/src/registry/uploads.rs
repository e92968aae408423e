//! Receiving blobs, in one piece or in chunks.

use super::blobs::internal;
use super::reply::{Code, Refusal, set};
use super::{Call, RegistryBody, done, query};
use crate::EcrService;
use barge_image::{Digest, ImageError, ImageStore};
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt as _;

impl EcrService {
    /// Starts an upload; mounts a blob that is here already; or takes the whole blob at once.
    pub(super) async fn start<B>(&self, call: Call<B>, name: String) -> Result<Response<RegistryBody>, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        if let Some(digest) = query(&call, "mount").and_then(|text| text.parse::<Digest>().ok())
            && self.images.blob_size(&digest).is_some()
        {
            return Ok(created(&name, &digest));
        }
        let id = self.ambient.ids.uuid();
        let started = id.clone();
        self.on_disk(move |images| images.start_upload(&started)).await?;
        if query(&call, "digest").is_some() {
            return self.finish(call, name, id).await;
        }
        Ok(accepted(StatusCode::ACCEPTED, &name, &id, 0))
    }

    pub(super) async fn append<B>(
        &self,
        call: Call<B>,
        name: String,
        id: String,
    ) -> Result<Response<RegistryBody>, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let offset = chunk_start(&call)?;
        let size = self.receive(call, &id, offset).await?;
        Ok(accepted(StatusCode::ACCEPTED, &name, &id, size))
    }

    pub(super) async fn finish<B>(
        &self,
        call: Call<B>,
        name: String,
        id: String,
    ) -> Result<Response<RegistryBody>, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let digest: Digest = query(&call, "digest")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Refusal::new(Code::DigestInvalid, "the digest is missing or not a sha256 digest"))?;
        let offset = chunk_start(&call)?;
        self.receive(call, &id, offset).await?;
        let expected = digest.clone();
        self.on_disk(move |images| images.finish_upload(&id, &expected)).await?;
        Ok(created(&name, &digest))
    }

    async fn receive<B>(&self, call: Call<B>, id: &str, offset: Option<u64>) -> Result<u64, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        self.images
            .receive(id, offset, call.request.into_body().into_data_stream())
            .await
            .map_err(|error| refusal(&error))
    }

    pub(super) async fn upload_status(&self, name: String, id: String) -> Result<Response<RegistryBody>, Refusal> {
        let asked = id.clone();
        let size = self.on_disk(move |images| images.upload_size(&asked)).await?;
        Ok(accepted(StatusCode::NO_CONTENT, &name, &id, size))
    }

    pub(super) async fn cancel(&self, id: String) -> Result<Response<RegistryBody>, Refusal> {
        self.on_disk(move |images| images.cancel_upload(&id)).await?;
        Ok(done(StatusCode::NO_CONTENT))
    }

    /// Does something with the image store where blocking is allowed.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(ImageStore) -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let images = self.images.clone();
        tokio::task::spawn_blocking(move || work(images)).await.map_err(internal)?.map_err(|error| refusal(&error))
    }
}

/// Where a chunk starts: the first number of `Content-Range: 0-99`.
fn chunk_start<B>(call: &Call<B>) -> Result<Option<u64>, Refusal> {
    let Some(range) = call.request.headers().get(header::CONTENT_RANGE) else { return Ok(None) };
    let start = range.to_str().ok().and_then(|text| text.trim_start_matches("bytes ").split('-').next()?.parse().ok());
    start.map(Some).ok_or_else(|| Refusal::new(Code::RangeInvalid, "the Content-Range can not be read"))
}

fn accepted(status: StatusCode, name: &str, id: &str, size: u64) -> Response<RegistryBody> {
    let mut response = done(status);
    set(&mut response, "location", &format!("/v2/{name}/blobs/uploads/{id}"));
    set(&mut response, "docker-upload-uuid", id);
    set(&mut response, "range", &format!("0-{}", size.saturating_sub(1)));
    response
}

fn created(name: &str, digest: &Digest) -> Response<RegistryBody> {
    let mut response = done(StatusCode::CREATED);
    set(&mut response, "location", &format!("/v2/{name}/blobs/{digest}"));
    set(&mut response, "docker-content-digest", digest.as_str());
    response
}

pub(super) fn refusal(error: &ImageError) -> Refusal {
    let code = match error {
        ImageError::UnknownUpload(_) => Code::UploadUnknown,
        ImageError::DigestMismatch { .. } => Code::DigestInvalid,
        ImageError::WrongOffset { .. } => Code::RangeInvalid,
        ImageError::MissingBlobs(_) => Code::ManifestBlobUnknown,
        ImageError::NotFound(_) => Code::ManifestUnknown,
        ImageError::Malformed(_) => Code::ManifestInvalid,
        ImageError::Io { .. } => Code::UploadInvalid,
        _ => Code::Unknown,
    };
    Refusal::new(code, error.to_string())
}
