//! Every queue, environment, policy and resource as the API shows it, and what the core knows of it.

use crate::core::{
    ConsumableId, Discipline, EnvironmentId, EnvironmentKind, EnvironmentSpec, FairShare, FleetSpec, QueueId,
    QueueSpec, Strategy, Switch, TimeLimit,
};
use crate::prices::{Catalog, Spot};
use crate::store::{ConsumableRow, EnvironmentRow, Loaded, PolicyRow, QueueRow, Write};
use barge_wire::batch::{
    CEState, CRAllocationStrategy, CRType, ComputeResource, FairsharePolicy, JQState, JQStatus, JobStateTimeLimitAction,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Every queue, environment, policy and consumable resource as the API shows it.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    environments: BTreeMap<EnvironmentId, EnvironmentRow>,
    queues: BTreeMap<QueueId, QueueRow>,
    policies: BTreeMap<String, PolicyRow>,
    consumables: BTreeMap<ConsumableId, ConsumableRow>,
    /// How long instances may be idle.
    idle_time: Duration,
}

impl Directory {
    pub(super) fn new(loaded: &mut Loaded, idle_time: Duration) -> Self {
        let mut directory = Self { idle_time, ..Self::default() };
        let environments = loaded.environments.drain(..).map(|row| Write::PutEnvironment(Box::new(row)));
        let queues = loaded.queues.drain(..).map(|row| Write::PutQueue(Box::new(row)));
        let policies = loaded.policies.drain(..).map(|row| Write::PutPolicy(Box::new(row)));
        let consumables = loaded.consumables.drain(..).map(|row| Write::PutConsumable(Box::new(row)));
        environments.chain(queues).chain(policies).chain(consumables).for_each(|write| directory.take(&write));
        directory
    }

    pub(crate) fn environment(&self, id: &EnvironmentId) -> Option<&EnvironmentRow> {
        self.environments.get(id)
    }

    pub(crate) fn queue(&self, id: &QueueId) -> Option<&QueueRow> {
        self.queues.get(id)
    }

    /// The scheduling policy with this ARN.
    pub(crate) fn policy(&self, arn: &str) -> Option<&PolicyRow> {
        self.policies.get(arn)
    }

    pub(crate) fn consumable(&self, id: &ConsumableId) -> Option<&ConsumableRow> {
        self.consumables.get(id)
    }

    /// The queues that use the scheduling policy with this ARN.
    pub(crate) fn queues_with_policy(&self, arn: &str) -> impl Iterator<Item = &QueueRow> {
        self.queues.values().filter(move |row| row.detail.scheduling_policy_arn.as_deref() == Some(arn))
    }

    pub(super) fn take(&mut self, write: &Write) {
        match write {
            Write::PutEnvironment(row) => {
                let id = EnvironmentId::new(row.detail.compute_environment_arn.as_str());
                self.environments.insert(id, (**row).clone());
            }
            Write::PutQueue(row) => {
                let id = QueueId::new(row.detail.job_queue_arn.as_str());
                self.queues.insert(id, (**row).clone());
            }
            Write::PutPolicy(row) => drop(self.policies.insert(row.detail.arn.clone(), (**row).clone())),
            Write::PutConsumable(row) => {
                let id = ConsumableId::new(row.detail.shown.consumable_resource_arn.as_str());
                self.consumables.insert(id, (**row).clone());
            }
            Write::DeleteEnvironment(id) => drop(self.environments.remove(id)),
            Write::DeleteQueue(id) => drop(self.queues.remove(id)),
            Write::DeletePolicy(arn) => drop(self.policies.remove(arn)),
            Write::DeleteConsumable(id) => drop(self.consumables.remove(id)),
        }
    }

    pub(super) fn environment_specs(&self) -> Vec<EnvironmentSpec> {
        self.environments.values().map(|row| self.environment_spec(row)).collect()
    }

    /// Queues that live, and those being deleted.
    pub(super) fn queue_specs(&self) -> (Vec<QueueSpec>, Vec<QueueSpec>) {
        let (deleting, living): (Vec<_>, Vec<_>) =
            self.queues.values().partition(|row| row.detail.status == Some(JQStatus::Deleting));
        let specs = |rows: Vec<&QueueRow>| rows.into_iter().map(|row| self.queue_spec(row)).collect();
        (specs(living), specs(deleting))
    }

