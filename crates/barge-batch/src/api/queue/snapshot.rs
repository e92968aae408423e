//! GetJobQueueSnapshot: who is next, and who uses how much.
//!
//! The first 100 that wait: in a first-in-first-out queue by submission; in a fair-share queue the share that holds the least,
//! by its weight, goes before others, and within it the job of higher priority. An array is shown once, as long as one of its children
//! waits. AWS tells since when each has its place; here that is since when it waits at all, or blocks its queue.

use super::{KIND, missing};
use crate::api::names;
use crate::core::{Discipline, FairShare, Job, JobId, Queue, QueueId, ShareId, State, Status};
use crate::service::BatchService;
use crate::view::{VCPU, vcpus};
use barge_core::{AwsError, Context, Timestamp};
use barge_wire::batch::{
    FairshareCapacityUsage, FairshareCapacityUtilization, FairshareUtilizationDetail, FrontOfQueueDetail,
    FrontOfQueueJobSummary, GetJobQueueSnapshotResponse, QueueSnapshotCapacityUsage, QueueSnapshotUtilizationDetail,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs shown.
const MOST: usize = 100;
/// Shares shown (API Reference, "FairshareUtilizationDetail").
const MOST_SHARES: usize = 20;

/// What is shown of a job that waits.
struct Front {
    id: JobId,
    since: Timestamp,
}

/// What the core knows of a queue at a moment.
struct Snapshot {
    front: Vec<Front>,
    /// Thousandths of a vCPU that tasks hold, by share.
    held: Vec<(ShareId, u64)>,
    active: usize,
    fair: bool,
}

/// A job's place: share, priority, submission.
type Order = (u128, ShareId, Reverse<i32>, u64, JobId);

impl BatchService {
    pub(in crate::api) async fn snapshot(
        &self,
        cx: &Context,
        reference: &str,
    ) -> Result<GetJobQueueSnapshotResponse, AwsError> {
        let arn = names::resolve(cx, KIND, reference).ok_or_else(|| missing(reference))?;
        let id = QueueId::new(arn);
        let seen = self.dispatcher.look(move |state, _| Some(snapshot(state, state.queue(&id)?))).await?;
        let seen = seen.ok_or_else(|| missing(reference))?;
        let now = self.ambient.clock.now().millis();
        let jobs = seen.front.iter().map(|front| FrontOfQueueJobSummary {
            job_arn: Some(cx.scope.arn("batch", format!("job/{}", front.id)).to_string()),
            earliest_time_at_position: Some(front.since.millis()),
        });
        let total = seen.held.iter().map(|(_, held)| held).sum();
        Ok(GetJobQueueSnapshotResponse {
            front_of_queue: Some(FrontOfQueueDetail { jobs: Some(jobs.collect()), last_updated_at: Some(now) }),
            front_of_quota_shares: None,
            queue_utilization: Some(QueueSnapshotUtilizationDetail {
                total_capacity_usage: Some(vec![QueueSnapshotCapacityUsage {
                    capacity_unit: Some(VCPU.to_owned()),
                    quantity: Some(vcpus(total)),
                }]),
                fairshare_utilization: seen.fair.then(|| fair_share(&seen)),
                quota_share_utilization: None,
                last_updated_at: Some(now),
            }),
        })
    }
}

fn fair_share(seen: &Snapshot) -> FairshareUtilizationDetail {
    let mut shares: Vec<&(ShareId, u64)> = seen.held.iter().filter(|(_, held)| *held > 0).collect();
    shares.sort_by_key(|(share, held)| (Reverse(*held), share));
    let top = shares.into_iter().take(MOST_SHARES).map(|(share, held)| FairshareCapacityUtilization {
        share_identifier: Some(share.to_string()),
        capacity_usage: Some(vec![FairshareCapacityUsage {
            capacity_unit: Some(VCPU.to_owned()),
            quantity: Some(vcpus(*held)),
        }]),
    });
    FairshareUtilizationDetail {
        active_share_count: i64::try_from(seen.active).ok(),
        top_capacity_utilization: Some(top.collect()),
    }
}

fn snapshot(state: &State, queue: &Queue) -> Snapshot {
    let held: Vec<(ShareId, u64)> = queue.held().map(|(share, held)| (share.clone(), held)).collect();
    let by_share: BTreeMap<&ShareId, u64> = held.iter().map(|(share, held)| (share, *held)).collect();
    let policy = match &queue.spec.discipline {
        Discipline::FirstInFirstOut => None,
        Discipline::FairShare(policy) => Some(policy.as_ref()),
    };
    let mut first: BTreeSet<Order> = BTreeSet::new();
    let mut active: BTreeSet<&ShareId> = BTreeSet::new();
    for job in state.jobs().filter(|job| job.terms.queue == queue.spec.id) {
        active.insert(&job.terms.share);
        if !waits(state, job) {
            continue;
        }
        first.insert(order(policy, &by_share, job));
        if first.len() > MOST {
            first.pop_last();
        }
    }
    let front = first.into_iter().filter_map(|(.., id)| Some(Front { id, since: since(state.job(id)?) }));
    Snapshot { front: front.collect(), active: active.len(), fair: policy.is_some(), held: held.clone() }
}

/// Whether a job, or one of an array's children without a record, waits for room.
fn waits(state: &State, job: &Job) -> bool {
    match job.array {
        Some(_) => state.summary(job.id).is_some_and(|summary| summary.get(&Status::Runnable).is_some_and(|n| *n > 0)),
        None => job.status == Status::Runnable,
    }
}

fn order(policy: Option<&FairShare>, held: &BTreeMap<&ShareId, u64>, job: &Job) -> Order {
    let share = &job.terms.share;
    match policy {
        None => (0, ShareId::default(), Reverse(0), job.seq, job.id),
        Some(policy) => {
            let used = u128::from(held.get(share).copied().unwrap_or(0)) * u128::from(policy.weight(share));
            (used, share.clone(), Reverse(job.terms.priority), job.seq, job.id)
        }
    }
}

fn since(job: &Job) -> Timestamp {
    let tried = job.past.last().and_then(|past| past.tasks.iter().map(|task| task.stopped_at).max());
    let blocked = job.blocked.as_ref().map(|blocked| blocked.since);
    blocked.or(tried).unwrap_or(job.created_at)
}
