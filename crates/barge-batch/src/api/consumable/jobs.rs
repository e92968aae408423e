//! ListJobsByConsumableResource: queue by queue, in each the newest job first.

use super::{count, resolve};
use crate::api::jobs::{core_status, filter_pair, matches_name};
use crate::api::{definition, paging};
use crate::core::{ConsumableId, QueueId, Status};
use crate::service::BatchService;
use crate::store::{JobFilter, StoredJob};
use crate::view;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    JobQueueDetail, JobStatus, KeyValuesPair, ListJobsByConsumableResourceRequest,
    ListJobsByConsumableResourceResponse, ListJobsByConsumableResourceSummary,
};
use std::collections::BTreeSet;

/// Jobs in a page, at most and unless asked otherwise.
const PAGE: usize = 100;

/// Which jobs are wanted.
#[derive(Debug, Default)]
struct Wanted {
    status: Option<Status>,
    name: Option<String>,
}

impl Wanted {
    fn read(filters: &[KeyValuesPair]) -> Result<Self, AwsError> {
        let mut wanted = Self::default();
        for filter in filters {
            match filter_pair(filter)? {
                ("JOB_STATUS", value) => {
                    let status = JobStatus::parse(value)
                        .ok_or_else(|| client_exception(format!("{value:?} is no status of a job.")))?;
                    wanted.status = Some(core_status(status));
                }
                ("JOB_NAME", value) => wanted.name = Some(value.to_owned()),
                (other, _) => {
                    return Err(client_exception(format!("{other:?} is no filter of ListJobsByConsumableResource.")));
                }
            }
        }
        Ok(wanted)
    }

    fn fits(&self, stored: &StoredJob) -> bool {
        self.status.is_none_or(|status| stored.job.status == status)
            && self.name.as_ref().is_none_or(|name| matches_name(&stored.detail.job_name, name))
    }
}

impl BatchService {
    pub(in crate::api) async fn jobs_by_consumable(
        &self,
        cx: &Context,
        input: ListJobsByConsumableResourceRequest,
    ) -> Result<ListJobsByConsumableResourceResponse, AwsError> {
        let ListJobsByConsumableResourceRequest { consumable_resource, filters, max_results, next_token } = input;
        let wanted = Wanted::read(filters.as_deref().unwrap_or_default())?;
        let limit = paging::limit(max_results, PAGE)?;
        let id = resolve(cx, &consumable_resource)?;
        let known = id.clone();
        if !self.dispatcher.look(move |state, _| state.consumable(&known).is_some()).await? {
            return Err(definition::no_consumable(&consumable_resource));
        }
        let from = next_token.as_deref().map(read_token).transpose()?;
        let mut jobs = self.jobs_needing(cx, &id, &wanted, from, limit + 1).await?;
        let more = jobs.len() > limit;
        jobs.truncate(limit);
        let next = jobs.last().filter(|_| more).map(|last| token(&last.detail.job_queue, last.job.seq));
        let jobs = jobs.into_iter().filter_map(|stored| summary(stored, &id)).collect();
        Ok(ListJobsByConsumableResourceResponse { jobs, next_token: next })
    }

    /// At most `most` jobs that need a resource, after the one in this queue with this number.
    async fn jobs_needing(
        &self,
        cx: &Context,
        id: &ConsumableId,
        wanted: &Wanted,
        from: Option<(String, u64)>,
        most: usize,
    ) -> Result<Vec<StoredJob>, AwsError> {
        let rows = self.rows.resources::<JobQueueDetail>(cx.scope.clone()).await?;
        let queues: BTreeSet<String> = rows.into_iter().map(|row| row.detail.job_queue_arn).collect();
        let (first, mut before) = from.map_or((String::new(), None), |(queue, seq)| (queue, Some(seq)));
        let mut jobs = Vec::new();
        for queue in queues.range(first.clone()..) {
            if *queue != first {
                before = None;
            }
            loop {
                let filter = JobFilter::Consumable(id.to_string());
                let room = most - jobs.len();
                let page = self.rows.list_jobs(QueueId::new(queue.as_str()), filter, before, room).await?;
                jobs.extend(page.jobs.into_iter().filter(|stored| wanted.fits(stored)));
                before = page.next;
                if jobs.len() >= most {
                    return Ok(jobs);
                }
                if before.is_none() {
                    break;
                }
            }
        }
        Ok(jobs)
    }
}

fn token(queue: &str, seq: u64) -> String {
    paging::token(&format!("{seq} {queue}"))
}

/// The queue and the number of the job after which the page begins.
fn read_token(token: &str) -> Result<(String, u64), AwsError> {
    let text = paging::read_token(token)?;
    let parts = text.split_once(' ').and_then(|(seq, queue)| Some((queue.to_owned(), seq.parse().ok()?)));
    parts.ok_or_else(|| client_exception("Invalid nextToken"))
}

fn summary(stored: StoredJob, id: &ConsumableId) -> Option<ListJobsByConsumableResourceSummary> {
    let StoredJob { detail, job } = stored;
    let (_, quantity) = job.terms.shape.consumables.iter().find(|(needed, _)| needed == id)?;
    let quantity = count(*quantity)?;
    let shown = view::job_detail(detail, &job);
    Some(ListJobsByConsumableResourceSummary {
        job_arn: shown.job_arn.unwrap_or_default(),
        job_queue_arn: shown.job_queue,
        job_name: shown.job_name,
        job_definition_arn: Some(shown.job_definition),
        share_identifier: shown.share_identifier,
        job_status: shown.status.as_str().to_owned(),
        quantity,
        status_reason: shown.status_reason,
        started_at: shown.started_at,
        created_at: job.created_at.millis(),
        consumable_resource_properties: shown.consumable_resource_properties.unwrap_or_default(),
    })
}
