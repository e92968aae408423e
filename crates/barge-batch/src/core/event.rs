//! What can happen to the core, what it asks for in return, and what it refuses.

use super::{
    AttemptId, Consumable, ConsumableId, ContainerEnd, EnvironmentId, EnvironmentSpec, Fleet, IndexSet, InstanceId,
    Job, JobId, JobSpec, Ledger, Machine, QueueId, QueueSpec, Reason, ShareId, TaskId,
};
use barge_core::Timestamp;
use std::time::Duration;

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its container ran and ended; of several containers, the essential one that ended the task.
    Exited {
        /// The exit code; 128 and the signal's number where a signal ended it.
        code: i32,
        /// Whether the kernel killed it for its memory.
        memory: Memory,
        /// How each container ended, where the task has several.
        containers: Vec<ContainerEnd>,
    },
    /// Its container never ran. The reason as AWS words it, e.g. `CannotPullContainerError: …`.
    FailedToStart(Reason),
    /// The engine lost it: nobody knows how it ended. The status reason to give.
    Lost(Reason),
}

impl Outcome {
    /// A task of one container that ended with this code, within its memory.
    pub const fn exited(code: i32) -> Self {
        Self::Exited { code, memory: Memory::Within, containers: Vec::new() }
    }
}

/// Whether a container stayed within its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It did.
    Within,
    /// It was killed for exceeding it.
    Exceeded,
}

/// What became of a job that another depends on, as far as the one who submits knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It had not ended.
    Live,
    /// It had.
    Ended {
        /// Whether it succeeded.
        success: Success,
        /// Of an array, the children that succeeded.
        succeeded: IndexSet,
    },
}

/// Whether a job succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    /// It did.
    Yes,
    /// It failed.
    No,
}

/// What is taken away by Spot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// An instance with all that runs on it.
    Instance(EnvironmentId, InstanceId),
    /// An attempt on FARGATE_SPOT.
    Attempt(AttemptId),
}

/// Something that happened: a command, news of an attempt, or time passing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A compute environment was made or changed; refused while its instances are being replaced.
    PutEnvironment(EnvironmentSpec),
    /// A compute environment was changed so that its instances must be replaced. What runs on them may go on for so long.
    ReplaceInstances(EnvironmentSpec, Duration),
    /// A compute environment shall go.
    DeleteEnvironment(EnvironmentId),
    /// A queue was made or changed.
    PutQueue(QueueSpec),
    /// A queue shall go; its jobs are terminated.
    DeleteQueue(QueueId),
    /// A consumable resource was made or changed.
    PutConsumable(ConsumableId, Consumable),
    /// A consumable resource shall go.
    DeleteConsumable(ConsumableId),
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
    /// Spot capacity is taken away.
    Interrupt(Interruption),
    /// A task's container runs. News of tasks that are not live is stale and does nothing.
    TaskStarted {
        /// The task.
        task: TaskId,
        /// Since when; a moment that has not come yet counts as now.
        at: Timestamp,
    },
    /// A task has ended.
    TaskEnded {
        /// The task.
        task: TaskId,
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
    /// Keep an environment's instances.
    SaveFleet(EnvironmentId, Fleet),
    /// Keep what a share has used; `None` forgets it.
    SaveShare(QueueId, ShareId, Option<Box<Ledger>>),
    /// Keep a consumable resource; `None` forgets it.
    SaveConsumable(ConsumableId, Option<Consumable>),
    /// The queue, deleted earlier, is empty now and gone.
    QueueGone(QueueId),
    /// Tell the world that the job has come to this state.
    Emit(Box<Job>),
    /// Tell the world that the job blocks its queue.
    QueueBlocked(Box<Job>),
    /// Start the task in this environment. Never twice for one task but after a restart.
    Launch(TaskId, EnvironmentId),
    /// After a restart: find the task, which has run, again. Never start it.
    Adopt(TaskId, EnvironmentId),
    /// Stop the task; news of its end follows.
    Stop(TaskId),
    /// Forget what the engine still holds of the task: its end is kept.
    Forget(TaskId),
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
    /// A fair-share queue takes jobs with a share identifier.
    #[error("queue {0} is a fair-share queue: a share identifier is needed")]
    ShareNeeded(QueueId),
    /// A first-in-first-out queue takes jobs without a share identifier.
    #[error("queue {0} is no fair-share queue: it takes no share identifier")]
    ShareUnknown(QueueId),
    /// There is no such environment.
    #[error("no compute environment {0}")]
    NoEnvironment(EnvironmentId),
    /// The environment must be disabled before it can go.
    #[error("compute environment {0} is enabled")]
    EnvironmentEnabled(EnvironmentId),
    /// A queue refers to the environment.
    #[error("a queue refers to compute environment {0}")]
    EnvironmentInQueue(EnvironmentId),
    /// The environment's instances are being replaced.
    #[error("instances of compute environment {0} are being replaced")]
    EnvironmentUpdating(EnvironmentId),
    /// Attempts run in the environment.
    #[error("attempts run in compute environment {0}")]
    EnvironmentBusy(EnvironmentId),
    /// There is no such consumable resource.
    #[error("no consumable resource {0}")]
    NoConsumable(ConsumableId),
    /// Jobs that have not ended need the consumable resource.
    #[error("jobs need consumable resource {0}")]
    ConsumableInUse(ConsumableId),
    /// No live job has this id: it ended, or never was.
    #[error("no live job {0}")]
    NoLiveJob(JobId),
    /// A job with this id was submitted before.
    #[error("job {0} exists")]
    JobExists(JobId),
    /// The job depended on has ended meanwhile: look again.
    #[error("job {0} has ended meanwhile")]
    DependencyEnded(JobId),
    /// Children can't wait for those of a job that is no array, or of another size.
    #[error("job {0} is no array of the same size")]
    NotSameArray(JobId),
    /// Nothing that can be interrupted is there.
    #[error("nothing of Spot is there to be interrupted")]
    NothingToInterrupt,
}
