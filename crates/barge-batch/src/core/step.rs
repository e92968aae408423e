//! One event being applied: changes to the state, and the effects that they add up to.

use super::timer::timers;
use super::{
    Dependency, Effect, Environment, EnvironmentId, IndexSet, Job, JobId, Ledger, Queue, QueueId, ShareId, State,
    Status, Success,
};
use barge_core::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One event being applied.
pub(super) struct Step<'a> {
    pub(super) state: &'a mut State,
    pub(super) now: Timestamp,
    pub(super) effects: Vec<Effect>,
    /// Jobs whose end others may wait for.
    pub(super) ended: VecDeque<Ended>,
    /// Whether something may start now that could not before.
    pub(super) starts: Starts,
    changed: BTreeSet<JobId>,
    last_states: Vec<Job>,
    fleets: BTreeSet<EnvironmentId>,
    shares: BTreeMap<(QueueId, ShareId), Option<Box<Ledger>>>,
    deadline_before: Option<Timestamp>,
}

/// What has ended, and others may wait for.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Job(JobId, Success),
    /// Children of an array that never started.
    Unstarted(JobId, IndexSet),
}

/// Whether jobs may be able to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Starts {
    Impossible,
    Possible,
}

impl<'a> Step<'a> {
    pub(super) fn begin(state: &'a mut State, now: Timestamp) -> Self {
        let deadline_before = state.next_deadline();
        Self {
            state,
            now,
            effects: Vec::new(),
            ended: VecDeque::new(),
            starts: Starts::Impossible,
            changed: BTreeSet::new(),
            last_states: Vec::new(),
            fleets: BTreeSet::new(),
            shares: BTreeMap::new(),
            deadline_before,
        }
    }

    /// Everything to be done, what is to be kept first.
    pub(super) fn finish(mut self) -> Vec<Effect> {
        self.settle_dependents();
        if self.starts == Starts::Possible {
            self.schedule();
        }
        let jobs = &self.state.jobs;
        let changed = self.changed.iter().filter_map(|id| jobs.get(id).cloned());
        let mut effects: Vec<Effect> = changed.chain(self.last_states).map(|job| Effect::Save(Box::new(job))).collect();
        for id in self.fleets {
            if let Some(environment) = self.state.environments.get(&id) {
                effects.push(Effect::SaveFleet(id, environment.fleet.clone()));
            }
        }
        // What shares of a queue that has gone had used goes with it: a queue of the same name would inherit it.
        let queues = &self.state.queues;
        let shares = self.shares.into_iter().filter(|((queue, _), _)| queues.contains_key(queue));
        effects.extend(shares.map(|((queue, share), ledger)| Effect::SaveShare(queue, share, ledger)));
        effects.append(&mut self.effects);
        let deadline = self.state.next_deadline();
        if deadline != self.deadline_before {
            effects.push(Effect::SetTimer(deadline));
        }
        effects
    }

    pub(super) fn job(&self, id: JobId) -> &Job {
        self.state.jobs.get(&id).expect("a job that was just found is there")
    }

    pub(super) fn queue(&mut self, id: &QueueId) -> &mut Queue {
        self.state.queues.get_mut(id).expect("a live job's queue is there")
    }

    pub(super) fn environment(&mut self, id: &EnvironmentId) -> &mut Environment {
        self.state.environments.get_mut(id).expect("a placed attempt's environment is there")
    }

    /// Changes a job, keeps what will be due for it right, and has it saved.
    pub(super) fn edit<T>(&mut self, id: JobId, change: impl FnOnce(&mut Job) -> T) -> T {
        let state = &mut *self.state;
        let job = state.jobs.get_mut(&id).expect("a job that was just found is there");
        let queue = &state.queues.get(&job.terms.queue).expect("a live job's queue is there").spec;
        for timer in timers(job, queue) {
            state.timers.remove(&timer);
        }
        let result = change(job);
        state.timers.extend(timers(job, queue));
        self.changed.insert(id);
        result
    }

