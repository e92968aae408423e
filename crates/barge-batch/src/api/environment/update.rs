//! What an update changes, and what that means for instances (Batch User Guide, "Update a compute environment in AWS Batch").
//!
//! A *scaling update* changes vCPUs, the state or the service role; instances stay. An *infrastructure update* changes what
//! instances are made by: they are replaced, as the update policy says. Fargate has no instances to replace.

use super::{has_instances, resources};
use crate::api::refuse;
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CRAllocationStrategy, ComputeEnvironmentDetail, ComputeResource, ComputeResourceUpdate,
    UpdateComputeEnvironmentRequest, UpdatePolicy,
};
use std::time::Duration;

/// What becomes of an environment's instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    /// They stay: a scaling update.
    Scaling,
    /// They are replaced: an infrastructure update. What runs on them may go on for so long.
    Replacement(Duration),
}

/// Changes an environment.
pub(super) fn apply(
    detail: &mut ComputeEnvironmentDetail,
    input: UpdateComputeEnvironmentRequest,
) -> Result<Consequence, AwsError> {
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
        ("context", context.is_some()),
        ("ecsSettings", ecs_settings.is_some()),
        ("eksConfiguration", eks_configuration.is_some()),
    ])?;
    if let Some(state) = state {
        detail.state = Some(state);
    }
    if let Some(change) = update_policy {
        detail.update_policy = Some(policy(detail.update_policy.as_ref(), &change));
    }
    if let Some(role) = service_role {
        check_role(detail.service_role.as_deref(), &role)?;
        detail.service_role = Some(role);
    }
    let Some(resources) = detail.compute_resources.as_mut() else { return Ok(Consequence::Scaling) };
    let before = resources.clone();
    if let Some(change) = compute_resources {
        change_resources(resources, change)?;
        resources::check(resources)?;
    }
    if !has_instances(resources.r#type) || infrastructure(&before) == infrastructure(resources) {
        return Ok(Consequence::Scaling);
    }
    let strategies = [before.allocation_strategy, resources.allocation_strategy];
    check_replacement(&strategies, detail.service_role.as_deref())?;
    Ok(Consequence::Replacement(grace(detail.update_policy.as_ref())))
}

/// A policy after a change, with AWS's defaults where nothing was ever said.
pub(super) fn policy(before: Option<&UpdatePolicy>, change: &UpdatePolicy) -> UpdatePolicy {
    let UpdatePolicy { terminate_jobs_on_update, job_execution_timeout_minutes } = *change;
    let before = before.cloned().unwrap_or_default();
    UpdatePolicy {
        terminate_jobs_on_update: terminate_jobs_on_update.or(before.terminate_jobs_on_update).or(Some(false)),
        job_execution_timeout_minutes: job_execution_timeout_minutes
            .or(before.job_execution_timeout_minutes)
            .or(Some(30)),
    }
}

/// How long what runs on old instances may go on.
fn grace(given: Option<&UpdatePolicy>) -> Duration {
    let policy = policy(given, &UpdatePolicy::default());
    let minutes = u64::try_from(policy.job_execution_timeout_minutes.unwrap_or_default()).unwrap_or_default();
    if policy.terminate_jobs_on_update == Some(true) { Duration::ZERO } else { Duration::from_mins(minutes) }
}

/// What instances are made by: all but what a scaling update changes. The order of lists says nothing.
fn infrastructure(resources: &ComputeResource) -> ComputeResource {
    let sorted = |list: &Option<Vec<String>>| {
        let mut list = list.clone()?;
        list.sort_unstable();
        Some(list)
    };
    ComputeResource {
        minv_cpus: None,
        maxv_cpus: 0,
        desiredv_cpus: None,
        subnets: sorted(&resources.subnets),
        security_group_ids: sorted(&resources.security_group_ids),
        instance_types: sorted(&resources.instance_types),
        ..resources.clone()
    }
}

fn is_service_linked(role: &str) -> bool {
    role.rsplit('/').next() == Some("AWSServiceRoleForBatch")
}

/// Checks a new service role (API Reference, "UpdateComputeEnvironment", `serviceRole`).
fn check_role(before: Option<&str>, after: &str) -> Result<(), AwsError> {
    if before.is_some_and(|before| is_service_linked(before) != is_service_linked(after)) {
        return Err(client_exception(
            "A service-linked role can't be changed to a regular IAM role, nor a regular one to the service-linked one.",
        ));
    }
    Ok(())
}

