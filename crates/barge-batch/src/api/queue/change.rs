//! CreateJobQueue and UpdateJobQueue.

use super::{HEALTHY, KIND, limits, missing, order, put};
use crate::api::{filled, names, no_such, nothing, refuse, tags};
use crate::core::QueueId;
use crate::dispatcher::Directory;
use crate::service::BatchService;
use crate::store::QueueRow;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CreateJobQueueRequest, CreateJobQueueResponse, JQState, JQStatus, JobQueueDetail, UpdateJobQueueRequest,
    UpdateJobQueueResponse,
};
use std::collections::BTreeMap;

impl BatchService {
    /// Creates a queue; once where it comes with the token of a template's resource.
    pub(crate) async fn create_queue(
        &self,
        cx: &Context,
        input: CreateJobQueueRequest,
        token: Option<String>,
    ) -> Result<CreateJobQueueResponse, AwsError> {
        let name = input.job_queue_name.clone();
        if !names::is_legal(&name) {
            return Err(client_exception("jobQueueName should match valid pattern"));
        }
        let arn = cx.scope.arn("batch", format!("{KIND}/{name}")).to_string();
        let row = QueueRow { scope: cx.scope.clone(), token, detail: detail(cx, input, arn.clone())? };
        self.dispatcher
            .alter(move |_, directory| {
                match directory.queue(&QueueId::new(row.detail.job_queue_arn.as_str())) {
                    Some(old) if old.token.is_some() && old.token == row.token => return Ok(nothing()),
                    Some(_) => return Err(client_exception("Object already exists")),
                    None => {}
                }
                let platform = order::check(directory, &row.detail.compute_environment_order)?;
                order::check_kind(row.detail.job_queue_type, platform)?;
                check_policy(directory, row.detail.scheduling_policy_arn.as_deref())?;
                Ok(put(directory, row))
            })
            .await?;
        Ok(CreateJobQueueResponse { job_queue_name: name, job_queue_arn: arn })
    }

    /// Changes a queue.
    pub(crate) async fn update_queue(
        &self,
        cx: &Context,
        input: UpdateJobQueueRequest,
    ) -> Result<UpdateJobQueueResponse, AwsError> {
        let UpdateJobQueueRequest {
            job_queue: reference,
            state,
            scheduling_policy_arn: policy,
            priority,
            compute_environment_order,
            service_environment_order,
            job_state_time_limit_actions: actions,
        } = input;
        refuse(&[("serviceEnvironmentOrder", filled(service_environment_order.as_ref()))])?;
        let arn = names::resolve(cx, KIND, &reference).ok_or_else(|| missing(&reference))?;
        priority.map_or(Ok(()), check_priority)?;
        limits::check(actions.as_ref())?;
        let order = compute_environment_order.map(|order| order::resolve(cx, order)).transpose()?;
        let id = QueueId::new(arn.as_str());
        self.dispatcher
            .alter(move |_, directory| {
                let mut row = directory.queue(&id).cloned().ok_or_else(|| missing(&reference))?;
                let detail = &mut row.detail;
                if detail.status == Some(JQStatus::Deleting) {
                    return Err(client_exception("Cannot update, resource is being deleted"));
                }
                detail.state = state.unwrap_or(detail.state);
                detail.priority = priority.unwrap_or(detail.priority);
                if let Some(order) = order {
                    let before = order::check(directory, &detail.compute_environment_order)?;
                    if order::check(directory, &order)? != before {
                        return Err(client_exception("A job queue can't change between EC2 and Fargate."));
                    }
                    detail.compute_environment_order = order;
                }
                if policy.is_some() {
                    replace_policy(directory, detail, policy)?;
                }
                if actions.is_some() {
                    detail.job_state_time_limit_actions = actions;
                }
                Ok(put(directory, row))
            })
            .await?;
        let name = arn.rsplit('/').next().map(str::to_owned);
        Ok(UpdateJobQueueResponse { job_queue_name: name, job_queue_arn: Some(arn) })
    }
}

/// Gives a fair-share queue another policy. A queue is made with a policy or without, for good (API Reference,
/// "UpdateJobQueue", `schedulingPolicyArn`).
fn replace_policy(directory: &Directory, detail: &mut JobQueueDetail, policy: Option<String>) -> Result<(), AwsError> {
    match (detail.scheduling_policy_arn.as_deref(), policy.as_deref().unwrap_or_default()) {
        (None, "") => return Ok(()),
        (None, _) => {
            return Err(client_exception(
                "A scheduling policy can't be added to a job queue that was created without.",
            ));
        }
        (Some(_), "") => return Err(client_exception("A job queue's scheduling policy can't be removed.")),
        (Some(_), _) => {}
    }
    check_policy(directory, policy.as_deref())?;
    detail.scheduling_policy_arn = policy;
    Ok(())
}

fn check_policy(directory: &Directory, arn: Option<&str>) -> Result<(), AwsError> {
    match arn {
        Some(arn) if directory.policy(arn).is_none() => Err(no_such("Scheduling policy", arn)),
        _ => Ok(()),
    }
}

fn detail(cx: &Context, input: CreateJobQueueRequest, arn: String) -> Result<JobQueueDetail, AwsError> {
    let CreateJobQueueRequest {
        job_queue_name,
        state,
        scheduling_policy_arn,
        priority,
        compute_environment_order,
        service_environment_order,
        job_queue_type,
        tags: given_tags,
        job_state_time_limit_actions,
    } = input;
    refuse(&[("serviceEnvironmentOrder", filled(service_environment_order.as_ref()))])?;
    let policy = scheduling_policy_arn.filter(|arn| !arn.is_empty());
    if let Some(policy) =
        policy.as_deref().filter(|arn| names::resolve(cx, "scheduling-policy", arn).as_deref() != Some(arn))
    {
        return Err(no_such("Scheduling policy", policy));
    }
    check_priority(priority)?;
    limits::check(job_state_time_limit_actions.as_ref())?;
    tags::check(given_tags.as_ref().unwrap_or(&BTreeMap::new()))?;
    Ok(JobQueueDetail {
        job_queue_name,
        job_queue_arn: arn,
        state: state.unwrap_or(JQState::Enabled),
        scheduling_policy_arn: policy,
        status: Some(JQStatus::Valid),
        status_reason: Some(HEALTHY.to_owned()),
        priority,
        compute_environment_order: order::resolve(cx, compute_environment_order.unwrap_or_default())?,
        job_queue_type,
        tags: Some(given_tags.unwrap_or_default()),
        job_state_time_limit_actions,
        ..JobQueueDetail::default()
    })
}

fn check_priority(priority: i64) -> Result<(), AwsError> {
    if (0..=1000).contains(&priority) { Ok(()) } else { Err(client_exception("priority must be between 0 and 1000.")) }
}
