//! What becomes of jobs, queues, environments and resources when something is asked of them.
//!
//! Decided here, where AWS's guides are silent:
//! - What an attempt holds is given back when its container has ended, not when it was told to stop.
//! - An attempt that was told to stop and exits 0 all the same is a failed one: the call that stopped it was answered.
//! - A job that is tried again keeps its place by order of submission.
//! - A container that ended before the news of its start came has run: the job passes through RUNNING.
//! - A multi-node attempt ends with its main node: the other nodes are stopped then, and how they end does not count. A node
//!   that can't run at all ends the attempt.
//! - Children of an ended array are not tried again. Cancelling an array leaves those of its children that have started.
//! - Deleting a queue terminates its jobs; the queue is gone when the last has ended (API Reference, "DeleteJobQueue").

use super::step::{Starts, Step};
use super::{
    Array, Consumable, ConsumableId, Effect, EndedBy, Environment, EnvironmentId, EnvironmentSpec, Fleet, IndexSet,
    InstanceId, Job, JobId, JobSpec, Kind, Machine, Queue, QueueId, QueueSpec, Reason, Refusal, ShareId, StopCause,
    Switch, Terms,
};
use std::sync::Arc;

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
/// A job that the job waited for has failed.
pub const DEPENDENCY_FAILED: &str = "Dependent Job failed";
/// A child of the array has failed.
pub const ARRAY_CHILD_FAILED: &str = "Array Child Job failed";
/// An attempt on FARGATE_SPOT was interrupted.
pub const SPOT_TASK_INTERRUPTED: &str = "Your Spot Task was interrupted.";

/// An instance was interrupted, or is lost with all that ran on it (Batch User Guide, "Automated job retries").
pub fn host_terminated(instance: &str) -> String {
    format!("Host EC2 (instance {instance}) terminated.")
}

