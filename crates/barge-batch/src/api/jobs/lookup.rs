//! Jobs found by id, children of arrays also where they have no record: rows say what is durable, the core's state what follows
//! from it.

use super::belongs;
use crate::core::{Array, Job, JobId, State, Status};
use crate::service::BatchService;
use crate::store::StoredJob;
use crate::view::Summary;
use barge_core::{AwsError, Context};
use barge_wire::batch::JobDetail;
use std::collections::BTreeMap;

/// Looks at rows and state, where a job changes between them.
const LOOKS: usize = 3;

/// A job with what the core's state adds.
#[derive(Clone, Debug)]
pub(in crate::api) struct Found {
    pub(in crate::api) detail: JobDetail,
    pub(in crate::api) job: Job,
    /// Of an array that has not ended.
    pub(in crate::api) summary: Option<Summary>,
}

/// What the core's state knows of arrays and their children.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) summaries: BTreeMap<JobId, Summary>,
    /// States of children without a record.
    children: BTreeMap<JobId, Status>,
}

impl Live {
    pub(super) fn of(state: &State, ids: Vec<JobId>) -> Self {
        let mut live = Self::default();
        for id in ids {
            match id.parent() {
                None => live.summaries.extend(state.summary(id).map(|summary| (id, summary))),
                Some((array, index)) => {
                    live.children.extend(unrecorded(state, array, index).map(|status| (id, status)));
                }
            }
        }
        live
    }

    fn knows(&self, id: JobId) -> bool {
        self.summaries.contains_key(&id) || self.children.contains_key(&id)
    }
}

/// The state of a child of a live array, as far as the core knows.
pub(super) fn unrecorded(state: &State, array: JobId, index: u32) -> Option<Status> {
    if let Some(child) = state.job(array.child(index)) {
        return Some(child.status);
    }
    Some(state.job(array)?.array.as_ref()?.unrecorded(index))
}

/// A child that has no record, as a job.
pub(super) fn without_record(parent: &Job, array: &Array, index: u32, status: Status) -> Job {
    let closed = array.closed.as_ref().filter(|_| status.is_final());
    Job {
        id: parent.id.child(index),
        seq: parent.seq,
        terms: parent.terms.clone(),
        status,
        reason: closed.map(|closed| closed.reason.clone()),
        created_at: parent.created_at,
        stopped_at: parent.stopped_at.filter(|_| status.is_final()),
        ended_by: closed.and_then(|closed| closed.by),
        ..Job::default()
    }
}

impl BatchService {
    /// The request's jobs with these ids; those that are not there are left out.
    pub(in crate::api) async fn find_jobs(
        &self,
        cx: &Context,
        ids: &[JobId],
    ) -> Result<BTreeMap<JobId, Found>, AwsError> {
        let mut live = Live::default();
        let mut stored = self.stored_jobs(cx, ids).await?;
        for _ in 0..LOOKS {
            let open: Vec<JobId> = ids.iter().copied().filter(|id| !live.knows(*id) && is_open(&stored, *id)).collect();
            if open.is_empty() {
                break;
            }
            live = self.dispatcher.look(move |state, _| Live::of(state, open)).await?;
            // What was open may have ended meanwhile, or have a record now.
            stored = self.stored_jobs(cx, ids).await?;
        }
        Ok(ids.iter().filter_map(|id| Some((*id, found(&stored, &live, *id)?))).collect())
    }

    /// Rows of these jobs, and of the arrays of those that are children.
    async fn stored_jobs(&self, cx: &Context, ids: &[JobId]) -> Result<BTreeMap<JobId, StoredJob>, AwsError> {
        let mut wanted: Vec<JobId> = ids.iter().flat_map(|id| [*id, id.root()]).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let rows = self.rows.jobs(wanted).await?;
        Ok(rows.into_iter().filter(|stored| belongs(cx, stored)).map(|stored| (stored.job.id, stored)).collect())
    }
}

/// Whether rows alone don't tell all of a job: a live array's summary, the state of a child without a record.
fn is_open(stored: &BTreeMap<JobId, StoredJob>, id: JobId) -> bool {
    let root = stored.get(&id.root()).filter(|root| !root.job.status.is_final());
    match (id.parent(), root.and_then(|root| root.job.array.as_ref())) {
        (None, Some(_)) => true,
        (Some((_, index)), Some(array)) => index < array.size && !stored.contains_key(&id),
        (_, None) => false,
    }
}

fn found(stored: &BTreeMap<JobId, StoredJob>, live: &Live, id: JobId) -> Option<Found> {
    if let Some(StoredJob { detail, job }) = stored.get(&id).cloned() {
        let summary = live.summaries.get(&id).filter(|_| !job.status.is_final()).cloned();
        return Some(Found { detail, job, summary });
    }
    let (_, index) = id.parent()?;
    let StoredJob { detail, job: parent } = stored.get(&id.root())?;
    let array = parent.array.as_ref().filter(|array| index < array.size)?;
    let status = if parent.status.is_final() { array.unrecorded(index) } else { *live.children.get(&id)? };
    let job = without_record(parent, array, index, status);
    Some(Found { detail: detail.clone(), job, summary: None })
}
