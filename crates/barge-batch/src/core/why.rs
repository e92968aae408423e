//! Why a job waits: which number is short, or whose turn it is. For people and for DescribeJobs; decides nothing.

use super::{
    ConsumableId, Dependency, Environment, EnvironmentId, Job, JobId, Queue, QueueId, State, Status, Switch, Usage,
};
use std::fmt;

/// What a waiting job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The queue it waits in.
    pub queue: QueueId,
    /// Its state.
    pub status: Status,
    /// Jobs of its queue and share that stand before it.
    pub ahead: usize,
    /// What is in its way; empty where it would start next.
    pub causes: Vec<Cause>,
}

/// Something in a job's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Another job must succeed first.
    Dependency(JobId),
    /// None of the queue's environments is enabled.
    NoEnvironment,
    /// There is less than it needs.
    Short {
        /// Of what.
        of: Resource,
        /// How much it needs.
        needed: u64,
        /// How much is free now.
        free: u64,
        /// How much there is, free or not.
        total: u64,
    },
    /// None of an environment's instance types is large enough.
    NoInstanceType(EnvironmentId),
    /// Room is held for another job, which came first.
    Held(JobId),
    /// Others of its queue come first.
    Turn,
}

/// What can be short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Thousandths of a vCPU, below an environment's maximum.
    EnvironmentVcpu(EnvironmentId),
    /// Thousandths of a vCPU of the machine.
    MachineVcpu,
    /// MiB of the machine.
    MachineMemory,
    /// A consumable resource.
    Consumable(ConsumableId),
}

fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency(id) => write!(f, "waits for job {id} to succeed"),
            Self::NoEnvironment => write!(f, "none of the queue's compute environments is enabled"),
            Self::Short { of, needed, free, total } => of.write_short(f, *needed, *free, *total),
            Self::NoInstanceType(id) => {
                write!(f, "no instance type of compute environment {} is large enough", last_part(id.as_str()))
            }
            Self::Held(id) => write!(f, "room is held for job {id}, which came first"),
            Self::Turn => write!(f, "jobs that come before it wait as well"),
        }
    }
}

impl Resource {
    fn write_short(&self, f: &mut fmt::Formatter<'_>, needed: u64, free: u64, total: u64) -> fmt::Result {
        let vcpus = |milli: u64| Vcpus(milli);
        match self {
            Self::EnvironmentVcpu(id) => {
                let name = last_part(id.as_str());
                let (needed, free, total) = (vcpus(needed), vcpus(free), vcpus(total));
                write!(f, "needs {needed} vCPUs; compute environment {name} has {free} of {total} free")
            }
            Self::MachineVcpu => {
                let (needed, free, total) = (vcpus(needed), vcpus(free), vcpus(total));
                write!(f, "needs {needed} vCPUs; the machine has {free} of {total} to promise")
            }
            Self::MachineMemory => write!(f, "needs {needed} MiB of memory; the machine has {free} of {total} free"),
            Self::Consumable(id) => {
                write!(f, "needs {needed} of {}; {free} of {total} are free", last_part(id.as_str()))
            }
        }
    }
}

/// Thousandths of a vCPU as people write them.
struct Vcpus(u64);

impl fmt::Display for Vcpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl State {
    /// What a job waits for; `None` where it does not wait: it has started, ended, or never was. Costs O(jobs before it).
    pub fn why(&self, id: JobId) -> Option<Waiting> {
        let (job, status) = self.waiting(id)?;
        let queue = &self.queues[&job.terms.queue];
        let ahead = if status == Status::Runnable { queue.ahead_of(job) } else { 0 };
        Some(Waiting { queue: queue.spec.id.clone(), status, ahead, causes: self.causes(id)? })
    }

    /// What is in a waiting job's way; `None` where it does not wait.
    pub fn causes(&self, id: JobId) -> Option<Vec<Cause>> {
        let (job, status) = self.waiting(id)?;
        // An array is PENDING also while its children wait for room.
        let in_line = id == job.id && job.array.as_ref().is_some_and(|array| !array.runnable.is_empty());
        Some(match status {
            Status::Submitted | Status::Pending if !in_line => self.open_dependencies(job, id),
            _ => self.obstacles(&self.queues[&job.terms.queue], job),
        })
    }

