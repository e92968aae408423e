//! Compute environments.
//!
//! Members that describe instances (types, roles, keys, subnets and the like) are kept and shown: there are no instances,
//! and jobs run on this machine. Members that would change what a job sees are refused.

use super::{filled, names, paging, refuse, tags};
use crate::core::{EnvironmentId, Event, Refusal};
use crate::dispatcher::{Alteration, Directory};
use crate::service::BatchService;
use crate::store::{EnvironmentRow, Write};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CEState, CEStatus, CEType, CRAllocationStrategy, CRType, ComputeEnvironmentDetail, ComputeResource,
    ComputeResourceUpdate, CreateComputeEnvironmentRequest, CreateComputeEnvironmentResponse,
    DescribeComputeEnvironmentsRequest, DescribeComputeEnvironmentsResponse, OrchestrationType,
    UpdateComputeEnvironmentRequest, UpdateComputeEnvironmentResponse,
};
use std::collections::BTreeMap;

const KIND: &str = "compute-environment";
const HEALTHY: &str = "ComputeEnvironment Healthy";

fn missing(reference: &str) -> AwsError {
    client_exception(format!("Compute environment {reference} does not exist."))
}

fn refused(refusal: Refusal) -> AwsError {
    client_exception(match refusal {
        Refusal::EnvironmentEnabled(_) => "Cannot delete, state must be DISABLED".to_owned(),
        Refusal::EnvironmentInQueue(_) => "Cannot delete, found existing JobQueue relationship".to_owned(),
        Refusal::EnvironmentBusy(_) => "Cannot delete, found active jobs in the compute environment".to_owned(),
        Refusal::NoEnvironment(id) => return missing(id.as_str()),
        other => other.to_string(),
    })
}

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
            .alter(move |directory| match directory.environment(&id) {
                Some(old) if old.token.is_some() && old.token == row.token => Ok(nothing()),
                Some(_) => Err(client_exception("Object already exists")),
                None => Ok(put(row)),
            })
            .await?;
        Ok(CreateComputeEnvironmentResponse {
            compute_environment_name: Some(name),
            compute_environment_arn: Some(arn),
        })
    }

    pub(super) async fn describe_environments(
        &self,
        cx: &Context,
        input: DescribeComputeEnvironmentsRequest,
    ) -> Result<DescribeComputeEnvironmentsResponse, AwsError> {
        let DescribeComputeEnvironmentsRequest { compute_environments, max_results, next_token } = input;
        let rows = self.rows.environments(cx.scope.clone()).await?;
        let mut details: Vec<ComputeEnvironmentDetail> = rows.into_iter().map(|row| row.detail).collect();
        if let Some(wanted) = compute_environments.filter(|wanted| !wanted.is_empty()) {
            let wanted: Vec<_> = wanted.iter().filter_map(|text| names::resolve(cx, KIND, text)).collect();
            details.retain(|detail| wanted.contains(&detail.compute_environment_arn));
        }
        let next = next_token.as_deref();
        let (page, next_token) = paging::page(details, |row| &row.compute_environment_name, max_results, next)?;
        Ok(DescribeComputeEnvironmentsResponse { compute_environments: Some(page), next_token })
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
            .alter(move |directory| {
                let mut row = directory.environment(&id).cloned().ok_or_else(|| missing(&reference))?;
                update(&mut row.detail, input)?;
                Ok(put(row))
            })
            .await?;
        let name = arn.rsplit('/').next().map(str::to_owned);
        Ok(UpdateComputeEnvironmentResponse { compute_environment_name: name, compute_environment_arn: Some(arn) })
    }

    /// Deletes a disabled environment that no queue refers to. One that is not there is deleted already, as in AWS.
    pub(crate) async fn delete_environment(&self, cx: &Context, reference: &str) -> Result<(), AwsError> {
        let Some(arn) = names::resolve(cx, KIND, reference) else { return Err(missing(reference)) };
        let id = EnvironmentId::new(arn);
        self.dispatcher
            .alter(move |directory| {
                if directory.environment(&id).is_none() {
                    return Ok(nothing());
                }
                let event = Some(Event::DeleteEnvironment(id.clone()));
                Ok(Alteration { event, refused, writes: vec![Write::DeleteEnvironment(id)] })
            })
            .await
    }

    pub(super) async fn environment_tags(
        &self,
        cx: &Context,
        arn: &str,
    ) -> Result<Option<BTreeMap<String, String>>, AwsError> {
        let rows = self.rows.environments(cx.scope.clone()).await?;
        let found = rows.into_iter().find(|row| row.detail.compute_environment_arn == arn);
        Ok(found.map(|row| row.detail.tags.unwrap_or_default()))
    }

    pub(super) async fn change_environment_tags(&self, arn: String, change: tags::Change) -> Result<(), AwsError> {
        self.dispatcher
            .alter(move |directory: &Directory| {
                let row = directory.environment(&EnvironmentId::new(arn.as_str()));
                let mut row = row.cloned().ok_or_else(|| missing(&arn))?;
                change(row.detail.tags.get_or_insert_default())?;
                Ok(Alteration { event: None, refused, writes: vec![Write::PutEnvironment(Box::new(row))] })
            })
            .await
    }
}