    /// What the core knows of an environment.
    pub(crate) fn environment_spec(&self, row: &EnvironmentRow) -> EnvironmentSpec {
        let resources = row.detail.compute_resources.clone().unwrap_or_default();
        EnvironmentSpec {
            id: EnvironmentId::new(row.detail.compute_environment_arn.as_str()),
            kind: match resources.r#type {
                CRType::Fargate => EnvironmentKind::Fargate,
                CRType::FargateSpot => EnvironmentKind::FargateSpot,
                CRType::Spot => EnvironmentKind::Spot,
                CRType::Ec2 | CRType::EcsManagedInstances => EnvironmentKind::Ec2,
            },
            switch: match row.detail.state {
                Some(CEState::Disabled) => Switch::Disabled,
                Some(CEState::Enabled) | None => Switch::Enabled,
            },
            max_vcpu_milli: milli(Some(resources.maxv_cpus)),
            fleet: self.fleet_spec(&resources),
        }
    }

    fn fleet_spec(&self, resources: &ComputeResource) -> Option<FleetSpec> {
        let spot = match resources.r#type {
            CRType::Ec2 => Spot::No,
            CRType::Spot => Spot::Yes,
            CRType::Fargate | CRType::FargateSpot | CRType::EcsManagedInstances => return None,
        };
        let optimal = vec!["optimal".to_owned()];
        let types = resources.instance_types.as_ref().filter(|types| !types.is_empty()).unwrap_or(&optimal);
        let strategy = match resources.allocation_strategy {
            Some(CRAllocationStrategy::BestFit) | None => Strategy::Smallest,
            Some(_) => Strategy::Cheapest,
        };
        // Types were checked when the environment was made; one that left the catalog since is not launched any more.
        let types = Catalog::get().fleet_types(types, spot).unwrap_or_default();
        Some(FleetSpec::new(milli(resources.minv_cpus), types, strategy, self.idle_time))
    }

    /// What the core knows of a queue.
    pub(crate) fn queue_spec(&self, row: &QueueRow) -> QueueSpec {
        let detail = &row.detail;
        let mut order = detail.compute_environment_order.clone();
        order.sort_by_key(|entry| entry.order);
        let policy = detail.scheduling_policy_arn.as_ref().and_then(|arn| self.policy(arn));
        QueueSpec {
            id: QueueId::new(detail.job_queue_arn.as_str()),
            priority: i32::try_from(detail.priority).unwrap_or(i32::MAX),
            switch: match detail.state {
                JQState::Enabled => Switch::Enabled,
                JQState::Disabled => Switch::Disabled,
            },
            environments: order.into_iter().map(|entry| EnvironmentId::new(entry.compute_environment)).collect(),
            discipline: policy.map_or(Discipline::FirstInFirstOut, |row| {
                let policy = row.detail.fairshare_policy.as_ref();
                Discipline::FairShare(Arc::new(policy.map(fair_share).unwrap_or_default()))
            }),
            limits: detail.job_state_time_limit_actions.iter().flatten().map(time_limit).collect(),
        }
    }
}

fn milli(vcpus: Option<i64>) -> u64 {
    u64::try_from(vcpus.unwrap_or(0)).unwrap_or(0).saturating_mul(1000)
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates; weights lie between 0.0001 and 999.9999
fn fair_share(policy: &FairsharePolicy) -> FairShare {
    let weight = |factor: f64| (factor * f64::from(crate::core::share::WEIGHT_ONE)).round() as u32;
    let shares = policy.share_distribution.iter().flatten();
    FairShare {
        decay: seconds(policy.share_decay_seconds.unwrap_or(0)),
        compute_reservation: u8::try_from(policy.compute_reservation.unwrap_or(0)).unwrap_or(0).min(99),
        weights: shares
            .map(|share| (share.share_identifier.clone(), weight(share.weight_factor.unwrap_or(1.0))))
            .collect(),
    }
}

fn time_limit(action: &JobStateTimeLimitAction) -> TimeLimit {
    TimeLimit { code: action.reason.clone(), longest: seconds(action.max_time_seconds) }
}
