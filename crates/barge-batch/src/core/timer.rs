//! What happens when time has passed, and when.

use super::step::Step;
use super::{AttemptId, EnvironmentId, InstanceId, Job, JobId, QueueSpec, StopCause, Told};
use barge_core::Timestamp;
use std::time::Duration;

/// How long a job blocks its queue before the world is told, unless only a change of the configuration can help.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Something that is due at a moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The attempt has run as long as it may.
    Deadline(AttemptId),
    /// The job has blocked its queue for long enough to be told of.
    Tell(JobId),
    /// The job has blocked its queue for longer than the queue allows.
    Limit(JobId),
    /// The instance has been idle for as long as it may.
    Idle(EnvironmentId, InstanceId),
    /// What runs on the environment's outdated instances has gone on for as long as it may.
    Replacement(EnvironmentId),
}

/// Everything that will be due for a job as it is.
pub(super) fn timers(job: &Job, queue: &QueueSpec) -> Vec<(Timestamp, Timer)> {
    let mut due = Vec::new();
    if let (Some(attempt), Some(deadline)) = (job.live_id(), job.deadline())
        && job.live.as_ref().is_some_and(|live| live.stopping.is_none())
    {
        due.push((deadline, Timer::Deadline(attempt)));
    }
    let Some(blocked) = &job.blocked else { return due };
    let Some(code) = blocked.why.code() else { return due };
    if blocked.told == Told::NotYet {
        due.push((blocked.since + PATIENCE, Timer::Tell(job.id)));
    }
    if let Some(limit) = queue.limits.iter().find(|limit| limit.code == code) {
        due.push((blocked.since + limit.longest, Timer::Limit(job.id)));
    }
    due
}

impl Step<'_> {
    pub(super) fn tick(&mut self) {
        while let Some((at, timer)) = self.state.timers.first().cloned() {
            if at > self.now {
                break;
            }
            self.state.timers.pop_first();
            match timer {
                Timer::Deadline(attempt) => self.stop(attempt.job, StopCause::TimedOut),
                Timer::Tell(job) => self.tell_blocked(job),
                Timer::Limit(job) => self.end_blocked(job),
                Timer::Idle(environment, instance) => self.end_idle(&environment, instance),
                Timer::Replacement(environment) => self.end_replacement(&environment),
            }
        }
    }
}
