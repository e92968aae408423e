//! All that the core knows, and the one way to change it.

use super::{
    AttemptId, Effect, Environment, EnvironmentId, Event, Job, JobId, Machine, Queue, QueueId, Refusal, Status, Usage,
};
use barge_core::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the core knows: queues, environments, and jobs that have not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub(super) machine: Machine,
    pub(super) used: Usage,
    pub(super) environments: BTreeMap<EnvironmentId, Environment>,
    pub(super) queues: BTreeMap<QueueId, Queue>,
    pub(super) jobs: HashMap<JobId, Job>,
    /// When attempts that may not run for ever must have ended.
    pub(super) deadlines: BTreeSet<(Timestamp, AttemptId)>,
    pub(super) next_seq: u64,
}

/// Changes `state` by one event at the moment `now`, and says what is to be done. A refused command changes nothing.
///
/// Costs O(log n) in the jobs waiting, and O(q) in the queues where room has become free.
pub fn apply(state: &mut State, now: Timestamp, event: Event) -> Result<Vec<Effect>, Refusal> {
    let mut step = Step::begin(state, now);
    match event {
        Event::PutEnvironment(spec) => step.put_environment(spec),
        Event::DeleteEnvironment(id) => step.delete_environment(&id)?,
        Event::PutQueue(spec) => step.put_queue(spec)?,
        Event::DeleteQueue(id) => step.delete_queue(&id)?,
        Event::SetMachine(machine) => step.set_machine(machine),
        Event::Submit(spec) => step.submit(spec)?,
        Event::Cancel { job, reason } => step.cancel(job, reason)?,
        Event::Terminate { job, reason } => step.terminate(job, reason)?,
        Event::AttemptStarted { attempt, at } => step.attempt_started(attempt, at.min(now)),
        Event::AttemptEnded { attempt, at, outcome } => step.attempt_ended(attempt, at.min(now), &outcome),
        Event::Tick => step.end_overdue(),
    }
    Ok(step.finish())
}

/// One event being applied.
pub(super) struct Step<'a> {
    pub(super) state: &'a mut State,
    pub(super) now: Timestamp,
    pub(super) effects: Vec<Effect>,
    changed: Vec<JobId>,
    ended: Vec<Job>,
    deadline_before: Option<Timestamp>,
}

impl<'a> Step<'a> {
    pub(super) fn begin(state: &'a mut State, now: Timestamp) -> Self {
        let deadline_before = state.next_deadline();
        Self { state, now, effects: Vec::new(), changed: Vec::new(), ended: Vec::new(), deadline_before }
    }

    /// Everything to be done, saves first.
    pub(super) fn finish(mut self) -> Vec<Effect> {
        self.changed.sort_unstable();
        self.changed.dedup();
        let jobs = &self.state.jobs;
        let changed = self.changed.iter().filter_map(|id| jobs.get(id).cloned());
        let mut effects: Vec<Effect> = changed.chain(self.ended).map(|job| Effect::Save(Box::new(job))).collect();
        effects.append(&mut self.effects);
        let deadline = self.state.next_deadline();
        if deadline != self.deadline_before {
            effects.push(Effect::SetTimer(deadline));
        }
        effects
    }

    pub(super) fn job(&mut self, id: JobId) -> &mut Job {
        self.state.jobs.get_mut(&id).expect("a job that was just found is there")
    }

    pub(super) fn queue(&mut self, id: &QueueId) -> &mut Queue {
        self.state.queues.get_mut(id).expect("a live job's queue is there")
    }

    pub(super) fn environment(&mut self, id: &EnvironmentId) -> &mut Environment {
        self.state.environments.get_mut(id).expect("a placed attempt's environment is there")
    }

    /// Notes that the job must be saved.
    pub(super) fn touch(&mut self, id: JobId) {
        self.changed.push(id);
    }

    /// Moves the job to `status` and tells the world.
    pub(super) fn advance(&mut self, id: JobId, status: Status) {
        let job = self.job(id);
        job.become_status(status);
        let told = Box::new(job.clone());
        self.effects.push(Effect::Emit(told));
        self.touch(id);
    }

