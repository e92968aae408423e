//! What attempts take and what there is to take: the machine, and compute environments as shares of it.
//!
//! Memory of the machine is given out strictly: attempts never hold more than there is. Its vCPUs are shares of time, so
//! more may be promised than there are; how many is a number from outside ([`Machine::vcpu_milli`]), and an attempt
//! that alone is larger than the machine may still have it to itself.

use super::fleet::{Fleet, FleetSpec, Seats};
use super::{EnvironmentId, InstanceId};
use serde::{Deserialize, Serialize};

/// What one task holds from start to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Needs {
    /// Thousandths of a vCPU.
    pub vcpu_milli: u32,
    /// MiB.
    pub memory_mib: u32,
}

/// The sum of what tasks hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Thousandths of a vCPU.
    pub vcpu_milli: u64,
    /// MiB.
    pub memory_mib: u64,
    /// Tasks.
    pub tasks: u32,
}

impl Usage {
    /// What these tasks hold together.
    pub fn of(needs: &[Needs]) -> Self {
        let mut sum = Self::default();
        for needs in needs {
            sum.take(*needs);
        }
        sum
    }

    pub(super) fn take(&mut self, needs: Needs) {
        self.vcpu_milli += u64::from(needs.vcpu_milli);
        self.memory_mib += u64::from(needs.memory_mib);
        self.tasks += 1;
    }

    pub(super) fn give_back(&mut self, needs: Needs) {
        assert!(self.tasks > 0, "no task holds anything");
        self.vcpu_milli -= u64::from(needs.vcpu_milli);
        self.memory_mib -= u64::from(needs.memory_mib);
        self.tasks -= 1;
    }
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            vcpu_milli: self.vcpu_milli + other.vcpu_milli,
            memory_mib: self.memory_mib + other.memory_mib,
            tasks: self.tasks + other.tasks,
        }
    }
}

/// The machine that attempts run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Thousandths of a vCPU that may be promised at a time.
    pub vcpu_milli: u64,
    /// MiB that may be given out at a time.
    pub memory_mib: u64,
}

impl Machine {
    pub(super) fn could_ever_hold(self, wanted: Usage) -> bool {
        wanted.memory_mib <= self.memory_mib
    }

    pub(super) fn has_room(self, used: Usage, wanted: Usage) -> bool {
        let memory = used.memory_mib + wanted.memory_mib <= self.memory_mib;
        let vcpu = used.vcpu_milli + wanted.vcpu_milli <= self.vcpu_milli;
        memory && (vcpu || used.vcpu_milli == 0)
    }
}

/// A compute environment's resource type (API Reference, "ComputeResource").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvironmentKind {
    /// `FARGATE`.
    Fargate,
    /// `FARGATE_SPOT`.
    FargateSpot,
    /// `EC2`.
    Ec2,
    /// `SPOT`.
    Spot,
}

/// What a job definition can run on (API Reference, "RegisterJobDefinition", `platformCapabilities`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Platform {
    /// `FARGATE`.
    Fargate,
    /// `EC2`, AWS's default.
    Ec2,
}

impl EnvironmentKind {
    /// The platform that an environment of this kind offers.
    pub const fn platform(self) -> Platform {
        match self {
            Self::Fargate | Self::FargateSpot => Platform::Fargate,
            Self::Ec2 | Self::Spot => Platform::Ec2,
        }
    }

    /// Whether what runs here may be interrupted.
    pub const fn is_spot(self) -> bool {
        matches!(self, Self::FargateSpot | Self::Spot)
    }
}

/// Whether a queue takes jobs, or an environment starts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Switch {
    /// `ENABLED`.
    Enabled,
    /// `DISABLED`.
    Disabled,
}

/// What is known of a compute environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// Its ARN.
    pub id: EnvironmentId,
    /// Its type.
    pub kind: EnvironmentKind,
    /// Whether attempts may start here.
    pub switch: Switch,
    /// Thousandths of a vCPU: AWS's `maxvCpus`.
    pub max_vcpu_milli: u64,
    /// Its instances, where it has any: not on Fargate.
    pub fleet: Option<FleetSpec>,
}

/// A compute environment and what its tasks hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// What is known of it.
    pub spec: EnvironmentSpec,
    /// What its tasks hold now. Above the maximum only after the maximum was lowered.
    pub used: Usage,
    /// Its instances; none on Fargate.
    pub fleet: Fleet,
}

/// Whether an environment can take tasks now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It can: on which instance each task, where there are instances.
    Here(Seats),
    /// Not now.
    Full,
}

impl Environment {
    pub(super) fn new(spec: EnvironmentSpec, fleet: Fleet) -> Self {
        Self { spec, used: Usage::default(), fleet }
    }

    /// Whether it could take the tasks when empty: on instances, those that they need may be larger than they are.
    pub(super) fn could_ever_hold(&self, tasks: &[Needs]) -> bool {
        let max = self.spec.max_vcpu_milli;
        match &self.spec.fleet {
            None => Usage::of(tasks).vcpu_milli <= max,
            Some(spec) => Fleet::default().seats(spec, max, tasks).is_some(),
        }
    }

    /// Whether one of its instance types is large enough for each task.
    pub(super) fn has_type_for(&self, tasks: &[Needs]) -> bool {
        self.spec.fleet.as_ref().is_none_or(|fleet| tasks.iter().all(|needs| fleet.types_for(*needs).next().is_some()))
    }

    pub(super) fn room(&self, tasks: &[Needs]) -> Room {
        match &self.spec.fleet {
            None if self.used.vcpu_milli + Usage::of(tasks).vcpu_milli <= self.spec.max_vcpu_milli => {
                Room::Here(Seats::default())
            }
            None => Room::Full,
            Some(spec) => self.fleet.seats(spec, self.spec.max_vcpu_milli, tasks).map_or(Room::Full, Room::Here),
        }
    }

    pub(super) fn take(&mut self, needs: Needs, instance: Option<InstanceId>) {
        self.used.take(needs);
        if let Some(instance) = instance {
            self.fleet.take(instance, needs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_strict_and_a_large_job_may_have_the_machine_to_itself() {
        let machine = Machine { vcpu_milli: 2000, memory_mib: 1000 };
        let used = Usage { vcpu_milli: 1500, memory_mib: 600, tasks: 1 };
        for (used, vcpu_milli, memory_mib, room) in [
            (used, 500, 400, true),
            (used, 501, 400, false),
            (used, 500, 401, false),
            (Usage::default(), 64_000, 1000, true),
            (Usage::default(), 250, 1001, false),
        ] {
            let wanted = Usage::of(&[Needs { vcpu_milli, memory_mib }]);
            assert_eq!(machine.has_room(used, wanted), room, "{vcpu_milli} {memory_mib}");
        }
    }
}
