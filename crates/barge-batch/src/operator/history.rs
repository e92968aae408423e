//! What a plan of the past is made of: the jobs that there were, and the queues and environments that there are.

use super::{BatchService, is_within};
use crate::core::{Discipline, Environment, EnvironmentId, FairShare, Queue, State, Switch, share};
use crate::history::PastJob;
use crate::planner::{EnvironmentSetup, FairShareSetup, LimitSetup, QueueSetup, Setup, ShareSetup};
use barge_core::{AwsError, Context, Scope};
use barge_wire::batch::{CRAllocationStrategy, ComputeResource};
use serde::{Deserialize, Serialize};

/// Rows that one page looks at where no number is given.
const USUAL: usize = 1000;
/// The most that one page looks at.
const MOST: usize = 10_000;

/// Which page of the jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HistoryQuery {
    /// `next` of the page before; the oldest jobs without.
    #[serde(default)]
    pub after: u64,
    /// Jobs of all accounts to look at, up to 10,000; otherwise 1,000. A page of large arrays ends earlier.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A page of jobs, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryAnswer {
    /// The caller's jobs; there may be none on a page that is not the last.
    pub jobs: Vec<PastJob>,
    /// Where the next page begins, where there is one.
    pub next: Option<u64>,
}

impl BatchService {
    /// A page of the jobs that the caller has submitted, and how they went. Read from rows: the scheduler is not asked.
    pub async fn history(&self, cx: &Context, query: HistoryQuery) -> Result<HistoryAnswer, AwsError> {
        let now = self.ambient.clock.now();
        let limit = query.limit.unwrap_or(USUAL).clamp(1, MOST);
        let page = self.rows.history(cx.scope.clone(), query.after, limit).await?;
        let jobs = page
            .jobs
            .into_iter()
            .map(|found| PastJob::of(found.name, &found.definition, &found.job, &found.children, now));
        Ok(HistoryAnswer { jobs: jobs.collect(), next: page.next })
    }

    /// The caller's queues and compute environments as a plan takes them. Job definitions are not in it: past jobs bring what
    /// they took.
    pub async fn setup(&self, cx: &Context) -> Result<Setup, AwsError> {
        let scope = cx.scope.clone();
        let setup = self.dispatcher.look(move |state, directory| {
            setup(state, &scope, |id| directory.environment(id)?.detail.compute_resources.as_ref())
        });
        setup.await
    }
}

fn setup<'a>(state: &State, scope: &Scope, resources: impl Fn(&EnvironmentId) -> Option<&'a ComputeResource>) -> Setup {
    let environments = state.environments().filter(|environment| is_within(environment.spec.id.as_str(), scope));
    let queues = state.queues().filter(|queue| !queue.is_deleting() && is_within(queue.spec.id.as_str(), scope));
    Setup {
        environments: environments.map(|found| environment_setup(found, resources(&found.spec.id))).collect(),
        queues: queues.map(queue_setup).collect(),
        definitions: Vec::new(),
    }
}

fn environment_setup(Environment { spec, .. }: &Environment, resources: Option<&ComputeResource>) -> EnvironmentSetup {
    let vcpus = |milli: u64| u32::try_from(milli / 1000).unwrap_or(u32::MAX);
    let fleet = spec.fleet.as_ref();
    EnvironmentSetup {
        name: name(spec.id.as_str()),
        kind: spec.kind,
        max_vcpus: vcpus(spec.max_vcpu_milli),
        min_vcpus: fleet.map_or(0, |fleet| vcpus(fleet.min_vcpu_milli)),
        instance_types: resources.and_then(|resources| resources.instance_types.clone()).unwrap_or_default(),
        allocation_strategy: fleet.map(|_| {
            let given = resources.and_then(|resources| resources.allocation_strategy.as_ref());
            given.unwrap_or(&CRAllocationStrategy::BestFit).as_str().to_owned()
        }),
        enabled: spec.switch == Switch::Enabled,
    }
}

