//! Repository policies: stored, given back, not enforced yet.

use super::own_registry;
use crate::{EcrService, rows};
use barge_core::{AwsError, Context, Document};
use barge_wire::ecr::{
    DeleteRepositoryPolicyRequest, DeleteRepositoryPolicyResponse, GetRepositoryPolicyRequest,
    GetRepositoryPolicyResponse, SetRepositoryPolicyRequest, SetRepositoryPolicyResponse, error,
};

/// Refuses what isn't a policy document.
pub(crate) fn check(text: &str) -> Result<(), AwsError> {
    let document = Document::from_json(text.as_bytes()).unwrap_or_default();
    let statements = document.get("Statement");
    if statements.is_some_and(|statements| statements.as_list().is_some() || statements.as_map().is_some()) {
        return Ok(());
    }
    Err(error::invalid_parameter_exception(
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'",
    ))
}

impl EcrService {
    pub(super) async fn set_policy(
        &self,
        cx: &Context,
        input: SetRepositoryPolicyRequest,
    ) -> Result<SetRepositoryPolicyResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        check(&input.policy_text)?;
        let text = input.policy_text.clone();
        self.change(cx, &input.repository_name, move |repository| repository.policy = Some(text)).await?;
        Ok(SetRepositoryPolicyResponse {
            registry_id: Some(cx.scope.account.to_string()),
            repository_name: Some(input.repository_name),
            policy_text: Some(input.policy_text),
        })
    }

    pub(super) async fn get_policy(
        &self,
        cx: &Context,
        input: GetRepositoryPolicyRequest,
    ) -> Result<GetRepositoryPolicyResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let repository = self.repository(&cx.scope, &input.repository_name).await?;
        let text = repository.policy.ok_or_else(|| no_policy(cx, &input.repository_name))?;
        Ok(GetRepositoryPolicyResponse {
            registry_id: Some(cx.scope.account.to_string()),
            repository_name: Some(input.repository_name),
            policy_text: Some(text),
        })
    }

    pub(super) async fn delete_policy(
        &self,
        cx: &Context,
        input: DeleteRepositoryPolicyRequest,
    ) -> Result<DeleteRepositoryPolicyResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let (scope, name, missing) =
            (cx.scope.clone(), input.repository_name.clone(), no_policy(cx, &input.repository_name));
        let text = self
            .store
            .write(move |tx| {
                let text = rows::existing_repository(tx, &scope, &name)?.policy.ok_or(missing)?;
                rows::change_repository(tx, &scope, &name, |repository| repository.policy = None)?;
                Ok::<_, AwsError>(text)
            })
            .await?;
        Ok(DeleteRepositoryPolicyResponse {
            registry_id: Some(cx.scope.account.to_string()),
            repository_name: Some(input.repository_name),
            policy_text: Some(text),
        })
    }
}

fn no_policy(cx: &Context, name: &str) -> AwsError {
    error::repository_policy_not_found_exception(format!(
        "Repository policy does not exist for the repository with name '{name}' in the registry with id '{}'",
        cx.scope.account
    ))
}
