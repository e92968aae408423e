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
        let (mut queue, mut before) = next_token.as_deref().map(read_token).transpose()?.unwrap_or_default();
        let rows = self.rows.resources::<JobQueueDetail>(cx.scope.clone()).await?;
        let names = rows.into_iter().map(|row| row.detail.job_queue_arn).filter(|arn| *arn >= queue);
        let mut jobs = Vec::new();
        let mut rest = names.collect::<std::collections::BTreeSet<_>>().into_iter().peekable();
        while let Some(arn) = rest.peek().filter(|_| jobs.len() < limit).cloned() {
            if arn != queue {
                (queue, before) = (arn.clone(), None);
            }
            let filter = JobFilter::Consumable(id.to_string());
            let page = self.rows.list_jobs(QueueId::new(arn), filter, before, limit - jobs.len()).await?;
            jobs.extend(page.jobs.into_iter().filter(|stored| wanted.fits(stored)).filter_map(|job| summary(job, &id)));
            before = page.next;
            if before.is_none() {
                rest.next();
            }
        }
        let next = rest.next().map(|next| if next == queue { token(&queue, before) } else { token(&next, None) });
        Ok(ListJobsByConsumableResourceResponse { jobs, next_token: next })
    }
}

fn token(queue: &str, before: Option<u64>) -> String {
    paging::token(&format!("{} {queue}", before.map(|seq| seq.to_string()).unwrap_or_default()))
}

/// The queue, and the job before which its next page begins.
fn read_token(token: &str) -> Result<(String, Option<u64>), AwsError> {
    let wrong = || client_exception("Invalid nextToken");
    let text = paging::read_token(token)?;
    let (before, queue) = text.split_once(' ').ok_or_else(wrong)?;
    let before = match before {
        "" => None,
        seq => Some(seq.parse().map_err(|_| wrong())?),
    };
    Ok((queue.to_owned(), before))
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
