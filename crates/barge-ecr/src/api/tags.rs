//! Tags on repositories.

use crate::EcrService;
use barge_core::{Arn, AwsError, Context};
use barge_wire::ecr::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse, error,
};

/// The repository that an ARN of this scope names.
fn named(cx: &Context, arn: &str) -> Result<String, AwsError> {
    let wrong = || error::invalid_parameter_exception(format!("Invalid parameter at 'resourceArn': {arn}"));
    let parsed: Arn = arn.parse().map_err(|_| wrong())?;
    let ours = parsed.service == "ecr" && parsed.scope().as_ref() == Some(&cx.scope);
    parsed.resource_name("repository").filter(|_| ours).map(str::to_owned).ok_or_else(wrong)
}

impl EcrService {
    pub(super) async fn tag(&self, cx: &Context, input: TagResourceRequest) -> Result<TagResourceResponse, AwsError> {
        let name = named(cx, &input.resource_arn)?;
        self.change(cx, &name, |held| held.tags.extend(input.tags.into_iter().map(|tag| (tag.key, tag.value)))).await?;
        Ok(TagResourceResponse {})
    }

    pub(super) async fn untag(
        &self,
        cx: &Context,
        input: UntagResourceRequest,
    ) -> Result<UntagResourceResponse, AwsError> {
        let name = named(cx, &input.resource_arn)?;
        self.change(cx, &name, move |held| held.tags.retain(|key, _| !input.tag_keys.contains(key))).await?;
        Ok(UntagResourceResponse {})
    }

    pub(super) async fn tags(
        &self,
        cx: &Context,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse, AwsError> {
        let repository = self.repository(&cx.scope, &named(cx, &input.resource_arn)?).await?;
        let tags = repository.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        Ok(ListTagsForResourceResponse { tags: Some(tags) })
    }
}
