//! GetJobQueueSnapshot: who is next, and who uses how much.
//!
//! The first 100 that wait, in the order in which the scheduler would pick them. An array is shown once, as long as one of its
//! children waits. AWS tells since when each has its place; here that is since when it waits at all, or blocks its queue.

use super::{KIND, missing};
use crate::api::names;
use crate::core::{Discipline, JobId, Queue, QueueId, ShareId, State};
use crate::service::BatchService;
use crate::view::{VCPU, vcpus};
use barge_core::{AwsError, Context, Timestamp};
use barge_wire::batch::{
    FairshareCapacityUsage, FairshareCapacityUtilization, FairshareUtilizationDetail, FrontOfQueueDetail,
    FrontOfQueueJobSummary, GetJobQueueSnapshotResponse, QueueSnapshotCapacityUsage, QueueSnapshotUtilizationDetail,
};
use std::cmp::Reverse;

/// Jobs shown.
const MOST: usize = 100;
/// Shares shown (API Reference, "FairshareUtilizationDetail").
const MOST_SHARES: usize = 20;

/// What the core knows of a queue at a moment.
struct Snapshot {
    /// Who waits, and since when.
    front: Vec<(JobId, Timestamp)>,
    /// Thousandths of a vCPU that tasks hold, by share.
    held: Vec<(ShareId, u64)>,
    active: usize,
    fair: bool,
}

impl BatchService {
    pub(in crate::api) async fn snapshot(
        &self,
        cx: &Context,
        reference: &str,
    ) -> Result<GetJobQueueSnapshotResponse, AwsError> {
        let arn = names::resolve(cx, KIND, reference).ok_or_else(|| missing(reference))?;
        let id = QueueId::new(arn);
        let now = self.ambient.clock.now();
        let seen = self.dispatcher.look(move |state, _| Some(snapshot(state, state.queue(&id)?, now))).await?;
        let seen = seen.ok_or_else(|| missing(reference))?;
        let now = now.millis();
        let jobs = seen.front.iter().map(|(id, since)| FrontOfQueueJobSummary {
            job_arn: Some(cx.scope.arn("batch", format!("job/{id}")).to_string()),
            earliest_time_at_position: Some(since.millis()),
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

fn snapshot(state: &State, queue: &Queue, now: Timestamp) -> Snapshot {
    Snapshot {
        front: state.front(&queue.spec.id, now, MOST),
        held: queue.held().map(|(share, held)| (share.clone(), held)).collect(),
        active: queue.busy_shares(),
        fair: matches!(queue.spec.discipline, Discipline::FairShare(_)),
    }
}
