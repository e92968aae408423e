//! Job queues: who waits, and in which order.
//!
//! Waiting jobs stand in lines, one for each share and shape: where the first of a line has no room, none of that line has.

use super::share::{FairShare, Ledger};
use super::{EnvironmentId, Job, JobId, QueueId, Shape, ShareId, Status, Switch};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How a queue chooses among its jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// The job submitted first goes first.
    FirstInFirstOut,
    /// By what each share has used.
    FairShare(Arc<FairShare>),
}

/// What becomes of a job that has blocked its queue for too long (API Reference, "JobStateTimeLimitAction").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeLimit {
    /// AWS's name of the reason, e.g. `CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY`.
    pub code: String,
    /// How long it may last; then the job is cancelled.
    pub longest: Duration,
}

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
    /// How it chooses.
    pub discipline: Discipline,
    /// How long jobs may block it.
    pub limits: Vec<TimeLimit>,
}

/// A job's place in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    priority: Reverse<i32>,
    seq: u64,
    /// A child that is tried again goes before its siblings that have not started.
    index: u32,
}

impl Place {
    pub(super) const fn seq(self) -> u64 {
        self.seq
    }
}

/// The jobs of one share identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub(super) lines: BTreeMap<Arc<Shape>, BTreeMap<Place, JobId>>,
    /// Jobs that have not ended, waiting ones included; an array counts as one, and each of its children with a record.
    pub(super) live: u64,
    /// Thousandths of a vCPU that its tasks hold.
    pub(super) held: u64,
    /// What it has held within the window.
    pub(super) ledger: Ledger,
}

/// A job queue and its jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// What is known of it.
    pub spec: QueueSpec,
    pub(super) shares: BTreeMap<ShareId, Share>,
    /// Deleted, and kept until the last of its jobs has ended.
    pub(super) deleting: bool,
    /// How many jobs with a record are in which state, arrays left out.
    pub(super) tally: BTreeMap<Status, u64>,
}

impl Queue {
    pub(super) fn new(spec: QueueSpec) -> Self {
        Self { spec, shares: BTreeMap::new(), deleting: false, tally: BTreeMap::new() }
    }

    pub(super) fn share(&mut self, id: &ShareId) -> &mut Share {
        self.shares.entry(id.clone()).or_default()
    }

    /// Counts a job that has come to a state; arrays are counted by their children.
    pub(super) fn count(&mut self, job: &Job) {
        if job.array.is_none() {
            *self.tally.entry(job.status).or_default() += 1;
        }
    }

    /// No longer counts a job in its state.
    pub(super) fn discount(&mut self, job: &Job) {
        if job.array.is_none() {
            let count = self.tally.get_mut(&job.status).expect("what was counted is there");
            *count -= 1;
            if *count == 0 {
                self.tally.remove(&job.status);
            }
        }
    }

    pub(super) fn policy(&self) -> Option<&Arc<FairShare>> {
        match &self.spec.discipline {
            Discipline::FirstInFirstOut => None,
            Discipline::FairShare(policy) => Some(policy),
        }
    }

    /// Where a job stands, or would, among those of its share.
    pub(super) fn place(&self, job: &Job) -> Place {
        let priority = match self.spec.discipline {
            Discipline::FirstInFirstOut => 0,
            Discipline::FairShare(_) => job.terms.priority,
        };
        let index = match (job.id.parent(), &job.array) {
            (Some((_, index)), _) => index,
            (None, Some(_)) => u32::MAX,
            (None, None) => 0,
        };
        Place { priority: Reverse(priority), seq: job.seq, index }
    }

    /// Puts a job in its line; gives whether it is the first there.
    pub(super) fn join(&mut self, job: &Job) -> Rank {
        let place = self.place(job);
        let lines = &mut self.share(&job.terms.share).lines;
        let line = lines.entry(Arc::clone(&job.terms.shape)).or_default();
        line.insert(place, job.id);
        match line.first_key_value() {
            Some((first, _)) if *first == place => Rank::First,
            _ => Rank::Behind,
        }
    }

    /// Takes a job that no longer waits out of its line.
    pub(super) fn leave(&mut self, job: &Job) {
        let place = self.place(job);
        let lines = &mut self.share(&job.terms.share).lines;
        let line = lines.get_mut(&job.terms.shape).expect("a job that waits stands in a line");
        assert!(line.remove(&place).is_some(), "job {} waits and is not in its line", job.id);
        if line.is_empty() {
            lines.remove(&job.terms.shape);
        }
    }

    /// Whether it was deleted and waits for its last job's end.
    pub fn is_deleting(&self) -> bool {
        self.deleting
    }

    /// Jobs that have not ended.
    pub fn live(&self) -> u64 {
        self.shares.values().map(|share| share.live).sum()
    }

    /// Shares that have jobs that have not ended.
    pub fn busy_shares(&self) -> usize {
        self.shares.values().filter(|share| share.live > 0).count()
    }

    /// Thousandths of a vCPU that the queue's tasks hold, by share.
    pub fn held(&self) -> impl Iterator<Item = (&ShareId, u64)> {
        self.shares.iter().map(|(id, share)| (id, share.held))
    }
}

/// Whether a job is the first in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    First,
    Behind,
}
