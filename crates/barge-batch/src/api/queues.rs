//! Job queues.

use super::{filled, names, paging, refuse, tags};
use crate::core::{EnvironmentId, Event, Platform, QueueId, Refusal};
use crate::dispatcher::{Alteration, Directory};
use crate::service::BatchService;
use crate::store::{QueueRow, Write};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CEStatus, ComputeEnvironmentOrder, CreateJobQueueRequest, CreateJobQueueResponse, DescribeJobQueuesRequest,
    DescribeJobQueuesResponse, JQState, JQStatus, JobQueueDetail, JobQueueType, UpdateJobQueueRequest,
    UpdateJobQueueResponse,
};
use std::collections::BTreeMap;

const KIND: &str = "job-queue";
const HEALTHY: &str = "JobQueue Healthy";

fn missing(reference: &str) -> AwsError {
    client_exception(format!("JobQueue {reference} not found."))
}

fn refused(refusal: Refusal) -> AwsError {
    match refusal {
        Refusal::QueueEnabled(_) => client_exception("Cannot delete, state must be DISABLED"),
        Refusal::NoQueue(id) => missing(id.as_str()),
        Refusal::NoEnvironment(id) => client_exception(format!("Compute environment {id} does not exist.")),
        other => client_exception(other.to_string()),
    }
}

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
        let (detail, kind) = detail(cx, input, arn.clone())?;
        let row = QueueRow { scope: cx.scope.clone(), token, detail };
        self.dispatcher
            .alter(move |directory| {
                match directory.queue(&QueueId::new(row.detail.job_queue_arn.as_str())) {
                    Some(old) if old.token.is_some() && old.token == row.token => return Ok(nothing()),
                    Some(_) => return Err(client_exception("Object already exists")),
                    None => {}
                }
                let platform = check_order(directory, &row.detail.compute_environment_order)?;
                check_kind(kind, platform)?;
                Ok(put(row))
            })
            .await?;
        Ok(CreateJobQueueResponse { job_queue_name: name, job_queue_arn: arn })
    }

    pub(super) async fn describe_queues(
        &self,
        cx: &Context,
        input: DescribeJobQueuesRequest,
    ) -> Result<DescribeJobQueuesResponse, AwsError> {
        let DescribeJobQueuesRequest { job_queues, max_results, next_token } = input;
        let rows = self.rows.queues(cx.scope.clone()).await?;
        let mut details: Vec<JobQueueDetail> = rows.into_iter().map(|row| row.detail).collect();
        if let Some(wanted) = job_queues.filter(|wanted| !wanted.is_empty()) {
            let wanted: Vec<_> = wanted.iter().filter_map(|text| names::resolve(cx, KIND, text)).collect();
            details.retain(|detail| wanted.contains(&detail.job_queue_arn));
        }
        let next = next_token.as_deref();
        let (page, next_token) = paging::page(details, |row| &row.job_queue_name, max_results, next)?;
        Ok(DescribeJobQueuesResponse { job_queues: Some(page), next_token })
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
            scheduling_policy_arn,
            priority,
            compute_environment_order,
            service_environment_order,
            job_state_time_limit_actions,
        } = input;
        refuse(&[
            ("schedulingPolicyArn", scheduling_policy_arn.is_some()),
            ("serviceEnvironmentOrder", filled(service_environment_order.as_ref())),
            ("jobStateTimeLimitActions", filled(job_state_time_limit_actions.as_ref())),
        ])?;
        let arn = names::resolve(cx, KIND, &reference).ok_or_else(|| missing(&reference))?;
        priority.map_or(Ok(()), check_priority)?;
        let order = compute_environment_order.map(|order| resolve_order(cx, order)).transpose()?;
        let id = QueueId::new(arn.as_str());
        self.dispatcher
            .alter(move |directory| {
                let mut row = directory.queue(&id).cloned().ok_or_else(|| missing(&reference))?;
                if row.detail.status == Some(JQStatus::Deleting) {
                    return Err(client_exception("Cannot update, resource is being deleted"));
                }
                row.detail.state = state.unwrap_or(row.detail.state);
                row.detail.priority = priority.unwrap_or(row.detail.priority);
                if let Some(order) = order {
                    let before = check_order(directory, &row.detail.compute_environment_order)?;
                    if check_order(directory, &order)? != before {
                        return Err(client_exception("A job queue can't change between EC2 and Fargate."));
                    }
                    row.detail.compute_environment_order = order;
                }
                Ok(put(row))
            })
            .await?;
        let name = arn.rsplit('/').next().map(str::to_owned);
        Ok(UpdateJobQueueResponse { job_queue_name: name, job_queue_arn: Some(arn) })
    }

    /// Deletes a disabled queue: its jobs are terminated, and it is gone when the last has ended. One that is not there is
    /// deleted already, as in AWS.
    pub(crate) async fn delete_queue(&self, cx: &Context, reference: &str) -> Result<(), AwsError> {
        let id = QueueId::new(names::resolve(cx, KIND, reference).ok_or_else(|| missing(reference))?);
        self.dispatcher
            .alter(move |directory| {
                let Some(mut row) = directory.queue(&id).cloned() else { return Ok(nothing()) };
                if row.detail.status == Some(JQStatus::Deleting) {
                    return Ok(nothing());
                }
                row.detail.status = Some(JQStatus::Deleting);
                row.detail.status_reason = None;
                // Where it is empty, the core's answer to the event deletes the row after this write.
                Ok(Alteration {
                    event: Some(Event::DeleteQueue(id)),
                    refused,
                    writes: vec![Write::PutQueue(Box::new(row))],
                })
            })
            .await
    }

    pub(super) async fn queue_tags(
        &self,
        cx: &Context,
        arn: &str,
    ) -> Result<Option<BTreeMap<String, String>>, AwsError> {
        let rows = self.rows.queues(cx.scope.clone()).await?;
        let found = rows.into_iter().find(|row| row.detail.job_queue_arn == arn);
        Ok(found.map(|row| row.detail.tags.unwrap_or_default()))
    }

    pub(super) async fn change_queue_tags(&self, arn: String, change: tags::Change) -> Result<(), AwsError> {
        self.dispatcher
            .alter(move |directory: &Directory| {
                let row = directory.queue(&QueueId::new(arn.as_str()));
                let mut row = row.cloned().ok_or_else(|| missing(&arn))?;
                change(row.detail.tags.get_or_insert_default())?;
                Ok(Alteration { event: None, refused, writes: vec![Write::PutQueue(Box::new(row))] })
            })
            .await
    }
}