    /// A job that waits, or the array of a child without a record that does, and its state.
    fn waiting(&self, id: JobId) -> Option<(&Job, Status)> {
        let (job, status) = match (self.jobs.get(&id), id.parent()) {
            (Some(job), _) => (job, job.status),
            (None, Some((array, index))) => {
                let job = self.jobs.get(&array)?;
                let children = job.array.as_ref().filter(|children| children.is_unstarted(index))?;
                (job, children.unrecorded(index))
            }
            (None, None) => return None,
        };
        matches!(status, Status::Submitted | Status::Pending | Status::Runnable).then_some((job, status))
    }

    fn open_dependencies(&self, job: &Job, id: JobId) -> Vec<Cause> {
        let index = id.parent().map(|(_, index)| index);
        let open =
            |on: JobId| self.jobs.contains_key(&on) || on.parent().is_some_and(|(a, _)| self.jobs.contains_key(&a));
        let on = job.terms.depends_on.iter().filter_map(|dependency| match (dependency, index) {
            (Dependency::Whole(on), _) | (Dependency::NToN(on), None) => Some(*on),
            (Dependency::Sequential, Some(index)) => Some(id.root().child(index.checked_sub(1)?)),
            (Dependency::NToN(on), Some(index)) => Some(on.child(index)),
            (Dependency::Sequential, None) => None,
        });
        on.filter(|on| open(*on)).map(Cause::Dependency).collect()
    }

    fn obstacles(&self, queue: &Queue, job: &Job) -> Vec<Cause> {
        let tasks = &job.terms.shape.tasks;
        let wanted = Usage::of(tasks);
        let open: Vec<&Environment> = self.open_environments(&queue.spec.environments, job).collect();
        if open.is_empty() {
            return vec![Cause::NoEnvironment];
        }
        let mut causes: Vec<Cause> = Vec::new();
        let room = |environment: &&Environment| environment.room(tasks) != super::pool::Room::Full;
        if !open.iter().any(room) {
            causes.extend(open.iter().map(|environment| short_environment(environment, tasks, wanted)));
        }
        let machine = self.machine;
        if self.used.memory_mib + wanted.memory_mib > machine.memory_mib {
            let free = machine.memory_mib.saturating_sub(self.used.memory_mib);
            let of = Resource::MachineMemory;
            causes.push(Cause::Short { of, needed: wanted.memory_mib, free, total: machine.memory_mib });
        }
        if self.used.vcpu_milli > 0 && self.used.vcpu_milli + wanted.vcpu_milli > machine.vcpu_milli {
            let free = machine.vcpu_milli.saturating_sub(self.used.vcpu_milli);
            let of = Resource::MachineVcpu;
            causes.push(Cause::Short { of, needed: wanted.vcpu_milli, free, total: machine.vcpu_milli });
        }
        for (id, needed) in &job.terms.shape.consumables {
            let (free, total) = self.consumables.get(id).map_or((0, 0), |found| (found.available(), found.total));
            if free < *needed {
                causes.push(Cause::Short { of: Resource::Consumable(id.clone()), needed: *needed, free, total });
            }
        }
        if causes.is_empty() {
            let held = self.holds.keys().find(|other| **other != job.id).copied();
            causes.push(held.map_or(Cause::Turn, Cause::Held));
        }
        causes
    }
}

fn short_environment(environment: &Environment, tasks: &[super::Needs], wanted: Usage) -> Cause {
    let id = environment.spec.id.clone();
    if !environment.has_type_for(tasks) {
        return Cause::NoInstanceType(id);
    }
    let total = environment.spec.max_vcpu_milli;
    let free = total.saturating_sub(environment.used.vcpu_milli);
    Cause::Short { of: Resource::EnvironmentVcpu(id), needed: wanted.vcpu_milli, free, total }
}

impl Queue {
    /// How many jobs of the same share stand before a waiting one, an array counting as one.
    fn ahead_of(&self, job: &Job) -> usize {
        let place = self.place(job);
        let lines = self.shares.get(&job.terms.share).into_iter().flat_map(|share| share.lines.values());
        lines.map(|line| line.range(..place).count()).sum()
    }

    /// Whether new jobs may be submitted.
    pub fn is_enabled(&self) -> bool {
        self.spec.switch == Switch::Enabled && !self.deleting
    }
}
