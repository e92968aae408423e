//! Images and their tags.

use super::{own_registry, page, refuse};
use crate::EcrService;
use crate::names::Pick;
use crate::rows::{self, existing_repository};
use barge_core::{AwsError, Context};
use barge_image::Digest;
use barge_wire::ecr::{
    BatchDeleteImageRequest, BatchDeleteImageResponse, BatchGetImageRequest, BatchGetImageResponse,
    DescribeImagesRequest, DescribeImagesResponse, Image, ImageDetail, ImageFailure, ImageFailureCode, ImageIdentifier,
    ListImagesRequest, ListImagesResponse, PutImageRequest, PutImageResponse, TagStatus, error,
};

impl EcrService {
    pub(super) async fn list(&self, cx: &Context, input: ListImagesRequest) -> Result<ListImagesResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let status = input.filter.as_ref().and_then(|filter| filter.tag_status);
        refuse("filter.imageStatus", input.filter.is_some_and(|filter| filter.image_status.is_some()))?;
        let ids: Vec<ImageIdentifier> = self
            .images_of(cx, &input.repository_name)
            .await?
            .into_iter()
            .filter(|image| has_status(image, status))
            .flat_map(|image| identifiers(&image))
            .collect();
        let (image_ids, next_token) = page(ids, input.next_token.as_deref(), input.max_results)?;
        Ok(ListImagesResponse { image_ids: Some(image_ids), next_token })
    }

    pub(super) async fn describe_details(
        &self,
        cx: &Context,
        input: DescribeImagesRequest,
    ) -> Result<DescribeImagesResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let status = input.filter.as_ref().and_then(|filter| filter.tag_status);
        refuse("filter.imageStatus", input.filter.is_some_and(|filter| filter.image_status.is_some()))?;
        let all = self.images_of(cx, &input.repository_name).await?;
        let chosen: Vec<rows::Image> = match input.image_ids {
            None => all.into_iter().filter(|image| has_status(image, status)).collect(),
            Some(ids) => {
                let find = |id: &ImageIdentifier| {
                    all.iter().find(|image| names(id, image)).cloned().ok_or_else(|| {
                        error::image_not_found_exception(format!(
                            "The image with imageId {} does not exist within the repository with name '{}' in the registry with id '{}'",
                            written(id), input.repository_name, cx.scope.account
                        ))
                    })
                };
                ids.iter().map(find).collect::<Result<_, _>>()?
            }
        };
        let (chosen, next_token) = page(chosen, input.next_token.as_deref(), input.max_results)?;
        let details = chosen
            .into_iter()
            .map(|image| ImageDetail {
                registry_id: Some(cx.scope.account.to_string()),
                repository_name: Some(input.repository_name.clone()),
                image_digest: Some(image.digest),
                image_tags: (!image.tags.is_empty()).then_some(image.tags),
                image_size_in_bytes: Some(image.size),
                image_pushed_at: Some(image.pushed_at),
                image_manifest_media_type: Some(image.media_type),
                ..ImageDetail::default()
            })
            .collect();
        Ok(DescribeImagesResponse { image_details: Some(details), next_token })
    }

    pub(super) async fn get_manifests(
        &self,
        cx: &Context,
        input: BatchGetImageRequest,
    ) -> Result<BatchGetImageResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        self.repository(&cx.scope, &input.repository_name).await?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in input.image_ids {
            match self.manifest_of(cx, &input.repository_name, &id, input.accepted_media_types.as_deref()).await? {
                Ok(image) => images.push(image),
                Err(failure) => failures.push(failure),
            }
        }
        Ok(BatchGetImageResponse { images: Some(images), failures: Some(failures) })
    }

    async fn manifest_of(
        &self,
        cx: &Context,
        repository: &str,
        id: &ImageIdentifier,
        accepted: Option<&[String]>,
    ) -> Result<Result<Image, ImageFailure>, AwsError> {
        let Some(pick) = pick(id) else { return Ok(Err(missing_both(id))) };
        let (scope, name) = (cx.scope.clone(), repository.to_owned());
        let found = self.store.read(move |db| rows::find(db, &scope, &name, &pick)).await?;
        let Some((digest, media_type)) =
            found.filter(|(_, kind)| accepted.is_none_or(|accepted| accepted.contains(kind)))
        else {
            return Ok(Err(not_found(id)));
        };
        let manifest = self.manifest_text(&digest).await?;
        Ok(Ok(Image {
            registry_id: Some(cx.scope.account.to_string()),
            repository_name: Some(repository.to_owned()),
            image_id: Some(ImageIdentifier { image_digest: Some(digest), image_tag: id.image_tag.clone() }),
            image_manifest: Some(manifest),
            image_manifest_media_type: Some(media_type),
        }))
    }

    async fn manifest_text(&self, digest: &str) -> Result<String, AwsError> {
        let (images, digest) = (self.images.clone(), digest.parse().map_err(AwsError::internal)?);
        let bytes = tokio::task::spawn_blocking(move || images.manifest(&digest)).await;
        let bytes = bytes.map_err(AwsError::internal)?.map_err(AwsError::internal)?;
        String::from_utf8(bytes).map_err(AwsError::internal)
    }

    pub(super) async fn delete_images(
        &self,
        cx: &Context,
        input: BatchDeleteImageRequest,
    ) -> Result<BatchDeleteImageResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let scope = cx.scope.clone();
        self.store
            .write(move |tx| {
                existing_repository(tx, &scope, &input.repository_name)?;
                let (mut removed, mut failures) = (Vec::new(), Vec::new());
                for id in &input.image_ids {
                    let Some(pick) = pick(id) else {
                        failures.push(missing_both(id));
                        continue;
                    };
                    let images = rows::images(tx, &scope, &input.repository_name)?;
                    match images.iter().find(|image| names(id, image)) {
                        None => failures.push(not_found(id)),
                        Some(image) => {
                            removed.extend(match &pick {
                                Pick::Digest(_) => identifiers(image),
                                Pick::Tag(tag) => vec![ImageIdentifier {
                                    image_digest: Some(image.digest.clone()),
                                    image_tag: Some(tag.clone()),
                                }],
                            });
                            rows::remove(tx, &scope, &input.repository_name, &pick)?;
                        }
                    }
                }
                Ok(BatchDeleteImageResponse { image_ids: Some(removed), failures: Some(failures) })
            })
            .await
    }

    pub(super) async fn put_manifest(
        &self,
        cx: &Context,
        input: PutImageRequest,
    ) -> Result<PutImageResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let repository = input.repository_name.clone();
        let manifest = input.image_manifest.into_bytes();
        let digest = Digest::of(&manifest);
        if input.image_digest.is_some_and(|announced| announced != digest.as_str()) {
            return Err(error::image_digest_does_not_match_exception(
                "The specified image digest does not match the digest that Amazon ECR calculated for the image",
            ));
        }
        let media_type = input.image_manifest_media_type;
        let image = self
            .store_image(cx.scope.clone(), repository, manifest, media_type, input.image_tag.clone(), cx.now)
            .await?;
        let id = ImageIdentifier { image_digest: Some(image.digest), image_tag: input.image_tag };
        Ok(PutImageResponse {
            image: Some(Image {
                registry_id: Some(cx.scope.account.to_string()),
                repository_name: Some(input.repository_name),
                image_id: Some(id),
                image_manifest: None,
                image_manifest_media_type: Some(image.media_type),
            }),
        })
    }

    async fn images_of(&self, cx: &Context, repository: &str) -> Result<Vec<rows::Image>, AwsError> {
        let (scope, name) = (cx.scope.clone(), repository.to_owned());
        self.store
            .read(move |db| {
                existing_repository(db, &scope, &name)?;
                rows::images(db, &scope, &name)
            })
            .await
    }
}

