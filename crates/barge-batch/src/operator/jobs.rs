//! Lists of jobs over all queues, the newest first.

use super::BatchService;
use crate::core::why::Cause;
use crate::core::{Job, JobId, Status};
use crate::store::{JobFilter, StoredJob};
use barge_core::{AwsError, Context, Timestamp};
use barge_wire::batch::error::client_exception;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Jobs that are listed where no number is given.
const USUAL: usize = 50;
/// The most that one list has.
const MOST: usize = 1000;
/// Jobs of a list that are asked what they wait for: each costs a look at the scheduler's state.
const EXPLAINED: usize = 50;

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobsQuery {
    /// Of this queue, by name or ARN; otherwise of all.
    #[serde(default)]
    pub queue: Option<String>,
    /// In this state; `LIVE` for every one that has not ended; otherwise in any.
    #[serde(default)]
    pub status: Option<String>,
    /// At most so many, up to 1,000; otherwise 50.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// Jobs, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobsAnswer {
    /// The jobs.
    pub jobs: Vec<JobLine>,
    /// Whether there are more.
    pub more: bool,
}

/// A job in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobLine {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Its queue's name.
    pub queue: String,
    /// Its state, e.g. `RUNNABLE`.
    pub status: String,
    /// When it was submitted; milliseconds since 1970.
    pub created_at: Timestamp,
    /// When its latest attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
    /// Attempts so far, a running one included.
    pub attempts: usize,
    /// Of an array, how many of its children are in which state.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub children: BTreeMap<String, u32>,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// What it waits for, in words; empty where it does not wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
}

impl BatchService {
    /// Lists the caller's jobs. `ClientException` where there is no such queue or state.
    pub async fn list_for_operator(&self, cx: &Context, query: JobsQuery) -> Result<JobsAnswer, AwsError> {
        let filter = filter(query.status.as_deref())?;
        let limit = query.limit.unwrap_or(USUAL).clamp(1, MOST);
        let mut found: Vec<StoredJob> = Vec::new();
        let mut more = false;
        for queue in self.queues_of(cx, query.queue.as_deref()).await? {
            let page = self.rows.list_jobs(queue, filter.clone(), None, limit).await?;
            more |= page.next.is_some();
            found.extend(page.jobs);
        }
        found.sort_by_key(|stored| Reverse(stored.job.seq));
        more |= found.len() > limit;
        found.truncate(limit);
        let mut lines: Vec<JobLine> = found.iter().map(line).collect();
        self.explain(&mut lines).await?;
        Ok(JobsAnswer { jobs: lines, more })
    }

    /// Adds what only the scheduler knows.
    async fn explain(&self, lines: &mut [JobLine]) -> Result<(), AwsError> {
        let waits = |line: &&JobLine| ["SUBMITTED", "PENDING", "RUNNABLE"].contains(&line.status.as_str());
        let waiting: Vec<JobId> = lines.iter().filter(waits).map(|line| line.id).take(EXPLAINED).collect();
        let known = self.dispatcher.look(move |state, _| -> HashMap<JobId, (Vec<Cause>, BTreeMap<Status, u32>)> {
            let known = |id: JobId| (state.causes(id).unwrap_or_default(), state.summary(id).unwrap_or_default());
            waiting.into_iter().map(|id| (id, known(id))).collect()
        });
        let known = known.await?;
        for line in lines {
            let Some((causes, summary)) = known.get(&line.id) else { continue };
            line.waits_for = causes.iter().map(ToString::to_string).collect();
            if !summary.is_empty() {
                line.children = named(summary.iter().map(|(status, count)| (*status, *count)));
            }
        }
        Ok(())
    }
}

fn filter(status: Option<&str>) -> Result<JobFilter, AwsError> {
    let Some(text) = status else { return Ok(JobFilter::CreatedAfter(i64::MIN)) };
    let wanted = text.to_uppercase();
    if wanted == "LIVE" {
        return Ok(JobFilter::Live);
    }
    let status = Status::ALL.into_iter().find(|status| status.as_str() == wanted);
    status.map(JobFilter::Status).ok_or_else(|| client_exception(format!("{text} is no state of a job.")))
}

fn named(counts: impl Iterator<Item = (Status, u32)>) -> BTreeMap<String, u32> {
    counts.filter(|(_, count)| *count > 0).map(|(status, count)| (status.as_str().to_owned(), count)).collect()
}

fn line(StoredJob { detail, job }: &StoredJob) -> JobLine {
    let Job { id, status, created_at, started_at, stopped_at, ref reason, ref array, ref past, ref live, .. } = *job;
    let tally = array.as_ref().and_then(|array| array.tally);
    let children = tally.map(|tally| [(Status::Succeeded, tally.succeeded), (Status::Failed, tally.failed)]);
    JobLine {
        id,
        name: detail.job_name.clone(),
        queue: detail.job_queue.rsplit('/').next().unwrap_or_default().to_owned(),
        status: status.as_str().to_owned(),
        created_at,
        started_at,
        stopped_at,
        attempts: past.len() + usize::from(live.is_some()),
        children: named(children.into_iter().flatten()),
        reason: reason.as_ref().map(ToString::to_string),
        waits_for: Vec::new(),
    }
}
