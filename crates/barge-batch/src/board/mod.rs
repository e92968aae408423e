//! Utilisation: what queues and compute environments hold now, and what happened in them since the program started. For
//! people, and for Prometheus. Decides nothing.

mod histogram;
mod meter;
mod prometheus;

pub(crate) use meter::{Meter, Observation, observe};

use crate::core::{Environment, EnvironmentId, EnvironmentKind, Queue, QueueId, State, Status, Switch};
use crate::service::BatchService;
use barge_core::{Arn, AwsError, Scope, Timestamp};
use histogram::Histogram;
use meter::Totals;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How Batch stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Board {
    /// When; milliseconds since 1970.
    pub at: Timestamp,
    /// The machine that everything runs on.
    pub machine: MachineBoard,
    /// Queues by ARN.
    pub queues: Vec<QueueBoard>,
    /// Compute environments by ARN.
    pub environments: Vec<EnvironmentBoard>,
    #[serde(skip)]
    totals: BTreeMap<(QueueId, EnvironmentId), Totals>,
}

/// The machine: what tasks hold of what may be given out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineBoard {
    /// vCPUs that tasks hold.
    pub vcpus_in_use: f64,
    /// vCPUs that may be promised.
    pub vcpus: f64,
    /// MiB that tasks hold.
    pub memory_in_use_mib: u64,
    /// MiB that may be given out.
    pub memory_mib: u64,
}

/// A job queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueBoard {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// `ENABLED`, `DISABLED` or `DELETING`.
    pub state: String,
    /// Higher goes first.
    pub priority: i32,
    /// Names of its compute environments, the preferred first.
    pub environments: Vec<String>,
    /// How many jobs are in which state, without those that have ended: an array's children, not the array.
    pub jobs: BTreeMap<String, u64>,
    /// vCPUs that its tasks hold.
    pub vcpus_in_use: f64,
    /// What happened since the program started.
    #[serde(flatten)]
    pub history: History,
}

/// A compute environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentBoard {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// `EC2`, `SPOT`, `FARGATE` or `FARGATE_SPOT`.
    pub r#type: String,
    /// `ENABLED` or `DISABLED`.
    pub state: String,
    /// Tasks that run or are being started.
    pub tasks: u32,
    /// vCPUs that they hold.
    pub vcpus_in_use: f64,
    /// MiB that they hold.
    pub memory_in_use_mib: u64,
    /// vCPUs that they may hold: `maxvCpus`.
    pub max_vcpus: f64,
    /// vCPUs of its instances: `desiredvCpus`; `None` on Fargate.
    pub desired_vcpus: Option<f64>,
    /// How many instances of which type; none on Fargate.
    pub instances: BTreeMap<String, u64>,
    /// What happened since the program started.
    #[serde(flatten)]
    pub history: History,
}

/// What happened to attempts since the program started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Times from submission, or from the end of the attempt before, until an attempt got its place.
    pub waits: Timing,
    /// Times that main containers ran.
    pub runs: Timing,
    /// Attempts that ended with their job's success.
    pub succeeded: u64,
    /// Attempts after which their job is tried again.
    pub retried: u64,
    /// Attempts that ended with their job's failure.
    pub failed: u64,
}

/// A number of durations and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub seconds: f64,
}

impl Timing {
    /// The mean in seconds; `None` where there was none.
    #[allow(clippy::cast_precision_loss)] // counts fit 53 bits
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.seconds / self.count as f64)
    }

    fn add(&mut self, histogram: &Histogram) {
        self.count += histogram.count();
        self.seconds += histogram.seconds();
    }
}

impl BatchService {
    /// How queues, environments and the machine stand now, of all accounts and regions. It may be ahead of what is durable
    /// by one commit.
    pub async fn board(&self) -> Result<Board, AwsError> {
        let at = self.ambient.clock.now();
        let totals = self.meter.totals();
        self.dispatcher.look(move |state, _| Board::new(state, at, totals)).await
    }
}

