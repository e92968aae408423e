//! A job's life as a state machine, and the little that is kept of it while it lives.
//!
//! States and their order are AWS's (Batch User Guide, "Job states"). A job without dependencies goes from SUBMITTED
//! straight to RUNNABLE; PENDING is for those that wait for others, and for arrays, which wait for their children.

use super::array::Array;
use super::{
    AttemptId, ConsumableId, EnvironmentId, InstanceId, JobId, Known, Name, Needs, Platform, QueueId, Reason, Retry,
    ShareId, TaskId,
};
use barge_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A job's state, in AWS's order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Accepted, not looked at yet.
    #[default]
    Submitted,
    /// Waits for other jobs; of an array: not all of its children have ended.
    Pending,
    /// Waits for room.
    Runnable,
    /// Has room; its container is being made.
    Starting,
    /// Its container runs.
    Running,
    /// Its container ended with 0.
    Succeeded,
    /// Ended otherwise.
    Failed,
}

impl Status {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Submitted, Self::Pending, Self::Runnable, Self::Starting, Self::Running, Self::Succeeded, Self::Failed];

    /// AWS's name, e.g. `RUNNABLE`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Pending => "PENDING",
            Self::Runnable => "RUNNABLE",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether nothing follows.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    fn may_become(self, next: Self, kind: Kind) -> bool {
        match self {
            Self::Submitted => matches!(next, Self::Pending | Self::Runnable | Self::Failed),
            Self::Pending if matches!(kind, Kind::Array { .. }) => next.is_final(),
            Self::Pending => matches!(next, Self::Runnable | Self::Failed),
            Self::Runnable => matches!(next, Self::Starting | Self::Failed),
            Self::Starting => matches!(next, Self::Running | Self::Runnable | Self::Failed),
            Self::Running => matches!(next, Self::Runnable | Self::Succeeded | Self::Failed),
            Self::Succeeded | Self::Failed => false,
        }
    }
}

/// What an attempt takes: jobs of one shape fit or don't fit together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// What it can run on.
    pub platform: Platform,
    /// What the task on each node holds; one for any but a multi-node job.
    pub tasks: Vec<Needs>,
    /// Consumable resources and how much of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumables: Vec<(ConsumableId, u64)>,
}

/// What kind of job it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// One task an attempt.
    #[default]
    Single,
    /// An array of children that go each its own way (Batch User Guide, "Array jobs").
    Array {
        /// 2 to 10,000.
        size: u32,
    },
    /// All of an attempt's tasks start together, and the main node's end is the attempt's (Batch User Guide, "Multi-node
    /// parallel jobs").
    Nodes {
        /// The main node.
        main: u16,
    },
}

/// What must have succeeded before a job may start (API Reference, "JobDependency").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dependency {
    /// The whole job.
    Whole(JobId),
    /// For each child of an array, the child before it: `SEQUENTIAL`.
    Sequential,
    /// For each child of an array, the child of that array with the same index: `N_TO_N`.
    NToN(JobId),
}

/// What was said of a job when it was submitted; nothing changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Where it waits.
    pub queue: QueueId,
    /// Under which share identifier; empty in a first-in-first-out queue.
    #[serde(default)]
    pub share: ShareId,
    /// Within the share, higher goes first; without effect in a first-in-first-out queue.
    #[serde(default)]
    pub priority: i32,
    /// What each attempt takes.
    #[serde(with = "shared")]
    pub shape: Arc<Shape>,
    /// What kind of job it is.
    #[serde(default)]
    pub kind: Kind,
    /// How often it is tried.
    pub retry: Retry,
    /// How long an attempt may run, from its start; at least a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What must have succeeded before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
}

/// What is shared in memory and written out in rows.
mod shared {
    use super::{Arc, Deserialize, Serialize, Shape};

