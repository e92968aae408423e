//! Job queues: who waits, in which order, and who waits aside.

use super::{EnvironmentId, JobId, QueueId, Switch};
use std::collections::BTreeMap;

/// What is known of a job queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    /// Its ARN.
    pub id: QueueId,
    /// Higher goes first.
    pub priority: i32,
    /// Whether new jobs may be submitted; those in it run all the same.
    pub switch: Switch,
    /// Where its jobs may run, the preferred first.
    pub environments: Vec<EnvironmentId>,
}

/// A job queue and its jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// What is known of it.
    pub spec: QueueSpec,
    /// RUNNABLE jobs by order of submission.
    pub(super) waiting: BTreeMap<u64, JobId>,
    /// RUNNABLE jobs that nothing the queue has could ever hold. They wait here, so that those behind them can go on,
    /// until something about queue, environments or machine changes.
    pub(super) aside: BTreeMap<u64, JobId>,
    /// Jobs that have not ended, waiting ones included.
    pub(super) live: u64,
    /// Deleted, and kept until the last of its jobs has ended.
    pub(super) deleting: bool,
}

impl Queue {
    pub(super) fn new(spec: QueueSpec) -> Self {
        Self { spec, waiting: BTreeMap::new(), aside: BTreeMap::new(), live: 0, deleting: false }
    }

    /// The next job to start, and its place.
    pub(super) fn head(&self) -> Option<(u64, JobId)> {
        self.waiting.first_key_value().map(|(seq, job)| (*seq, *job))
    }

    /// Takes a job that no longer waits out of the line.
    pub(super) fn leave(&mut self, seq: u64) {
        let found = self.waiting.remove(&seq).or_else(|| self.aside.remove(&seq));
        assert!(found.is_some(), "a job that waits is in its queue's line");
    }

    /// Puts everyone who waits aside back in line; they keep their places.
    pub(super) fn reconsider(&mut self) {
        self.waiting.append(&mut self.aside);
    }

    /// Whether it was deleted and waits for its last job's end.
    pub fn is_deleting(&self) -> bool {
        self.deleting
    }

    /// Jobs that have not ended.
    pub fn live(&self) -> u64 {
        self.live
    }
}
