//! What becomes of jobs, queues and environments when something happens to them.
//!
//! Decided here, where AWS's guides are silent:
//! - What an attempt holds is given back when its container has ended, not when it was told to stop.
//! - An attempt that was told to stop and exits 0 all the same is a failed one: the call that stopped it was answered.
//! - A job that is tried again keeps its place by order of submission.
//! - A container that ended before the news of its start came has run: the job passes through RUNNING.
//! - Deleting a queue terminates its jobs; the queue is gone when the last has ended (API Reference, "DeleteJobQueue").

use super::state::Step;
use super::{
    AttemptId, Effect, EndedBy, Environment, EnvironmentId, EnvironmentSpec, Job, JobId, JobSpec, Machine, Memory,
    Outcome, PastAttempt, Queue, QueueId, QueueSpec, Reason, Refusal, Status, StopCause, Switch, Usage,
};
use barge_core::Timestamp;

/// A container ran and ended, by itself or killed for its memory.
pub const EXITED: &str = "Essential container in task exited";
/// A container never ran.
pub const NOT_STARTED: &str = "Task failed to start";
/// An attempt ran longer than it may (Batch User Guide, "Job timeouts").
pub const TIMED_OUT: &str = "Job attempt duration exceeded timeout";
/// The kernel killed a container for its memory.
pub const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";
/// The job's queue was deleted.
pub const QUEUE_DELETED: &str = "Job queue was deleted";

