//! Job queues.

mod change;
mod limits;
mod order;
mod snapshot;

use super::{names, no_such, nothing, paging};
use crate::core::{Event, QueueId, Refusal};
use crate::dispatcher::{Alteration, Directory};
use crate::service::BatchService;
use crate::store::{QueueRow, Write};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CEStatus, ComputeEnvironmentDetail, DescribeJobQueuesRequest, DescribeJobQueuesResponse, JQStatus, JobQueueDetail,
};
use std::collections::BTreeSet;

const KIND: &str = "job-queue";
const HEALTHY: &str = "JobQueue Healthy";
/// Why a queue can't run jobs at present.
const NO_VALID_ENVIRONMENT: &str = "None of the job queue's compute environments is VALID.";

fn missing(reference: &str) -> AwsError {
    client_exception(format!("JobQueue {reference} not found."))
}

fn refused(refusal: Refusal) -> AwsError {
    match refusal {
        Refusal::QueueEnabled(_) => client_exception("Cannot delete, state must be DISABLED"),
        Refusal::NoQueue(id) => missing(id.as_str()),
        Refusal::NoEnvironment(id) => no_such("Compute environment", id.as_str()),
        other => client_exception(other.to_string()),
    }
}

impl BatchService {
    pub(super) async fn describe_queues(
        &self,
        cx: &Context,
        input: DescribeJobQueuesRequest,
    ) -> Result<DescribeJobQueuesResponse, AwsError> {
        let DescribeJobQueuesRequest { job_queues, max_results, next_token } = input;
        let rows = self.rows.resources::<JobQueueDetail>(cx.scope.clone()).await?;
        let mut details: Vec<JobQueueDetail> = rows.into_iter().map(|row| row.detail).collect();
        if let Some(wanted) = job_queues.filter(|wanted| !wanted.is_empty()) {
            let wanted: Vec<_> = wanted.iter().filter_map(|text| names::resolve(cx, KIND, text)).collect();
            details.retain(|detail| wanted.contains(&detail.job_queue_arn));
        }
        let next = next_token.as_deref();
        let (mut page, next_token) = paging::page(details, |row| &row.job_queue_name, max_results, next)?;
        let valid = self.valid_environments(cx).await?;
        for detail in &mut page {
            show_status(detail, &valid);
        }
        Ok(DescribeJobQueuesResponse { job_queues: Some(page), next_token })
    }

    async fn valid_environments(&self, cx: &Context) -> Result<BTreeSet<String>, AwsError> {
        let rows = self.rows.resources::<ComputeEnvironmentDetail>(cx.scope.clone()).await?;
        let valid = rows.into_iter().filter(|row| row.detail.status == Some(CEStatus::Valid));
        Ok(valid.map(|row| row.detail.compute_environment_arn).collect())
    }

    /// Deletes a disabled queue: its jobs are terminated, and it is gone when the last has ended. One that is not there is
    /// deleted already, as in AWS.
    pub(crate) async fn delete_queue(&self, cx: &Context, reference: &str) -> Result<(), AwsError> {
        let id = QueueId::new(names::resolve(cx, KIND, reference).ok_or_else(|| missing(reference))?);
        self.dispatcher
            .alter(move |_, directory| {
                let Some(mut row) = directory.queue(&id).cloned() else { return Ok(nothing()) };
                if row.detail.status == Some(JQStatus::Deleting) {
                    return Ok(nothing());
                }
                row.detail.status = Some(JQStatus::Deleting);
                row.detail.status_reason = None;
                // Where it is empty, the core's answer to the event deletes the row after this write.
                Ok(Alteration {
                    events: vec![Event::DeleteQueue(id)],
                    refused,
                    writes: vec![Write::PutQueue(Box::new(row))],
                })
            })
            .await
    }
}

/// A queue is valid while one of its environments is.
fn show_status(detail: &mut JobQueueDetail, valid: &BTreeSet<String>) {
    if detail.status == Some(JQStatus::Deleting) {
        return;
    }
    let healthy = detail.compute_environment_order.iter().any(|entry| valid.contains(&entry.compute_environment));
    let (status, reason) = if healthy { (JQStatus::Valid, HEALTHY) } else { (JQStatus::Invalid, NO_VALID_ENVIRONMENT) };
    detail.status = Some(status);
    detail.status_reason = Some(reason.to_owned());
}

fn put(directory: &Directory, row: QueueRow) -> Alteration {
    let events = vec![Event::PutQueue(directory.queue_spec(&row))];
    Alteration { events, refused, writes: vec![Write::PutQueue(Box::new(row))] }
}