/// Checks what an infrastructure update needs.
fn check_replacement(strategies: &[Option<CRAllocationStrategy>], role: Option<&str>) -> Result<(), AwsError> {
    if strategies.contains(&Some(CRAllocationStrategy::BestFit)) {
        return Err(client_exception(
            "Infrastructure updates are not supported for compute environments with the allocation strategy BEST_FIT.",
        ));
    }
    if !role.is_some_and(is_service_linked) {
        return Err(client_exception(
            "Infrastructure updates are only supported with the service role AWSServiceRoleForBatch.",
        ));
    }
    Ok(())
}

fn change_resources(resources: &mut ComputeResource, change: ComputeResourceUpdate) -> Result<(), AwsError> {
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
        // There are no images, so none is ever out of date.
        update_to_latest_image_version: _,
        r#type,
        image_id,
        scaling_policy,
        managed_instances_provider,
        capacity_tags,
    } = change;
    refuse(&[
        ("computeResources.launchTemplate", launch_template.is_some()),
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
    replace(&mut resources.instance_role, instance_role);
    replace(&mut resources.tags, tags);
    replace(&mut resources.bid_percentage, bid_percentage);
    // Something empty takes away what was there.
    replace_or_remove(&mut resources.ec2_key_pair, ec2_key_pair, String::is_empty);
    replace_or_remove(&mut resources.placement_group, placement_group, String::is_empty);
    replace_or_remove(&mut resources.ec2_configuration, ec2_configuration, Vec::is_empty);
    Ok(())
}

fn replace<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}

