//! Where attempts run, as the dispatcher needs it: a port, and its adapter to a compute engine.
//!
//! Nothing here knows queues, retries or rows.

mod engine;

pub use engine::EngineRunner;

use crate::core::{AttemptId, Event, Outcome};
use async_trait::async_trait;
use barge_core::Timestamp;
use barge_core::ports::LogTarget;
use std::time::Duration;
use tokio::sync::mpsc;

/// Everything that must be known to run one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptSpec {
    /// Its id: the same attempt never runs twice.
    pub id: AttemptId,
    /// The image's name as the job definition gives it.
    pub image: String,
    /// Replaces the image's command; empty keeps it.
    pub command: Vec<String>,
    /// Name and value; later ones win, and all win over the image's.
    pub env: Vec<(String, String)>,
    /// CPU time per time, at most.
    pub vcpu: f64,
    /// MiB, at most.
    pub memory_mib: u64,
    /// `name`, `uid`, `name:group` or `uid:gid`; `None` keeps the image's.
    pub user: Option<String>,
    /// Whether `/` can be written to.
    pub root: RootAccess,
    /// Where its lines go. Its account and region are also those that the image's name is seen from.
    pub log: LogTarget,
    /// What to do where the log group does not exist.
    pub log_group: LogGroup,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace: Duration,
}

/// Whether a container's `/` can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootAccess {
    /// Yes.
    ReadWrite,
    /// No.
    ReadOnly,
}

/// What to do where an attempt's log group does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogGroup {
    /// Create it.
    Create,
    /// Fail the attempt.
    MustExist,
}

/// News of an attempt, told at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Of which.
    pub attempt: AttemptId,
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
}

/// What happened to an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Its container runs.
    Started,
    /// It has ended, and all it printed is stored.
    Ended(Outcome),
}

impl From<News> for Event {
    fn from(News { attempt, at, what }: News) -> Self {
        match what {
            Happening::Started => Self::AttemptStarted { attempt, at },
            Happening::Ended(outcome) => Self::AttemptEnded { attempt, at, outcome },
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

/// Why an attempt could not be started, as AWS words a container's reason: `CannotPullContainerError: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CannotStart(pub String);

/// The runner does not know the attempt; how it ended, nobody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the attempt is gone")]
pub struct Gone;

/// Runs attempts. Calls for one attempt come one after the other.
#[async_trait]
pub trait AttemptRunner: Send + Sync {
    /// Starts an attempt; news follows. An attempt that was launched before is not run again: its latest news is
    /// told once more.
    async fn launch(&self, spec: AttemptSpec) -> Result<(), CannotStart>;

    /// After a restart, finds an attempt that ran; its latest news is told once more.
    async fn adopt(&self, attempt: AttemptId) -> Result<(), Gone>;

    /// Stops an attempt; news of its end follows. Does nothing where it has ended.
    async fn stop(&self, attempt: AttemptId);

    /// Forgets an ended attempt.
    async fn forget(&self, attempt: AttemptId);

    /// How much can run at a time.
    fn capacity(&self) -> Capacity;

    /// All news from now on.
    fn news(&self) -> mpsc::UnboundedReceiver<News>;
}
