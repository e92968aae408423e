//! Records of attempts, with what they would have cost.

use super::BatchService;
use crate::core::Job;
use crate::prices::{Architecture, AttemptRecord, Catalog, Cost};
use crate::store::{ChildFilter, JobFilter, StoredJob};
use barge_core::{AwsError, Context};
use barge_wire::batch::JobDetail;
use serde::{Deserialize, Serialize};

/// Attempts that are looked through at most.
const MOST: usize = 10_000;
/// Jobs read at once.
const PAGE: usize = 500;

/// Whose attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttemptsQuery {
    /// Of this job, by id or ARN; of an array, those of its children.
    #[serde(default)]
    pub job: Option<String>,
    /// Of the jobs in this queue, by name or ARN, the newest job first; of all queues where neither is given. Children of
    /// arrays are listed with their array alone.
    #[serde(default)]
    pub queue: Option<String>,
}

/// Attempts that have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptsAnswer {
    /// At most ten thousand.
    pub attempts: Vec<AttemptRecord>,
    /// Whether there are more.
    pub more: bool,
    /// What all of these would have cost.
    pub cost: Cost,
    /// Of which month and region the prices are, and what is to be known of them.
    pub prices: Vec<String>,
}

impl BatchService {
    /// The caller's attempts. `ClientException` where there is no such job or queue.
    pub async fn attempts(&self, cx: &Context, query: &AttemptsQuery) -> Result<AttemptsAnswer, AwsError> {
        let mut attempts = match &query.job {
            Some(job) => self.attempts_of_job(cx, job).await?,
            None => self.attempts_of_queues(cx, query.queue.as_deref()).await?,
        };
        let more = attempts.len() > MOST;
        attempts.truncate(MOST);
        let cost = attempts.iter().map(|attempt| attempt.cost).sum();
        let catalog = Catalog::get();
        let [source, spot] = catalog.sources();
        let of = format!("Prices of {}, {}.", catalog.date(), catalog.region());
        Ok(AttemptsAnswer { attempts, more, cost, prices: vec![of, source.to_owned(), spot.to_owned()] })
    }

    async fn attempts_of_job(&self, cx: &Context, job: &str) -> Result<Vec<AttemptRecord>, AwsError> {
        let found = self.find(cx, job).await?;
        if found.unrecorded().is_some() {
            return Ok(Vec::new());
        }
        let StoredJob { detail, job } = &found.stored;
        if job.array.is_none() {
            return Ok(records(detail, job));
        }
        let children = self.rows.children(job.id, ChildFilter::Any, 0, MOST + 1).await?;
        Ok(children.iter().flat_map(|(_, child)| records(detail, child)).collect())
    }

    async fn attempts_of_queues(&self, cx: &Context, name: Option<&str>) -> Result<Vec<AttemptRecord>, AwsError> {
        let mut attempts = Vec::new();
        for queue in self.queues_of(cx, name).await? {
            let mut before = None;
            while attempts.len() <= MOST {
                let any = JobFilter::CreatedAfter(i64::MIN);
                let page = self.rows.list_jobs(queue.clone(), any, before, PAGE).await?;
                attempts.extend(page.jobs.iter().flat_map(|stored| records(&stored.detail, &stored.job)));
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
        }
        Ok(attempts)
    }
}

/// The records of a job's attempts, with the processors and the storage that its definition asks for.
pub(super) fn records(detail: &JobDetail, job: &Job) -> Vec<AttemptRecord> {
    let container = detail.container.as_ref();
    let task = detail.ecs_properties.as_ref().and_then(|ecs| ecs.task_properties.as_ref()?.first());
    let platform = container.and_then(|container| container.runtime_platform.as_ref());
    let platform = platform.or(task.and_then(|task| task.runtime_platform.as_ref()));
    let architecture = match platform.and_then(|platform| platform.cpu_architecture.as_deref()) {
        Some("ARM64") => Architecture::Arm,
        _ => Architecture::X86,
    };
    let storage = container.and_then(|container| container.ephemeral_storage.as_ref());
    let storage = storage.or(task.and_then(|task| task.ephemeral_storage.as_ref()));
    let gib = storage.and_then(|storage| u32::try_from(storage.size_in_gi_b).ok()).unwrap_or(0);
    AttemptRecord::of(job, architecture, gib)
}
