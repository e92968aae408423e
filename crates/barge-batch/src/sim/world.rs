//! A whole Batch in memory: state, saved rows, engine and clock.

use super::engine::{Engine, Run};
use super::job::SimJob;
use super::saved::Rows;
use crate::core::{
    Consumable, ConsumableId, ConsumableKind, Discipline, Effect, EnvironmentId, EnvironmentKind, EnvironmentSpec,
    Event, FairShare, FleetSpec, Interruption, Job, JobId, JobSpec, Machine, QueueId, QueueSpec, Refusal, State,
    Status, Switch, TaskId, TimeLimit, apply,
};
use barge_core::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How closely a simulation looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrutiny {
    /// Everything that must hold is asserted after every event.
    EveryEvent,
    /// After one event in so many: counting everything anew costs more than the event.
    OneIn(u32),
}

/// The core, its surroundings, and what happened so far.
#[derive(Debug)]
pub struct Simulation {
    state: State,
    now: Timestamp,
    engine: Engine,
    timer: Option<Timestamp>,
    machine: Machine,
    rows: Rows,
    runs: HashMap<JobId, Vec<Run>>,
    told: Vec<(JobId, Status)>,
    blocked: Vec<(JobId, String)>,
    launched: Vec<TaskId>,
    next_job: u128,
    scrutiny: Scrutiny,
    events: u64,
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
            rows: Rows::default(),
            runs: HashMap::new(),
            told: Vec::new(),
            blocked: Vec::new(),
            launched: Vec::new(),
            next_job: 1,
            scrutiny: Scrutiny::EveryEvent,
            events: 0,
        }
    }

    /// Looks less or more closely.
    #[must_use]
    pub fn scrutiny(mut self, scrutiny: Scrutiny) -> Self {
        self.scrutiny = scrutiny;
        self
    }

    /// Adds or changes an enabled environment of type FARGATE.
    #[must_use]
    pub fn environment(mut self, name: &str, max_vcpus: u64) -> Self {
        self.put_environment(name, max_vcpus, Switch::Enabled);
        self
    }

    /// Adds or changes an enabled environment with instances.
    #[must_use]
    pub fn instances(mut self, name: &str, kind: EnvironmentKind, max_vcpus: u64, fleet: FleetSpec) -> Self {
        let id = EnvironmentId::new(name);
        let max_vcpu_milli = max_vcpus * 1000;
        self.put(EnvironmentSpec { id, kind, switch: Switch::Enabled, max_vcpu_milli, fleet: Some(fleet) });
        self
    }

    /// Adds an enabled environment of type FARGATE_SPOT.
    #[must_use]
    pub fn fargate_spot(mut self, name: &str, max_vcpus: u64) -> Self {
        let (id, max_vcpu_milli) = (EnvironmentId::new(name), max_vcpus * 1000);
        let kind = EnvironmentKind::FargateSpot;
        self.put(EnvironmentSpec { id, kind, switch: Switch::Enabled, max_vcpu_milli, fleet: None });
        self
    }

    /// Adds or changes an enabled first-in-first-out queue.
    #[must_use]
    pub fn queue(mut self, name: &str, priority: i32, environments: &[&str]) -> Self {
        self.put_queue(name, priority, environments, Switch::Enabled);
        self
    }

    /// Adds an enabled fair-share queue.
    #[must_use]
    pub fn fair_queue(mut self, name: &str, environments: &[&str], policy: FairShare) -> Self {
        let mut spec = queue_spec(name, 1, environments, Switch::Enabled);
        spec.discipline = Discipline::FairShare(Arc::new(policy));
        self.put_spec(spec);
        self
    }

    /// Sets how long jobs may block a queue.
    pub fn limit(&mut self, queue: &str, code: &str, seconds: u64) {
        let mut spec = self.rows.queues[&QueueId::new(queue)].clone();
        spec.limits.push(TimeLimit { code: code.to_owned(), longest: Duration::from_secs(seconds) });
        self.put_spec(spec);
    }

    /// Adds or changes an environment of type FARGATE.
    pub fn put_environment(&mut self, name: &str, max_vcpus: u64, switch: Switch) {
        let (id, max_vcpu_milli) = (EnvironmentId::new(name), max_vcpus * 1000);
        self.put(EnvironmentSpec { id, kind: EnvironmentKind::Fargate, switch, max_vcpu_milli, fleet: None });
    }

    /// Adds or changes an environment.
    ///
    /// # Panics
    /// Where its instances are being replaced.
    pub fn put(&mut self, spec: EnvironmentSpec) {
        self.try_put(spec).expect("nothing is being replaced");
    }

    /// Adds or changes an environment.
    pub fn try_put(&mut self, spec: EnvironmentSpec) -> Result<(), Refusal> {
        self.change_environment(spec.clone(), Event::PutEnvironment(spec))
    }

    /// Changes an environment and replaces its instances; what runs on them may go on for so long.
    pub fn replace_instances(&mut self, spec: EnvironmentSpec, grace: Duration) -> Result<(), Refusal> {
        self.change_environment(spec.clone(), Event::ReplaceInstances(spec, grace))
    }

    fn change_environment(&mut self, spec: EnvironmentSpec, event: Event) -> Result<(), Refusal> {
        let id = spec.id.clone();
        let before = self.rows.environments.insert(id.clone(), spec);
        let result = self.event(event);
        if result.is_err() {
            self.rows.environments.extend(before.map(|spec| (id, spec)));
        }
        result
    }

    /// Adds or changes a queue; nothing happens where an environment is missing.
    pub fn put_queue(&mut self, name: &str, priority: i32, environments: &[&str], switch: Switch) {
        self.put_spec(queue_spec(name, priority, environments, switch));
    }

    fn put_spec(&mut self, spec: QueueSpec) {
        let before = self.rows.queues.insert(spec.id.clone(), spec.clone());
        let id = spec.id.clone();
        if self.event(Event::PutQueue(spec)).is_err() {
            match before {
                Some(before) => drop(self.rows.queues.insert(id, before)),
                None => drop(self.rows.queues.remove(&id)),
            }
        }
    }

    /// Adds or changes a consumable resource.
    ///
    /// # Panics
    /// Never: resources are not refused.
    pub fn put_consumable(&mut self, name: &str, kind: ConsumableKind, total: u64) {
        let consumable = Consumable { kind, total, in_use: 0 };
        let event = Event::PutConsumable(ConsumableId::new(name), consumable);
        self.event(event).expect("resources are never refused");
    }

    /// Disables a queue.
    ///
    /// # Panics
    /// Where it was not made.
    pub fn disable(&mut self, queue: &str) {
        let mut spec = self.rows.queues[&QueueId::new(queue)].clone();
        spec.switch = Switch::Disabled;
        self.put_spec(spec);
    }

    /// How many shares' usage is kept.
    pub fn shares_saved(&self) -> usize {
        self.rows.saved().shares.len()
    }

    /// Deletes a queue.
    pub fn delete_queue(&mut self, name: &str) -> Result<(), Refusal> {
        let id = QueueId::new(name);
        if let Some(spec) = self.rows.queues.get(&id).cloned() {
            self.rows.deleting.insert(id.clone(), spec);
        }
        let before = self.rows.queues.remove(&id);
        let result = self.event(Event::DeleteQueue(id.clone()));
        if result.is_err() {
            self.rows.deleting.remove(&id);
            self.rows.queues.extend(before.map(|spec| (id, spec)));
        }
        result
    }

    /// Deletes an environment.
    pub fn delete_environment(&mut self, name: &str) -> Result<(), Refusal> {
        let id = EnvironmentId::new(name);
        let before = self.rows.environments.remove(&id);
        let result = self.event(Event::DeleteEnvironment(id.clone()));
        if result.is_err() {
            self.rows.environments.extend(before.map(|spec| (id, spec)));
        }
        result
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
        let terms = job.terms(queue);
        self.runs.insert(id, job.runs);
        self.event(Event::Submit(JobSpec { id, terms, known: job.known })).map(|()| id)
    }

    /// Cancels a job.
    pub fn cancel(&mut self, job: JobId) -> Result<(), Refusal> {
        self.event(Event::Cancel { job, reason: "cancelled".into() })
    }

    /// Terminates a job.
    pub fn terminate(&mut self, job: JobId) -> Result<(), Refusal> {
        self.event(Event::Terminate { job, reason: "terminated".into() })
    }

    /// Takes Spot capacity away.
    pub fn interrupt(&mut self, what: Interruption) -> Result<(), Refusal> {
        self.event(Event::Interrupt(what))
    }

    /// Loses a running task, as a power cut does.
    pub fn lose(&mut self, task: TaskId) {
        self.engine.lose(task, self.now);
    }

    /// The tasks that run.
    pub fn running(&self) -> Vec<TaskId> {
        let mut running: Vec<TaskId> = self.engine.running().collect();
        running.sort_unstable();
        running
    }

    /// Lets time pass, and all that happens in it.
    pub fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.next_at().filter(|at| *at <= until) {
            self.happen(at);
        }
        self.now = until;
    }

    /// Sets the clock, back or forward, without anything happening.
    pub fn set_clock(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Lets time pass until nothing more will happen by itself.
    pub fn settle(&mut self) {
        while let Some(at) = self.next_at() {
            self.happen(at);
        }
    }

    /// Kills the program and starts it again from what was saved. The engine goes on, as containers do.
    pub fn restart(&mut self) {
        self.state = State::restore(self.machine, self.rows.saved());
        let effects = self.state.resume(self.now);
        self.carry_out(effects);
        self.state.check();
    }

    /// The job as it was last saved.
    ///
    /// # Panics
    /// Where it was never saved.
    pub fn job(&self, id: JobId) -> &Job {
        &self.rows.jobs[&id]
    }

    /// The job's state.
    pub fn status(&self, id: JobId) -> Status {
        self.job(id).status
    }

    /// Whether the job was ever saved: children of arrays may not be.
    pub fn has_record(&self, id: JobId) -> bool {
        self.rows.jobs.contains_key(&id)
    }

    /// Every task launched, in order.
    pub fn launched(&self) -> &[TaskId] {
        &self.launched
    }

    /// The states that the world was told of, in order.
    pub fn told(&self, id: JobId) -> Vec<Status> {
        self.told.iter().filter(|(job, _)| *job == id).map(|(_, status)| *status).collect()
    }

    /// Jobs that the world was told of as blocking their queue, and why.
    pub fn blocked(&self) -> &[(JobId, String)] {
        &self.blocked
    }

    /// The core's state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
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
        self.events += 1;
        self.carry_out(effects);
        match self.scrutiny {
            Scrutiny::EveryEvent => self.examine(),
            Scrutiny::OneIn(count) if self.events.is_multiple_of(u64::from(count)) => self.examine(),
            Scrutiny::OneIn(_) => {}
        }
        Ok(())
    }

    /// Asserts everything that must hold: the state agrees with itself, and with what was saved.
    ///
    /// # Panics
    /// Where it does not.
    pub fn examine(&self) {
        self.state.check();
        let restored = State::restore(self.machine, self.rows.saved());
        restored.check();
        assert!(
            restored.resembles(&self.state),
            "what was saved does not rebuild the state:\n{restored:#?}\n{:#?}",
            self.state
        );
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        // As the store does: what goes, goes before the rest is written.
        let (gone, rest): (Vec<&Effect>, Vec<&Effect>) =
            effects.iter().partition(|effect| matches!(effect, Effect::QueueGone(_)));
        gone.into_iter().chain(rest).for_each(|effect| self.rows.keep(effect));
        for effect in effects {
            match effect {
                Effect::Emit(job) => self.told.push((job.id, job.status)),
                Effect::QueueBlocked(job) => {
                    self.blocked.push((job.id, job.reason.as_ref().map(ToString::to_string).unwrap_or_default()));
                }
                Effect::Launch(task, _) => self.launch(task),
                Effect::Stop(task) => self.engine.stop(task, self.now),
                Effect::Forget(task) => self.engine.forget(task),
                Effect::SetTimer(at) => self.timer = at,
                Effect::Adopt(..)
                | Effect::Save(_)
                | Effect::SaveFleet(..)
                | Effect::SaveShare(..)
                | Effect::SaveConsumable(..)
                | Effect::QueueGone(_) => {}
            }
        }
    }

    fn launch(&mut self, task: TaskId) {
        // After a restart a task that was being started is launched again; an engine takes it once.
        if self.engine.knows(task) {
            return;
        }
        self.launched.push(task);
        let runs = &self.runs[&task.attempt.job.root()];
        let turn = match self.job(task.attempt.job).live.as_ref().map_or(1, |live| live.tasks.len()) {
            1 => task.attempt.number as usize - 1,
            _ => usize::from(task.node),
        };
        let run = runs.get(turn).or(runs.last()).cloned();
        self.engine.launch(task, self.now, run.unwrap_or_else(|| Run::exits(0, 0)));
    }
}

fn queue_spec(name: &str, priority: i32, environments: &[&str], switch: Switch) -> QueueSpec {
    let environments = environments.iter().map(|name| EnvironmentId::new(*name)).collect();
    let discipline = Discipline::FirstInFirstOut;
    QueueSpec { id: QueueId::new(name), priority, switch, environments, discipline, limits: Vec::new() }
}
