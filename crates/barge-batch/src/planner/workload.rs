//! The jobs of a plan, in the order in which they are submitted: kept small, since there may be millions.

use super::measured::Measured;
use super::rows::Reader;
use super::{Distribution, Problem, Setup, cells};
use crate::core::{Dependency, JobId, Needs, Retry};
use barge_core::Timestamp;
use std::time::Duration;

/// Jobs to be submitted to the queues of a [`Setup`].
#[derive(Debug, Default)]
pub struct Workload {
    /// By submission.
    pub(super) rows: Vec<Row>,
    /// What rows have in common.
    pub(super) classes: Vec<Class>,
    /// What rows depend on, one row's after the other's.
    pub(super) dependencies: Vec<Dependency>,
    /// How attempts go that were measured.
    pub(super) measured: Measured,
}

/// A job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) at: Timestamp,
    pub(super) class: u32,
    /// Its first dependency, and how many it has.
    pub(super) dependencies: (u32, u16),
    /// What later ones want to know of its end.
    pub(super) wanted: Wanted,
    pub(super) lasts: Distribution,
    /// Its number among what was measured, or its first child's; what is not there lasts as `lasts` says.
    pub(super) measured: Option<u32>,
}

/// What later jobs want to know of a job that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Nothing,
    /// Whether it succeeded.
    Success,
    /// Which of its children succeeded.
    Children,
}

/// What jobs may have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Class {
    /// Index of the queue in the setup.
    pub(super) queue: u32,
    pub(super) share: String,
    pub(super) priority: i32,
    /// Of each node; one for any but a multi-node job.
    pub(super) needs: Vec<Needs>,
    /// Children, where it is an array.
    pub(super) array: Option<u32>,
    pub(super) retry: Retry,
    pub(super) timeout: Option<Duration>,
    /// The probability with which an attempt fails.
    pub(super) fails: f64,
}

impl Class {
    /// How many jobs a row of it is: an array is its children.
    pub(super) fn jobs(&self) -> u64 {
        self.array.map_or(1, u64::from)
    }
}

impl Workload {
    /// Reads the file `file` with this text: CSV with a header, or a JSON object a line.
    pub fn parse(file: &str, text: &str, setup: &Setup) -> Result<Self, Problem> {
        let mut reader = Reader::new(setup);
        cells::each_line(file, text, |number, line, cells| {
            reader.take(cells).map_err(|wrong| {
                let column = cells::column(line, wrong.offset.unwrap_or(0));
                Problem::at(file, number, column, wrong.message)
            })
        })?;
        reader.finish().ok_or_else(|| Problem::of(file, "there are no jobs in it"))
    }

    /// How many jobs there are; the children of arrays, not the arrays themselves.
    pub fn jobs(&self) -> u64 {
        self.rows.iter().map(|row| self.class(row).jobs()).sum()
    }

    pub(super) fn class(&self, row: &Row) -> &Class {
        &self.classes[row.class as usize]
    }

    pub(super) fn dependencies(&self, row: &Row) -> &[Dependency] {
        let (first, count) = row.dependencies;
        &self.dependencies[first as usize..first as usize + usize::from(count)]
    }
}

/// The job's id in every simulation.
pub(super) const fn job_id(row: u32) -> JobId {
    JobId::new(row as u128 + 1)
}
