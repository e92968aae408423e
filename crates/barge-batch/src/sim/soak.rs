//! Random histories from a seed: whatever happens in whatever order, what must hold holds.
//!
//! After every event the state is counted anew, and rebuilt from what was saved; so every prefix of the history is replayed. At the
//! end everything is let run, and every job that was accepted has ended or waits for something that will not come.

use super::{Run, Scrutiny, SimJob, Simulation};
use crate::core::{
    Blockage, ConsumableKind, Dependency, EnvironmentKind, ExitAction, ExitRule, FairShare, FleetSpec, IndexSet,
    InstanceType, Job, JobId, Known, Pattern, Status, Strategy, Success, Switch, TaskId,
};
use std::time::Duration;

/// A generator of numbers by chance (SplitMix64): the same seed, the same numbers, in every version.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `count` times.
    pub const fn once_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(from.len().max(1) as u64)).ok()?;
        from.get(index)
    }
}

const FARGATE: [&str; 2] = ["fargate-one", "fargate-two"];
const QUEUES: [&str; 4] = ["low", "high", "fair", "ec2"];

/// A random history.
struct Soak {
    sim: Simulation,
    dice: Dice,
    jobs: Vec<JobId>,
    /// Whether environments are switched off and on: then nobody can say how long the largest jobs wait.
    switches: Switching,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Switching {
    Never,
    Sometimes,
}

/// Runs the history that follows from `seed` until there have been `events`.
///
/// # Panics
/// Where something that must hold does not.
pub fn soak(seed: u64, events: u64, scrutiny: Scrutiny) {
    let mut dice = Dice::new(seed);
    let switches = if dice.once_in(2) { Switching::Sometimes } else { Switching::Never };
    let mut soak = Soak { sim: world(&mut dice).scrutiny(scrutiny), dice, jobs: Vec::new(), switches };
    while soak.sim.events() < events {
        soak.deed();
        soak.assert_no_starvation();
    }
    soak.finish();
}

fn world(dice: &mut Dice) -> Simulation {
    let kind = |name: &str, vcpus: u32, memory_mib: u32, price_micros: u64| InstanceType {
        name: name.into(),
        vcpu_milli: vcpus * 1000,
        memory_mib,
        price_micros,
    };
    let strategy = if dice.once_in(2) { Strategy::Smallest } else { Strategy::Cheapest };
    let types = vec![kind("small", 2, 50, 100), kind("large", 8, 200, 350)];
    let fleet = FleetSpec::new(dice.below(3) * 1000, types, strategy, Duration::from_secs(30));
    let policy = FairShare {
        decay: Duration::from_secs(dice.below(2) * 600),
        compute_reservation: if dice.once_in(2) { 30 } else { 0 },
        weights: vec![("a".to_owned(), 5_000), ("b*".to_owned(), 20_000)],
    };
    let (machine, memory) = (8 + dice.below(16), 200 + dice.below(400));
    let mut sim = Simulation::new(machine, memory)
        .environment("fargate-one", 4 + dice.below(8))
        .fargate_spot("fargate-two", 4 + dice.below(8))
        .instances("ec2", if dice.once_in(2) { EnvironmentKind::Spot } else { EnvironmentKind::Ec2 }, 16, fleet)
        .queue("low", 1, &FARGATE)
        .queue("high", 9, &["fargate-two", "fargate-one"])
        .fair_queue("fair", &FARGATE, policy)
        .queue("ec2", 1, &["ec2"]);
    sim.put_consumable("licence", ConsumableKind::Replenishable, 5);
    sim.put_consumable("credit", ConsumableKind::NonReplenishable, 40);
    sim.limit("low", Blockage::Machine.code().unwrap_or_default(), 600);
    sim
}

impl Soak {
    fn deed(&mut self) {
        match self.dice.below(100) {
            0..45 => self.submit(),
            45..80 => {
                let seconds = self.dice.below(60);
                self.sim.pass(seconds);
            }
            80..84 => self.sim.restart(),
            84..88 => self.on_some_job(Simulation::cancel),
            88..92 => self.on_some_job(Simulation::terminate),
            92..94 => self.lose(),
            94..96 => self.interrupt(),
            96 => self.replace_instances(),
            97 => self.switch(),
            98 => self.set_clock(),
            _ => self.sim.settle(),
        }
    }