impl Board {
    /// The board of a state. Costs O(queues × arrays + environments + instances).
    pub(crate) fn new(state: &State, at: Timestamp, totals: BTreeMap<(QueueId, EnvironmentId), Totals>) -> Self {
        let queue = |queue: &Queue| {
            let history = History::of(&totals, |(id, _)| *id == queue.spec.id);
            QueueBoard::new(queue, state.census(&queue.spec.id), history)
        };
        let environment = |environment: &Environment| {
            EnvironmentBoard::new(environment, History::of(&totals, |(_, id)| *id == environment.spec.id))
        };
        let (machine, used) = (state.machine(), state.used());
        Self {
            at,
            machine: MachineBoard {
                vcpus_in_use: vcpus(used.vcpu_milli),
                vcpus: vcpus(machine.vcpu_milli),
                memory_in_use_mib: used.memory_mib,
                memory_mib: machine.memory_mib,
            },
            queues: state.queues().map(queue).collect(),
            environments: state.environments().map(environment).collect(),
            totals,
        }
    }

    /// What an account has in a region.
    #[must_use]
    pub fn within(mut self, scope: &Scope) -> Self {
        self.queues.retain(|queue| is_within(&queue.arn, scope));
        self.environments.retain(|environment| is_within(&environment.arn, scope));
        self.totals.retain(|(queue, _), _| is_within(queue.as_str(), scope));
        self
    }
}

fn is_within(arn: &str, scope: &Scope) -> bool {
    arn.parse::<Arn>().ok().and_then(|arn| arn.scope()).as_ref() == Some(scope)
}

impl QueueBoard {
    fn new(queue: &Queue, census: BTreeMap<Status, u64>, history: History) -> Self {
        let state = match queue.spec.switch {
            _ if queue.is_deleting() => "DELETING",
            switch => switch_name(switch),
        };
        Self {
            arn: queue.spec.id.to_string(),
            name: last_part(queue.spec.id.as_str()),
            state: state.to_owned(),
            priority: queue.spec.priority,
            environments: queue.spec.environments.iter().map(|id| last_part(id.as_str())).collect(),
            jobs: census.into_iter().map(|(status, count)| (status.as_str().to_owned(), count)).collect(),
            vcpus_in_use: vcpus(queue.held().map(|(_, held)| held).sum()),
            history,
        }
    }
}

impl EnvironmentBoard {
    fn new(environment: &Environment, history: History) -> Self {
        let Environment { spec, used, fleet } = environment;
        let mut instances: BTreeMap<String, u64> = BTreeMap::new();
        for instance in fleet.instances.values() {
            *instances.entry(instance.kind.name.to_string()).or_default() += 1;
        }
        Self {
            arn: spec.id.to_string(),
            name: last_part(spec.id.as_str()),
            r#type: kind_name(spec.kind).to_owned(),
            state: switch_name(spec.switch).to_owned(),
            tasks: used.tasks,
            vcpus_in_use: vcpus(used.vcpu_milli),
            memory_in_use_mib: used.memory_mib,
            max_vcpus: vcpus(spec.max_vcpu_milli),
            desired_vcpus: spec.fleet.as_ref().map(|_| vcpus(fleet.vcpu_milli())),
            instances,
            history,
        }
    }
}

impl History {
    fn of(
        totals: &BTreeMap<(QueueId, EnvironmentId), Totals>,
        is_of: impl Fn(&(QueueId, EnvironmentId)) -> bool,
    ) -> Self {
        let mut history = Self::default();
        for (_, totals) in totals.iter().filter(|(key, _)| is_of(key)) {
            history.waits.add(&totals.waits);
            history.runs.add(&totals.runs);
            history.succeeded += totals.succeeded;
            history.retried += totals.retried;
            history.failed += totals.failed;
        }
        history
    }
}

const fn switch_name(switch: Switch) -> &'static str {
    match switch {
        Switch::Enabled => "ENABLED",
        Switch::Disabled => "DISABLED",
    }
}

const fn kind_name(kind: EnvironmentKind) -> &'static str {
    match kind {
        EnvironmentKind::Fargate => "FARGATE",
        EnvironmentKind::FargateSpot => "FARGATE_SPOT",
        EnvironmentKind::Ec2 => "EC2",
        EnvironmentKind::Spot => "SPOT",
    }
}

/// The name at an ARN's end.
fn last_part(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

#[allow(clippy::cast_precision_loss)] // thousandths of a vCPU fit 53 bits
fn vcpus(milli: u64) -> f64 {
    milli as f64 / 1000.0
}
