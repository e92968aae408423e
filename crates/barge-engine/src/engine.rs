//! The [`ComputeEngine`] port: what every engine can be asked, and what it answers.

use crate::attempt::{Attempt, AttemptId};
use crate::output::OutputReader;
use async_trait::async_trait;
use barge_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Runs attempts.
///
/// An engine remembers each attempt that it was asked to launch, and how it ended, on disk, until it is told to
/// [`forget`](Self::forget) it: an event that was missed is found again with [`adopt`](Self::adopt),
/// [`watch`](Self::watch), or by launching the attempt once more.
#[async_trait]
pub trait ComputeEngine: Send + Sync {
    /// `embedded`, `docker`, …
    fn name(&self) -> &'static str;

    /// Starts `attempt`. Returns once the engine will run it even if the server is killed next; starting, and why
    /// it may have failed, is told by events. An id that is known is not run again: its latest event is sent
    /// again instead.
    async fn launch(&self, attempt: Attempt) -> Result<(), EngineError>;

    /// Ends an attempt: SIGTERM, then SIGKILL after `grace` (`None`: the attempt's own). Returns once the request will
    /// be carried out even if the server is killed next. Stopping what has ended does nothing.
    async fn stop(&self, id: &AttemptId, grace: Option<Duration>) -> Result<(), EngineError>;

    /// Every event from now on, in the order of each attempt's life. Any number of subscribers may listen.
    fn subscribe(&self) -> mpsc::UnboundedReceiver<AttemptEvent>;

    /// One attempt's state and its changes.
    fn watch(&self, id: &AttemptId) -> Result<watch::Receiver<AttemptState>, EngineError>;

    /// What an attempt prints, from the byte position `from` (0 is the start; see [`OutputReader::position`]). Only for
    /// attempts with [`crate::OutputTo::Reader`]; one reader at a time, since what was read is removed from disk.
    async fn output(&self, id: &AttemptId, from: u64) -> Result<OutputReader, EngineError>;

    /// Takes up again, after a restart, every attempt that was not forgotten, and tells where each stands. Attempts
    /// whose launch a killed server left half-way are launched. Call it once, after subscribing and before launching.
    async fn adopt(&self) -> Result<Vec<Adopted>, EngineError>;

    /// Removes an ended attempt's record. Forgetting what is unknown does nothing; what still runs is refused.
    async fn forget(&self, id: &AttemptId) -> Result<(), EngineError>;

    /// Removes the scratch volumes of `task` ([`crate::Scratch`]), with all that is in them. Call it once the task's
    /// attempts have ended: one that still runs loses its files, and one that starts later finds empty volumes. A task
    /// without volumes is no error.
    async fn remove_scratch(&self, task: &AttemptId) -> Result<(), EngineError>;

    /// The tasks that have scratch volumes here: after a restart, those that nobody knows any more can be removed.
    async fn scratch_tasks(&self) -> Result<Vec<AttemptId>, EngineError>;

    /// What the engine can run at the same time.
    fn capacity(&self) -> Capacity;

    /// What of the engine's needs this machine offers, and what is missing.
    async fn doctor(&self) -> Vec<Finding>;
}

/// An attempt found by [`ComputeEngine::adopt`].
#[derive(Clone, Debug, PartialEq)]
pub struct Adopted {
    /// As it was launched.
    pub attempt: Attempt,
    /// Where it stands.
    pub state: AttemptState,
}

/// Where an attempt stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptState {
    /// Its command does not run yet.
    Launching,
    /// Its command runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It is over.
    Ended(Ending),
}

/// How an attempt ended; kept on disk until forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Its command ran and ended.
    Exited {
        /// When the command started.
        started: Timestamp,
        /// When it ended.
        at: Timestamp,
        /// How.
        outcome: ExitOutcome,
    },
    /// Its command never ran.
    FailedToStart {
        /// When that was certain.
        at: Timestamp,
        /// Which step failed.
        cause: StartFailure,
        /// Why, for people.
        reason: String,
    },
}

/// Which step of a start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartFailure {
    /// The image is missing or broken (AWS: `CannotPullContainerError`).
    Image,
    /// The container could not be made, or its command not be executed (AWS: `CannotStartContainerError`).
    Container,
    /// It was stopped before it started.
    Stopped,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitOutcome {
    /// The exit code; 128 + the signal's number where a signal ended it. `None` where nobody saw it end (see `reason`).
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed it, or a process of its, for want of memory, and it did not succeed nevertheless.
    pub oom: bool,
    /// Whether [`ComputeEngine::stop`] asked for the end.
    pub stopped: bool,
    /// For people, where the code does not say it all.
    pub reason: Option<String>,
}

/// Something happened to an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEvent {
    /// To which.
    pub id: AttemptId,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Its command runs.
    Started {
        /// Since when.
        at: Timestamp,
    },
    /// It is over, and its output is where it belongs.
    Ended(Ending),
}

/// How much an engine can run at the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Processors.
    pub vcpu: f64,
    /// Memory in MiB.
    pub memory_mib: u64,
}

/// One line of a doctor's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, e.g. `memory limits`.
    pub subject: String,
    /// How it stands.
    pub health: Health,
    /// What was found, and where something is missing, what to do.
    pub detail: String,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Works.
    Good,
    /// Works with less.
    Reduced,
    /// Attempts cannot run.
    Missing,
}

/// The engine cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Not launched, or forgotten.
    #[error("there is no attempt {0}")]
    Unknown(AttemptId),
    /// It has not ended.
    #[error("attempt {0} still runs")]
    StillRuns(AttemptId),
    /// The attempt itself is at fault.
    #[error("{0}")]
    Invalid(String),
    /// The machine does not offer what the engine needs.
    #[error("{0}")]
    Unavailable(String),
    /// The disk.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl EngineError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