impl Step<'_> {
    pub(super) fn put_environment(&mut self, spec: EnvironmentSpec) -> Result<(), Refusal> {
        let id = spec.id.clone();
        if let Some(environment) = self.state.environments.get(&id) {
            if environment.fleet.is_updating() {
                return Err(Refusal::EnvironmentUpdating(id));
            }
            // Their idle time may change.
            self.each_idle(&id, Self::unschedule_idle);
            self.environment(&id).spec = spec;
            self.each_idle(&id, Self::schedule_idle);
        } else {
            self.state.environments.insert(id.clone(), Environment::new(spec, Fleet::default()));
        }
        self.scale(&id);
        self.starts = Starts::Possible;
        Ok(())
    }

    pub(super) fn delete_environment(&mut self, id: &EnvironmentId) -> Result<(), Refusal> {
        let environment = self.state.environments.get(id).ok_or_else(|| Refusal::NoEnvironment(id.clone()))?;
        if environment.spec.switch == Switch::Enabled {
            return Err(Refusal::EnvironmentEnabled(id.clone()));
        }
        if self.state.queues_of(id).next().is_some() {
            return Err(Refusal::EnvironmentInQueue(id.clone()));
        }
        if environment.used.tasks > 0 {
            return Err(Refusal::EnvironmentBusy(id.clone()));
        }
        let instances: Vec<InstanceId> = environment.fleet.instances.keys().copied().collect();
        for instance in instances {
            self.let_go(id, instance);
        }
        self.state.environments.remove(id);
        Ok(())
    }

    pub(super) fn put_queue(&mut self, spec: QueueSpec) -> Result<(), Refusal> {
        if let Some(missing) = spec.environments.iter().find(|id| !self.state.environments.contains_key(*id)) {
            return Err(Refusal::NoEnvironment(missing.clone()));
        }
        let id = spec.id.clone();
        match self.state.queues.get(&id) {
            Some(queue) if queue.deleting => return Err(Refusal::NoQueue(id)),
            Some(_) => self.change_queue(spec),
            None => drop(self.state.queues.insert(id, Queue::new(spec))),
        }
        self.starts = Starts::Possible;
        Ok(())
    }

    /// Changes a queue; the time limits of jobs that block it change with it.
    fn change_queue(&mut self, spec: QueueSpec) {
        let id = spec.id.clone();
        let blocked: Vec<JobId> = self
            .state
            .jobs
            .values()
            .filter(|job| job.terms.queue == id && job.blocked.is_some())
            .map(|job| job.id)
            .collect();
        let marks: Vec<_> = blocked.iter().map(|job| (*job, self.edit(*job, |job| job.blocked.take()))).collect();
        self.queue(&id).spec = spec;
        for (job, mark) in marks {
            self.edit(job, |job| job.blocked = mark);
        }
    }

    pub(super) fn delete_queue(&mut self, id: &QueueId) -> Result<(), Refusal> {
        let queue = self.state.queues.get_mut(id).ok_or_else(|| Refusal::NoQueue(id.clone()))?;
        if queue.spec.switch == Switch::Enabled {
            return Err(Refusal::QueueEnabled(id.clone()));
        }
        let shares: Vec<ShareId> = queue.shares.keys().cloned().collect();
        for share in &shares {
            self.share_changed(id, share, None);
        }
        if self.queue(id).live() == 0 {
            self.state.queues.remove(id);
            self.effects.push(Effect::QueueGone(id.clone()));
            return Ok(());
        }
        self.queue(id).deleting = true;
        let of_queue = self.state.jobs.values().filter(|job| job.terms.queue == *id && job.id.parent().is_none());
        let mut jobs: Vec<(u64, JobId)> = of_queue.map(|job| (job.seq, job.id)).collect();
        jobs.sort_unstable();
        for (_, job) in jobs {
            // An earlier one's end may have ended it.
            if self.state.jobs.contains_key(&job) {
                self.request_end(job, &QUEUE_DELETED.into());
            }
        }
        Ok(())
    }

    pub(super) fn put_consumable(&mut self, id: ConsumableId, consumable: Consumable) {
        let in_use = self.state.consumables.get(&id).map_or(0, |before| before.in_use);
        let consumable = Consumable { in_use, ..consumable };
        self.state.consumables.insert(id.clone(), consumable);
        self.effects.push(Effect::SaveConsumable(id, Some(consumable)));
        self.starts = Starts::Possible;
    }

    pub(super) fn delete_consumable(&mut self, id: &ConsumableId) -> Result<(), Refusal> {
        if !self.state.consumables.contains_key(id) {
            return Err(Refusal::NoConsumable(id.clone()));
        }
        let needed = |job: &Job| job.terms.shape.consumables.iter().any(|(needed, _)| needed == id);
        if self.state.jobs.values().any(needed) {
            return Err(Refusal::ConsumableInUse(id.clone()));
        }
        self.state.consumables.remove(id);
        self.effects.push(Effect::SaveConsumable(id.clone(), None));
        Ok(())
    }

    pub(super) fn give_back_consumable(&mut self, id: &ConsumableId, quantity: u64) {
        let consumable = self.state.consumables.get_mut(id).expect("what is held is there");
        consumable.give_back(quantity);
        let kept = *consumable;
        self.effects.push(Effect::SaveConsumable(id.clone(), Some(kept)));
    }

    pub(super) fn set_machine(&mut self, machine: Machine) {
        self.state.machine = machine;
        self.starts = Starts::Possible;
    }

    pub(super) fn submit(&mut self, spec: JobSpec) -> Result<(), Refusal> {
        self.check_queue(&spec)?;
        if self.state.jobs.contains_key(&spec.id) {
            return Err(Refusal::JobExists(spec.id));
        }
        if let Some((missing, _)) =
            spec.terms.shape.consumables.iter().find(|(id, _)| !self.state.consumables.contains_key(id))
        {
            return Err(Refusal::NoConsumable(missing.clone()));
        }
        let dependencies = self.check_dependencies(&spec)?;
        assert!(spec.terms.retry.attempts > 0, "a job has an attempt");
        assert!(!spec.terms.shape.tasks.is_empty(), "an attempt has a task");
        let array = match spec.terms.kind {
            Kind::Array { size } => Some(Box::new(Array::new(size))),
            Kind::Single | Kind::Nodes { .. } => None,
        };
        let (id, seq) = (spec.id, self.state.next_seq);
        self.state.next_seq += 1;
        self.enter(Job { id, seq, terms: Arc::new(spec.terms), created_at: self.now, array, ..Job::default() });
        self.admit(id, dependencies);
        Ok(())
    }

    fn check_queue(&self, spec: &JobSpec) -> Result<(), Refusal> {
        let Terms { queue: id, share, shape, .. } = &spec.terms;
        let queue = self.state.queues.get(id).filter(|queue| !queue.deleting);
        let queue = queue.ok_or_else(|| Refusal::NoQueue(id.clone()))?;
        if queue.spec.switch == Switch::Disabled {
            return Err(Refusal::QueueDisabled(id.clone()));
        }
        match (queue.policy(), share.as_str()) {
            (Some(_), "") => return Err(Refusal::ShareNeeded(id.clone())),
            (None, share) if !share.is_empty() => return Err(Refusal::ShareUnknown(id.clone())),
            _ => {}
        }
        let offered = |id| self.state.environments.get(id).map(|environment| environment.spec.kind.platform());
        if !queue.spec.environments.iter().any(|id| offered(id) == Some(shape.platform)) {
            return Err(Refusal::WrongPlatform(id.clone()));
        }
        Ok(())
    }

    pub(super) fn cancel(&mut self, id: JobId, reason: &Reason) -> Result<(), Refusal> {
        if self.end_unstarted_child(id, reason, EndedBy::Cancel) {
            return Ok(());
        }
        let job = self.state.jobs.get(&id).ok_or(Refusal::NoLiveJob(id))?;
        if job.array.is_some() {
            self.cancel_array(id, reason);
        } else if job.live.is_none() {
            self.end_waiting(id, reason, EndedBy::Cancel);
        }
        Ok(())
    }

    /// Ends those of an array's children that have not started, or wait to be tried again.
    pub(super) fn cancel_array(&mut self, id: JobId, reason: &Reason) {
        self.edit(id, |job| job.ended_by = Some(EndedBy::Cancel));
        for child in self.children_with_record(id) {
            if self.job(child).live.is_none() {
                self.end_waiting(child, reason, EndedBy::Cancel);
            }
        }
        self.close(id, reason, Some(EndedBy::Cancel));
    }

    fn children_with_record(&self, id: JobId) -> Vec<JobId> {
        let array = self.job(id).array.as_ref();
        array.into_iter().flat_map(|array| array.live.iter().map(|index| id.child(*index))).collect()
    }

    /// Ends a child of an array that has no record; false where the job is none.
    fn end_unstarted_child(&mut self, id: JobId, reason: &Reason, by: EndedBy) -> bool {
        let Some((array, index)) = id.parent() else { return false };
        let children = self.state.jobs.get(&array).and_then(|job| job.array.as_ref());
        if !children.is_some_and(|children| children.is_unstarted(index)) {
            return false;
        }
        self.fail_children(array, &IndexSet::range(index, index + 1), reason, Some(by));
        true
    }

    pub(super) fn terminate(&mut self, id: JobId, reason: &Reason) -> Result<(), Refusal> {
        if self.end_unstarted_child(id, reason, EndedBy::Terminate) {
            return Ok(());
        }
        if !self.state.jobs.contains_key(&id) {
            return Err(Refusal::NoLiveJob(id));
        }
        self.request_end(id, reason);
        Ok(())
    }

    /// Ends a job that waits; has the attempt of any other stopped; does both for an array's children.
    fn request_end(&mut self, id: JobId, reason: &Reason) {
        let job = self.job(id);
        if job.array.is_some() {
            self.edit(id, |job| job.ended_by = Some(EndedBy::Terminate));
            self.children_with_record(id).into_iter().for_each(|child| self.request_end(child, reason));
            self.close(id, reason, Some(EndedBy::Terminate));
            return;
        }
        let Some(live) = &job.live else { return self.end_waiting(id, reason, EndedBy::Terminate) };
        // The first reason stands; but who terminates a job that is being stopped for another reason does not want it tried again.
        if matches!(live.stopping, Some(StopCause::Terminated(_) | StopCause::TimedOut)) {
            return;
        }
        self.edit(id, |job| job.ended_by = Some(EndedBy::Terminate));
        self.stop(id, StopCause::Terminated(reason.clone()));
    }

    /// Books what a share holds up to now; needed before that changes.
    pub(super) fn book(&mut self, queue: &QueueId, share: &ShareId) {
        let now = self.now;
        let queue_id = queue;
        let queue = self.queue(queue);
        let Some(policy) = queue.policy().cloned() else { return };
        let booked = queue.share(share);
        let held = booked.held;
        booked.ledger.book(now, policy.decay, held);
        let ledger = Box::new(booked.ledger.clone());
        self.share_changed(queue_id, share, Some(ledger));
    }
}