fn queue_setup(queue: &Queue) -> QueueSetup {
    let spec = &queue.spec;
    let limits = spec
        .limits
        .iter()
        .map(|limit| LimitSetup { reason: limit.code.clone(), max_time_seconds: limit.longest.as_secs() });
    QueueSetup {
        name: name(spec.id.as_str()),
        alias: None,
        priority: spec.priority,
        environments: spec.environments.iter().map(|id| name(id.as_str())).collect(),
        fair_share: match &spec.discipline {
            Discipline::FirstInFirstOut => None,
            Discipline::FairShare(policy) => Some(fair_share(policy)),
        },
        time_limits: limits.collect(),
    }
}

fn fair_share(policy: &FairShare) -> FairShareSetup {
    let weight = |(share_identifier, weight): &(String, u32)| ShareSetup {
        share_identifier: share_identifier.clone(),
        weight_factor: f64::from(*weight) / f64::from(share::WEIGHT_ONE),
    };
    FairShareSetup {
        share_decay_seconds: policy.decay.as_secs(),
        compute_reservation: policy.compute_reservation,
        share_distribution: policy.weights.iter().map(weight).collect(),
    }
}

/// The name at an ARN's end.
fn name(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        EnvironmentKind, EnvironmentSpec, Event, FleetSpec, Machine, QueueSpec, Strategy, TimeLimit, apply,
    };
    use barge_core::Timestamp;
    use std::sync::Arc;
    use std::time::Duration;

    fn arn(kind: &str, name: &str) -> String {
        Scope::default().arn("batch", format!("{kind}/{name}")).to_string()
    }

    #[test]
    fn what_the_scheduler_has_is_what_the_plan_gets() {
        let mut state = State::new(Machine { vcpu_milli: 64_000, memory_mib: 64_000 });
        let fleet = FleetSpec::new(2000, Vec::new(), Strategy::Smallest, Duration::from_secs(9));
        let resources = ComputeResource { instance_types: Some(vec!["m6a".to_owned()]), ..ComputeResource::default() };
        let fair =
            FairShare { decay: Duration::from_mins(1), compute_reservation: 5, weights: vec![("a".into(), 1250)] };
        for (name, discipline, limits) in [
            ("fifo", Discipline::FirstInFirstOut, Vec::new()),
            (
                "fair",
                Discipline::FairShare(Arc::new(fair.clone())),
                vec![TimeLimit { code: "CAPACITY:X".to_owned(), longest: Duration::from_mins(10) }],
            ),
        ] {
            let id: crate::core::EnvironmentId = arn("compute-environment", name).into();
            let environment = EnvironmentSpec {
                id: id.clone(),
                kind: EnvironmentKind::Spot,
                switch: Switch::Enabled,
                max_vcpu_milli: 16_000,
                fleet: Some(fleet.clone()),
            };
            let queue = QueueSpec {
                id: arn("job-queue", name).into(),
                priority: 3,
                switch: Switch::Disabled,
                environments: vec![id],
                discipline,
                limits,
            };
            for event in [Event::PutEnvironment(environment), Event::PutQueue(queue)] {
                apply(&mut state, Timestamp::from_millis(1), event).unwrap();
            }
        }
        let setup = setup(&state, &Scope::default(), |_| Some(&resources));
        let json = serde_json::to_string(&setup).unwrap();
        assert_eq!(Setup::parse("server", &json).unwrap(), setup);
        let [queue, fifo] = setup.queues.as_slice() else { panic!("{setup:?}") };
        assert_eq!(
            (queue.name.as_str(), queue.priority, queue.environments.as_slice()),
            ("fair", 3, ["fair".to_owned()].as_slice())
        );
        assert_eq!(queue.fair_share.as_ref().map(FairShareSetup::policy), Some(fair));
        assert_eq!(queue.time_limits[0].max_time_seconds, 600);
        assert_eq!((fifo.fair_share.is_none(), fifo.time_limits.len()), (true, 0));
        let environment = &setup.environments[0];
        assert_eq!((environment.kind, environment.max_vcpus, environment.min_vcpus), (EnvironmentKind::Spot, 16, 2));
        assert_eq!(environment.instance_types, ["m6a"]);
        assert_eq!(environment.allocation_strategy.as_deref(), Some("BEST_FIT"));
        let nothing = State::new(state.machine());
        assert!(super::setup(&nothing, &Scope::default(), |_| None).queues.is_empty());
    }
}
