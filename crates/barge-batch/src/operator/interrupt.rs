//! `barge spot interrupt`: takes Spot capacity away when the operator wants it, so that retries can be tried for real.

use super::{BatchService, is_named, is_within};
use crate::core::{
    Environment, EnvironmentId, EnvironmentKind, Event, InstanceId, Interruption, Job, JobId, Refusal, State,
};
use barge_core::{AwsError, Context, Scope};
use barge_wire::batch::error::client_exception;
use serde::{Deserialize, Serialize};

/// What to interrupt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InterruptQuery {
    /// In this compute environment, by name or ARN; otherwise in any.
    #[serde(default)]
    pub environment: Option<String>,
    /// This instance, or the instances or the attempt that this job runs on. Otherwise one thing: what runs the most tasks,
    /// and among equals what was there first.
    #[serde(default)]
    pub target: Option<String>,
}

/// What was interrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterruptAnswer {
    /// The compute environment's name.
    pub environment: String,
    /// The instances.
    pub instances: Vec<InstanceId>,
    /// The jobs whose attempts are stopped by it.
    pub jobs: Vec<JobId>,
}

/// One or several interruptions in one environment.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    environment: EnvironmentId,
    interruptions: Vec<Interruption>,
    jobs: Vec<JobId>,
}

impl BatchService {
    /// Interrupts an instance of the caller's, or an attempt on FARGATE_SPOT. `ClientException` where nothing of Spot is there
    /// that fits.
    pub async fn interrupt_spot(&self, cx: &Context, query: InterruptQuery) -> Result<InterruptAnswer, AwsError> {
        let scope = cx.scope.clone();
        let plan =
            self.dispatcher.look(move |state, _| plan(state, &scope, &query)).await?.map_err(client_exception)?;
        let instances = plan.interruptions.iter().filter_map(|interruption| match interruption {
            Interruption::Instance(_, instance) => Some(*instance),
            Interruption::Attempt(_) => None,
        });
        let instances = instances.collect();
        for interruption in plan.interruptions {
            match self.dispatcher.apply(Event::Interrupt(interruption)).await? {
                Ok(()) | Err(Refusal::NothingToInterrupt) => {}
                Err(refusal) => return Err(client_exception(refusal.to_string())),
            }
        }
        let environment = plan.environment.as_str();
        let environment = environment.rsplit('/').next().unwrap_or(environment).to_owned();
        Ok(InterruptAnswer { environment, instances, jobs: plan.jobs })
    }
}

fn plan(state: &State, scope: &Scope, query: &InterruptQuery) -> Result<Plan, String> {
    let environments: Vec<&Environment> = state
        .environments()
        .filter(|environment| is_within(environment.spec.id.as_str(), scope))
        .filter(|environment| {
            query.environment.as_ref().is_none_or(|name| is_named(environment.spec.id.as_str(), name))
        })
        .collect();
    if let (Some(name), true) = (&query.environment, environments.is_empty()) {
        return Err(format!("Compute environment {name} does not exist."));
    }
    let spot: Vec<&Environment> =
        environments.into_iter().filter(|environment| environment.spec.kind.is_spot()).collect();
    if spot.is_empty() {
        return Err("There is no compute environment of type SPOT or FARGATE_SPOT.".to_owned());
    }
    let Some(target) = &query.target else {
        return busiest(state, &spot).ok_or_else(|| "Nothing runs on Spot.".to_owned());
    };
    if let Ok(instance) = target.parse::<InstanceId>() {
        let holder = spot.iter().find(|environment| environment.fleet.instances.contains_key(&instance));
        let holder = holder.ok_or_else(|| format!("There is no Spot instance {instance}."))?;
        return Ok(on_instances(state, &holder.spec.id, vec![instance]));
    }
    let id: JobId = target.parse().map_err(|_| format!("{target} is neither an instance's id nor a job's."))?;
    let not_there = || format!("Job {id} does not run on Spot.");
    let job = state.job(id).ok_or_else(not_there)?;
    of_job(state, &spot, job).ok_or_else(not_there)
}

/// Everything that a job runs on.
fn of_job(state: &State, spot: &[&Environment], job: &Job) -> Option<Plan> {
    let live = job.live.as_ref()?;
    let environment = spot.iter().find(|environment| environment.spec.id == live.environment)?;
    let id = environment.spec.id.clone();
    if environment.spec.kind == EnvironmentKind::FargateSpot {
        let interruptions = vec![Interruption::Attempt(job.live_id()?)];
        return Some(Plan { environment: id, interruptions, jobs: vec![job.id] });
    }
    let mut instances: Vec<InstanceId> = job.live_tasks().filter_map(|(_, task, _)| task.instance).collect();
    instances.sort_unstable();
    instances.dedup();
    Some(on_instances(state, &id, instances))
}

fn on_instances(state: &State, environment: &EnvironmentId, instances: Vec<InstanceId>) -> Plan {
    let is_on = |job: &&Job| {
        let here = job.live.as_ref().is_some_and(|live| live.environment == *environment);
        here && job.live_tasks().any(|(_, task, _)| task.instance.is_some_and(|on| instances.contains(&on)))
    };
    let jobs = state.live_jobs().filter(is_on).map(|job| job.id).collect();
    let interruptions = instances.into_iter().map(|instance| Interruption::Instance(environment.clone(), instance));
    Plan { environment: environment.clone(), interruptions: interruptions.collect(), jobs }
}