fn has_status(image: &rows::Image, status: Option<TagStatus>) -> bool {
    match status {
        None | Some(TagStatus::Any) => true,
        Some(TagStatus::Tagged) => !image.tags.is_empty(),
        Some(TagStatus::Untagged) => image.tags.is_empty(),
    }
}

/// An image's identifiers: one for each tag, or its digest alone.
fn identifiers(image: &rows::Image) -> Vec<ImageIdentifier> {
    let with =
        |tag: Option<&String>| ImageIdentifier { image_digest: Some(image.digest.clone()), image_tag: tag.cloned() };
    if image.tags.is_empty() { vec![with(None)] } else { image.tags.iter().map(|tag| with(Some(tag))).collect() }
}

fn pick(id: &ImageIdentifier) -> Option<Pick> {
    match (&id.image_digest, &id.image_tag) {
        (Some(digest), _) => digest.parse().ok().map(Pick::Digest),
        (None, Some(tag)) => Some(Pick::Tag(tag.clone())),
        (None, None) => None,
    }
}

fn names(id: &ImageIdentifier, image: &rows::Image) -> bool {
    let digest = id.image_digest.as_ref().is_none_or(|digest| *digest == image.digest);
    let tag = id.image_tag.as_ref().is_none_or(|tag| image.tags.contains(tag));
    digest && tag && (id.image_digest.is_some() || id.image_tag.is_some())
}

fn written(id: &ImageIdentifier) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "null".to_owned());
    format!("{{imageDigest:'{}', imageTag:'{}'}}", text(&id.image_digest), text(&id.image_tag))
}

fn not_found(id: &ImageIdentifier) -> ImageFailure {
    failure(id, ImageFailureCode::ImageNotFound, "Requested image not found")
}

fn missing_both(id: &ImageIdentifier) -> ImageFailure {
    match &id.image_digest {
        Some(_) => failure(
            id,
            ImageFailureCode::InvalidImageDigest,
            "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
        ),
        None => failure(
            id,
            ImageFailureCode::MissingDigestAndTag,
            "Invalid request parameters: both tag and digest cannot be null",
        ),
    }
}

fn failure(id: &ImageIdentifier, code: ImageFailureCode, reason: &str) -> ImageFailure {
    ImageFailure { image_id: Some(id.clone()), failure_code: Some(code), failure_reason: Some(reason.to_owned()) }
}
