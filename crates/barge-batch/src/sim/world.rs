//! A whole Batch in memory: state, saved rows, engine and clock.

use super::engine::{Engine, Run};
use crate::core::{
    AttemptId, Effect, EnvironmentId, EnvironmentKind, EnvironmentSpec, Event, Job, JobId, JobSpec, Machine, Needs,
    QueueId, QueueSpec, Refusal, Saved, State, Status, Switch, apply,
};
use barge_core::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A job to be submitted, with what its attempts will do. By default 1 vCPU, 1 MiB, one attempt of ten seconds.
#[derive(Clone, Debug)]
pub struct SimJob {
    needs: Needs,
    attempts_allowed: u32,
    timeout: Option<Duration>,
    runs: Vec<Run>,
}

impl Default for SimJob {
    fn default() -> Self {
        let needs = Needs { vcpu_milli: 1000, memory_mib: 1 };
        Self { needs, attempts_allowed: 1, timeout: None, runs: vec![Run::exits(10, 0)] }
    }
}

impl SimJob {
    /// Needs this many vCPUs.
    #[must_use]
    pub fn vcpus(mut self, vcpus: u32) -> Self {
        self.needs.vcpu_milli = vcpus * 1000;
        self
    }

    /// Needs this much memory.
    #[must_use]
    pub fn memory(mut self, mib: u32) -> Self {
        self.needs.memory_mib = mib;
        self
    }

    /// May be tried this often.
    #[must_use]
    pub fn attempts(mut self, allowed: u32) -> Self {
        self.attempts_allowed = allowed;
        self
    }

    /// May run this long.
    #[must_use]
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout = Some(Duration::from_secs(seconds));
        self
    }

    /// Its attempts go like this, one after the other; the last goes for all after it.
    #[must_use]
    pub fn runs(mut self, runs: impl Into<Vec<Run>>) -> Self {
        self.runs = runs.into();
        self
    }
}

/// The core, its surroundings, and what happened so far.
#[derive(Debug)]
pub struct Simulation {
    state: State,
    now: Timestamp,
    engine: Engine,
    timer: Option<Timestamp>,
    machine: Machine,
    environments: BTreeMap<EnvironmentId, EnvironmentSpec>,
    queues: BTreeMap<QueueId, QueueSpec>,
    deleting: BTreeMap<QueueId, QueueSpec>,
    saved: BTreeMap<JobId, Job>,
    runs: HashMap<JobId, Vec<Run>>,
    told: Vec<(JobId, Status)>,
    launched: Vec<AttemptId>,
    next_job: u128,
}

impl Simulation {
    /// A world with a machine of this size and nothing else.
    pub fn new(vcpus: u64, memory_mib: u64) -> Self {
        let machine = Machine { vcpu_milli: vcpus * 1000, memory_mib };
        Self {
            state: State::new(machine),
            now: Timestamp::from_millis(0),
            engine: Engine::default(),
            timer: None,
            machine,
            environments: BTreeMap::new(),
            queues: BTreeMap::new(),
            deleting: BTreeMap::new(),
            saved: BTreeMap::new(),
            runs: HashMap::new(),
            told: Vec::new(),
            launched: Vec::new(),
            next_job: 1,
        }
    }

    /// Adds or changes an enabled environment of type FARGATE.
    #[must_use]
    pub fn environment(mut self, name: &str, max_vcpus: u64) -> Self {
        self.put_environment(name, max_vcpus, Switch::Enabled);
        self
    }

    /// Adds or changes an enabled queue.
    #[must_use]
    pub fn queue(mut self, name: &str, priority: i32, environments: &[&str]) -> Self {
        self.put_queue(name, priority, environments, Switch::Enabled);
        self
    }

    /// Adds or changes an environment of type FARGATE.
    pub fn put_environment(&mut self, name: &str, max_vcpus: u64, switch: Switch) {
        let id = EnvironmentId::new(name);
        let spec = EnvironmentSpec { id, kind: EnvironmentKind::Fargate, switch, max_vcpu_milli: max_vcpus * 1000 };
        if self.event(Event::PutEnvironment(spec.clone())).is_ok() {
            self.environments.insert(spec.id.clone(), spec);
        }
    }

    /// Adds or changes a queue; nothing happens where an environment is missing.
    pub fn put_queue(&mut self, name: &str, priority: i32, environments: &[&str], switch: Switch) {
        let environments = environments.iter().map(|name| EnvironmentId::new(*name)).collect();
        let spec = QueueSpec { id: QueueId::new(name), priority, switch, environments };
        if self.event(Event::PutQueue(spec.clone())).is_ok() {
            self.queues.insert(spec.id.clone(), spec);
        }
    }

    /// Deletes a queue.
    pub fn delete_queue(&mut self, name: &str) -> Result<(), Refusal> {
        let id = QueueId::new(name);
        if let Some(spec) = self.queues.get(&id).cloned() {
            self.deleting.insert(id.clone(), spec);
        }
        let result = self.event(Event::DeleteQueue(id.clone()));
        match result {
            Ok(()) => drop(self.queues.remove(&id)),
            Err(_) => drop(self.deleting.remove(&id)),
        }
        result
    }

