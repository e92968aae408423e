//! CreateComputeEnvironment and UpdateComputeEnvironment.

use super::{KIND, has_instances, missing, provided, put, resources};
use crate::api::{filled, names, nothing, refuse, tags};
use crate::core::EnvironmentId;
use crate::service::BatchService;
use crate::store::EnvironmentRow;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CEState, CEStatus, CEType, CRAllocationStrategy, ComputeEnvironmentDetail, ComputeResource, ComputeResourceUpdate,
    CreateComputeEnvironmentRequest, CreateComputeEnvironmentResponse, OrchestrationType,
    UpdateComputeEnvironmentRequest, UpdateComputeEnvironmentResponse,
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
                None => Ok(put(directory, row)),
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
                update(&mut row.detail, input)?;
                Ok(put(directory, row))
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
        compute_resources: Some(resources),
        service_role: Some(service_role),
        container_orchestration_type: Some(OrchestrationType::Ecs),
        uuid: Some(uuid),
        ..ComputeEnvironmentDetail::default()
    })
}

fn update(detail: &mut ComputeEnvironmentDetail, input: UpdateComputeEnvironmentRequest) -> Result<(), AwsError> {
    let UpdateComputeEnvironmentRequest {
        compute_environment: _,
        state,
        unmanagedv_cpus,
        compute_resources,
        service_role,
        update_policy,
        context,
        ecs_settings,
        eks_configuration,
    } = input;
    refuse(&[
        ("unmanagedvCpus", unmanagedv_cpus.is_some()),
        ("updatePolicy", update_policy.is_some()),
        ("context", context.is_some()),
        ("ecsSettings", ecs_settings.is_some()),
        ("eksConfiguration", eks_configuration.is_some()),
    ])?;
    if let Some(state) = state {
        detail.state = Some(state);
    }
    if let Some(role) = service_role {
        detail.service_role = Some(role);
    }
    if let (Some(change), Some(resources)) = (compute_resources, detail.compute_resources.as_mut()) {
        update_resources(resources, change)?;
        resources::check(resources)?;
    }
    Ok(())
}

fn update_resources(resources: &mut ComputeResource, change: ComputeResourceUpdate) -> Result<(), AwsError> {
    let ComputeResourceUpdate {
        minv_cpus,
        maxv_cpus,
        desiredv_cpus,
        subnets,
        security_group_ids,
        allocation_strategy,
        instance_types,
        ec2_key_pair,
        instance_role,
        tags,
        placement_group,
        bid_percentage,
        launch_template,
        ec2_configuration,
        update_to_latest_image_version,
        r#type,
        image_id,
        scaling_policy,
        managed_instances_provider,
        capacity_tags,
    } = change;
    refuse(&[
        ("computeResources.launchTemplate", launch_template.is_some()),
        ("computeResources.ec2Configuration", filled(ec2_configuration.as_ref())),
        ("computeResources.updateToLatestImageVersion", update_to_latest_image_version == Some(true)),
        ("computeResources.imageId", image_id.is_some()),
        ("computeResources.scalingPolicy", scaling_policy.is_some()),
        ("computeResources.managedInstancesProvider", managed_instances_provider.is_some()),
        ("computeResources.capacityTags", capacity_tags.is_some()),
    ])?;
    if let Some(kind) = r#type {
        if has_instances(kind) != has_instances(resources.r#type) {
            return Err(client_exception("A compute environment can't change between EC2 and Fargate."));
        }
        resources.r#type = kind;
    }
    resources.maxv_cpus = maxv_cpus.unwrap_or(resources.maxv_cpus);
    let strategy = allocation_strategy.and_then(|strategy| CRAllocationStrategy::parse(strategy.as_str()));
    replace(&mut resources.minv_cpus, minv_cpus);
    // What it was made with says nothing any more: it follows the demand.
    resources.desiredv_cpus = desiredv_cpus;
    replace(&mut resources.subnets, subnets);
    replace(&mut resources.security_group_ids, security_group_ids);
    replace(&mut resources.allocation_strategy, strategy);
    replace(&mut resources.instance_types, instance_types);
    replace(&mut resources.ec2_key_pair, ec2_key_pair);
    replace(&mut resources.instance_role, instance_role);
    replace(&mut resources.tags, tags);
    replace(&mut resources.placement_group, placement_group);
    replace(&mut resources.bid_percentage, bid_percentage);
    Ok(())
}

fn replace<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}
