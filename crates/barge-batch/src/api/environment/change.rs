//! CreateComputeEnvironment and UpdateComputeEnvironment.

use super::update::{self, Consequence};
use super::{KIND, has_instances, missing, provided, put, resources};
use crate::api::{names, nothing, refuse, tags};
use crate::core::EnvironmentId;
use crate::service::BatchService;
use crate::store::EnvironmentRow;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CEState, CEStatus, CEType, ComputeEnvironmentDetail, CreateComputeEnvironmentRequest,
    CreateComputeEnvironmentResponse, OrchestrationType, UpdateComputeEnvironmentRequest,
    UpdateComputeEnvironmentResponse, UpdatePolicy,
};
use std::collections::BTreeMap;

const HEALTHY: &str = "ComputeEnvironment Healthy";

impl BatchService {
    /// Creates an environment; once where it comes with the token of a template's resource.
    pub(crate) async fn create_environment(
        &self,
        cx: &Context,
        input: CreateComputeEnvironmentRequest,
        token: Option<String>,
    ) -> Result<CreateComputeEnvironmentResponse, AwsError> {
        let name = input.compute_environment_name.clone();
        if !names::is_legal(&name) {
            return Err(client_exception("computeEnvironmentName should match valid pattern"));
        }
        let arn = cx.scope.arn("batch", format!("{KIND}/{name}")).to_string();
        let detail = detail(cx, input, arn.clone(), self.ambient.ids.uuid())?;
        let row = EnvironmentRow { scope: cx.scope.clone(), token, detail };
        let id = EnvironmentId::new(arn.as_str());
        self.dispatcher
            .alter(move |_, directory| match directory.environment(&id) {
                Some(old) if old.token.is_some() && old.token == row.token => Ok(nothing()),
                Some(_) => Err(client_exception("Object already exists")),
                None => Ok(put(directory, row, Consequence::Scaling)),
            })
            .await?;
        Ok(CreateComputeEnvironmentResponse {
            compute_environment_name: Some(name),
            compute_environment_arn: Some(arn),
        })
    }

    /// Changes an environment.
    pub(crate) async fn update_environment(
        &self,
        cx: &Context,
        input: UpdateComputeEnvironmentRequest,
    ) -> Result<UpdateComputeEnvironmentResponse, AwsError> {
        let reference = input.compute_environment.clone();
        let arn = names::resolve(cx, KIND, &reference).ok_or_else(|| missing(&reference))?;
        let id = EnvironmentId::new(arn.as_str());
        self.dispatcher
            .alter(move |_, directory| {
                let mut row = directory.environment(&id).cloned().ok_or_else(|| missing(&reference))?;
                let consequence = update::apply(&mut row.detail, input)?;
                Ok(put(directory, row, consequence))
            })
            .await?;
        let name = arn.rsplit('/').next().map(str::to_owned);
        Ok(UpdateComputeEnvironmentResponse { compute_environment_name: name, compute_environment_arn: Some(arn) })
    }
}

fn detail(
    cx: &Context,
    input: CreateComputeEnvironmentRequest,
    arn: String,
    uuid: String,
) -> Result<ComputeEnvironmentDetail, AwsError> {
    let CreateComputeEnvironmentRequest {
        compute_environment_name: name,
        r#type,
        state,
        unmanagedv_cpus,
        compute_resources,
        service_role,
        tags: given_tags,
        eks_configuration,
        context,
        ecs_settings,
    } = input;
    refuse(&[
        ("type UNMANAGED", r#type == CEType::Unmanaged),
        ("unmanagedvCpus", unmanagedv_cpus.is_some()),
        ("eksConfiguration", eks_configuration.is_some()),
        ("context", context.is_some()),
        ("ecsSettings", ecs_settings.is_some()),
    ])?;
    let resources = resources::completed(provided(compute_resources)?);
    resources::check(&resources)?;
    tags::check(given_tags.as_ref().unwrap_or(&BTreeMap::new()))?;
    let default_role = "role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch";
    let service_role = service_role.unwrap_or_else(|| cx.scope.global_arn("iam", default_role).to_string());
    Ok(ComputeEnvironmentDetail {
        ecs_cluster_arn: Some(cx.scope.arn("ecs", format!("cluster/AWSBatch-{name}-{uuid}")).to_string()),
        compute_environment_name: name,
        compute_environment_arn: arn,
        tags: Some(given_tags.unwrap_or_default()),
        r#type: Some(CEType::Managed),
        state: Some(state.unwrap_or(CEState::Enabled)),
        status: Some(CEStatus::Valid),
        status_reason: Some(HEALTHY.to_owned()),
        update_policy: has_instances(resources.r#type).then(|| update::policy(None, &UpdatePolicy::default())),
        compute_resources: Some(resources),
        service_role: Some(service_role),
        container_orchestration_type: Some(OrchestrationType::Ecs),
        uuid: Some(uuid),
        ..ComputeEnvironmentDetail::default()
    })
}