impl Step<'_> {
    pub(super) fn put_environment(&mut self, spec: EnvironmentSpec) {
        let id = spec.id.clone();
        match self.state.environments.get_mut(&id) {
            Some(environment) => environment.spec = spec,
            None => drop(self.state.environments.insert(id.clone(), Environment { spec, used: Usage::default() })),
        }
        let queues: Vec<QueueId> = self.state.queues_of(&id).map(|queue| queue.spec.id.clone()).collect();
        for queue in queues {
            self.reconsider(&queue);
        }
        self.schedule_all();
    }

    pub(super) fn delete_environment(&mut self, id: &EnvironmentId) -> Result<(), Refusal> {
        let environment = self.state.environments.get(id).ok_or_else(|| Refusal::NoEnvironment(id.clone()))?;
        if environment.spec.switch == Switch::Enabled {
            return Err(Refusal::EnvironmentEnabled(id.clone()));
        }
        if self.state.queues_of(id).next().is_some() {
            return Err(Refusal::EnvironmentInQueue(id.clone()));
        }
        if environment.used.attempts > 0 {
            return Err(Refusal::EnvironmentBusy(id.clone()));
        }
        self.state.environments.remove(id);
        Ok(())
    }

    pub(super) fn put_queue(&mut self, spec: QueueSpec) -> Result<(), Refusal> {
        if let Some(missing) = spec.environments.iter().find(|id| !self.state.environments.contains_key(*id)) {
            return Err(Refusal::NoEnvironment(missing.clone()));
        }
        let id = spec.id.clone();
        match self.state.queues.get_mut(&id) {
            Some(queue) if queue.deleting => return Err(Refusal::NoQueue(id)),
            Some(queue) => queue.spec = spec,
            None => drop(self.state.queues.insert(id.clone(), Queue::new(spec))),
        }
        self.reconsider(&id);
        self.schedule_all();
        Ok(())
    }

    pub(super) fn delete_queue(&mut self, id: &QueueId) -> Result<(), Refusal> {
        let queue = self.state.queues.get_mut(id).ok_or_else(|| Refusal::NoQueue(id.clone()))?;
        if queue.spec.switch == Switch::Enabled {
            return Err(Refusal::QueueEnabled(id.clone()));
        }
        if queue.live == 0 {
            self.state.queues.remove(id);
            self.effects.push(Effect::QueueGone(id.clone()));
            return Ok(());
        }
        queue.deleting = true;
        let mut jobs: Vec<(u64, JobId)> =
            self.state.jobs.values().filter(|job| job.queue == *id).map(|job| (job.seq, job.id)).collect();
        jobs.sort_unstable();
        for (_, job) in jobs {
            self.request_end(job, QUEUE_DELETED.into());
        }
        Ok(())
    }

    pub(super) fn set_machine(&mut self, machine: Machine) {
        self.state.machine = machine;
        let queues: Vec<QueueId> = self.state.queues.keys().cloned().collect();
        for queue in queues {
            self.reconsider(&queue);
        }
        self.schedule_all();
    }

    /// Takes every job that waits aside back into its queue's line.
    fn reconsider(&mut self, id: &QueueId) {
        let queue = self.queue(id);
        let jobs: Vec<JobId> = queue.aside.values().copied().collect();
        queue.reconsider();
        for id in jobs {
            let job = self.job(id);
            job.aside = None;
            job.reason = None;
            self.touch(id);
        }
    }

    pub(super) fn submit(&mut self, spec: JobSpec) -> Result<(), Refusal> {
        let queue = self.state.queues.get(&spec.queue).filter(|queue| !queue.deleting);
        let queue = queue.ok_or_else(|| Refusal::NoQueue(spec.queue.clone()))?;
        if queue.spec.switch == Switch::Disabled {
            return Err(Refusal::QueueDisabled(spec.queue));
        }
        let offered = |id| self.state.environments.get(id).map(|environment| environment.spec.kind.platform());
        if !queue.spec.environments.iter().any(|id| offered(id) == Some(spec.platform)) {
            return Err(Refusal::WrongPlatform(spec.queue));
        }
        if self.state.jobs.contains_key(&spec.id) {
            return Err(Refusal::JobExists(spec.id));
        }
        assert!(spec.attempts_allowed > 0, "a job has an attempt");
        let job = Job::new(spec, self.state.next_seq, self.now);
        self.state.next_seq += 1;
        let (id, queue) = (job.id, job.queue.clone());
        self.state.jobs.insert(id, job);
        self.queue(&queue).live += 1;
        self.wait(id);
        Ok(())
    }

    /// Puts a job in its queue's line; starts it where nobody is before it and there is room.
    fn wait(&mut self, id: JobId) {
        self.advance(id, Status::Runnable);
        let job = self.job(id);
        let (seq, queue) = (job.seq, job.queue.clone());
        let line = &mut self.queue(&queue).waiting;
        line.insert(seq, id);
        if line.first_key_value().is_some_and(|(first, _)| *first == seq) {
            self.schedule_one(&queue);
        }
    }

    pub(super) fn cancel(&mut self, id: JobId, reason: Reason) -> Result<(), Refusal> {
        let job = self.state.jobs.get_mut(&id).ok_or(Refusal::NoLiveJob(id))?;
        if job.live.is_none() {
            job.ended_by = Some(EndedBy::Cancel);
            self.end_waiting(id, reason);
        }
        Ok(())
    }

    pub(super) fn terminate(&mut self, id: JobId, reason: Reason) -> Result<(), Refusal> {
        if !self.state.jobs.contains_key(&id) {
            return Err(Refusal::NoLiveJob(id));
        }
        self.request_end(id, reason);
        Ok(())
    }

    /// Ends a job that waits; has the attempt of any other stopped.
    fn request_end(&mut self, id: JobId, reason: Reason) {
        let job = self.job(id);
        if job.live.as_ref().is_some_and(|live| live.stopping.is_some()) {
            // The first reason stands.
            return;
        }
        job.ended_by = Some(EndedBy::Terminate);
        if job.live.is_some() {
            self.stop(id, StopCause::Terminated(reason));
        } else {
            self.end_waiting(id, reason);
        }
    }

    fn end_waiting(&mut self, id: JobId, reason: Reason) {
        let job = self.job(id);
        job.reason = Some(reason);
        let (seq, queue) = (job.seq, job.queue.clone());
        self.queue(&queue).leave(seq);
        self.end(id, Status::Failed, self.now);
        if self.state.queues.contains_key(&queue) {
            self.schedule_one(&queue);
        }
    }

    fn stop(&mut self, id: JobId, cause: StopCause) {
        let job = self.job(id);
        let deadline = job.deadline();
        let attempt = job.live_id().expect("only a live attempt is stopped");
        if let Some(live) = &mut job.live {
            live.stopping = Some(cause);
        }
        if let Some(deadline) = deadline {
            self.state.deadlines.remove(&(deadline, attempt));
        }
        self.effects.push(Effect::Stop(attempt));
        self.touch(id);
    }

    fn live(&mut self, attempt: AttemptId) -> Option<&mut Job> {
        self.state.jobs.get_mut(&attempt.job).filter(|job| job.live_id() == Some(attempt))
    }

    pub(super) fn attempt_started(&mut self, attempt: AttemptId, at: Timestamp) {
        let Some(job) = self.live(attempt) else { return };
        if job.status != Status::Starting {
            return;
        }
        job.started_at = Some(at);
        let mut stopping = false;
        if let Some(live) = &mut job.live {
            live.started_at = Some(at);
            stopping = live.stopping.is_some();
        }
        if let Some(deadline) = job.deadline().filter(|_| !stopping) {
            self.state.deadlines.insert((deadline, attempt));
        }
        self.advance(attempt.job, Status::Running);
    }

    pub(super) fn attempt_ended(&mut self, attempt: AttemptId, at: Timestamp, outcome: &Outcome) {
        self.effects.push(Effect::Forget(attempt));
        if self.live(attempt).is_none() {
            return;
        }
        if matches!(outcome, Outcome::Exited { .. }) {
            self.attempt_started(attempt, at);
        }
        let stopping = self.release(attempt, at, outcome);
        let deleting = {
            let queue = self.job(attempt.job).queue.clone();
            self.queue(&queue).deleting
        };
        let job = self.job(attempt.job);
        let spent = job.past.len() >= job.attempts_allowed as usize;
        match (stopping, outcome) {
            (None, Outcome::Exited { code: 0, .. }) => self.end(attempt.job, Status::Succeeded, at),
            (None, _) if !spent && !deleting => self.wait(attempt.job),
            _ => self.end(attempt.job, Status::Failed, at),
        }
        self.schedule_all();
    }

    /// Gives back what the attempt holds and writes it down among the past ones. Tells whether it was being stopped.
    fn release(&mut self, attempt: AttemptId, at: Timestamp, outcome: &Outcome) -> Option<StopCause> {
        let job = self.job(attempt.job);
        let (needs, deadline) = (job.needs, job.deadline());
        let live = job.live.take().expect("the attempt is live");
        let reason = status_reason(live.stopping.as_ref(), outcome);
        job.reason = Some(reason.clone());
        job.past.push(PastAttempt {
            number: live.number,
            environment: live.environment.clone(),
            started_at: live.started_at,
            stopped_at: at,
            exit_code: match outcome {
                Outcome::Exited { code, .. } => Some(*code),
                Outcome::FailedToStart(_) | Outcome::Lost(_) => None,
            },
            container_reason: container_reason(outcome),
            status_reason: reason,
        });
        if let Some(deadline) = deadline {
            self.state.deadlines.remove(&(deadline, attempt));
        }
        self.environment(&live.environment).used.give_back(needs);
        self.state.used.give_back(needs);
        self.touch(attempt.job);
        live.stopping
    }

    pub(super) fn end_overdue(&mut self) {
        while let Some((deadline, attempt)) = self.state.deadlines.first().copied() {
            if deadline > self.now {
                break;
            }
            self.stop(attempt.job, StopCause::TimedOut);
        }
    }
}

fn status_reason(stopping: Option<&StopCause>, outcome: &Outcome) -> Reason {
    match (stopping, outcome) {
        (Some(StopCause::Terminated(reason)), _) | (None, Outcome::Lost(reason)) => reason.clone(),
        (Some(StopCause::TimedOut), _) => TIMED_OUT.into(),
        (None, Outcome::Exited { .. }) => EXITED.into(),
        (None, Outcome::FailedToStart(_)) => NOT_STARTED.into(),
    }
}

fn container_reason(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Exited { code, memory: Memory::Exceeded } if *code != 0 => Some(OUT_OF_MEMORY.into()),
        Outcome::FailedToStart(reason) => Some(reason.clone()),
        Outcome::Exited { .. } | Outcome::Lost(_) => None,
    }
}
