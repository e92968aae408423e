//! One scenario, from the first submission until nothing more can happen.

use super::agenda::{Agenda, Course, End, News, TERMINATED};
use super::compare::Progress;
use super::dice::{About, Dice};
use super::distribution::millis;
use super::fleets::Fleets;
use super::measured::Fate;
use super::meter::Meter;
use super::report::{Outcome, WaitingReason};
use super::scenario::Cast;
use super::workload::{Row, Wanted, Workload, job_id};
use super::{Assumptions, Scenario, Setup};
use crate::core::{
    Dependency, Effect, EnvironmentId, EnvironmentKind, Event, IndexSet, Interruption, Job, JobId, JobSpec, Known,
    Machine, Outcome as TaskOutcome, QueueId, State, Status, Success, Switch, TaskId, apply,
};
use crate::history::is_of_spot;
use crate::prices::UnknownType;
use barge_core::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// As good as no bound, with room to add to it.
const UNBOUNDED: Machine = Machine { vcpu_milli: u64::MAX / 4, memory_mib: u64::MAX / 4 };
/// Events between two words of progress.
const EVENTS_A_WORD: u64 = 1 << 14;
/// The status reason of jobs that someone ended when they were measured.
const STOPPED: &str = "Stopped";
/// Reasons told of at most.
const MOST_REASONS: usize = 20;

/// Simulates a workload under a scenario.
pub(super) fn simulate(
    setup: &Setup,
    workload: &Workload,
    scenario: Scenario,
    assumptions: &Assumptions,
    progress: Progress<'_>,
) -> Result<Outcome, UnknownType> {
    let cast = Cast::new(setup, workload, scenario, assumptions)?;
    let mut world = World::new(workload, scenario, assumptions, cast);
    world.go(progress);
    Ok(world.outcome(setup))
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    succeeded: u64,
    failed: u64,
    refused: u64,
    interruptions: u64,
}

/// Everything virtual.
struct World<'a> {
    workload: &'a Workload,
    scenario: Scenario,
    assumptions: &'a Assumptions,
    machine: Option<Machine>,
    cast: Cast,
    state: State,
    now: Timestamp,
    timer: Option<Timestamp>,
    agenda: Agenda,
    dice: Dice,
    fleets: Fleets,
    meter: Meter,
    /// The row to be submitted next.
    next: usize,
    /// The row of each job that has not ended; arrays, not their children.
    live: HashMap<JobId, u32>,
    /// What became of jobs that later ones depend on.
    known: HashMap<JobId, Known>,
    refused: HashSet<JobId>,
    /// Of arrays that have not ended: children that failed with a record; those that succeeded, where that is wanted.
    children_failed: HashMap<JobId, u64>,
    children_succeeded: HashMap<JobId, IndexSet>,
    counts: Counts,
    last_end: Timestamp,
    /// Millionths of a dollar for Fargate's tasks.
    fargate_micros: u64,
    /// What tasks on instances held: thousandths of a vCPU, MiB, each times milliseconds.
    on_instances: (u128, u128),
    total: u64,
}

impl<'a> World<'a> {
    fn new(workload: &'a Workload, scenario: Scenario, assumptions: &'a Assumptions, cast: Cast) -> Self {
        let machine = assumptions.machine.filter(|_| scenario == Scenario::AsGiven);
        let start = workload.rows.first().map_or(Timestamp::from_millis(0), |row| row.at);
        let mut world = Self {
            workload,
            scenario,
            assumptions,
            machine,
            state: State::new(machine.unwrap_or(UNBOUNDED)),
            now: start,
            timer: None,
            agenda: Agenda::default(),
            dice: Dice::new(assumptions.seed),
            fleets: Fleets::default(),
            meter: Meter::new(cast.queues.len(), start),
            cast,
            next: 0,
            live: HashMap::new(),
            known: HashMap::new(),
            refused: HashSet::new(),
            children_failed: HashMap::new(),
            children_succeeded: HashMap::new(),
            counts: Counts::default(),
            last_end: start,
            fargate_micros: 0,
            on_instances: (0, 0),
            total: workload.jobs(),
        };
        for environment in world.cast.environments.clone() {
            world.event(Event::PutEnvironment(environment));
        }
        for queue in world.cast.queues.clone() {
            world.event(Event::PutQueue(queue));
        }
        world
    }