    fn submit(&mut self) {
        let queue = *self.dice.pick(&QUEUES).unwrap_or(&"low");
        let mut job = SimJob::default()
            .vcpus(1 + u32::try_from(self.dice.below(if self.dice.clone().once_in(8) { 20 } else { 4 })).unwrap_or(0))
            .memory(1 + u32::try_from(self.dice.below(100)).unwrap_or(0))
            .attempts(1 + u32::try_from(self.dice.below(4)).unwrap_or(0));
        if queue == "ec2" {
            job = job.on_ec2();
        }
        if queue == "fair" {
            let share = *self.dice.pick(&["a", "b1", "b2", "c"]).unwrap_or(&"a");
            job = job.share(share, i32::try_from(self.dice.below(3)).unwrap_or(0));
        }
        if self.dice.once_in(4) {
            let rule = ExitRule {
                exit_code: Some(Pattern::new("2")),
                reason: None,
                status_reason: None,
                action: ExitAction::Exit,
            };
            job = job.rules([rule]);
        }
        if self.dice.once_in(5) {
            job = job.timeout(60 + self.dice.below(60));
        }
        if self.dice.once_in(6) {
            job = job.consumes("licence", 1 + self.dice.below(4));
        }
        if self.dice.once_in(20) {
            job = job.consumes("credit", 1 + self.dice.below(4));
        }
        let array = self.dice.once_in(6);
        if array {
            job = job.array(2 + u32::try_from(self.dice.below(10)).unwrap_or(0));
            if self.dice.once_in(4) {
                job = job.after(Dependency::Sequential);
            }
        } else if queue == "ec2" && self.dice.once_in(4) {
            let count = 2 + self.dice.below(3);
            let main = self.dice.below(count);
            job = job.nodes(usize::try_from(count).unwrap_or(2), u16::try_from(main).unwrap_or(0));
        }
        let (job, depends) = self.dependencies(job, array);
        let runs: Vec<Run> = (0..=self.dice.below(3)).map(|_| self.run()).collect();
        match self.sim.try_submit(queue, job.runs(runs)) {
            Ok(id) => self.jobs.push(id),
            Err(refusal) => assert!(depends, "{refusal}"),
        }
    }

    fn run(&mut self) -> Run {
        let seconds = self.dice.below(90);
        let mut run = match self.dice.below(10) {
            0..7 => Run::exits(seconds, 0),
            7 => Run::exits(seconds, 1 + i32::try_from(self.dice.below(2)).unwrap_or(0)),
            8 => Run::fails_to_start("CannotPullContainerError"),
            _ => Run::exceeds_memory(),
        };
        run.start_after = Duration::from_secs(self.dice.below(3));
        run
    }

    /// Lets a job wait for some; true where it does, and so may be refused.
    fn dependencies(&mut self, mut job: SimJob, array: bool) -> (SimJob, bool) {
        let mut depends = false;
        while self.dice.once_in(4) {
            let Some(on) = self.dice.pick(&self.jobs).copied() else { break };
            depends = true;
            let known = self.known(on);
            let dependency = if array && self.dice.once_in(2) { Dependency::NToN(on) } else { Dependency::Whole(on) };
            job = job.after(dependency).knowing(on, known);
        }
        (job, depends)
    }

    /// What a store would say of a job.
    fn known(&self, id: JobId) -> Known {
        let found = self.sim.job(id);
        if !found.status.is_final() {
            return Known::Live;
        }
        let size = found.array.as_ref().map_or(0, |array| array.size);
        let has_succeeded = |index: &u32| {
            let child = id.child(*index);
            self.sim.has_record(child) && self.sim.status(child) == Status::Succeeded
        };
        let succeeded: IndexSet = (0..size).filter(has_succeeded).collect();
        let success = if found.status == Status::Succeeded { Success::Yes } else { Success::No };
        Known::Ended { success, succeeded }
    }

    fn on_some_job(&mut self, deed: fn(&mut Simulation, JobId) -> Result<(), crate::core::Refusal>) {
        let recent = self.jobs.len().saturating_sub(40);
        let Some(id) = self.dice.pick(&self.jobs[recent..]).copied() else { return };
        let child = self.dice.once_in(2).then(|| id.child(u32::try_from(self.dice.below(12)).unwrap_or(0)));
        // Whether it is refused, which changes nothing, depends on what has become of it.
        let _ = deed(&mut self.sim, child.unwrap_or(id));
    }

    fn lose(&mut self) {
        let running: Vec<TaskId> = self.sim.running();
        if let Some(task) = self.dice.pick(&running) {
            self.sim.lose(*task);
        }
    }

    fn interrupt(&mut self) {
        let targets = crate::core::spot_targets(self.sim.state());
        if let Some(target) = self.dice.pick(&targets).cloned() {
            self.sim.interrupt(target).expect("what is there can be interrupted");
        }
    }

    fn switch(&mut self) {
        if self.switches == Switching::Never {
            return;
        }
        let name = *self.dice.pick(&["fargate-one", "fargate-two", "ec2"]).unwrap_or(&"ec2");
        let mut spec = self.sim.state().environment(&name.into()).expect("it was made").spec.clone();
        spec.switch = if self.dice.once_in(3) { Switch::Disabled } else { Switch::Enabled };
        let updating = self.is_updating(name);
        assert_eq!(self.sim.try_put(spec).is_err(), updating);
    }