    pub(super) fn serialize<S: serde::Serializer>(shape: &Arc<Shape>, serializer: S) -> Result<S::Ok, S::Error> {
        shape.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Arc<Shape>, D::Error> {
        Shape::deserialize(deserializer).map(Arc::new)
    }
}

impl Default for Terms {
    fn default() -> Self {
        let shape = Shape { platform: Platform::Fargate, tasks: Vec::new(), consumables: Vec::new() };
        Self {
            queue: QueueId::default(),
            share: ShareId::default(),
            priority: 0,
            shape: Arc::new(shape),
            kind: Kind::Single,
            retry: Retry::default(),
            timeout: None,
            depends_on: Vec::new(),
        }
    }
}

impl Terms {
    /// The node whose end is the attempt's.
    pub const fn main_node(&self) -> u16 {
        match self.kind {
            Kind::Nodes { main } => main,
            Kind::Single | Kind::Array { .. } => 0,
        }
    }
}

/// A job to be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSpec {
    /// Its id, new.
    pub id: JobId,
    /// All that is said of it.
    pub terms: Terms,
    /// What the caller knows of the jobs that it depends on and that may have ended: the core forgets those.
    pub known: Vec<(JobId, Known)>,
}

/// Why an attempt is being stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    /// Someone asked for it, with this reason.
    Terminated(Reason),
    /// It ran longer than it may.
    TimedOut,
    /// What it ran on was taken away, in AWS's words.
    Interrupted(Reason),
    /// The main node has ended: the others have nothing to do any more.
    MainEnded,
    /// A node could not run: the others have nothing to do without it.
    NodeFailed,
}

/// An attempt that holds resources: placed, perhaps running, perhaps told to stop, not known to have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveAttempt {
    /// 1 for the first.
    pub number: u32,
    /// Where it is placed.
    pub environment: EnvironmentId,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// Its place in the order in which attempts were placed.
    pub order: u64,
    /// What runs on each node.
    pub tasks: Vec<LiveTask>,
    /// Why it is being stopped, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<StopCause>,
}

/// What an attempt runs on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveTask {
    /// On which instance, where the environment has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// When its container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// How it ended, where it has: it holds nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Box<PastTask>>,
}

/// A task that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastTask {
    /// On which instance it ran, and of which type that was, where the environment has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<(InstanceId, Name)>,
    /// When its container started, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub stopped_at: Timestamp,
    /// The container's exit code, where it had one: 128 and the signal's number for one that a signal ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What ailed the container: out of memory, no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_reason: Option<Reason>,
    /// Why it ended.
    pub status_reason: Reason,
    /// How each container ended, where the task has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerEnd>,
}

/// How one of a task's several containers ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEnd {
    /// Its name.
    pub name: Name,
    /// Its exit code, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What ailed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// 1 for the first.
    pub number: u32,
    /// Where it ran.
    pub environment: EnvironmentId,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// What ran on each node.
    pub tasks: Vec<PastTask>,
    /// Why it ended.
    pub status_reason: Reason,
}

/// Which call ended a job early (API Reference, "JobDetail": `isCancelled`, `isTerminated`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedBy {
    /// CancelJob, or a time limit of the queue.
    Cancel,
    /// TerminateJob, or the queue's deletion.
    Terminate,
}

/// Why the first job in its line does not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blockage {
    /// Its compute environments are at their maximum.
    Environments,
    /// The environments have room, the machine has none.
    Machine,
    /// A consumable resource is used up.
    Consumable(ConsumableId),
    /// None of its queue's enabled environments may have as many vCPUs as it needs.
    MaxVcpus,
    /// Nothing there could ever hold it: more memory than the machine has, or no instance type is large enough.
    Requirements,
}

impl Blockage {
    /// Whether nothing but a change of the configuration could help.
    pub const fn is_misconfiguration(&self) -> bool {
        matches!(self, Self::MaxVcpus | Self::Requirements)
    }

    /// Whether room is kept free for the job until it fits.
    pub const fn holds_room(&self) -> bool {
        matches!(self, Self::Environments | Self::Machine)
    }

