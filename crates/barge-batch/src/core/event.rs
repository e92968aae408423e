//! What can happen to the core, what it asks for in return, and what it refuses.

use super::{AttemptId, EnvironmentId, EnvironmentSpec, Job, JobId, JobSpec, Machine, QueueId, QueueSpec, Reason};
use barge_core::Timestamp;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its container ran and ended.
    Exited {
        /// The exit code; 128 and the signal's number where a signal ended it.
        code: i32,
        /// Whether the kernel killed it for its memory.
        memory: Memory,
    },
    /// Its container never ran. The reason as AWS words it, e.g. `CannotPullContainerError: …`.
    FailedToStart(Reason),
    /// The engine lost it: nobody knows how it ended. The status reason to give.
    Lost(Reason),
}

/// Whether a container stayed within its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It did.
    Within,
    /// It was killed for exceeding it.
    Exceeded,
}

/// Something that happened: a command, news of an attempt, or time passing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A compute environment was made or changed.
    PutEnvironment(EnvironmentSpec),
    /// A compute environment shall go.
    DeleteEnvironment(EnvironmentId),
    /// A queue was made or changed.
    PutQueue(QueueSpec),
    /// A queue shall go; its jobs are terminated.
    DeleteQueue(QueueId),
    /// What the machine offers has changed.
    SetMachine(Machine),
    /// A new job.
    Submit(JobSpec),
    /// End the job if it has not started (API Reference, "CancelJob").
    Cancel {
        /// The job.
        job: JobId,
        /// Why.
        reason: Reason,
    },
    /// End the job (API Reference, "TerminateJob").
    Terminate {
        /// The job.
        job: JobId,
        /// Why.
        reason: Reason,
    },
    /// An attempt's container runs. News of attempts that are not live is stale and does nothing.
    AttemptStarted {
        /// The attempt.
        attempt: AttemptId,
        /// Since when; a moment that has not come yet counts as now.
        at: Timestamp,
    },
    /// An attempt has ended.
    AttemptEnded {
        /// The attempt.
        attempt: AttemptId,
        /// When; a moment that has not come yet counts as now.
        at: Timestamp,
        /// How.
        outcome: Outcome,
    },
    /// Time has passed: perhaps a deadline has.
    Tick,
}

/// Something to be done, in this order, after everything saved is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keep this job; it replaces what was kept of it. At most one for each job and event.
    Save(Box<Job>),
    /// The queue, deleted earlier, is empty now and gone.
    QueueGone(QueueId),
    /// Tell the world that the job has come to this state.
    Emit(Box<Job>),
    /// Start the attempt in this environment. Never twice for one attempt but after a restart.
    Launch(AttemptId, EnvironmentId),
    /// After a restart: find the attempt, which has run, again. Never start it.
    Adopt(AttemptId, EnvironmentId),
    /// Stop the attempt; news of its end follows.
    Stop(AttemptId),
    /// Forget what the engine still holds of the attempt: its end is kept.
    Forget(AttemptId),
    /// Send [`Event::Tick`] at this moment; replaces the moment asked for before.
    SetTimer(Option<Timestamp>),
}

/// A command that can't be followed; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such queue.
    #[error("no queue {0}")]
    NoQueue(QueueId),
    /// The queue takes no jobs.
    #[error("queue {0} is disabled")]
    QueueDisabled(QueueId),
    /// The queue must be disabled before it can go.
    #[error("queue {0} is enabled")]
    QueueEnabled(QueueId),
    /// None of the queue's environments is of the job's platform.
    #[error("queue {0} has no environment of the job's platform")]
    WrongPlatform(QueueId),
    /// There is no such environment.
    #[error("no compute environment {0}")]
    NoEnvironment(EnvironmentId),
    /// The environment must be disabled before it can go.
    #[error("compute environment {0} is enabled")]
    EnvironmentEnabled(EnvironmentId),
    /// A queue refers to the environment.
    #[error("a queue refers to compute environment {0}")]
    EnvironmentInQueue(EnvironmentId),
    /// Attempts run in the environment.
    #[error("attempts run in compute environment {0}")]
    EnvironmentBusy(EnvironmentId),
    /// No live job has this id: it ended, or never was.
    #[error("no live job {0}")]
    NoLiveJob(JobId),
    /// A job with this id was submitted before.
    #[error("job {0} exists")]
    JobExists(JobId),
}