fn nothing() -> Alteration {
    Alteration { event: None, refused, writes: Vec::new() }
}

fn put(row: QueueRow) -> Alteration {
    Alteration { event: Some(Event::PutQueue(row.spec())), refused, writes: vec![Write::PutQueue(Box::new(row))] }
}

fn detail(
    cx: &Context,
    input: CreateJobQueueRequest,
    arn: String,
) -> Result<(JobQueueDetail, Option<JobQueueType>), AwsError> {
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
    refuse(&[
        ("schedulingPolicyArn", scheduling_policy_arn.is_some()),
        ("serviceEnvironmentOrder", filled(service_environment_order.as_ref())),
        ("jobStateTimeLimitActions", filled(job_state_time_limit_actions.as_ref())),
    ])?;
    check_priority(priority)?;
    tags::check(given_tags.as_ref().unwrap_or(&BTreeMap::new()))?;
    let order = compute_environment_order.unwrap_or_default();
    let detail = JobQueueDetail {
        job_queue_name,
        job_queue_arn: arn,
        state: state.unwrap_or(JQState::Enabled),
        status: Some(JQStatus::Valid),
        status_reason: Some(HEALTHY.to_owned()),
        priority,
        compute_environment_order: resolve_order(cx, order)?,
        job_queue_type,
        tags: Some(given_tags.unwrap_or_default()),
        ..JobQueueDetail::default()
    };
    Ok((detail, job_queue_type))
}

fn check_priority(priority: i64) -> Result<(), AwsError> {
    if (0..=1000).contains(&priority) { Ok(()) } else { Err(client_exception("priority must be between 0 and 1000.")) }
}

/// An order with ARNs for names.
fn resolve_order(cx: &Context, order: Vec<ComputeEnvironmentOrder>) -> Result<Vec<ComputeEnvironmentOrder>, AwsError> {
    if !(1..=3).contains(&order.len()) {
        return Err(client_exception("computeEnvironmentOrder must have between 1 and 3 entries."));
    }
    let mut resolved: Vec<ComputeEnvironmentOrder> = Vec::with_capacity(order.len());
    for entry in order {
        let found = names::resolve(cx, "compute-environment", &entry.compute_environment);
        let arn = found.ok_or_else(|| no_environment(&entry.compute_environment))?;
        if resolved.iter().any(|other| other.order == entry.order || other.compute_environment == arn) {
            return Err(client_exception("computeEnvironmentOrder names an order or a compute environment twice."));
        }
        resolved.push(ComputeEnvironmentOrder { order: entry.order, compute_environment: arn });
    }
    resolved.sort_by_key(|entry| entry.order);
    Ok(resolved)
}

fn no_environment(reference: &str) -> AwsError {
    client_exception(format!("Compute environment {reference} does not exist."))
}

/// Checks that the environments are there, valid, and of one platform, which it gives.
fn check_order(directory: &Directory, order: &[ComputeEnvironmentOrder]) -> Result<Option<Platform>, AwsError> {
    let mut platform = None;
    for entry in order {
        let row = directory.environment(&EnvironmentId::new(entry.compute_environment.as_str()));
        let row = row.ok_or_else(|| no_environment(&entry.compute_environment))?;
        if row.detail.status != Some(CEStatus::Valid) {
            return Err(client_exception(format!("{} is not valid", entry.compute_environment)));
        }
        let offered = row.spec().kind.platform();
        if *platform.get_or_insert(offered) != offered {
            return Err(client_exception("EC2 and Fargate compute environments can't be mixed in a job queue."));
        }
    }
    Ok(platform)
}

fn check_kind(kind: Option<JobQueueType>, platform: Option<Platform>) -> Result<(), AwsError> {
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
