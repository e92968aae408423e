//! ListJobs: of a queue, of an array, of a multi-node job.

use super::filter::{read, status};
use super::lookup::Live;
use crate::api::{names, paging};
use crate::core::{JobId, QueueId, Status};
use crate::service::BatchService;
use crate::store::{JobFilter, StoredJob};
use crate::view;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{JobQueueDetail, JobStatus, JobSummary, ListJobsRequest, ListJobsResponse};

/// Entries in a page without and with filters (API Reference, "ListJobs").
pub(super) const PAGE: usize = 1000;
const FILTERED_PAGE: usize = 100;

impl BatchService {
    pub(in crate::api) async fn list(
        &self,
        cx: &Context,
        input: ListJobsRequest,
    ) -> Result<ListJobsResponse, AwsError> {
        let filtered = input.filters.as_ref().is_some_and(|filters| !filters.is_empty());
        let limit = paging::limit(input.max_results, if filtered { FILTERED_PAGE } else { PAGE })?;
        let given = (input.job_queue.as_deref(), input.array_job_id.as_deref(), input.multi_node_job_id.as_deref());
        match given {
            (Some(queue), None, None) => self.jobs_of_queue(cx, queue, &input, limit).await,
            (None, Some(_), None) | (None, None, Some(_)) if filtered => {
                Err(client_exception("Filters don't apply to the children of an array or the nodes of a job."))
            }
            (None, Some(array), None) => self.children_of(cx, array, &input, limit).await,
            (None, None, Some(job)) => self.nodes_of(cx, job, &input, limit).await,
            _ => Err(client_exception("Exactly one of jobQueue, arrayJobId and multiNodeJobId must be provided.")),
        }
    }

    async fn jobs_of_queue(
        &self,
        cx: &Context,
        queue: &str,
        input: &ListJobsRequest,
        limit: usize,
    ) -> Result<ListJobsResponse, AwsError> {
        let absent = || client_exception(format!("JobQueue {queue} not found."));
        let arn = names::resolve(cx, "job-queue", queue).ok_or_else(absent)?;
        let known = self.rows.resources::<JobQueueDetail>(cx.scope.clone()).await?;
        if !known.iter().any(|row| row.detail.job_queue_arn == arn) {
            return Err(absent());
        }
        let wanted = input.job_status.map(status);
        // A filter takes the state's place, but for shares, which go with one.
        let (filter, status) = match input.filters.as_deref().unwrap_or_default() {
            [] => (JobFilter::Status(wanted.unwrap_or(Status::Running)), None),
            [one] => match read(one)? {
                share @ JobFilter::Share(_) => (share, wanted),
                other => (other, None),
            },
            _ => return Err(client_exception("Only one filter can be used at a time.")),
        };
        let mut before = input.next_token.as_deref().map(read_token).transpose()?;
        let mut jobs: Vec<StoredJob> = Vec::new();
        // One more than the page has tells whether there is another.
        while jobs.len() <= limit {
            let room = limit + 1 - jobs.len();
            let page = self.rows.list_jobs(QueueId::new(arn.as_str()), filter.clone(), before, room).await?;
            jobs.extend(page.jobs.into_iter().filter(|stored| status.is_none_or(|status| stored.job.status == status)));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let more = jobs.len() > limit;
        jobs.truncate(limit);
        let next = jobs.last().filter(|_| more).map(|last| paging::token(&last.job.seq.to_string()));
        Ok(ListJobsResponse { job_summary_list: self.summaries(jobs).await?, next_token: next })
    }

    /// Jobs as lists show them, with the summaries of arrays that have not ended.
    async fn summaries(&self, jobs: Vec<StoredJob>) -> Result<Vec<JobSummary>, AwsError> {
        let is_open = |stored: &&StoredJob| stored.job.array.is_some() && !stored.job.status.is_final();
        let arrays: Vec<JobId> = jobs.iter().filter(is_open).map(|stored| stored.job.id).collect();
        let live = if arrays.is_empty() {
            Live::default()
        } else {
            self.dispatcher.look(move |state, _| Live::of(state, arrays)).await?
        };
        let now = self.ambient.clock.now();
        let shown = jobs.into_iter().map(|StoredJob { detail, job }| {
            view::with_counts(view::job_summary(detail, &job), live.summaries.get(&job.id), now)
        });
        Ok(shown.collect())
    }
}

pub(super) fn read_token<N: std::str::FromStr>(token: &str) -> Result<N, AwsError> {
    paging::read_token(token)?.parse().map_err(|_| client_exception("Invalid nextToken"))
}

/// The state that children and nodes are listed by.
pub(super) fn wanted_status(asked: Option<JobStatus>) -> Status {
    asked.map_or(Status::Running, status)
}