fn replace_or_remove<T>(old: &mut Option<T>, new: Option<T>, is_empty: fn(&T) -> bool) {
    replace(old, new);
    if old.as_ref().is_some_and(is_empty) {
        *old = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Consequence::{Replacement, Scaling};
    use barge_wire::batch::{CEState, CRType, CRUpdateAllocationStrategy, Ec2Configuration};

    fn detail(kind: CRType) -> ComputeEnvironmentDetail {
        let text = |text: &str| Some(vec![text.to_owned()]);
        let fargate = !has_instances(kind);
        let instances = ComputeResource {
            allocation_strategy: Some(CRAllocationStrategy::BestFitProgressive),
            instance_types: text("c5.large"),
            instance_role: Some("role".to_owned()),
            ..ComputeResource::default()
        };
        let resources = ComputeResource {
            r#type: kind,
            maxv_cpus: 16,
            subnets: Some(vec!["subnet-1".to_owned(), "subnet-2".to_owned()]),
            security_group_ids: text("sg-1"),
            ..if fargate { ComputeResource::default() } else { instances }
        };
        ComputeEnvironmentDetail {
            compute_resources: Some(resources),
            service_role: Some(
                "arn:aws:iam::1:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch".into(),
            ),
            ..ComputeEnvironmentDetail::default()
        }
    }

    fn resources(change: ComputeResourceUpdate) -> UpdateComputeEnvironmentRequest {
        UpdateComputeEnvironmentRequest {
            compute_resources: Some(change),
            ..UpdateComputeEnvironmentRequest::default()
        }
    }

    #[test]
    fn what_an_update_changes_decides_whether_instances_are_replaced() {
        type Change = fn(&mut ComputeResourceUpdate);
        let half_an_hour = Replacement(Duration::from_mins(30));
        let cases: [(CRType, Change, Consequence); 16] = [
            (CRType::Ec2, |_| {}, Scaling),
            (CRType::Ec2, |r| r.maxv_cpus = Some(8), Scaling),
            (CRType::Ec2, |r| (r.minv_cpus, r.desiredv_cpus) = (Some(4), Some(8)), Scaling),
            (CRType::Ec2, |r| r.update_to_latest_image_version = Some(true), Scaling),
            (CRType::Ec2, |r| r.instance_types = Some(vec!["c5.large".into()]), Scaling),
            (CRType::Ec2, |r| r.subnets = Some(vec!["subnet-2".into(), "subnet-1".into()]), Scaling),
            (CRType::Ec2, |r| r.subnets = Some(vec!["subnet-2".into()]), half_an_hour),
            (CRType::Ec2, |r| r.instance_types = Some(vec!["c5".into()]), half_an_hour),
            (CRType::Ec2, |r| r.instance_role = Some("other".into()), half_an_hour),
            (CRType::Ec2, |r| r.ec2_key_pair = Some("key".into()), half_an_hour),
            (CRType::Ec2, |r| r.ec2_key_pair = Some(String::new()), Scaling),
            (CRType::Ec2, |r| r.tags = Some([("a".to_owned(), "b".to_owned())].into()), half_an_hour),
            (CRType::Ec2, |r| r.r#type = Some(CRType::Spot), half_an_hour),
            (
                CRType::Ec2,
                |r| {
                    let image = Ec2Configuration { image_type: "ECS_AL2".into(), ..Ec2Configuration::default() };
                    r.ec2_configuration = Some(vec![image]);
                },
                half_an_hour,
            ),
            (CRType::Ec2, |r| (r.maxv_cpus, r.placement_group) = (Some(8), Some("group".into())), half_an_hour),
            (CRType::Fargate, |r| r.subnets = Some(vec!["subnet-3".into()]), Scaling),
        ];
        for (number, (kind, change, expected)) in cases.into_iter().enumerate() {
            let mut update = ComputeResourceUpdate::default();
            change(&mut update);
            let found = apply(&mut detail(kind), resources(update));
            assert_eq!(found.map_err(|error| error.message), Ok(expected), "{number}");
        }
    }

    #[test]
    fn the_policy_says_how_long_what_runs_may_go_on() {
        for (terminate, minutes, expected) in [
            (None, None, Duration::from_mins(30)),
            (Some(false), Some(5), Duration::from_mins(5)),
            (Some(true), Some(5), Duration::ZERO),
        ] {
            let mut input = resources(ComputeResourceUpdate {
                instance_types: Some(vec!["m5".to_owned()]),
                ..ComputeResourceUpdate::default()
            });
            input.update_policy =
                Some(UpdatePolicy { terminate_jobs_on_update: terminate, job_execution_timeout_minutes: minutes });
            let mut detail = detail(CRType::Ec2);
            assert_eq!(apply(&mut detail, input), Ok(Replacement(expected)));
            let kept = UpdatePolicy {
                terminate_jobs_on_update: Some(terminate.unwrap_or(false)),
                job_execution_timeout_minutes: Some(minutes.unwrap_or(30)),
            };
            assert_eq!(detail.update_policy.as_ref(), Some(&kept));
            let unchanged = policy(Some(&kept), &UpdatePolicy::default());
            assert_eq!(unchanged, kept, "what is not said stays");
        }
    }

    #[test]
    fn an_infrastructure_update_needs_a_strategy_and_the_service_linked_role() {
        let change = || ComputeResourceUpdate {
            instance_types: Some(vec!["m5".to_owned()]),
            allocation_strategy: Some(CRUpdateAllocationStrategy::BestFitProgressive),
            ..ComputeResourceUpdate::default()
        };
        let mut best_fit = detail(CRType::Ec2);
        if let Some(resources) = &mut best_fit.compute_resources {
            resources.allocation_strategy = Some(CRAllocationStrategy::BestFit);
        }
        let mut regular = detail(CRType::Ec2);
        regular.service_role = Some("arn:aws:iam::1:role/mine".into());
        for (mut detail, expected) in [(best_fit, "BEST_FIT"), (regular, "AWSServiceRoleForBatch")] {
            let error = apply(&mut detail, resources(change())).unwrap_err();
            assert!(error.is("ClientException") && error.message.contains(expected), "{error:?}");
            let disabled = UpdateComputeEnvironmentRequest {
                state: Some(CEState::Disabled),
                ..UpdateComputeEnvironmentRequest::default()
            };
            assert_eq!(apply(&mut detail, disabled), Ok(Scaling), "a scaling update needs neither");
        }
    }

    #[test]
    fn a_service_role_stays_of_its_kind() {
        let mine = "arn:aws:iam::1:role/mine";
        let linked = "arn:aws:iam::1:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch";
        for (before, after, allowed) in
            [(linked, linked, true), (mine, "other", true), (linked, mine, false), (mine, linked, false)]
        {
            assert_eq!(check_role(Some(before), after).is_ok(), allowed, "{before} {after}");
        }
    }
}
