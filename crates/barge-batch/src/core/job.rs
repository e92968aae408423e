//! A job's life as a state machine, and the little that is kept of it while it lives.
//!
//! States and their order are AWS's (Batch User Guide, "Job states"). A job without dependencies goes from SUBMITTED
//! straight to RUNNABLE; PENDING is for those that wait for others.

use super::{AttemptId, EnvironmentId, JobId, Needs, Platform, QueueId, Reason};
use barge_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A job's state, in AWS's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Accepted, not looked at yet.
    Submitted,
    /// Waits for other jobs.
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

    fn may_become(self, next: Self) -> bool {
        match self {
            Self::Submitted => matches!(next, Self::Pending | Self::Runnable | Self::Failed),
            Self::Pending => matches!(next, Self::Runnable | Self::Failed),
            Self::Runnable => matches!(next, Self::Starting | Self::Failed),
            Self::Starting => matches!(next, Self::Running | Self::Runnable | Self::Failed),
            Self::Running => matches!(next, Self::Runnable | Self::Succeeded | Self::Failed),
            Self::Succeeded | Self::Failed => false,
        }
    }
}

/// What is known of a job when it is submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSpec {
    /// Its id, new.
    pub id: JobId,
    /// Where it waits.
    pub queue: QueueId,
    /// What each attempt holds.
    pub needs: Needs,
    /// What it can run on.
    pub platform: Platform,
    /// Attempts at most, 1 to 10.
    pub attempts_allowed: u32,
    /// How long an attempt may run, from its start; at least a minute.
    pub timeout: Option<Duration>,
}

/// Why an attempt is being stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    /// Someone asked for it, with this reason.
    Terminated(Reason),
    /// It ran longer than it may.
    TimedOut,
}

/// An attempt that holds resources: placed, perhaps running, perhaps told to stop, not known to have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveAttempt {
    /// 1 for the first.
    pub number: u32,
    /// Where it is placed.
    pub environment: EnvironmentId,
    /// When its container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Why it is being stopped, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<StopCause>,
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// 1 for the first.
    pub number: u32,
    /// Where it ran.
    pub environment: EnvironmentId,
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
}

/// Which call ended a job early (API Reference, "JobDetail": `isCancelled`, `isTerminated`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedBy {
    /// CancelJob.
    Cancel,
    /// TerminateJob, or the queue's deletion.
    Terminate,
}

/// What no place that a queue has could ever give a job (Batch User Guide, "Jobs stuck in a RUNNABLE status").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Misfit {
    /// More vCPUs than any of the queue's enabled compute environments may have.
    MaxVcpus,
    /// More memory than the machine has.
    Memory,
}

impl Misfit {
    /// The status reason, in AWS's words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::MaxVcpus => {
                "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - All compute environments have a maxVcpu setting \
                 that is smaller than the job requirements."
            }
            Self::Memory => {
                "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - All compute environments have no connected instances \
                 that meet the job requirements."
            }
        }
    }
}

/// A job: what the core keeps of it, and what a row of the store holds so that the core can be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Where it waits or waited.
    pub queue: QueueId,
    /// Its place in the order of submission, over all queues.
    pub seq: u64,
    /// What each attempt holds.
    pub needs: Needs,
    /// What it can run on.
    pub platform: Platform,
    /// Attempts at most.
    pub attempts_allowed: u32,
    /// How long an attempt may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Its state.
    pub status: Status,
    /// Why it is in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its latest attempt's container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// The attempt that holds resources: there is one exactly in STARTING and RUNNING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveAttempt>,
    /// The attempts that have ended, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<PastAttempt>,
    /// Which call asked for its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// Why it waits aside, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<Misfit>,
}

impl Job {
    pub(super) fn new(spec: JobSpec, seq: u64, now: Timestamp) -> Self {
        let JobSpec { id, queue, needs, platform, attempts_allowed, timeout } = spec;
        Self {
            id,
            queue,
            seq,
            needs,
            platform,
            attempts_allowed,
            timeout,
            status: Status::Submitted,
            reason: None,
            created_at: now,
            started_at: None,
            stopped_at: None,
            live: None,
            past: Vec::new(),
            ended_by: None,
            aside: None,
        }
    }

    /// Moves the job on.
    ///
    /// # Panics
    /// Where the order of states does not allow it: a bug in the core.
    pub(super) fn become_status(&mut self, next: Status) {
        assert!(self.status.may_become(next), "job {} can't go from {:?} to {next:?}", self.id, self.status);
        self.status = next;
    }

    /// The attempt that holds resources.
    pub fn live_id(&self) -> Option<AttemptId> {
        self.live.as_ref().map(|live| AttemptId { job: self.id, number: live.number })
    }

    /// When the live attempt must have ended, where it has started and may not run for ever.
    pub fn deadline(&self) -> Option<Timestamp> {
        Some(self.live.as_ref()?.started_at? + self.timeout?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_are_final_and_others_are_not() {
        for status in Status::ALL {
            let stuck = Status::ALL.iter().all(|next| !status.may_become(*next));
            assert_eq!(stuck, status.is_final(), "{status:?}");
            assert!(!status.may_become(status));
        }
    }

    #[test]
    fn a_job_survives_its_row() {
        let spec = JobSpec {
            id: JobId::new(7),
            queue: QueueId::new("q"),
            needs: Needs { vcpu_milli: 250, memory_mib: 512 },
            platform: Platform::Fargate,
            attempts_allowed: 3,
            timeout: Some(Duration::from_mins(1)),
        };
        let job = Job::new(spec, 9, Timestamp::from_millis(5));
        let row = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&row).unwrap(), job);
    }
}