    fn go(&mut self, progress: Progress<'_>) {
        let mut events = 0u64;
        loop {
            let submission = self.workload.rows.get(self.next).map(|row| row.at);
            // Where nothing runs and nothing comes, interruptions of idle instances would go on for ever.
            let idle = submission.is_none() && self.agenda.running() == 0;
            let news = if idle { None } else { self.agenda.next_at() };
            match (news.into_iter().chain(self.timer).min(), submission) {
                (Some(due), Some(at)) if due <= at => self.happen(due, news == Some(due)),
                (_, Some(at)) => self.submit(at),
                (Some(due), None) => self.happen(due, news == Some(due)),
                (None, None) => break,
            }
            events += 1;
            if events.is_multiple_of(EVENTS_A_WORD) {
                progress(self.scenario, self.ended(), self.total);
            }
        }
        progress(self.scenario, self.total, self.total);
    }

    fn ended(&self) -> u64 {
        self.counts.succeeded + self.counts.failed + self.counts.refused
    }

    fn move_on(&mut self, at: Timestamp) {
        if self.agenda.running() > 0 || self.next < self.workload.rows.len() {
            self.meter.pass(&self.state, at);
        }
        self.now = self.now.max(at);
    }

    fn happen(&mut self, at: Timestamp, is_news: bool) {
        self.move_on(at);
        let news = if is_news { self.agenda.take_next() } else { None };
        match news {
            None => self.event(Event::Tick),
            Some(News::Started(task)) => self.event(Event::TaskStarted { task, at }),
            Some(News::Ended { task, placed_at, end }) => {
                self.bill(task, placed_at);
                let outcome = self.end(task, end);
                self.event(Event::TaskEnded { task, at, outcome });
            }
            Some(News::Interrupted(task)) => self.interrupt(&Interruption::Attempt(task.attempt)),
            Some(News::InstanceInterrupted(environment, instance)) => {
                let fleet = self.state.environment(&environment).map(|environment| &environment.fleet);
                if fleet.is_some_and(|fleet| fleet.instances.contains_key(&instance)) {
                    self.interrupt(&Interruption::Instance(environment, instance));
                }
            }
        }
    }

    /// How a task has ended; what someone ended when it was measured, someone ends again.
    fn end(&mut self, task: TaskId, end: End) -> TaskOutcome {
        let fate = match end {
            End::Exit(code) => Fate::Ends(TaskOutcome::exited(code)),
            End::Measured(attempt) => self.workload.measured.fate(attempt),
        };
        match fate {
            Fate::Ends(outcome) => outcome,
            Fate::Stopped => {
                self.event(Event::Terminate { job: task.attempt.job, reason: STOPPED.into() });
                TaskOutcome::exited(TERMINATED)
            }
        }
    }

    fn event(&mut self, event: Event) {
        // What is refused has changed nothing, and only submissions and interruptions can be.
        if let Ok(effects) = apply(&mut self.state, self.now, event) {
            self.carry_out(effects);
        }
    }

    fn interrupt(&mut self, what: &Interruption) {
        let Ok(effects) = apply(&mut self.state, self.now, Event::Interrupt(what.clone())) else { return };
        let stopped = effects.iter().filter(|effect| matches!(effect, Effect::Stop(task) if task.node == 0));
        self.counts.interruptions += stopped.count() as u64;
        self.carry_out(effects);
    }

    fn submit(&mut self, at: Timestamp) {
        self.move_on(at);
        let workload = self.workload;
        let row = &workload.rows[self.next];
        let number = u32::try_from(self.next).unwrap_or(u32::MAX);
        let id = job_id(number);
        self.next += 1;
        let Some(spec) = self.spec(id, row) else { return self.refuse(id, row) };
        self.live.insert(id, number);
        if let Ok(effects) = apply(&mut self.state, self.now, Event::Submit(spec)) {
            self.carry_out(effects);
        } else {
            self.live.remove(&id);
            self.refuse(id, row);
        }
    }

