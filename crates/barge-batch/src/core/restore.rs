//! The state again from what was saved, and what is to be done first after a restart.

use super::hold::Hold;
use super::step::Step;
use super::timer::{Timer, timers};
use super::{
    Consumable, ConsumableId, Dependency, Effect, Environment, EnvironmentSpec, Fleet, IndexSet, Job, JobId, Ledger,
    Machine, Queue, QueueId, QueueSpec, ShareId, State, Status, TaskId,
};
use barge_core::Timestamp;

/// All that must be kept to rebuild a state.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Every compute environment, with its instances as they were last saved.
    pub environments: Vec<(EnvironmentSpec, Fleet)>,
    /// Every queue.
    pub queues: Vec<QueueSpec>,
    /// Queues that were deleted and had jobs left.
    pub deleting: Vec<QueueSpec>,
    /// What shares have used.
    pub shares: Vec<(QueueId, ShareId, Ledger)>,
    /// Every consumable resource.
    pub consumables: Vec<(ConsumableId, Consumable)>,
    /// Every job that has not ended; arrays before their children.
    pub jobs: Vec<Job>,
    /// For each array that has not ended, its children that have ended with a record.
    pub settled: Vec<Settled>,
    /// The highest place that any job was ever given, also among those that ended; 0 where there was none.
    pub last_seq: u64,
}

/// Children of an array that have ended with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The array.
    pub array: JobId,
    /// Those that succeeded.
    pub succeeded: IndexSet,
    /// Those that failed.
    pub failed: IndexSet,
}

impl State {
    /// The state that `saved` was kept of, on `machine`, which may not be the one it was kept on. Call [`State::resume`]
    /// next.
    ///
    /// # Panics
    /// Where what was saved contradicts itself: rows are written together, so the store is broken then.
    pub fn restore(machine: Machine, saved: Saved) -> Self {
        let mut state = Self::new(machine);
        state.next_seq = saved.last_seq + 1;
        state.consumables = saved.consumables.into_iter().collect();
        for (spec, fleet) in saved.environments {
            state.environments.insert(spec.id.clone(), Environment::new(spec, fleet));
        }
        for spec in saved.queues {
            state.queues.insert(spec.id.clone(), Queue::new(spec));
        }
        for spec in saved.deleting {
            let queue = Queue { deleting: true, ..Queue::new(spec) };
            state.queues.insert(queue.spec.id.clone(), queue);
        }
        for (queue, share, ledger) in saved.shares {
            if let Some(queue) = state.queues.get_mut(&queue).filter(|queue| queue.policy().is_some()) {
                queue.share(&share).ledger = ledger;
            }
        }
        for job in saved.jobs {
            state.take_back(job);
        }
        saved.settled.into_iter().for_each(|settled| state.take_back_settled(settled));
        state.close_arrays();
        state.line_up();
        state.watch();
        state.queues.retain(|_, queue| !queue.deleting || queue.live() > 0);
        state
    }

    fn take_back(&mut self, mut job: Job) {
        let queue = self.queues.get_mut(&job.terms.queue).expect("a saved job's queue is saved");
        queue.share(&job.terms.share).live += 1;
        queue.count(&job);
        // A million jobs of one queue need its name once.
        if let (Some(terms), id) = (std::sync::Arc::get_mut(&mut job.terms), &queue.spec.id) {
            terms.queue = id.clone();
        }
        if let Some((array, index)) = job.id.parent() {
            let array = self.jobs.get_mut(&array).expect("a saved child's array is saved before it");
            job.terms = std::sync::Arc::clone(&array.terms);
            array.array.as_mut().expect("a child's parent is an array").live.insert(index);
        }
        for (_, task, needs) in job.live_tasks() {
            self.used.take(needs);
            queue.share(&job.terms.share).held += u64::from(needs.vcpu_milli);
            let environment = job.live.as_ref().and_then(|live| self.environments.get_mut(&live.environment));
            environment.expect("a saved attempt's environment is saved").take(needs, task.instance);
        }
        if job.live.is_some() {
            for (id, quantity) in &job.terms.shape.consumables {
                self.consumables.get_mut(id).expect("a saved attempt's resources are saved").take(*quantity);
            }
        }
        let orders =
            job.live.as_ref().map(|live| live.order + 1).max(job.blocked.as_ref().map(|blocked| blocked.after));
        self.next_order = self.next_order.max(orders.unwrap_or(0));
        let has_ended = |task: &super::LiveTask| task.ended.is_some();
        assert_eq!(
            matches!(job.status, Status::Starting | Status::Running),
            job.live.as_ref().is_some_and(|live| !live.tasks.iter().all(has_ended)),
            "job {} was saved in a state that it can't be in",
            job.id
        );
        if job.live.is_some() {
            self.live.insert(job.id);
        }
        if job.array.is_some() {
            self.arrays.insert(job.id);
        }
        self.jobs.insert(job.id, job);
    }

