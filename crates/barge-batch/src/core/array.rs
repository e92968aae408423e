//! An array job's children, as far as they have no record of their own.
//!
//! A child is a number in a set until it starts, or differs from its siblings; only then is it a [`super::Job`] with a row. What
//! follows from the children's rows is not kept with the array.

use super::indexes::IndexSet;
use super::{EndedBy, Reason, Status};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The children of an array.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// How many there are.
    pub size: u32,
    /// Why those that had not started when this was said have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// How many ended in which way, once all have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
    /// Those without a record that wait for room.
    #[serde(skip)]
    pub(super) runnable: IndexSet,
    /// Those with a record that have not ended.
    #[serde(skip)]
    pub(super) live: BTreeSet<u32>,
    /// Those that have succeeded.
    #[serde(skip)]
    pub(super) succeeded: IndexSet,
    /// Those that have failed.
    #[serde(skip)]
    pub(super) failed: IndexSet,
}

/// Why children that never started have failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The status reason.
    pub reason: Reason,
    /// Which call it was, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<EndedBy>,
}

/// How many children ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// SUCCEEDED.
    pub succeeded: u32,
    /// FAILED.
    pub failed: u32,
}

impl Array {
    pub(super) fn new(size: u32) -> Self {
        Self { size, ..Self::default() }
    }

    /// Whether the child has no record and has not ended.
    pub(super) fn is_unstarted(&self, index: u32) -> bool {
        index < self.size
            && !self.live.contains(&index)
            && !self.succeeded.contains(index)
            && !self.failed.contains(index)
    }

    /// How many have no record and have not ended.
    pub(super) fn unstarted(&self) -> u32 {
        self.size - self.succeeded.len() - self.failed.len() - u32::try_from(self.live.len()).unwrap_or(u32::MAX)
    }

    /// Every child without a record that has not ended.
    pub(super) fn each_unstarted(&self) -> impl Iterator<Item = u32> {
        (0..self.size).filter(|index| self.is_unstarted(*index))
    }

    pub(super) fn is_done(&self) -> bool {
        self.succeeded.len() + self.failed.len() == self.size
    }

    /// How many children are in which state, `live` being the states of those with a record.
    pub fn summary(&self, live: impl Iterator<Item = Status>) -> BTreeMap<Status, u32> {
        let mut counts: BTreeMap<Status, u32> = Status::ALL.map(|status| (status, 0)).into();
        if let Some(tally) = self.tally {
            counts.extend([(Status::Succeeded, tally.succeeded), (Status::Failed, tally.failed)]);
            return counts;
        }
        let runnable = self.runnable.len();
        counts.insert(Status::Pending, self.unstarted() - runnable);
        counts.insert(Status::Runnable, runnable);
        counts.insert(Status::Succeeded, self.succeeded.len());
        counts.insert(Status::Failed, self.failed.len());
        for status in live {
            *counts.entry(status).or_default() += 1;
        }
        counts
    }

    /// The state of a child without a record.
    pub fn unrecorded(&self, index: u32) -> Status {
        if self.closed.is_some() || self.tally.is_some() {
            Status::Failed
        } else if self.runnable.contains(index) {
            Status::Runnable
        } else {
            Status::Pending
        }
    }
}
