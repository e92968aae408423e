//! Instances of an EC2 or SPOT compute environment: which there are, which to launch, which to let go.
//!
//! Instances are bookkeeping: containers run on this machine. They bound what fits together as AWS's would, they are what is
//! interrupted, and what is paid for by the hour.
//!
//! - A task goes to the instance on which it leaves the least vCPUs free; where none has room, one is launched.
//! - The type launched is the cheapest per vCPU that is large enough, and among equals the smallest: the smallest that fits
//!   under `BEST_FIT`. The Spot strategies look at Spot prices; that a pool may run dry is not modelled.
//! - All instances together have at most `maxvCpus`; AWS lets some strategies go above by one instance, here none may.
//! - An instance that has been idle for the environment's idle time goes, as long as `minvCpus` remain; at once where a
//!   waiting job needs its vCPUs for another type.

use super::{EnvironmentId, InstanceId, Name, Needs, Usage};
use barge_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// An instance type: what one instance offers, and its price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceType {
    /// e.g. `c5.large`.
    pub name: Name,
    /// Thousandths of a vCPU.
    pub vcpu_milli: u32,
    /// MiB that tasks may have.
    pub memory_mib: u32,
    /// Millionths of a US dollar per hour; the Spot price in a SPOT environment.
    pub price_micros: u64,
}

impl InstanceType {
    /// Whether a task fits on an empty instance.
    pub fn holds(&self, needs: Needs) -> bool {
        needs.vcpu_milli <= self.vcpu_milli && needs.memory_mib <= self.memory_mib
    }
}

/// How the type of a new instance is chosen (API Reference, "ComputeResource", `allocationStrategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// The smallest that fits.
    Smallest,
    /// The cheapest per vCPU.
    Cheapest,
}

/// What is known of an environment's instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSpec {
    /// Thousandths of a vCPU that are kept also while idle: AWS's `minvCpus`.
    pub min_vcpu_milli: u64,
    /// How long an instance may be idle.
    pub idle_time: Duration,
    /// The types that may be launched, those to be preferred first.
    types: Vec<InstanceType>,
}

impl FleetSpec {
    /// Instances of these types, of which `strategy` chooses.
    pub fn new(min_vcpu_milli: u64, mut types: Vec<InstanceType>, strategy: Strategy, idle_time: Duration) -> Self {
        let per_vcpu =
            |kind: &InstanceType| u128::from(kind.price_micros) * 1_000_000 / u128::from(kind.vcpu_milli.max(1));
        types.sort_by(|a, b| {
            let size = (a.vcpu_milli, a.memory_mib).cmp(&(b.vcpu_milli, b.memory_mib));
            let price = per_vcpu(a).cmp(&per_vcpu(b));
            match strategy {
                Strategy::Smallest => size.then(price),
                Strategy::Cheapest => price.then(size),
            }
            .then_with(|| a.name.cmp(&b.name))
        });
        Self { min_vcpu_milli, idle_time, types }
    }

    /// The types on which a task fits, the one to be preferred first.
    pub fn types_for(&self, needs: Needs) -> impl Iterator<Item = &InstanceType> {
        self.types.iter().filter(move |kind| kind.holds(needs))
    }

    /// The same with fewer types.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&InstanceType) -> bool) -> Self {
        self.types.retain(keep);
        self
    }
}

/// Whether an instance takes new tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// It does.
    Serving,
    /// It was made by settings that hold no more: it takes no new tasks, and goes with the last of those that it has.
    Outdated,
    /// It was interrupted: its tasks are being stopped, and it goes with the last of them.
    Interrupted,
}

/// Where the replacement of outdated instances stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replacement {
    /// What runs on them may go on until then.
    Until(Timestamp),
    /// That time is over, and what still ran on them is being stopped.
    Over,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its type.
    pub kind: InstanceType,
    /// When it was launched.
    pub launched_at: Timestamp,
    /// Since when no task is on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Timestamp>,
    /// Whether it takes new tasks.
    pub condition: Condition,
    /// What its tasks hold: follows from the tasks.
    #[serde(skip)]
    pub used: Usage,
}

impl Instance {
    fn free_for(&self, needs: Needs) -> Option<u64> {
        let vcpu = (u64::from(self.kind.vcpu_milli)).checked_sub(self.used.vcpu_milli + u64::from(needs.vcpu_milli))?;
        let memory = self.used.memory_mib + u64::from(needs.memory_mib) <= u64::from(self.kind.memory_mib);
        (memory && self.condition == Condition::Serving).then_some(vcpu)
    }
}

/// An environment's instances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// The instances that there are.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// How many were ever launched: ids follow from it.
    launched: u64,
    /// The replacement of outdated instances, while there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replacement: Option<Replacement>,
}