    fn take_back_settled(&mut self, settled: Settled) {
        let Some(array) = self.jobs.get_mut(&settled.array).and_then(|job| job.array.as_mut()) else { return };
        array.succeeded = settled.succeeded;
        array.failed = settled.failed;
    }

    /// Children of ended arrays that have no record have failed.
    fn close_arrays(&mut self) {
        for array in self.jobs.values_mut().filter_map(|job| job.array.as_mut()) {
            if array.closed.is_some() {
                let failing: Vec<u32> = array.each_unstarted().collect();
                array.failed.extend(failing);
            }
        }
    }

    /// Puts everyone who waits where they wait: in lines, or for others.
    fn line_up(&mut self) {
        let arrays: Vec<(JobId, IndexSet)> = self
            .jobs
            .values()
            .filter_map(|job| Some((job.id, self.startable_children(job, job.array.as_ref()?))))
            .collect();
        for (id, startable) in arrays {
            if let Some(array) = self.jobs.get_mut(&id).and_then(|job| job.array.as_mut()) {
                array.runnable = startable;
            }
        }
        let mut waits: Vec<(JobId, JobId)> = Vec::new();
        for job in self.jobs.values() {
            let in_line =
                job.status == Status::Runnable || job.array.as_ref().is_some_and(|array| !array.runnable.is_empty());
            if in_line {
                self.queues.get_mut(&job.terms.queue).expect("it was found before").join(job);
            }
            if job.id.parent().is_none() {
                let live = job.terms.depends_on.iter().filter_map(|dependency| match dependency {
                    Dependency::Whole(id) | Dependency::NToN(id) => Some(*id).filter(|id| self.is_live(*id)),
                    Dependency::Sequential => None,
                });
                waits.extend(live.map(|on| (on, job.id)));
            }
        }
        for (on, waiting) in waits {
            self.dependents.entry(on).or_default().insert(waiting);
        }
    }

    fn is_live(&self, id: JobId) -> bool {
        let child = || {
            let (array, index) = id.parent()?;
            Some(self.jobs.get(&array)?.array.as_ref()?.is_unstarted(index))
        };
        self.jobs.contains_key(&id) || child() == Some(true)
    }

    /// Everything that will be due, and the room held for those who wait.
    fn watch(&mut self) {
        for job in self.jobs.values() {
            self.timers.extend(timers(job, &self.queues[&job.terms.queue].spec));
            if let Some(blocked) = job.blocked.as_ref().filter(|blocked| blocked.why.holds_room()) {
                self.holds.insert(job.id, Hold::new(blocked.after));
            }
        }
        for job in self.jobs.values() {
            for (_, task, needs) in job.live_tasks() {
                let live = job.live.as_ref().expect("it has a live task");
                self.holds.values_mut().for_each(|hold| hold.take(live, needs, task.instance));
            }
        }
        for environment in self.environments.values() {
            self.timers.extend(environment.replacement_timer());
            let Some(fleet) = &environment.spec.fleet else { continue };
            for (since, instance) in environment.fleet.idle() {
                self.timers.insert((since + fleet.idle_time, Timer::Idle(environment.spec.id.clone(), instance)));
            }
        }
    }

    /// What is to be done first after a restart: tasks that were being started are launched again, which the engine takes
    /// once; those that ran are looked for; those that were being stopped are stopped; and the machine may have changed.
    pub fn resume(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut live: Vec<&Job> = self.live_jobs().collect();
        live.sort_unstable_by_key(|job| (job.seq, job.id));
        let mut effects = Vec::new();
        for job in live {
            let Some(attempt) = &job.live else { continue };
            for (id, task, _) in job.live_tasks() {
                let place = attempt.environment.clone();
                effects.push(match task.started_at {
                    Some(_) => Effect::Adopt(id, place),
                    None => Effect::Launch(id, place),
                });
            }
            if attempt.stopping.is_some() {
                effects.extend(job.live_tasks().map(|(id, ..): (TaskId, _, _)| Effect::Stop(id)));
            }
        }
        let deadline = self.next_deadline();
        let machine = self.machine;
        let mut step = Step::begin(self, now);
        step.set_machine(machine);
        effects.extend(step.finish());
        effects.push(Effect::SetTimer(deadline));
        effects
    }
}
