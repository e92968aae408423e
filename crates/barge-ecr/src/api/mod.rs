//! The ECR API: one method per operation, each in the file of what it is about.

mod images;
mod lifecycle;
pub(crate) mod policies;
pub(crate) mod repositories;
mod tags;

use crate::EcrService;
use barge_core::{AwsError, Context, Scope};
use barge_wire::ecr::{
    BatchDeleteImageRequest, BatchDeleteImageResponse, BatchGetImageRequest, BatchGetImageResponse,
    CreateRepositoryRequest, CreateRepositoryResponse, DeleteLifecyclePolicyRequest, DeleteLifecyclePolicyResponse,
    DeleteRepositoryPolicyRequest, DeleteRepositoryPolicyResponse, DeleteRepositoryRequest, DeleteRepositoryResponse,
    DescribeImagesRequest, DescribeImagesResponse, DescribeRepositoriesRequest, DescribeRepositoriesResponse, ECR,
    GetAuthorizationTokenRequest, GetAuthorizationTokenResponse, GetLifecyclePolicyRequest, GetLifecyclePolicyResponse,
    GetRepositoryPolicyRequest, GetRepositoryPolicyResponse, ListImagesRequest, ListImagesResponse,
    ListTagsForResourceRequest, ListTagsForResourceResponse, PutImageRequest, PutImageResponse,
    PutImageScanningConfigurationRequest, PutImageScanningConfigurationResponse, PutImageTagMutabilityRequest,
    PutImageTagMutabilityResponse, PutLifecyclePolicyRequest, PutLifecyclePolicyResponse, SetRepositoryPolicyRequest,
    SetRepositoryPolicyResponse, TagResourceRequest, TagResourceResponse, UntagResourceRequest, UntagResourceResponse,
    error,
};
pub(crate) use repositories::Contents;

/// Refuses another account's registry: there is no cross-account access.
fn own_registry(scope: &Scope, registry_id: Option<&str>) -> Result<(), AwsError> {
    match registry_id {
        Some(id) if id != scope.account.as_str() => Err(error::repository_not_found_exception(format!(
            "The registry with id '{id}' is another account's, and this one is not allowed into it"
        ))),
        _ => Ok(()),
    }
}

/// Refuses members that are not honoured, by name.
fn refuse(member: &str, given: bool) -> Result<(), AwsError> {
    if given { Err(error::invalid_parameter_exception(format!("Barge does not implement {member}."))) } else { Ok(()) }
}

/// A page of `items`: those from the token on, and the token of the next page.
fn page<T>(items: Vec<T>, token: Option<&str>, size: Option<i64>) -> Result<(Vec<T>, Option<String>), AwsError> {
    let wrong = || error::invalid_parameter_exception("Invalid parameter at 'nextToken'");
    let start: usize = token.map_or(Ok(0), |token| token.parse().map_err(|_| wrong()))?;
    let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(100);
    let more = items.len() > start.saturating_add(size);
    let page = items.into_iter().skip(start).take(size).collect();
    Ok((page, more.then(|| (start + size).to_string())))
}

impl ECR for EcrService {
    async fn create_repository(
        &self,
        cx: &Context,
        input: CreateRepositoryRequest,
    ) -> Result<CreateRepositoryResponse, AwsError> {
        self.create(cx, input).await
    }

    async fn describe_repositories(
        &self,
        cx: &Context,
        input: DescribeRepositoriesRequest,
    ) -> Result<DescribeRepositoriesResponse, AwsError> {
        self.describe(cx, input).await
    }

    async fn delete_repository(
        &self,
        cx: &Context,
        input: DeleteRepositoryRequest,
    ) -> Result<DeleteRepositoryResponse, AwsError> {
        self.delete(cx, input).await
    }

    async fn get_authorization_token(
        &self,
        cx: &Context,
        input: GetAuthorizationTokenRequest,
    ) -> Result<GetAuthorizationTokenResponse, AwsError> {
        self.authorize(cx, &input)
    }

    async fn put_image_tag_mutability(
        &self,
        cx: &Context,
        input: PutImageTagMutabilityRequest,
    ) -> Result<PutImageTagMutabilityResponse, AwsError> {
        self.set_mutability(cx, input).await
    }

    async fn put_image_scanning_configuration(
        &self,
        cx: &Context,
        input: PutImageScanningConfigurationRequest,
    ) -> Result<PutImageScanningConfigurationResponse, AwsError> {
        self.set_scanning(cx, input).await
    }

    async fn list_images(&self, cx: &Context, input: ListImagesRequest) -> Result<ListImagesResponse, AwsError> {
        self.list(cx, input).await
    }

    async fn describe_images(
        &self,
        cx: &Context,
        input: DescribeImagesRequest,
    ) -> Result<DescribeImagesResponse, AwsError> {
        self.describe_details(cx, input).await
    }

    async fn batch_get_image(
        &self,
        cx: &Context,
        input: BatchGetImageRequest,
    ) -> Result<BatchGetImageResponse, AwsError> {
        self.get_manifests(cx, input).await
    }

    async fn batch_delete_image(
        &self,
        cx: &Context,
        input: BatchDeleteImageRequest,
    ) -> Result<BatchDeleteImageResponse, AwsError> {
        self.delete_images(cx, input).await
    }

    async fn put_image(&self, cx: &Context, input: PutImageRequest) -> Result<PutImageResponse, AwsError> {
        self.put_manifest(cx, input).await
    }

    async fn set_repository_policy(
        &self,
        cx: &Context,
        input: SetRepositoryPolicyRequest,
    ) -> Result<SetRepositoryPolicyResponse, AwsError> {
        self.set_policy(cx, input).await
    }

    async fn get_repository_policy(
        &self,
        cx: &Context,
        input: GetRepositoryPolicyRequest,
    ) -> Result<GetRepositoryPolicyResponse, AwsError> {
        self.get_policy(cx, input).await
    }

    async fn delete_repository_policy(
        &self,
        cx: &Context,
        input: DeleteRepositoryPolicyRequest,
    ) -> Result<DeleteRepositoryPolicyResponse, AwsError> {
        self.delete_policy(cx, input).await
    }

    async fn put_lifecycle_policy(
        &self,
        cx: &Context,
        input: PutLifecyclePolicyRequest,
    ) -> Result<PutLifecyclePolicyResponse, AwsError> {
        self.put_lifecycle(cx, input).await
    }

    async fn get_lifecycle_policy(
        &self,
        cx: &Context,
        input: GetLifecyclePolicyRequest,
    ) -> Result<GetLifecyclePolicyResponse, AwsError> {
        self.get_lifecycle(cx, input).await
    }

    async fn delete_lifecycle_policy(
        &self,
        cx: &Context,
        input: DeleteLifecyclePolicyRequest,
    ) -> Result<DeleteLifecyclePolicyResponse, AwsError> {
        self.delete_lifecycle(cx, input).await
    }

    async fn tag_resource(&self, cx: &Context, input: TagResourceRequest) -> Result<TagResourceResponse, AwsError> {
        self.tag(cx, input).await
    }

    async fn untag_resource(
        &self,
        cx: &Context,
        input: UntagResourceRequest,
    ) -> Result<UntagResourceResponse, AwsError> {
        self.untag(cx, input).await
    }

    async fn list_tags_for_resource(
        &self,
        cx: &Context,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse, AwsError> {
        self.tags(cx, input).await
    }
}