/// On which instance each task of an attempt goes, and which instances must be launched or let go before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seats {
    pub(super) tasks: Vec<Seat>,
    pub(super) let_go: Vec<InstanceId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// An instance that is there.
    On(InstanceId),
    /// The next instance launched, of this type.
    New(InstanceType),
    /// The instance launched for the task with this number.
    With(usize),
}

impl Fleet {
    /// Thousandths of a vCPU of all instances: AWS's `desiredvCpus`.
    pub fn vcpu_milli(&self) -> u64 {
        self.instances.values().map(|instance| u64::from(instance.kind.vcpu_milli)).sum()
    }

    /// Whether outdated instances are being replaced: AWS's status `UPDATING`.
    pub fn is_updating(&self) -> bool {
        self.replacement.is_some()
    }

    pub(super) fn take(&mut self, id: InstanceId, needs: Needs) {
        let instance = self.instances.get_mut(&id).expect("a task's instance is there");
        instance.used.take(needs);
        instance.idle_since = None;
    }

    /// Launches an instance.
    pub(super) fn launch(&mut self, environment: &EnvironmentId, kind: InstanceType, now: Timestamp) -> InstanceId {
        self.launched += 1;
        let id = instance_id(environment, self.launched);
        let used = Usage::default();
        let condition = Condition::Serving;
        self.instances.insert(id, Instance { kind, launched_at: now, idle_since: Some(now), condition, used });
        id
    }

    /// Where the tasks of an attempt can go now, launching instances up to `max` thousandths of a vCPU.
    pub(super) fn seats(&self, spec: &FleetSpec, max: u64, tasks: &[Needs]) -> Option<Seats> {
        let mut plan = Plan {
            fleet: self,
            spec,
            max,
            vcpu: self.vcpu_milli(),
            extra: BTreeMap::new(),
            fresh: Vec::new(),
            let_go: Vec::new(),
        };
        let seats = tasks.iter().enumerate().map(|(number, needs)| plan.seat(number, *needs)).collect::<Option<_>>()?;
        Some(Seats { tasks: seats, let_go: plan.let_go })
    }

    /// Instances that have been idle since before `until`, the longest idle first.
    pub(super) fn idle(&self) -> Vec<(Timestamp, InstanceId)> {
        let mut idle: Vec<_> = self.instances.iter().filter_map(|(id, i)| Some((i.idle_since?, *id))).collect();
        idle.sort_unstable();
        idle
    }
}

/// Seats given out so far, for one attempt.
struct Plan<'a> {
    fleet: &'a Fleet,
    spec: &'a FleetSpec,
    max: u64,
    /// Thousandths of a vCPU of all instances, with those to be launched and without those to be let go.
    vcpu: u64,
    /// What the attempt's earlier tasks take of instances.
    extra: BTreeMap<InstanceId, Usage>,
    /// Instances to be launched: for which task, and what is taken of them.
    fresh: Vec<(usize, InstanceType, Usage)>,
    let_go: Vec<InstanceId>,
}

impl Plan<'_> {
    fn seat(&mut self, number: usize, needs: Needs) -> Option<Seat> {
        if let Some(id) = self.best_existing(needs) {
            self.extra.entry(id).or_default().take(needs);
            return Some(Seat::On(id));
        }
        let room = |(_, kind, used): &&mut (usize, InstanceType, Usage)| {
            used.vcpu_milli + u64::from(needs.vcpu_milli) <= u64::from(kind.vcpu_milli)
                && used.memory_mib + u64::from(needs.memory_mib) <= u64::from(kind.memory_mib)
        };
        if let Some((first, _, used)) = self.fresh.iter_mut().find(room) {
            used.take(needs);
            return Some(Seat::With(*first));
        }
        let kind = self.launchable(needs)?;
        self.vcpu += u64::from(kind.vcpu_milli);
        self.fresh.push((number, kind.clone(), Usage::of(&[needs])));
        Some(Seat::New(kind))
    }

    fn best_existing(&self, needs: Needs) -> Option<InstanceId> {
        let free = |id: &InstanceId, instance: &Instance| {
            let extra = self.extra.get(id).copied().unwrap_or_default();
            let left = instance.free_for(needs)?.checked_sub(extra.vcpu_milli)?;
            let memory = instance.used.memory_mib + extra.memory_mib + u64::from(needs.memory_mib);
            (memory <= u64::from(instance.kind.memory_mib) && !self.let_go.contains(id)).then_some(left)
        };
        let fitting = self.fleet.instances.iter().filter_map(|(id, instance)| Some((free(id, instance)?, *id)));
        fitting.min().map(|(_, id)| id)
    }

    /// A type that can be launched within the maximum, once idle instances are let go for it.
    fn launchable(&mut self, needs: Needs) -> Option<InstanceType> {
        let idle: Vec<(InstanceId, u64)> = self
            .fleet
            .idle()
            .into_iter()
            .filter(|(_, id)| !self.extra.contains_key(id) && !self.let_go.contains(id))
            .map(|(_, id)| (id, u64::from(self.fleet.instances[&id].kind.vcpu_milli)))
            .collect();
        let reclaimable: u64 = idle.iter().map(|(_, vcpu)| vcpu).sum();
        let fits = |kind: &&InstanceType, used: u64| used + u64::from(kind.vcpu_milli) <= self.max;
        let now = self.spec.types_for(needs).find(|kind| fits(kind, self.vcpu));
        let kind = now.or_else(|| self.spec.types_for(needs).find(|kind| fits(kind, self.vcpu - reclaimable)))?.clone();
        for (id, vcpu) in idle {
            if self.vcpu + u64::from(kind.vcpu_milli) <= self.max {
                break;
            }
            self.vcpu -= vcpu;
            self.let_go.push(id);
        }
        Some(kind)
    }
}