/// What runs the most tasks, and among equals was there first.
fn busiest(state: &State, spot: &[&Environment]) -> Option<Plan> {
    let instances = spot.iter().flat_map(|environment| {
        let used = environment.fleet.instances.iter().filter(|(_, instance)| instance.used.tasks > 0);
        used.map(|(id, instance)| (instance.used.tasks, instance.launched_at, &environment.spec.id, *id))
    });
    let instance = instances.min_by_key(|(tasks, since, ..)| (std::cmp::Reverse(*tasks), *since));
    if let Some((_, _, environment, instance)) = instance {
        return Some(on_instances(state, environment, vec![instance]));
    }
    let oldest = state
        .live_jobs()
        .filter(|job| of_job(state, spot, job).is_some())
        .min_by_key(|job| job.live.as_ref().map(|live| (live.placed_at, live.order)))?;
    of_job(state, spot, oldest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        Discipline, EnvironmentSpec, FleetSpec, InstanceType, JobSpec, Machine, Needs, Platform, QueueSpec, Shape,
        Strategy, Switch, Terms, apply,
    };
    use barge_core::Timestamp;
    use std::sync::Arc;
    use std::time::Duration;

    fn arn(kind: &str, name: &str) -> String {
        format!("arn:aws:batch:us-east-1:000000000000:{kind}/{name}")
    }

    /// An environment of each name and kind, with a queue of its own.
    fn state(environments: &[(&str, EnvironmentKind)]) -> State {
        let mut state = State::new(Machine { vcpu_milli: 64_000, memory_mib: 64_000 });
        for (name, kind) in environments {
            let small = InstanceType { name: "small".into(), vcpu_milli: 2000, memory_mib: 4000, price_micros: 9 };
            let fleet = FleetSpec::new(0, vec![small], Strategy::Smallest, Duration::from_mins(1));
            let id = EnvironmentId::new(arn("compute-environment", name));
            let environment = EnvironmentSpec {
                id: id.clone(),
                kind: *kind,
                switch: Switch::Enabled,
                max_vcpu_milli: 16_000,
                fleet: (kind.platform() == Platform::Ec2).then_some(fleet),
            };
            let queue = QueueSpec {
                id: arn("job-queue", name).into(),
                priority: 1,
                switch: Switch::Enabled,
                environments: vec![id],
                discipline: Discipline::FirstInFirstOut,
                limits: Vec::new(),
            };
            for event in [Event::PutEnvironment(environment), Event::PutQueue(queue)] {
                apply(&mut state, Timestamp::from_millis(1), event).unwrap();
            }
        }
        state
    }

    fn submit(state: &mut State, queue: &str, platform: Platform, id: u128) -> JobId {
        let needs = Needs { vcpu_milli: 1000, memory_mib: 1000 };
        let shape = Shape { platform, tasks: vec![needs], consumables: Vec::new() };
        let terms = Terms { queue: arn("job-queue", queue).into(), shape: Arc::new(shape), ..Terms::default() };
        let id = JobId::new(id);
        apply(state, Timestamp::from_millis(2), Event::Submit(JobSpec { id, terms, known: Vec::new() })).unwrap();
        id
    }

    fn ask(state: &State, environment: Option<&str>, target: Option<String>) -> Result<Plan, String> {
        let query = InterruptQuery { environment: environment.map(str::to_owned), target };
        plan(state, &Scope::default(), &query)
    }

    #[test]
    fn the_instance_with_the_most_tasks_goes_first() {
        let mut state = state(&[("spot", EnvironmentKind::Spot)]);
        assert_eq!(ask(&state, None, None), Err("Nothing runs on Spot.".to_owned()));
        let jobs = [1, 2, 3].map(|id| submit(&mut state, "spot", Platform::Ec2, id));
        let plan = ask(&state, Some("spot"), None).unwrap();
        assert_eq!(plan.jobs, jobs[..2], "two of them share the first instance");
        let [Interruption::Instance(_, instance)] = plan.interruptions[..] else { panic!("{plan:?}") };
        assert_eq!(ask(&state, None, Some(instance.to_string())).unwrap(), plan);
        assert_eq!(ask(&state, None, Some(jobs[0].to_string())).unwrap(), plan);
        assert_ne!(ask(&state, None, Some(jobs[2].to_string())).unwrap(), plan);
    }

    #[test]
    fn on_fargate_spot_attempts_are_interrupted() {
        let mut state = state(&[("spot", EnvironmentKind::FargateSpot)]);
        let jobs = [1, 2].map(|id| submit(&mut state, "spot", Platform::Fargate, id));
        assert_eq!(ask(&state, None, None).unwrap().jobs, jobs[..1], "the oldest");
        let plan = ask(&state, None, Some(jobs[1].to_string())).unwrap();
        assert_eq!(plan.interruptions, [Interruption::Attempt(state.job(jobs[1]).unwrap().live_id().unwrap())]);
    }

    #[test]
    fn what_does_not_run_on_spot_is_refused_by_name() {
        let mut state = state(&[("demand", EnvironmentKind::Ec2), ("spot", EnvironmentKind::Spot)]);
        let job = submit(&mut state, "demand", Platform::Ec2, 1);
        let instance = state.environments().flat_map(|e| e.fleet.instances.keys()).next().copied().unwrap();
        for (environment, target, message) in [
            (None, Some(job.to_string()), format!("Job {job} does not run on Spot.")),
            (None, Some(instance.to_string()), format!("There is no Spot instance {instance}.")),
            (None, Some("x".to_owned()), "x is neither an instance's id nor a job's.".to_owned()),
            (Some("other"), None, "Compute environment other does not exist.".to_owned()),
            (Some("demand"), None, "There is no compute environment of type SPOT or FARGATE_SPOT.".to_owned()),
        ] {
            assert_eq!(ask(&state, environment, target), Err(message));
        }
        let elsewhere = Scope { region: barge_core::Region::new("eu-west-1").unwrap(), ..Scope::default() };
        assert!(plan(&state, &elsewhere, &InterruptQuery::default()).is_err());
    }
}
