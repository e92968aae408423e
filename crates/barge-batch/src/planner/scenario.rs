//! Under what a workload is planned: the environments as given, or all of them of one type.

use super::types::relevant;
use super::workload::{Class, Workload};
use super::{Assumptions, Setup};
use crate::core::{
    Discipline, EnvironmentId, EnvironmentKind, EnvironmentSpec, FleetSpec, Kind, Needs, Platform, QueueId, QueueSpec,
    Shape, Strategy, Switch, Terms,
};
use crate::prices::{Catalog, Rates, Spot, UnknownType, fargate_size};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Under what a workload is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The environments as given.
    AsGiven,
    /// Every environment of this type, its maximum as given.
    All(EnvironmentKind),
}

impl Scenario {
    /// `as given`, or AWS's name of the type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AsGiven => "as given",
            Self::All(EnvironmentKind::Fargate) => "FARGATE",
            Self::All(EnvironmentKind::FargateSpot) => "FARGATE_SPOT",
            Self::All(EnvironmentKind::Ec2) => "EC2",
            Self::All(EnvironmentKind::Spot) => "SPOT",
        }
    }

    /// The type of an environment under this scenario.
    pub(super) const fn kind(self, given: EnvironmentKind) -> EnvironmentKind {
        match self {
            Self::AsGiven => given,
            Self::All(kind) => kind,
        }
    }
}

impl Serialize for Scenario {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What the core is told under a scenario.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) environments: Vec<EnvironmentSpec>,
    pub(super) queues: Vec<QueueSpec>,
    /// Of each class of jobs; `None` where such jobs can't run under the scenario.
    pub(super) roles: Vec<Option<Role>>,
}

/// What a class of jobs is to the core.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) terms: Terms,
    /// What its task costs on Fargate.
    pub(super) rates: Rates,
}

impl Cast {
    pub(super) fn new(
        setup: &Setup,
        workload: &Workload,
        scenario: Scenario,
        assumptions: &Assumptions,
    ) -> Result<Self, UnknownType> {
        let platforms: Vec<Platform> =
            setup.queues.iter().map(|queue| platform(setup, &queue.environments, scenario)).collect();
        let roles: Vec<Option<Role>> =
            workload.classes.iter().map(|class| role(setup, class, platforms[class.queue as usize])).collect();
        let shapes =
            roles.iter().flatten().map(|role| &role.terms.shape).filter(|shape| shape.platform == Platform::Ec2);
        let needs: BTreeSet<Needs> = shapes.flat_map(|shape| shape.tasks.iter().copied()).collect();
        let environments = (0..setup.environments.len())
            .map(|index| environment(setup, index, scenario, assumptions.instance_idle, &needs))
            .collect::<Result<_, _>>()?;
        let queues = setup.queues.iter().map(|queue| QueueSpec {
            id: QueueId::new(queue.name.as_str()),
            priority: queue.priority,
            switch: Switch::Enabled,
            environments: queue.environments.iter().map(|name| EnvironmentId::new(name.as_str())).collect(),
            discipline: match &queue.fair_share {
                Some(policy) => Discipline::FairShare(Arc::new(policy.policy())),
                None => Discipline::FirstInFirstOut,
            },
            limits: queue.time_limits.iter().map(super::LimitSetup::limit).collect(),
        });
        Ok(Self { environments, queues: queues.collect(), roles })
    }
}

/// The platform of a queue: all its environments are of one.
fn platform(setup: &Setup, environments: &[String], scenario: Scenario) -> Platform {
    let first = setup.environments.iter().find(|environment| environments.first() == Some(&environment.name));
    first.map_or(Platform::Fargate, |environment| scenario.kind(environment.kind).platform())
}

fn environment(
    setup: &Setup,
    index: usize,
    scenario: Scenario,
    idle_time: Duration,
    needs: &BTreeSet<Needs>,
) -> Result<EnvironmentSpec, UnknownType> {
    let given = &setup.environments[index];
    let kind = scenario.kind(given.kind);
    let fleet = match kind {
        EnvironmentKind::Fargate | EnvironmentKind::FargateSpot => None,
        EnvironmentKind::Ec2 | EnvironmentKind::Spot => {
            let spot = if kind.is_spot() { Spot::Yes } else { Spot::No };
            let types = Catalog::get().fleet_types(&given.types(), spot)?;
            let strategy = match given.allocation_strategy.as_deref() {
                Some("BEST_FIT") => Strategy::Smallest,
                _ => Strategy::Cheapest,
            };
            let min_vcpu_milli = u64::from(given.min_vcpus) * 1000;
            Some(relevant(FleetSpec::new(min_vcpu_milli, types, strategy, idle_time), needs))
        }
    };
    Ok(EnvironmentSpec {
        id: EnvironmentId::new(given.name.as_str()),
        kind,
        switch: if given.enabled { Switch::Enabled } else { Switch::Disabled },
        max_vcpu_milli: u64::from(given.max_vcpus) * 1000,
        fleet,
    })
}

/// Fargate rounds up to the sizes that it has, and runs no multi-node jobs (Batch User Guide, "Multi-node parallel jobs").
fn role(setup: &Setup, class: &Class, platform: Platform) -> Option<Role> {
    let first = *class.needs.first()?;
    let tasks = match platform {
        Platform::Fargate if class.needs.len() > 1 => return None,
        Platform::Fargate => vec![fargate_size(first)?],
        Platform::Ec2 => class.needs.clone(),
    };
    let kind = match (class.array, tasks.len()) {
        (Some(size), _) => Kind::Array { size },
        (None, 1) => Kind::Single,
        (None, _) => Kind::Nodes { main: 0 },
    };
    let rates = Catalog::get().rates(tasks.first().copied().unwrap_or(first).into());
    let shape = Shape { platform, tasks, consumables: Vec::new() };
    let terms = Terms {
        queue: QueueId::new(setup.queues[class.queue as usize].name.as_str()),
        share: class.share.as_str().into(),
        priority: class.priority,
        shape: Arc::new(shape),
        kind,
        retry: class.retry.clone(),
        timeout: class.timeout,
        depends_on: Vec::new(),
    };
    Some(Role { terms, rates })
}
