//! Jobs as simulations describe them, and how their attempts will go.

use super::Run;
use crate::core::{ConsumableId, JobId};
use crate::core::{Dependency, ExitRule, Kind, Known, Needs, Platform, QueueId, Retry, Shape, Terms};
use std::sync::Arc;
use std::time::Duration;

/// A job to be submitted, with what its attempts will do. By default on Fargate, 1 vCPU, 1 MiB, one attempt of ten seconds.
#[derive(Clone, Debug)]
pub struct SimJob {
    pub(super) shape: Shape,
    pub(super) kind: Kind,
    pub(super) retry: Retry,
    pub(super) timeout: Option<Duration>,
    pub(super) share: String,
    pub(super) priority: i32,
    pub(super) depends_on: Vec<Dependency>,
    pub(super) known: Vec<(JobId, Known)>,
    pub(super) runs: Vec<Run>,
}

impl Default for SimJob {
    fn default() -> Self {
        let tasks = vec![Needs { vcpu_milli: 1000, memory_mib: 1 }];
        Self {
            shape: Shape { platform: Platform::Fargate, tasks, consumables: Vec::new() },
            kind: Kind::Single,
            retry: Retry::default(),
            timeout: None,
            share: String::new(),
            priority: 0,
            depends_on: Vec::new(),
            known: Vec::new(),
            runs: vec![Run::exits(10, 0)],
        }
    }
}

impl SimJob {
    /// Each task needs this many vCPUs.
    #[must_use]
    pub fn vcpus(mut self, vcpus: u32) -> Self {
        self.shape.tasks.iter_mut().for_each(|needs| needs.vcpu_milli = vcpus * 1000);
        self
    }

    /// Each task needs this much memory.
    #[must_use]
    pub fn memory(mut self, mib: u32) -> Self {
        self.shape.tasks.iter_mut().for_each(|needs| needs.memory_mib = mib);
        self
    }

    /// Runs on instances.
    #[must_use]
    pub fn on_ec2(mut self) -> Self {
        self.shape.platform = Platform::Ec2;
        self
    }

    /// Needs this much of a consumable resource.
    #[must_use]
    pub fn consumes(mut self, resource: &str, quantity: u64) -> Self {
        self.shape.consumables.push((ConsumableId::new(resource), quantity));
        self
    }

    /// May be tried this often.
    #[must_use]
    pub fn attempts(mut self, allowed: u32) -> Self {
        self.retry.attempts = allowed;
        self
    }

    /// Whether it is tried again follows from these.
    #[must_use]
    pub fn rules(mut self, rules: impl Into<Vec<ExitRule>>) -> Self {
        self.retry.rules = rules.into();
        self
    }

    /// May run this long.
    #[must_use]
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout = Some(Duration::from_secs(seconds));
        self
    }

    /// Is an array of this many children.
    #[must_use]
    pub fn array(mut self, size: u32) -> Self {
        self.kind = Kind::Array { size };
        self
    }

    /// Is a multi-node job of this many nodes, each as the first.
    #[must_use]
    pub fn nodes(mut self, count: usize, main: u16) -> Self {
        self.kind = Kind::Nodes { main };
        self.shape.tasks = vec![self.shape.tasks[0]; count];
        self
    }

    /// Belongs to a share of a fair-share queue, with a scheduling priority.
    #[must_use]
    pub fn share(mut self, share: &str, priority: i32) -> Self {
        share.clone_into(&mut self.share);
        self.priority = priority;
        self
    }

    /// Waits for something.
    #[must_use]
    pub fn after(mut self, dependency: Dependency) -> Self {
        self.depends_on.push(dependency);
        self
    }

    /// Knows what became of another job.
    #[must_use]
    pub fn knowing(mut self, job: JobId, known: Known) -> Self {
        self.known.push((job, known));
        self
    }

    /// Its attempts go like this, one after the other; the last goes for all after it. The nodes of a multi-node job take them in
    /// turn.
    #[must_use]
    pub fn runs(mut self, runs: impl Into<Vec<Run>>) -> Self {
        self.runs = runs.into();
        self
    }

    pub(super) fn terms(&self, queue: &str) -> Terms {
        Terms {
            queue: QueueId::new(queue),
            share: self.share.as_str().into(),
            priority: self.priority,
            shape: Arc::new(self.shape.clone()),
            kind: self.kind,
            retry: self.retry.clone(),
            timeout: self.timeout,
            depends_on: self.depends_on.clone(),
        }
    }
}