    /// Deletes an environment.
    pub fn delete_environment(&mut self, name: &str) -> Result<(), Refusal> {
        let id = EnvironmentId::new(name);
        self.event(Event::DeleteEnvironment(id.clone()))?;
        self.environments.remove(&id);
        Ok(())
    }

    /// Submits a job.
    ///
    /// # Panics
    /// Where it is refused.
    pub fn submit(&mut self, queue: &str, job: SimJob) -> JobId {
        self.try_submit(queue, job).expect("the job is accepted")
    }

    /// Submits a job.
    pub fn try_submit(&mut self, queue: &str, job: SimJob) -> Result<JobId, Refusal> {
        let id = JobId::new(self.next_job);
        self.next_job += 1;
        self.runs.insert(id, job.runs);
        let spec = JobSpec {
            id,
            queue: QueueId::new(queue),
            needs: job.needs,
            platform: crate::core::Platform::Fargate,
            attempts_allowed: job.attempts_allowed,
            timeout: job.timeout,
        };
        self.event(Event::Submit(spec)).map(|()| id)
    }

    /// Cancels a job.
    pub fn cancel(&mut self, job: JobId) -> Result<(), Refusal> {
        self.event(Event::Cancel { job, reason: "cancelled".into() })
    }

    /// Terminates a job.
    pub fn terminate(&mut self, job: JobId) -> Result<(), Refusal> {
        self.event(Event::Terminate { job, reason: "terminated".into() })
    }

    /// Lets time pass, and all that happens in it.
    pub fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.next_at().filter(|at| *at <= until) {
            self.happen(at);
        }
        self.now = until;
    }

    /// Lets time pass until nothing more will happen by itself.
    pub fn settle(&mut self) {
        while let Some(at) = self.next_at() {
            self.happen(at);
        }
    }

    /// Kills the program and starts it again from what was saved. The engine goes on, as containers do.
    pub fn restart(&mut self) {
        self.state = State::restore(self.machine, self.saved());
        let effects = self.state.resume(self.now);
        self.carry_out(effects);
    }

    /// The job as it was last saved.
    ///
    /// # Panics
    /// Where it was never saved.
    pub fn job(&self, id: JobId) -> &Job {
        &self.saved[&id]
    }

    /// The job's state.
    pub fn status(&self, id: JobId) -> Status {
        self.job(id).status
    }

    /// Every attempt launched, in order.
    pub fn launched(&self) -> &[AttemptId] {
        &self.launched
    }

    /// The states that the world was told of, in order.
    pub fn told(&self, id: JobId) -> Vec<Status> {
        self.told.iter().filter(|(job, _)| *job == id).map(|(_, status)| *status).collect()
    }

    /// The core's state.
    pub fn state(&self) -> &State {
        &self.state
    }

    fn next_at(&self) -> Option<Timestamp> {
        self.engine.next_at().into_iter().chain(self.timer).min()
    }

    fn happen(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        let news = if self.engine.next_at() == Some(at) { self.engine.take_next() } else { None };
        let result = self.event(news.unwrap_or(Event::Tick));
        assert_eq!(result, Ok(()), "news and time are never refused");
    }

    fn event(&mut self, event: Event) -> Result<(), Refusal> {
        let effects = apply(&mut self.state, self.now, event)?;
        self.state.check();
        self.carry_out(effects);
        Ok(())
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Save(job) => {
                    let before = self.saved.insert(job.id, *job);
                    assert!(before.is_none_or(|job| !job.status.is_final()), "a job that has ended changes");
                }
                Effect::QueueGone(id) => {
                    assert!(self.deleting.remove(&id).is_some(), "a queue goes that nobody deleted");
                }
                Effect::Emit(job) => self.told.push((job.id, job.status)),
                Effect::Launch(attempt, _) => self.launch(attempt),
                Effect::Adopt(..) => {}
                Effect::Stop(attempt) => self.engine.stop(attempt, self.now),
                Effect::Forget(attempt) => self.engine.forget(attempt),
                Effect::SetTimer(at) => self.timer = at,
            }
        }
    }

    fn launch(&mut self, attempt: AttemptId) {
        // After a restart an attempt that was being started is launched again; an engine takes it once.
        if self.launched.contains(&attempt) {
            return;
        }
        self.launched.push(attempt);
        let runs = &self.runs[&attempt.job];
        let run = runs.get(attempt.number as usize - 1).or(runs.last()).cloned();
        self.engine.launch(attempt, self.now, run.unwrap_or_else(|| Run::exits(0, 0)));
    }

    /// Everything saved, as a store would give it back.
    pub fn saved(&self) -> Saved {
        Saved {
            environments: self.environments.values().cloned().collect(),
            queues: self.queues.values().cloned().collect(),
            deleting: self.deleting.values().cloned().collect(),
            jobs: self.saved.values().filter(|job| !job.status.is_final()).cloned().collect(),
            last_seq: self.saved.values().map(|job| job.seq).max().unwrap_or(0),
        }
    }

    /// Asserts that what was saved rebuilds the state.
    ///
    /// # Panics
    /// Where it does not.
    pub fn check_saved(&self) {
        let mut here = self.state.clone();
        let effects = apply(&mut here, self.now, Event::SetMachine(self.machine)).expect("a machine is never refused");
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Launch(..))), "room was left unused");
        let mut again = State::restore(self.machine, self.saved());
        again.resume(self.now);
        assert_eq!(here, again);
    }
}