    /// Notes that an environment's instances must be saved.
    pub(super) fn fleet_changed(&mut self, id: &EnvironmentId) {
        self.fleets.insert(id.clone());
    }

    /// Notes that what a share has used must be saved, or forgotten.
    pub(super) fn share_changed(&mut self, queue: &QueueId, share: &ShareId, ledger: Option<Box<Ledger>>) {
        self.shares.insert((queue.clone(), share.clone()), ledger);
    }

    /// Takes a new job, or a child that gets a record, into the state; it is saved with its first state.
    pub(super) fn enter(&mut self, job: Job) {
        let share = job.terms.share.clone();
        let queue = self.queue(&job.terms.queue);
        queue.share(&share).live += 1;
        queue.count(&job);
        self.changed.insert(job.id);
        if job.array.is_some() {
            self.state.arrays.insert(job.id);
        }
        let before = self.state.jobs.insert(job.id, job);
        assert!(before.is_none(), "a job is entered twice");
    }

    fn become_status(&mut self, id: JobId, status: Status) {
        let state = &mut *self.state;
        let job = &state.jobs[&id];
        state.queues.get_mut(&job.terms.queue).expect("a live job's queue is there").discount(job);
        self.edit(id, |job| job.become_status(status));
        let state = &mut *self.state;
        let job = &state.jobs[&id];
        state.queues.get_mut(&job.terms.queue).expect("a live job's queue is there").count(job);
    }

    /// Moves the job to `status` and tells the world.
    pub(super) fn advance(&mut self, id: JobId, status: Status) {
        self.become_status(id, status);
        let told = Box::new(self.job(id).clone());
        self.effects.push(Effect::Emit(told));
    }

    /// Ends the job: the core forgets it, its queue too.
    pub(super) fn end(&mut self, id: JobId, success: Success, at: Timestamp) {
        let status = match success {
            Success::Yes => Status::Succeeded,
            Success::No => Status::Failed,
        };
        self.forget_blockage(id);
        assert!(self.job(id).live.is_none(), "job {id} ends while its attempt holds resources");
        self.become_status(id, status);
        self.edit(id, |job| job.stopped_at = Some(at));
        let job = self.state.jobs.remove(&id).expect("a job ends once");
        self.state.arrays.remove(&id);
        self.stop_waiting(&job);
        self.effects.push(Effect::Emit(Box::new(job.clone())));
        self.leave_queue(&job);
        self.ended.push_back(Ended::Job(id, success));
        self.last_states.push(job);
    }

    /// Forgets that a job, which has ended, waits for others.
    fn stop_waiting(&mut self, job: &Job) {
        if job.id.parent().is_some() {
            return;
        }
        for dependency in &job.terms.depends_on {
            let (Dependency::Whole(on) | Dependency::NToN(on)) = dependency else { continue };
            if let Some(waiting) = self.state.dependents.get_mut(on) {
                waiting.remove(&job.id);
                if waiting.is_empty() {
                    self.state.dependents.remove(on);
                }
            }
        }
    }

    fn leave_queue(&mut self, job: &Job) {
        let now = self.now;
        let (id, share_id) = (job.terms.queue.clone(), job.terms.share.clone());
        let queue = self.queue(&id);
        queue.discount(job);
        queue.share(&share_id).live -= 1;
        let gone = queue.deleting && queue.live() == 0;
        // A first-in-first-out queue has one share, and nothing to remember of it.
        let forgettable = match queue.policy().cloned() {
            None => queue.live() == 0,
            Some(policy) => {
                let share = queue.share(&share_id);
                share.live == 0 && share.ledger.usage(now, policy.decay, share.held) == 0
            }
        };
        if forgettable {
            queue.shares.remove(&share_id);
            self.share_changed(&id, &share_id, None);
        }
        if gone {
            self.state.queues.remove(&id);
            self.effects.push(Effect::QueueGone(id));
        }
    }
}
