//! Where tasks run, as the dispatcher needs it: a port, and its adapter to a compute engine.
//!
//! A task is what an attempt runs on one node: one container, or several that depend on each other. A job of one
//! container is a task of one; there is no other way. Nothing here knows queues, retries or rows.

mod containers;
mod engine;
mod task;
mod translate;

pub use barge_engine::{InitProcess, NotAUlimit, Tmpfs, Ulimit};
pub use containers::{
    Access, Condition, ContainerSpec, Dependency, Essential, LogGroup, MountPoint, Place, TaskSpec, Volume,
};
pub use engine::EngineRunner;

use crate::core::{Event, Outcome, TaskId};
use async_trait::async_trait;
use barge_core::Timestamp;
use std::collections::HashSet;
use tokio::sync::mpsc;

/// News of a task, told at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Of which.
    pub task: TaskId,
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The first of its containers runs.
    Started,
    /// All of its containers have ended, and all they printed is stored.
    Ended(Outcome),
}

impl From<News> for Event {
    fn from(News { task, at, what }: News) -> Self {
        match what {
            Happening::Started => Self::TaskStarted { task, at },
            Happening::Ended(outcome) => Self::TaskEnded { task, at, outcome },
        }
    }
}

/// How much a runner can run at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Processors.
    pub vcpu: f64,
    /// MiB.
    pub memory_mib: u64,
}

/// Why a task could not be started, as AWS words a container's reason: `CannotStartContainerError: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CannotStart(pub String);

/// The runner knows none of the task's containers; how they ended, nobody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task is gone")]
pub struct Gone;

/// Runs tasks. Calls for one task come one after the other.
#[async_trait]
pub trait TaskRunner: Send + Sync {
    /// Starts a task; news follows, also of a container that can't be started. A task that was launched before is not
    /// run again: it goes on from where its containers stand, and its latest news is told once more.
    ///
    /// # Errors
    /// Where none of it runs, nor will: its containers wait for each other, or one lacks what it needs.
    async fn launch(&self, spec: TaskSpec) -> Result<(), CannotStart>;

    /// After a restart, finds a task that ran, and goes on with it: containers whose turn has come are started, none a
    /// second time. Its latest news is told once more. `spec` is what it was launched with.
    ///
    /// # Errors
    /// Where none of its containers is known.
    async fn adopt(&self, task: TaskId, spec: &TaskSpec) -> Result<(), Gone>;

    /// Stops a task; news of its end follows. Does nothing where it has ended.
    async fn stop(&self, task: TaskId);

    /// Forgets an ended task, and removes its scratch volumes.
    async fn forget(&self, task: TaskId);

    /// Ends and forgets what the last run of the program left of tasks that are not among `live`: their ends are kept
    /// elsewhere. Call it once after a restart; it never touches tasks that were launched since.
    async fn sweep(&self, live: &HashSet<TaskId>);

    /// How much can run at a time.
    fn capacity(&self) -> Capacity;

    /// All news from now on.
    fn news(&self) -> mpsc::UnboundedReceiver<News>;
}
