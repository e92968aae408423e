//! Manifests: an image is in a repository once its manifest's row is committed.

use super::blobs::internal;
use super::reply::{Code, Refusal, json, set};
use super::uploads::refusal;
use super::{Call, RegistryBody, done};
use crate::names::Pick;
use crate::{EcrService, rows};
use barge_core::{AwsError, Scope, Timestamp};
use barge_image::{ImageError, references};
use barge_wire::ecr::error;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;

/// The largest manifest: 4 MiB, as other registries take.
const LARGEST: usize = 4 << 20;
/// What a manifest is that does not say.
const DEFAULT_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a manifest says of its own type.
#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
}

impl EcrService {
    pub(super) async fn manifest<B>(
        &self,
        call: &Call<B>,
        name: String,
        pick: Pick,
    ) -> Result<Response<RegistryBody>, Refusal> {
        let (scope, asked) = (call.scope.clone(), pick.clone());
        let found = self.store.read(move |db| rows::find(db, &scope, &name, &asked)).await?;
        let Some((digest, media_type)) = found else {
            return Err(Refusal::new(Code::ManifestUnknown, format!("Requested image not found: {pick}")));
        };
        let (images, wanted) = (self.images.clone(), digest.parse().map_err(internal)?);
        let bytes = tokio::task::spawn_blocking(move || images.manifest(&wanted))
            .await
            .map_err(internal)?
            .map_err(|error| refusal(&error))?;
        let length = bytes.len();
        let head = *call.request.method() == Method::HEAD;
        let mut response = json(StatusCode::OK, if head { Bytes::new() } else { Bytes::from(bytes) });
        set(&mut response, "content-type", &media_type);
        set(&mut response, "content-length", &length.to_string());
        set(&mut response, "docker-content-digest", &digest);
        Ok(response)
    }

    pub(super) async fn receive_manifest<B>(
        &self,
        call: Call<B>,
        name: String,
        pick: Pick,
    ) -> Result<Response<RegistryBody>, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let media_type = call.request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.map(str::to_owned);
        let body = call.request.into_body().map_err(|error| error.to_string());
        let bytes = Limited::new(body, LARGEST)
            .collect()
            .await
            .map_err(|error| Refusal::new(Code::ManifestInvalid, error.to_string()))?
            .to_bytes();
        let tag = match &pick {
            Pick::Tag(tag) => Some(tag.clone()),
            Pick::Digest(digest) => {
                let actual = barge_image::Digest::of(&bytes);
                if actual != *digest {
                    return Err(refusal(&ImageError::DigestMismatch { expected: digest.clone(), actual }));
                }
                None
            }
        };
        let now = self.ambient.clock.now();
        let image = self.store_image(call.scope, name.clone(), bytes.to_vec(), media_type, tag, now).await?;
        let mut response = done(StatusCode::CREATED);
        set(&mut response, "location", &format!("/v2/{name}/manifests/{pick}"));
        set(&mut response, "docker-content-digest", &image.digest);
        Ok(response)
    }

    pub(super) async fn delete_manifest<B>(
        &self,
        call: &Call<B>,
        name: String,
        pick: Pick,
    ) -> Result<Response<RegistryBody>, Refusal> {
        let scope = call.scope.clone();
        let found = self
            .store
            .write(move |tx| {
                let found = rows::find(tx, &scope, &name, &pick)?.is_some();
                rows::remove(tx, &scope, &name, &pick)?;
                Ok::<_, AwsError>(found)
            })
            .await?;
        if found {
            Ok(done(StatusCode::ACCEPTED))
        } else {
            Err(Refusal::new(Code::ManifestUnknown, "manifest unknown"))
        }
    }

    /// Keeps a manifest whose blobs are here, and puts it into the repository.
    pub(crate) async fn store_image(
        &self,
        scope: Scope,
        repository: String,
        manifest: Vec<u8>,
        media_type: Option<String>,
        tag: Option<String>,
        pushed_at: Timestamp,
    ) -> Result<rows::Image, AwsError> {
        let own_type = serde_json::from_slice::<Typed>(&manifest).ok().and_then(|typed| typed.media_type);
        let images = self.images.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let parts = references(&manifest)?;
            let layers: u64 = parts.iter().filter(|part| !part.is_manifest).map(|part| part.size).sum();
            let size = if layers == 0 { manifest.len() as u64 } else { layers };
            Ok((images.put_manifest(&manifest)?, size))
        });
        let (digest, size) = kept.await.map_err(AwsError::internal)?.map_err(|error: ImageError| match error {
            ImageError::MissingBlobs(_) => error::layers_not_found_exception(error.to_string()),
            ImageError::Malformed(_) => {
                error::invalid_parameter_exception(format!("Invalid parameter at 'imageManifest': {error}"))
            }
            other => AwsError::internal(other),
        })?;
        let image = rows::Image {
            digest: digest.as_str().to_owned(),
            media_type: own_type.or(media_type).unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            pushed_at,
            tags: Vec::new(),
        };
        self.store
            .write(move |tx| {
                rows::put_image(tx, &scope, &repository, &image, tag.as_deref())?;
                Ok(image)
            })
            .await
    }
}
