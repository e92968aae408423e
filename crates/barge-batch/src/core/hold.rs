//! Room held for a job that waits: what was placed while it waited must not keep it from starting.
//!
//! The first job of a queue that has no room is **held for**. Jobs behind it may start all the same, in the holes that it
//! leaves (backfill), as long as everything placed since it began to wait leaves as much of the machine, and of the first of its
//! environments that can take it, as the job needs. It so starts at the latest when the attempts that ran when it began to wait have
//! ended, however long those behind it run. Nothing need be known of how long jobs will run.
//!
//! On instances, whole instances count: one that runs anything placed since can't be let go for the job.

use super::{Environment, EnvironmentId, InstanceId, JobId, LiveAttempt, Machine, Needs, State, Usage};
use std::collections::BTreeMap;

/// What attempts placed while a job waited hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hold {
    /// Attempts from this place in the order on count.
    pub(super) after: u64,
    /// Of the machine.
    machine: Usage,
    /// Of each environment.
    environments: BTreeMap<EnvironmentId, Behind>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Behind {
    used: Usage,
    /// Tasks on each instance.
    instances: BTreeMap<InstanceId, u32>,
}

impl Hold {
    /// Of attempts placed at `after` or later.
    pub(super) fn new(after: u64) -> Self {
        Self { after, ..Self::default() }
    }

    /// Counts a task that was placed.
    pub(super) fn take(&mut self, attempt: &LiveAttempt, needs: Needs, instance: Option<InstanceId>) {
        if attempt.order < self.after {
            return;
        }
        self.machine.take(needs);
        let behind = self.environments.entry(attempt.environment.clone()).or_default();
        behind.used.take(needs);
        if let Some(instance) = instance {
            *behind.instances.entry(instance).or_default() += 1;
        }
    }

    /// No longer counts a task that has ended.
    pub(super) fn give_back(&mut self, attempt: &LiveAttempt, needs: Needs, instance: Option<InstanceId>) {
        if attempt.order < self.after {
            return;
        }
        self.machine.give_back(needs);
        let behind = self.environments.get_mut(&attempt.environment).expect("what was counted is there");
        behind.used.give_back(needs);
        if let Some(instance) = instance {
            let tasks = behind.instances.get_mut(&instance).expect("what was counted is there");
            *tasks -= 1;
            if *tasks == 0 {
                behind.instances.remove(&instance);
            }
        }
        if behind.used.tasks == 0 {
            self.environments.remove(&attempt.environment);
        }
    }
}

/// Room that is held during one pass of the scheduler.
#[derive(Clone, Debug)]
pub(super) struct Reserved {
    pub(super) job: JobId,
    pub(super) tasks: Vec<Needs>,
    /// The environment that the job will go to.
    pub(super) environment: EnvironmentId,
}

/// What a candidate would take.
pub(super) struct Wanted<'a> {
    pub(super) tasks: &'a [Needs],
    pub(super) environment: &'a Environment,
    /// Instances that it would go to, and thousandths of a vCPU of those launched for it.
    pub(super) instances: Vec<InstanceId>,
    pub(super) launched: u64,
}

impl State {
    /// Whether the candidate leaves the job that `reserved` is for what it needs.
    pub(super) fn leaves_room(&self, reserved: &Reserved, wanted: &Wanted<'_>) -> bool {
        let hold = &self.holds[&reserved.job];
        let needed = Usage::of(&reserved.tasks);
        let taken = hold.machine + Usage::of(wanted.tasks);
        if !machine_leaves(self.machine, taken, needed) {
            return false;
        }
        if wanted.environment.spec.id != reserved.environment {
            return true;
        }
        let behind = hold.environments.get(&reserved.environment);
        environment_leaves(wanted, behind, &reserved.tasks)
    }
}

fn machine_leaves(machine: Machine, taken: Usage, needed: Usage) -> bool {
    taken.memory_mib + needed.memory_mib <= machine.memory_mib
        && taken.vcpu_milli + needed.vcpu_milli <= machine.vcpu_milli
}

fn environment_leaves(wanted: &Wanted<'_>, behind: Option<&Behind>, needed: &[Needs]) -> bool {
    let environment = wanted.environment;
    let max = environment.spec.max_vcpu_milli;
    let Some(fleet) = &environment.spec.fleet else {
        let used = behind.map_or_else(Usage::default, |behind| behind.used) + Usage::of(wanted.tasks);
        return used.vcpu_milli + Usage::of(needed).vcpu_milli <= max;
    };
    let mut occupied: Vec<InstanceId> =
        behind.into_iter().flat_map(|behind| behind.instances.keys().copied()).collect();
    occupied.extend(&wanted.instances);
    occupied.sort_unstable();
    occupied.dedup();
    let vcpu = |id: &InstanceId| environment.fleet.instances.get(id).map_or(0, |i| u64::from(i.kind.vcpu_milli));
    let occupied: u64 = occupied.iter().map(vcpu).sum::<u64>() + wanted.launched;
    // The smallest instances that the job could be given.
    let smallest = |needs: &Needs| fleet.types_for(*needs).map(|kind| u64::from(kind.vcpu_milli)).min().unwrap_or(0);
    occupied + needed.iter().map(smallest).sum::<u64>() <= max
}
