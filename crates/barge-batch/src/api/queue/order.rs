//! A queue's compute environments, in order.

use crate::api::{names, no_such, refuse};
use crate::core::{EnvironmentId, Platform};
use crate::dispatcher::Directory;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{CEStatus, ComputeEnvironmentOrder, JobQueueType};

/// An order with ARNs for names.
pub(super) fn resolve(
    cx: &Context,
    order: Vec<ComputeEnvironmentOrder>,
) -> Result<Vec<ComputeEnvironmentOrder>, AwsError> {
    if !(1..=3).contains(&order.len()) {
        return Err(client_exception("computeEnvironmentOrder must have between 1 and 3 entries."));
    }
    let mut resolved: Vec<ComputeEnvironmentOrder> = Vec::with_capacity(order.len());
    for entry in order {
        let found = names::resolve(cx, "compute-environment", &entry.compute_environment);
        let arn = found.ok_or_else(|| no_such("Compute environment", &entry.compute_environment))?;
        if resolved.iter().any(|other| other.order == entry.order || other.compute_environment == arn) {
            return Err(client_exception("computeEnvironmentOrder names an order or a compute environment twice."));
        }
        resolved.push(ComputeEnvironmentOrder { order: entry.order, compute_environment: arn });
    }
    resolved.sort_by_key(|entry| entry.order);
    Ok(resolved)
}

/// Checks that the environments are there, valid, and of one platform, which it gives.
pub(super) fn check(directory: &Directory, order: &[ComputeEnvironmentOrder]) -> Result<Option<Platform>, AwsError> {
    let mut platform = None;
    for entry in order {
        let row = directory.environment(&EnvironmentId::new(entry.compute_environment.as_str()));
        let row = row.ok_or_else(|| no_such("Compute environment", &entry.compute_environment))?;
        if row.detail.status != Some(CEStatus::Valid) {
            return Err(client_exception(format!("{} is not valid", entry.compute_environment)));
        }
        let offered = directory.environment_spec(row).kind.platform();
        if *platform.get_or_insert(offered) != offered {
            return Err(client_exception("EC2 and Fargate compute environments can't be mixed in a job queue."));
        }
    }
    Ok(platform)
}

/// Checks that a queue's type is that of its environments.
pub(super) fn check_kind(kind: Option<JobQueueType>, platform: Option<Platform>) -> Result<(), AwsError> {
    match (kind, platform) {
        (None, _)
        | (Some(JobQueueType::Ecs), Some(Platform::Ec2))
        | (Some(JobQueueType::EcsFargate), Some(Platform::Fargate)) => Ok(()),
        (Some(kind @ (JobQueueType::Eks | JobQueueType::SagemakerTraining | JobQueueType::EcsManagedInstances)), _) => {
            refuse(&[(&format!("jobQueueType {kind}"), true)])
        }
        (Some(kind), _) => {
            Err(client_exception(format!("jobQueueType {kind} does not match the queue's compute environments.")))
        }
    }
}