/// An id that follows from the environment's name and a count, spread over all ids (FNV-1a, then a finalizer).
fn instance_id(environment: &EnvironmentId, count: u64) -> InstanceId {
    let mut hash = environment
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^= count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
    InstanceId(hash ^ (hash >> 29))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, vcpus: u32, memory_mib: u32, price_micros: u64) -> InstanceType {
        InstanceType { name: name.into(), vcpu_milli: vcpus * 1000, memory_mib, price_micros }
    }

    fn spec(strategy: Strategy) -> FleetSpec {
        let types = vec![kind("large", 2, 4000, 90), kind("huge", 8, 16_000, 320), kind("small", 1, 1000, 60)];
        FleetSpec::new(0, types, strategy, Duration::from_mins(1))
    }

    fn needs(vcpus: u32, memory_mib: u32) -> Needs {
        Needs { vcpu_milli: vcpus * 1000, memory_mib }
    }

    #[test]
    fn the_strategy_chooses_the_type() {
        for (strategy, vcpus, memory, expected) in [
            (Strategy::Smallest, 1, 500, Some("small")),
            (Strategy::Smallest, 1, 1001, Some("large")),
            (Strategy::Cheapest, 1, 500, Some("huge")),
            (Strategy::Cheapest, 9, 500, None),
        ] {
            let spec = spec(strategy);
            let first = spec.types_for(needs(vcpus, memory)).next().map(|kind| kind.name.as_str());
            assert_eq!(first, expected, "{strategy:?} {vcpus} {memory}");
        }
    }

    #[test]
    fn tasks_fill_the_fullest_instance_first_and_maxvcpus_bound_launches() {
        let id = EnvironmentId::new("ce");
        let spec = spec(Strategy::Smallest);
        let mut fleet = Fleet::default();
        let large = fleet.launch(&id, kind("large", 2, 4000, 90), Timestamp::from_millis(0));
        let huge = fleet.launch(&id, kind("huge", 8, 16_000, 320), Timestamp::from_millis(0));
        fleet.take(huge, needs(1, 1));
        let on = |fleet: &Fleet, tasks: &[Needs], max| fleet.seats(&spec, max, tasks).map(|seats| seats.tasks);
        assert_eq!(on(&fleet, &[needs(1, 1)], 10_000), Some(vec![Seat::On(large)]));
        assert_eq!(on(&fleet, &[needs(2, 1), needs(2, 1)], 10_000), Some(vec![Seat::On(large), Seat::On(huge)]));
        assert_eq!(on(&fleet, &[needs(8, 1)], 10_000), None);
        assert_eq!(on(&fleet, &[needs(8, 1)], 18_000), Some(vec![Seat::New(kind("huge", 8, 16_000, 320))]));
        let seats = fleet.seats(&spec, 16_000, &[needs(8, 1)]).unwrap();
        assert_eq!(seats.let_go, [large], "an idle instance makes room for a type that is needed");
    }

    #[test]
    fn an_interrupted_instance_takes_nothing() {
        let mut fleet = Fleet::default();
        let id = fleet.launch(&EnvironmentId::new("ce"), kind("large", 2, 4000, 90), Timestamp::from_millis(0));
        fleet.instances.get_mut(&id).unwrap().condition = Condition::Interrupted;
        assert_eq!(
            fleet.seats(&spec(Strategy::Smallest), 2000, &[needs(1, 1)]).map(|seats| seats.tasks.len()),
            Some(1)
        );
        fleet.take(id, needs(1, 1));
        assert_eq!(fleet.seats(&spec(Strategy::Smallest), 2000, &[needs(1, 1)]), None);
    }
}