    /// The job as the core takes it; `None` where it can't run under the scenario, or depends on one that can't.
    fn spec(&self, id: JobId, row: &Row) -> Option<JobSpec> {
        let role = self.cast.roles[row.class as usize].as_ref()?;
        let mut terms = role.terms.clone();
        let mut known = Vec::new();
        let dependencies = self.workload.dependencies(row);
        for dependency in dependencies {
            if let Dependency::Whole(on) | Dependency::NToN(on) = dependency {
                if self.refused.contains(&on.root()) {
                    return None;
                }
                known.extend(self.ending(*on).map(|ending| (*on, ending)));
            }
        }
        terms.depends_on = dependencies.to_vec();
        Some(JobSpec { id, terms, known })
    }

    /// What became of a job that has ended; of a child, as far as its array has.
    fn ending(&self, id: JobId) -> Option<Known> {
        let ending = self.known.get(&id.root())?;
        match (id.parent(), ending) {
            (Some((_, index)), Known::Ended { succeeded, .. }) => {
                let success = if succeeded.contains(index) { Success::Yes } else { Success::No };
                Some(Known::Ended { success, succeeded: IndexSet::default() })
            }
            _ => Some(ending.clone()),
        }
    }

    fn refuse(&mut self, id: JobId, row: &Row) {
        self.counts.refused += self.workload.class(row).jobs();
        if row.wanted != Wanted::Nothing {
            self.refused.insert(id);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Emit(job) => self.told(&job),
                Effect::Launch(task, environment) => self.launch(task, &environment),
                Effect::Stop(task) => self.agenda.stop(task, self.now),
                Effect::SetTimer(at) => self.timer = at,
                Effect::SaveFleet(id, fleet) => {
                    for instance in self.fleets.observe(&id, &fleet, self.now) {
                        self.expect_interruption(&id, instance);
                    }
                }
                Effect::Save(_)
                | Effect::SaveShare(..)
                | Effect::SaveConsumable(..)
                | Effect::QueueGone(_)
                | Effect::QueueBlocked(_)
                | Effect::Adopt(..)
                | Effect::Forget(_) => {}
            }
        }
        self.meter.saw(self.state.used());
    }

    fn kind(&self, environment: &EnvironmentId) -> Option<EnvironmentKind> {
        self.state.environment(environment).map(|environment| environment.spec.kind)
    }

    /// How long until an interruption; `None` where there are none.
    fn interruption(&self, about: About, numbers: [u64; 3]) -> Option<Duration> {
        let rate = self.assumptions.interruptions_per_hour;
        let happens = rate > 0.0 && self.machine.is_none();
        happens.then(|| millis(self.dice.roll(about, numbers).exponential() / rate * 3600.0))
    }

    fn expect_interruption(&mut self, id: &EnvironmentId, instance: crate::core::InstanceId) {
        if self.kind(id) != Some(EnvironmentKind::Spot) {
            return;
        }
        if let Some(after) = self.interruption(About::Instance, [instance.0, 0, 0]) {
            self.agenda.interrupt(self.now + after, id.clone(), instance);
        }
    }

    fn launch(&mut self, task: TaskId, environment: &EnvironmentId) {
        let job = task.attempt.job;
        let Some(number) = self.live.get(&job.root()) else { return };
        let row = &self.workload.rows[*number as usize];
        let class = self.workload.class(row);
        let child = job.parent().map_or(0, |(_, index)| u64::from(index) + 1);
        let numbers = [u64::from(*number), child << 16 | u64::from(task.node), task.attempt.number.into()];
        let (lasts, end) = self.measured(task, row).unwrap_or_else(|| {
            // How long a job runs follows from what it works on: each of its attempts would run as long.
            let lasts = row.lasts.draw(&mut self.dice.roll(About::RunTime, [numbers[0], numbers[1], 0]));
            let fails = self.dice.roll(About::Failure, numbers).unit() <= class.fails;
            (lasts, End::Exit(i32::from(fails)))
        });
        let start_after = self.start_after(task, environment);
        let interrupted_after = match self.kind(environment) {
            Some(EnvironmentKind::FargateSpot) => self.interruption(About::Interruption, numbers),
            _ => None,
        };
        let interrupted_after = interrupted_after.filter(|after| *after < start_after + lasts);
        self.agenda.launch(task, self.now, Course { start_after, lasts, end, interrupted_after });
    }

    /// How long the task lasts and how it ends, where that was measured. What Spot interrupts is tried again as it went.
    fn measured(&self, task: TaskId, row: &Row) -> Option<(Duration, End)> {
        let job = self.state.job(task.attempt.job)?;
        let number = row.measured? + job.id.parent().map_or(0, |(_, index)| index);
        let before = job.past.iter().filter(|past| !is_of_spot(past.status_reason.as_str())).count();
        let (attempt, lasts) = self.workload.measured.attempt(number, before)?;
        // The main node's end is the job's.
        Some((lasts, if task.node == 0 { End::Measured(attempt) } else { End::Exit(0) }))
    }

    fn start_after(&self, task: TaskId, environment: &EnvironmentId) -> Duration {
        if self.machine.is_some() {
            return Duration::ZERO;
        }
        let Some(environment) = self.state.environment(environment) else { return Duration::ZERO };
        let live = self.state.job(task.attempt.job).and_then(|job| job.live.as_ref());
        let instance = live.and_then(|live| live.tasks.get(usize::from(task.node))?.instance);
        let launched = instance.and_then(|id| environment.fleet.instances.get(&id)).map(|found| found.launched_at);
        let boot = launched.map(|at| (at + self.assumptions.instance_boot).since(self.now)).unwrap_or_default();
        boot + self.assumptions.start(environment.spec.kind)
    }

    /// Charges a task that ends now.
    fn bill(&mut self, task: TaskId, placed_at: Timestamp) {
        let Some(job) = self.state.job(task.attempt.job) else { return };
        let Some(live) = &job.live else { return };
        let Some(row) = self.live.get(&job.id.root()) else { return };
        let class = self.workload.rows[*row as usize].class;
        let Some(role) = &self.cast.roles[class as usize] else { return };
        let held = self.now.since(placed_at);
        match self.kind(&live.environment) {
            Some(EnvironmentKind::Fargate) => self.fargate_micros += role.rates.cost(held).fargate.unwrap_or(0),
            Some(EnvironmentKind::FargateSpot) => {
                self.fargate_micros += role.rates.cost(held).fargate_spot.unwrap_or(0);
            }
            Some(EnvironmentKind::Ec2 | EnvironmentKind::Spot) => {
                let needs = job.terms.shape.tasks[usize::from(task.node)];
                self.on_instances.0 += u128::from(needs.vcpu_milli) * held.as_millis();
                self.on_instances.1 += u128::from(needs.memory_mib) * held.as_millis();
            }
            None => {}
        }
    }

    fn told(&mut self, job: &Job) {
        match job.status {
            Status::Starting => {
                let Some(row) = self.live.get(&job.id.root()) else { return };
                let ended = |past: &crate::core::PastAttempt| past.tasks.iter().map(|task| task.stopped_at).max();
                let since = job.past.last().and_then(ended).unwrap_or(job.created_at);
                let class = self.workload.rows[*row as usize].class;
                let queue = self.workload.classes[class as usize].queue;
                self.meter.waited(queue as usize, self.now.since(since));
            }
            Status::Succeeded | Status::Failed => self.note_end(job),
            Status::Submitted | Status::Pending | Status::Runnable | Status::Running => {}
        }
    }

    fn note_end(&mut self, job: &Job) {
        let success = if job.status == Status::Succeeded { Success::Yes } else { Success::No };
        self.last_end = self.last_end.max(self.now);
        let root = job.id.root();
        let Some(row) = self.live.get(&root).copied() else { return };
        let wanted = self.workload.rows[row as usize].wanted;
        if let Some(array) = &job.array {
            let with_record = self.children_failed.remove(&root).unwrap_or(0);
            let failed = array.tally.map_or(0, |tally| u64::from(tally.failed));
            self.counts.failed += failed.saturating_sub(with_record);
        } else {
            self.count(job, success, wanted);
            if job.id.parent().is_some() {
                return;
            }
        }
        self.live.remove(&root);
        if wanted != Wanted::Nothing {
            let succeeded = self.children_succeeded.remove(&root).unwrap_or_default();
            self.known.insert(root, Known::Ended { success, succeeded });
        }
    }

    /// Counts a job that is no array.
    fn count(&mut self, job: &Job, success: Success, wanted: Wanted) {
        match (success, job.id.parent()) {
            (Success::Yes, None) => self.counts.succeeded += 1,
            (Success::No, None) => self.counts.failed += 1,
            (Success::Yes, Some((array, index))) => {
                self.counts.succeeded += 1;
                if wanted == Wanted::Children {
                    self.children_succeeded.entry(array).or_default().insert(index);
                }
            }
            (Success::No, Some((array, _))) => {
                self.counts.failed += 1;
                *self.children_failed.entry(array).or_default() += 1;
            }
        }
    }

    fn outcome(mut self, setup: &Setup) -> Outcome {
        let start = self.workload.rows.first().map_or(self.now, |row| row.at);
        let end = self.last_end;
        let enabled = self.cast.environments.iter().filter(|environment| environment.switch == Switch::Enabled);
        let max: u64 = enabled.map(|environment| environment.max_vcpu_milli).sum();
        let most = (
            Some(self.machine.map_or(max, |machine| max.min(machine.vcpu_milli))),
            self.machine.map(|machine| machine.memory_mib),
        );
        let (vcpus, memory_gib) = self.meter.levels(end, most);
        let attempts = self.meter.attempts();
        let has_fleet = self.cast.environments.iter().any(|environment| environment.fleet.is_some());
        let waiting_for = self.waiting_for();
        let (instances, instances_micros) = self.fleets.finish(self.now.max(end), self.on_instances);
        let cost = self.fargate_micros + instances_micros;
        let ended = self.counts.succeeded + self.counts.failed + self.counts.refused;
        Outcome {
            scenario: self.scenario,
            title: title(setup, self.scenario, self.machine.is_some()),
            makespan_seconds: end.since(start).as_secs_f64(),
            succeeded: self.counts.succeeded,
            failed: self.counts.failed,
            waiting: self.total - ended,
            refused: self.counts.refused,
            attempts,
            interruptions: self.counts.interruptions,
            waits: self.meter.take_waits(setup.queues.iter().map(|queue| queue.name.as_str())),
            vcpus,
            memory_gib,
            instances: has_fleet.then_some(instances),
            cost_micros: self.machine.is_none().then_some(cost),
            waiting_for,
            timeline: self.meter.timeline(&self.state),
        }
    }

    /// What those wait for that nothing will start: by what they have in common, as the first of them has it.
    fn waiting_for(&self) -> Vec<WaitingReason> {
        let mut rows: Vec<(u32, JobId)> = self.live.iter().map(|(id, row)| (*row, *id)).collect();
        rows.sort_unstable();
        let mut groups: BTreeMap<u32, (JobId, u64)> = BTreeMap::new();
        for (row, id) in rows {
            let left = match self.state.summary(id) {
                Some(summary) => {
                    summary.iter().filter(|(status, _)| !status.is_final()).map(|(_, n)| u64::from(*n)).sum()
                }
                None => 1,
            };
            groups.entry(self.workload.rows[row as usize].class).or_insert((id, 0)).1 += left;
        }
        let told = groups.into_iter().take(MOST_REASONS).map(|(class, (id, jobs))| {
            let class = &self.workload.classes[class as usize];
            let queue: &QueueId = &self.cast.queues[class.queue as usize].id;
            WaitingReason { queue: queue.to_string(), jobs, reason: self.reason(id, class.array) }
        });
        told.collect()
    }

    fn reason(&self, id: JobId, array: Option<u32>) -> String {
        let waiting = match array {
            Some(size) => (0..size).find_map(|index| self.state.why(id.child(index))),
            None => self.state.why(id),
        };
        let causes: Vec<String> =
            waiting.into_iter().flat_map(|waiting| waiting.causes).map(|cause| cause.to_string()).collect();
        causes.join("; ")
    }
}

fn title(setup: &Setup, scenario: Scenario, on_machine: bool) -> String {
    let mut kinds: Vec<&str> = setup.environments.iter().map(|given| Scenario::All(given.kind).as_str()).collect();
    kinds.dedup();
    match (scenario, on_machine, kinds.as_slice()) {
        (Scenario::AsGiven, true, _) => "this machine".to_owned(),
        (Scenario::AsGiven, false, [kind]) => format!("{kind}, as given"),
        _ => scenario.as_str().to_owned(),
    }
}