    /// Ends the job: the core forgets it, its queue too.
    pub(super) fn end(&mut self, id: JobId, status: Status, at: Timestamp) {
        assert!(status.is_final(), "{status:?} is no end");
        let mut job = self.state.jobs.remove(&id).expect("a job ends once");
        assert!(job.live.is_none(), "job {id} ends while its attempt holds resources");
        job.become_status(status);
        job.stopped_at = Some(at);
        job.aside = None;
        self.effects.push(Effect::Emit(Box::new(job.clone())));
        let queue = self.queue(&job.queue);
        queue.live -= 1;
        if queue.deleting && queue.live == 0 {
            self.state.queues.remove(&job.queue);
            self.effects.push(Effect::QueueGone(job.queue.clone()));
        }
        self.ended.push(job);
    }
}

impl State {
    /// Nothing but a machine.
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            used: Usage::default(),
            environments: BTreeMap::new(),
            queues: BTreeMap::new(),
            jobs: HashMap::new(),
            deadlines: BTreeSet::new(),
            next_seq: 1,
        }
    }

    /// A job that has not ended.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Every job that has not ended, in no order.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// A queue, also one that was deleted and is not empty yet.
    pub fn queue(&self, id: &QueueId) -> Option<&Queue> {
        self.queues.get(id)
    }

    /// A compute environment.
    pub fn environment(&self, id: &EnvironmentId) -> Option<&Environment> {
        self.environments.get(id)
    }

    /// The queues that refer to a compute environment.
    pub fn queues_of<'a>(&'a self, id: &'a EnvironmentId) -> impl Iterator<Item = &'a Queue> {
        self.queues.values().filter(move |queue| queue.spec.environments.contains(id))
    }

    /// What all attempts hold of the machine.
    pub fn used(&self) -> Usage {
        self.used
    }

    /// When [`Event::Tick`] is due next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Counts everything anew and compares. For tests and the simulator: it looks at every job.
    ///
    /// # Panics
    /// Where the state contradicts itself.
    pub fn check(&self) {
        let mut used = Usage::default();
        let mut by_environment: BTreeMap<&EnvironmentId, Usage> = BTreeMap::new();
        let mut deadlines = BTreeSet::new();
        let mut in_line = 0;
        for job in self.jobs.values() {
            assert!(!job.status.is_final(), "{} has ended and is still known", job.id);
            assert!(job.seq < self.next_seq);
            let placed = matches!(job.status, Status::Starting | Status::Running);
            assert_eq!(placed, job.live.is_some(), "{} is {:?}", job.id, job.status);
            assert!(job.past.len() < job.attempts_allowed as usize, "{} has had its attempts", job.id);
            let queue = self.queues.get(&job.queue).expect("a job's queue is there");
            if let (Some(live), Some(id)) = (&job.live, job.live_id()) {
                assert_eq!(live.number as usize, job.past.len() + 1);
                assert_eq!(live.started_at.is_some(), job.status == Status::Running);
                used.take(job.needs);
                by_environment.entry(&live.environment).or_default().take(job.needs);
                if live.stopping.is_none() {
                    deadlines.extend(job.deadline().map(|deadline| (deadline, id)));
                }
            } else {
                assert_eq!(job.status, Status::Runnable);
                let (here, there) = (queue.waiting.get(&job.seq), queue.aside.get(&job.seq));
                assert_eq!(here.or(there), Some(&job.id));
                assert_eq!(there.is_some(), job.aside.is_some());
                in_line += 1;
            }
        }
        assert_eq!(used, self.used);
        assert_eq!(deadlines, self.deadlines);
        assert_eq!(in_line, self.queues.values().map(|q| q.waiting.len() + q.aside.len()).sum::<usize>());
        assert_eq!(self.jobs.len() as u64, self.queues.values().map(|q| q.live).sum::<u64>());
        for environment in self.environments.values() {
            let counted = by_environment.remove(&environment.spec.id).unwrap_or_default();
            assert_eq!(counted, environment.used, "{}", environment.spec.id);
        }
        assert!(by_environment.is_empty(), "attempts run in environments that are gone");
        assert!(self.queues.values().all(|queue| !queue.deleting || queue.live > 0));
    }
}