    fn replace_instances(&mut self) {
        let spec = self.sim.state().environment(&"ec2".into()).expect("it was made").spec.clone();
        let updating = self.is_updating("ec2");
        let grace = Duration::from_secs(self.dice.below(3) * 40);
        assert_eq!(self.sim.replace_instances(spec, grace).is_err(), updating);
    }

    fn is_updating(&self, environment: &str) -> bool {
        self.sim.state().environment(&environment.into()).is_some_and(|found| found.fleet.is_updating())
    }

    fn set_clock(&mut self) {
        let millis = self.sim.now().millis();
        let by = i64::try_from(self.dice.below(100_000)).unwrap_or(0);
        let back = self.dice.once_in(2);
        self.sim.set_clock(barge_core::Timestamp::from_millis(if back { millis - by } else { millis + by }));
    }

    /// The next job of the highest queue waits at most for what ran before it: where everything that runs was started by jobs
    /// behind it while it waited, the room held for it was given away.
    fn assert_no_starvation(&self) {
        if self.switches == Switching::Sometimes {
            return;
        }
        let state = self.sim.state();
        let of_high = |job: &&Job| job.terms.queue.as_str() == "high";
        let waits = state.jobs().filter(of_high).filter(|job| job.blocked.as_ref().is_some_and(|b| b.why.holds_room()));
        let Some(first) = waits.min_by_key(|job| job.seq) else { return };
        let after = first.blocked.as_ref().map_or(0, |blocked| blocked.after);
        let behind = |job: &Job| {
            let placed_since = job.live.as_ref().is_some_and(|live| live.order >= after);
            placed_since && (job.terms.queue.as_str() != "high" || job.seq > first.seq)
        };
        let starved = state.live_jobs().all(behind);
        assert!(!starved, "{} waits though all that runs came after it", first.id);
    }

    fn finish(&mut self) {
        self.sim.settle();
        for name in ["fargate-one", "fargate-two", "ec2"] {
            let mut spec = self.sim.state().environment(&name.into()).expect("it was made").spec.clone();
            spec.switch = Switch::Enabled;
            self.sim.put(spec);
        }
        self.sim.settle();
        self.sim.examine();
        for id in &self.jobs {
            let job = self.sim.job(*id);
            assert!(job.status.is_final() || self.waits_legally(job), "{job:#?}\n{:?}", self.sim.state().why(*id));
            assert!(job.past.len() <= job.terms.retry.attempts as usize);
        }
    }

    /// Whether a job waits for what will not come by itself: larger room, a used-up resource, or a job that waits so.
    fn waits_legally(&self, job: &Job) -> bool {
        match job.status {
            Status::Pending if job.array.is_none() => true,
            Status::Pending | Status::Runnable => {
                let tasks = &job.terms.shape.tasks;
                let vcpus: u32 = tasks.iter().map(|needs| needs.vcpu_milli).sum();
                let memory: u32 = tasks.iter().map(|needs| needs.memory_mib).sum();
                let needs_credit = job.terms.shape.consumables.iter().any(|(id, _)| id.as_str() == "credit");
                let waits_for_others = !job.terms.depends_on.is_empty();
                vcpus > 4000 || memory > 200 || needs_credit || waits_for_others || self.licences_are_contended()
            }
            _ => false,
        }
    }

    /// Whether a job that needs licences waits for ever for something else, and those behind it with it.
    fn licences_are_contended(&self) -> bool {
        self.sim
            .state()
            .jobs()
            .any(|job| matches!(job.blocked.as_deref().map(|blocked| &blocked.why), Some(Blockage::Consumable(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(name: &str) -> Option<u64> {
        std::env::var(name).ok()?.parse().ok()
    }

    /// `SOAK_SEED` replays one seed, `SOAK_SEEDS` runs so many, `SOAK_EVENTS` is the length of each.
    #[test]
    fn whatever_happens_what_must_hold_holds() {
        let events = number("SOAK_EVENTS").unwrap_or(1_500);
        let first = number("SOAK_SEED");
        let count = if first.is_some() { 1 } else { number("SOAK_SEEDS").unwrap_or(8) };
        for seed in first.unwrap_or(1)..first.unwrap_or(1) + count {
            let run = std::panic::catch_unwind(|| soak(seed, events, Scrutiny::EveryEvent));
            if let Err(panic) = run {
                eprintln!(
                    "again: SOAK_SEED={seed} SOAK_EVENTS={events} cargo test -p barge-batch --lib whatever_happens"
                );
                std::panic::resume_unwind(panic);
            }
        }
    }
}
