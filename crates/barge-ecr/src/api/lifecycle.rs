//! Lifecycle policies of repositories.

use super::own_registry;
use crate::{EcrService, lifecycle};
use barge_core::{AwsError, Context};
use barge_wire::ecr::{
    DeleteLifecyclePolicyRequest, DeleteLifecyclePolicyResponse, GetLifecyclePolicyRequest, GetLifecyclePolicyResponse,
    PutLifecyclePolicyRequest, PutLifecyclePolicyResponse, error,
};

impl EcrService {
    pub(super) async fn put_lifecycle(
        &self,
        cx: &Context,
        input: PutLifecyclePolicyRequest,
    ) -> Result<PutLifecyclePolicyResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        lifecycle::Policy::parse(&input.lifecycle_policy_text)?;
        let text = input.lifecycle_policy_text.clone();
        self.change(cx, &input.repository_name, move |held| held.lifecycle = Some(text)).await?;
        Ok(PutLifecyclePolicyResponse {
            registry_id: Some(cx.scope.account.to_string()),
            repository_name: Some(input.repository_name),
            lifecycle_policy_text: Some(input.lifecycle_policy_text),
        })
    }

    pub(super) async fn get_lifecycle(
        &self,
        cx: &Context,
        input: GetLifecyclePolicyRequest,
    ) -> Result<GetLifecyclePolicyResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let repository = self.repository(&cx.scope, &input.repository_name).await?;
        Ok(GetLifecyclePolicyResponse {
            registry_id: Some(cx.scope.account.to_string()),
            lifecycle_policy_text: Some(repository.lifecycle.ok_or_else(|| missing(cx, &input.repository_name))?),
            repository_name: Some(input.repository_name),
            last_evaluated_at: None,
        })
    }

    pub(super) async fn delete_lifecycle(
        &self,
        cx: &Context,
        input: DeleteLifecyclePolicyRequest,
    ) -> Result<DeleteLifecyclePolicyResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let text = self.repository(&cx.scope, &input.repository_name).await?.lifecycle;
        let text = text.ok_or_else(|| missing(cx, &input.repository_name))?;
        self.change(cx, &input.repository_name, |held| held.lifecycle = None).await?;
        Ok(DeleteLifecyclePolicyResponse {
            registry_id: Some(cx.scope.account.to_string()),
            repository_name: Some(input.repository_name),
            lifecycle_policy_text: Some(text),
            last_evaluated_at: None,
        })
    }
}

fn missing(cx: &Context, name: &str) -> AwsError {
    error::lifecycle_policy_not_found_exception(format!(
        "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{}'",
        cx.scope.account
    ))
}
