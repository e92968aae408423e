//! DescribeJobs, ListJobs, CancelJob, TerminateJob.

use super::{names, paging, refuse};
use crate::core::{Event, JobId, QueueId, Reason, Refusal, Status};
use crate::service::BatchService;
use crate::store::{JobFilter, StoredJob};
use crate::view;
use barge_core::{Arn, AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{DescribeJobsResponse, JobStatus, KeyValuesPair, ListJobsRequest, ListJobsResponse};

/// Ids that DescribeJobs takes at a time.
const MOST_IDS: usize = 100;
/// Entries in a page without and with filters (API Reference, "ListJobs").
const PAGE: usize = 1000;
const FILTERED_PAGE: usize = 100;
/// Characters in a reason.
const LONGEST_REASON: usize = 1024;

fn missing(id: &str) -> AwsError {
    client_exception(format!("Job {id} does not exist."))
}

/// Whether the job is one of the request's account and region.
fn belongs(cx: &Context, stored: &StoredJob) -> bool {
    let queue = stored.detail.job_queue.parse::<Arn>().ok();
    queue.and_then(|arn| arn.scope()).is_some_and(|scope| scope == cx.scope)
}

/// A job's id, from the id or the job's ARN.
pub(super) fn job_id(cx: &Context, text: &str) -> Option<JobId> {
    if !text.starts_with("arn:") {
        return text.parse().ok();
    }
    let arn: Arn = text.parse().ok()?;
    let ours = arn.service == "batch" && arn.scope().as_ref() == Some(&cx.scope);
    ours.then(|| arn.resource_name("job")?.parse().ok()).flatten()
}

impl BatchService {
    pub(super) async fn jobs_by_id(&self, cx: &Context, ids: &[String]) -> Result<DescribeJobsResponse, AwsError> {
        if ids.is_empty() {
            return Err(client_exception("At least one job id must be provided."));
        }
        if ids.len() > MOST_IDS {
            return Err(client_exception(format!("At most {MOST_IDS} job ids can be provided.")));
        }
        let ids = ids.iter().filter_map(|id| job_id(cx, id)).collect();
        let mut stored = self.rows.jobs(ids).await?;
        stored.retain(|stored| belongs(cx, stored));
        let jobs = stored.into_iter().map(|StoredJob { detail, job }| view::job_detail(detail, &job)).collect();
        Ok(DescribeJobsResponse { jobs: Some(jobs) })
    }

    pub(super) async fn jobs_of_queue(
        &self,
        cx: &Context,
        input: ListJobsRequest,
    ) -> Result<ListJobsResponse, AwsError> {
        let ListJobsRequest {
            job_queue,
            array_job_id,
            multi_node_job_id,
            job_status,
            max_results,
            next_token,
            filters,
        } = input;
        let queue = match (&job_queue, &array_job_id, &multi_node_job_id) {
            (Some(queue), None, None) => queue,
            (None, Some(_), None) => return refuse(&[("arrayJobId", true)]).map(|()| ListJobsResponse::default()),
            (None, None, Some(_)) => return refuse(&[("multiNodeJobId", true)]).map(|()| ListJobsResponse::default()),
            _ => {
                return Err(client_exception(
                    "Exactly one of jobQueue, arrayJobId and multiNodeJobId must be provided.",
                ));
            }
        };
        let absent = || client_exception(format!("JobQueue {queue} not found."));
        let arn = names::resolve(cx, "job-queue", queue).ok_or_else(absent)?;
        let known = self.rows.queues(cx.scope.clone()).await?;
        if !known.iter().any(|row| row.detail.job_queue_arn == arn) {
            return Err(absent());
        }
        let filters = filters.unwrap_or_default();
        let most = if filters.is_empty() { PAGE } else { FILTERED_PAGE };
        let filter = match filters.as_slice() {
            [] => JobFilter::Status(status(job_status.unwrap_or(JobStatus::Running))),
            [one] => filter(one)?,
            _ => return Err(client_exception("Only one filter can be used at a time.")),
        };
        let before = next_token.as_deref().map(read_token).transpose()?;
        let limit = paging::limit(max_results, most)?;
        let page = self.rows.list_jobs(QueueId::new(arn), filter, before, limit).await?;
        let summaries =
            page.jobs.into_iter().map(|StoredJob { detail, job }| view::job_summary(detail, &job)).collect();
        Ok(ListJobsResponse {
            job_summary_list: summaries,
            next_token: page.next.map(|seq| paging::token(&seq.to_string())),
        })
    }

    pub(super) async fn cancel(&self, cx: &Context, id: &str, reason: &str) -> Result<(), AwsError> {
        let reason = checked_reason(reason)?;
        self.end_job(cx, id, |job| Event::Cancel { job, reason }).await
    }

    pub(super) async fn terminate(&self, cx: &Context, id: &str, reason: &str) -> Result<(), AwsError> {
        let reason = checked_reason(reason)?;
        self.end_job(cx, id, |job| Event::Terminate { job, reason }).await
    }

    /// Has a job ended. One that has ended before stays as it is.
    async fn end_job(&self, cx: &Context, id: &str, event: impl FnOnce(JobId) -> Event) -> Result<(), AwsError> {
        let job = job_id(cx, id).ok_or_else(|| missing(id))?;
        self.rows.job(job).await?.filter(|stored| belongs(cx, stored)).ok_or_else(|| missing(id))?;
        match self.dispatcher.apply(event(job)).await? {
            Ok(()) | Err(Refusal::NoLiveJob(_)) => Ok(()),
            Err(other) => Err(AwsError::internal(other)),
        }
    }
}

fn checked_reason(reason: &str) -> Result<Reason, AwsError> {
    if reason.is_empty() {
        return Err(client_exception("reason can't be empty."));
    }
    if reason.chars().count() > LONGEST_REASON {
        return Err(client_exception(format!("reason can't be longer than {LONGEST_REASON} characters.")));
    }
    Ok(reason.into())
}

fn read_token(token: &str) -> Result<u64, AwsError> {
    paging::read_token(token)?.parse().map_err(|_| client_exception("Invalid nextToken"))
}

fn status(status: JobStatus) -> Status {
    match status {
        JobStatus::Submitted => Status::Submitted,
        JobStatus::Pending => Status::Pending,
        JobStatus::Runnable => Status::Runnable,
        JobStatus::Starting => Status::Starting,
        JobStatus::Running => Status::Running,
        JobStatus::Succeeded => Status::Succeeded,
        JobStatus::Failed => Status::Failed,
    }
}

fn filter(pair: &KeyValuesPair) -> Result<JobFilter, AwsError> {
    let name = pair.name.as_deref().unwrap_or_default();
    let value = match pair.values.as_deref().unwrap_or_default() {
        [value] => value,
        values => {
            let count = values.len();
            return Err(client_exception(format!("Filter {name} takes one value, not {count}.")));
        }
    };
    let millis =
        || value.parse().map_err(|_| client_exception(format!("Filter {name} takes milliseconds since the epoch.")));
    match name {
        "JOB_NAME" => Ok(JobFilter::Name(value.clone())),
        "JOB_DEFINITION" => Ok(JobFilter::Definition(value.clone())),
        "BEFORE_CREATED_AT" => Ok(JobFilter::CreatedBefore(millis()?)),
        "AFTER_CREATED_AT" => Ok(JobFilter::CreatedAfter(millis()?)),
        "SHARE_IDENTIFIER" | "QUOTA_SHARE_NAME" => {
            refuse(&[(&format!("Filter {name}"), true)]).map(|()| JobFilter::CreatedAfter(0))
        }
        other => Err(client_exception(format!("{other:?} is no filter of ListJobs."))),
    }
}
