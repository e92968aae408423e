//! The state again from what was saved, and what is to be done first after a restart.

use super::state::Step;
use super::{Effect, Environment, EnvironmentSpec, Job, Machine, Queue, QueueSpec, State, Status, Usage};
use barge_core::Timestamp;

/// All that must be kept to rebuild a state.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Every compute environment.
    pub environments: Vec<EnvironmentSpec>,
    /// Every queue.
    pub queues: Vec<QueueSpec>,
    /// Queues that were deleted and had jobs left.
    pub deleting: Vec<QueueSpec>,
    /// Every job that has not ended.
    pub jobs: Vec<Job>,
    /// The highest place that any job was ever given, also among those that ended; 0 where there was none.
    pub last_seq: u64,
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
        for spec in saved.environments {
            state.environments.insert(spec.id.clone(), Environment { spec, used: Usage::default() });
        }
        for spec in saved.queues {
            state.queues.insert(spec.id.clone(), Queue::new(spec));
        }
        for spec in saved.deleting {
            let queue = Queue { deleting: true, ..Queue::new(spec) };
            state.queues.insert(queue.spec.id.clone(), queue);
        }
        for job in saved.jobs {
            state.take_back(job);
        }
        state.queues.retain(|_, queue| !queue.deleting || queue.live > 0);
        state
    }

    fn take_back(&mut self, job: Job) {
        let queue = self.queues.get_mut(&job.queue).expect("a saved job's queue is saved");
        queue.live += 1;
        if let (Some(live), Some(id)) = (&job.live, job.live_id()) {
            self.used.take(job.needs);
            let environment =
                self.environments.get_mut(&live.environment).expect("a saved attempt's environment is saved");
            environment.used.take(job.needs);
            if live.stopping.is_none() {
                self.deadlines.extend(job.deadline().map(|deadline| (deadline, id)));
            }
        } else {
            assert_eq!(job.status, Status::Runnable, "job {} was saved in a state that nothing waits in", job.id);
            let line = if job.aside.is_some() { &mut queue.aside } else { &mut queue.waiting };
            line.insert(job.seq, job.id);
        }
        self.jobs.insert(job.id, job);
    }

    /// What is to be done first after a restart: attempts that were being started are launched again, which the engine takes
    /// once; those that ran are looked for; those that were being stopped are stopped; and the machine may have changed.
    pub fn resume(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut live: Vec<&Job> = self.jobs.values().filter(|job| job.live.is_some()).collect();
        live.sort_unstable_by_key(|job| job.seq);
        let mut effects = Vec::new();
        for job in live {
            if let (Some(live), Some(id)) = (&job.live, job.live_id()) {
                let place = live.environment.clone();
                effects.push(match job.status {
                    Status::Running => Effect::Adopt(id, place),
                    _ => Effect::Launch(id, place),
                });
                effects.extend(live.stopping.is_some().then_some(Effect::Stop(id)));
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