fn nothing() -> Alteration {
    Alteration { event: None, refused, writes: Vec::new() }
}

fn put(row: EnvironmentRow) -> Alteration {
    let event = Some(Event::PutEnvironment(row.spec()));
    Alteration { event, refused, writes: vec![Write::PutEnvironment(Box::new(row))] }
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
    let resources = compute_resources
        .ok_or_else(|| client_exception("computeResources must be provided for a MANAGED compute environment"))?;
    check(&resources)?;
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

/// Checks resources, as created or after an update (API Reference, "ComputeResource").
fn check(resources: &ComputeResource) -> Result<(), AwsError> {
    let ComputeResource {
        r#type,
        allocation_strategy,
        minv_cpus,
        maxv_cpus,
        desiredv_cpus,
        instance_types,
        image_id,
        subnets,
        security_group_ids,
        ec2_key_pair,
        instance_role,
        tags,
        placement_group,
        bid_percentage,
        spot_iam_fleet_role,
        launch_template,
        ec2_configuration,
        scaling_policy,
        managed_instances_provider,
        capacity_tags,
    } = resources;
    refuse(&[
        ("computeResources.type ECS_MANAGED_INSTANCES", *r#type == CRType::EcsManagedInstances),
        ("computeResources.imageId", image_id.is_some()),
        ("computeResources.launchTemplate", launch_template.is_some()),
        ("computeResources.ec2Configuration", filled(ec2_configuration.as_ref())),
        ("computeResources.scalingPolicy", scaling_policy.is_some()),
        ("computeResources.managedInstancesProvider", managed_instances_provider.is_some()),
        ("computeResources.capacityTags", capacity_tags.is_some()),
    ])?;
    if *maxv_cpus < 1 {
        return Err(client_exception("computeResources.maxvCpus must be at least 1."));
    }
    if !filled(subnets.as_ref()) {
        return Err(client_exception("computeResources.subnets must be provided."));
    }
    if matches!(r#type, CRType::Fargate | CRType::FargateSpot) {
        if !filled(security_group_ids.as_ref()) {
            return Err(client_exception("computeResources.securityGroupIds must be provided for Fargate."));
        }
        let foreign = [
            ("allocationStrategy", allocation_strategy.is_some()),
            ("minvCpus", minv_cpus.is_some()),
            ("desiredvCpus", desiredv_cpus.is_some()),
            ("instanceTypes", filled(instance_types.as_ref())),
            ("ec2KeyPair", ec2_key_pair.is_some()),
            ("instanceRole", instance_role.is_some()),
            ("tags", tags.as_ref().is_some_and(|tags| !tags.is_empty())),
            ("placementGroup", placement_group.is_some()),
            ("bidPercentage", bid_percentage.is_some()),
            ("spotIamFleetRole", spot_iam_fleet_role.is_some()),
        ];
        return match foreign.iter().find(|(_, present)| *present) {
            Some((name, _)) => Err(client_exception(format!(
                "computeResources.{name} is not applicable to Fargate compute environments."
            ))),
            None => Ok(()),
        };
    }
    let least = minv_cpus.unwrap_or(0);
    if !(0..=*maxv_cpus).contains(&least) {
        return Err(client_exception("computeResources.minvCpus must be between 0 and maxvCpus."));
    }
    if desiredv_cpus.is_some_and(|desired| !(least..=*maxv_cpus).contains(&desired)) {
        return Err(client_exception("computeResources.desiredvCpus must be between minvCpus and maxvCpus."));
    }
    for (name, present) in
        [("instanceTypes", filled(instance_types.as_ref())), ("instanceRole", instance_role.is_some())]
    {
        if !present {
            return Err(client_exception(format!("computeResources.{name} must be provided for EC2 and SPOT.")));
        }
    }
    Ok(())
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
        check(resources)?;
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
        let fargate = |kind: CRType| matches!(kind, CRType::Fargate | CRType::FargateSpot);
        if fargate(kind) != fargate(resources.r#type) {
            return Err(client_exception("A compute environment can't change between EC2 and Fargate."));
        }
        resources.r#type = kind;
    }
    resources.maxv_cpus = maxv_cpus.unwrap_or(resources.maxv_cpus);
    let strategy = allocation_strategy.and_then(|strategy| CRAllocationStrategy::parse(strategy.as_str()));
    replace(&mut resources.minv_cpus, minv_cpus);
    replace(&mut resources.desiredv_cpus, desiredv_cpus);
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