    /// AWS's name for it (Batch User Guide, "Jobs stuck in a RUNNABLE status"); `None` for an ordinary wait.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Environments => None,
            Self::Machine => Some("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"),
            Self::Consumable(_) => Some("CAPACITY:INSUFFICIENT_CONSUMABLE_RESOURCE"),
            Self::MaxVcpus => Some("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"),
            Self::Requirements => Some("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"),
        }
    }

    /// The status reason, in AWS's words where it has any.
    pub fn reason(&self) -> Option<Reason> {
        let words = match self {
            Self::Environments => return None,
            Self::Machine => "Service cannot fulfill the capacity requested: the machine is full.".to_owned(),
            Self::Consumable(id) => format!("Not enough of {id} is available."),
            Self::MaxVcpus => {
                "All compute environments have a maxVcpu setting that is smaller than the job requirements.".to_owned()
            }
            Self::Requirements => {
                "All compute environments have no connected instances that meet the job requirements.".to_owned()
            }
        };
        Some(format!("{} - {words}", self.code()?).into())
    }
}

/// A job that is the first in its line and can't start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Since when.
    pub since: Timestamp,
    /// Attempts placed from this place in the order on were placed while it waited.
    pub after: u64,
    /// Why.
    pub why: Blockage,
    /// Whether the world was told.
    pub told: Told,
}

/// Whether the world was told of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// It will be, if it lasts.
    NotYet,
    /// It was.
    Yes,
}

/// A job: what the core keeps of it, and what a row of the store holds so that the core can be rebuilt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its place in the order of submission, over all queues; a child has its array's.
    pub seq: u64,
    /// What was said of it; kept apart from the rest, since nothing changes it.
    #[serde(skip)]
    pub terms: Arc<Terms>,
    /// Its state.
    pub status: Status,
    /// Why it is in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its latest attempt's main container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// The attempt that holds resources: there is one exactly in STARTING and RUNNING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Box<LiveAttempt>>,
    /// The attempts that have ended, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<PastAttempt>,
    /// Which call asked for its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// Why it does not start though it is the first in its line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Box<Blocked>>,
    /// Of an array, its children.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<Box<Array>>,
}

impl Job {
    /// Moves the job on.
    ///
    /// # Panics
    /// Where the order of states does not allow it: a bug in the core.
    pub(super) fn become_status(&mut self, next: Status) {
        let allowed = self.status.may_become(next, self.kind());
        assert!(allowed, "job {} can't go from {:?} to {next:?}", self.id, self.status);
        self.status = next;
    }

    /// What kind of job it is; a child of an array is a single job.
    pub fn kind(&self) -> Kind {
        match self.terms.kind {
            Kind::Array { .. } if self.id.parent().is_some() => Kind::Single,
            kind => kind,
        }
    }

    /// The attempt that holds resources.
    pub fn live_id(&self) -> Option<AttemptId> {
        self.live.as_ref().map(|live| AttemptId { job: self.id, number: live.number })
    }

    /// The live attempt's tasks that have not ended.
    pub fn live_tasks(&self) -> impl Iterator<Item = (TaskId, &LiveTask, Needs)> {
        let attempt = self.live_id();
        let tasks = self.live.iter().flat_map(|live| live.tasks.iter()).zip(&self.terms.shape.tasks).enumerate();
        tasks
            .filter(|(_, (task, _))| task.ended.is_none())
            .filter_map(move |(node, (task, needs))| Some((attempt?.task(u16::try_from(node).ok()?), task, *needs)))
    }

    /// When the live attempt must have ended, where it has started and may not run for ever.
    pub fn deadline(&self) -> Option<Timestamp> {
        let live = self.live.as_ref()?;
        let main = live.tasks.get(usize::from(self.terms.main_node()))?;
        Some(main.started_at? + self.terms.timeout?)
    }
}

impl PastAttempt {
    /// The task on a node; the first where there is no such node.
    pub fn task(&self, node: u16) -> Option<&PastTask> {
        self.tasks.get(usize::from(node)).or(self.tasks.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_are_final_and_others_are_not() {
        for status in Status::ALL {
            let stuck = Status::ALL.iter().all(|next| !status.may_become(*next, Kind::Single));
            assert_eq!(stuck, status.is_final(), "{status:?}");
            assert!(!status.may_become(status, Kind::Single));
        }
    }

    #[test]
    fn a_job_survives_its_row() {
        let job = Job { id: JobId::new(7).child(3), seq: 9, created_at: Timestamp::from_millis(5), ..Job::default() };
        let row = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&row).unwrap(), job);
    }
}
