//! Instances that are replaced after a change of their environment. Case by case.

use super::{Run, SimJob, Simulation};
use crate::core::{
    Environment, EnvironmentId, EnvironmentKind, EnvironmentSpec, FleetSpec, InstanceId, InstanceType, Interruption,
    JobId, Reason, Refusal, Status, Strategy, lifecycle,
};
use Status::{Failed, Runnable, Running, Succeeded};
use std::time::Duration;

const MINUTES: u64 = 60;

fn fleet(type_name: &str, min_vcpus: u64) -> FleetSpec {
    let kind = InstanceType { name: type_name.into(), vcpu_milli: 2000, memory_mib: 4000, price_micros: 90 };
    FleetSpec::new(min_vcpus * 1000, vec![kind], Strategy::Cheapest, Duration::from_mins(5))
}

/// Instances of two vCPUs of the type `old`.
fn world(max_vcpus: u64, min_vcpus: u64) -> Simulation {
    let fleet = fleet("old", min_vcpus);
    Simulation::new(64, 1 << 20).instances("ce", EnvironmentKind::Spot, max_vcpus, fleet).queue("q", 1, &["ce"])
}

fn job(seconds: u64) -> SimJob {
    SimJob::default().on_ec2().vcpus(2).runs([Run::exits(seconds, 0)])
}

fn environment(sim: &Simulation) -> &Environment {
    sim.state().environment(&EnvironmentId::new("ce")).unwrap()
}

/// The environment with instances of the type `new`.
fn renewed(sim: &Simulation, min_vcpus: u64) -> EnvironmentSpec {
    EnvironmentSpec { fleet: Some(fleet("new", min_vcpus)), ..environment(sim).spec.clone() }
}

/// Has the instances replaced; what runs on them may go on for `grace` seconds.
fn replace(sim: &mut Simulation, grace: u64) {
    let spec = renewed(sim, 0);
    sim.replace_instances(spec, Duration::from_secs(grace)).unwrap();
}

/// The types of the instances that there are.
fn types(sim: &Simulation) -> Vec<&str> {
    let mut types: Vec<&str> =
        environment(sim).fleet.instances.values().map(|found| found.kind.name.as_str()).collect();
    types.sort_unstable();
    types
}

fn host(sim: &Simulation, id: JobId) -> InstanceId {
    sim.job(id).live.as_ref().and_then(|live| live.tasks[0].instance).unwrap()
}

#[test]
fn what_runs_ends_as_its_time_and_its_retries_say() {
    // Grace, how long the job runs, its attempts; then its state, the attempts it had, and when it ended.
    for (grace, lasts, attempts, status, had, ended) in [
        (30 * MINUTES, 10 * MINUTES, 1, Succeeded, 1, 10 * MINUTES),
        (30 * MINUTES, 40 * MINUTES, 1, Failed, 1, 30 * MINUTES + 1),
        (30 * MINUTES, 40 * MINUTES, 2, Succeeded, 2, 70 * MINUTES + 1),
        (0, 10 * MINUTES, 1, Failed, 1, 1),
        (0, 10 * MINUTES, 3, Succeeded, 2, 10 * MINUTES + 1),
    ] {
        let mut sim = world(2, 0);
        let id = sim.submit("q", job(lasts).attempts(attempts));
        let old = host(&sim, id);
        replace(&mut sim, grace);
        sim.restart();
        sim.settle();
        let job = sim.job(id);
        let stopped = job.stopped_at.map(|at| at.millis() / 1000).map(i64::unsigned_abs);
        assert_eq!((job.status, job.past.len(), stopped), (status, had, Some(ended)), "{grace} {lasts} {attempts}");
        if ended != lasts {
            assert_eq!(job.past[0].status_reason.as_str(), lifecycle::host_terminated(&old.to_string()));
        }
    }
}

#[test]
fn new_jobs_go_to_new_instances_as_room_for_them_comes() {
    let mut sim = world(4, 0);
    let (first, second) = (sim.submit("q", job(100)), sim.submit("q", job(300)));
    let waits = sim.submit("q", job(1000));
    replace(&mut sim, 30 * MINUTES);
    assert_eq!((types(&sim), sim.status(waits)), (vec!["old", "old"], Runnable), "old ones count below the maximum");
    sim.pass(100);
    sim.restart();
    assert_eq!((types(&sim), sim.status(first), sim.status(waits)), (vec!["new", "old"], Succeeded, Running));
    assert!(environment(&sim).fleet.is_updating());
    sim.pass(200);
    assert_eq!((types(&sim), sim.status(second)), (vec!["new"], Succeeded));
    assert!(!environment(&sim).fleet.is_updating(), "it is over with the last old instance");
    sim.pass(30 * MINUTES);
    assert_eq!(sim.status(waits), Succeeded, "the end of the time concerns old instances only");
}

#[test]
fn half_used_old_instances_take_nothing_more() {
    let mut sim = world(8, 0);
    let half = || SimJob::default().on_ec2().runs([Run::exits(100, 0)]);
    let before = sim.submit("q", half());
    replace(&mut sim, 30 * MINUTES);
    let after = sim.submit("q", half());
    assert_ne!(host(&sim, before), host(&sim, after));
    assert_eq!(types(&sim), ["new", "old"]);
}

#[test]
fn idle_instances_are_replaced_at_once_and_the_minimum_is_kept() {
    let mut sim = world(4, 4);
    assert_eq!(types(&sim), ["old", "old"]);
    let id = sim.submit("q", job(100));
    let spec = renewed(&sim, 4);
    sim.replace_instances(spec, Duration::from_mins(30)).unwrap();
    assert_eq!(types(&sim), ["new", "old"]);
    sim.pass(100);
    assert_eq!((types(&sim), sim.status(id)), (vec!["new", "new"], Succeeded));
}

#[test]
fn without_instances_in_use_it_is_over_at_once() {
    let mut sim = world(4, 0);
    sim.submit("q", job(100));
    sim.pass(110);
    replace(&mut sim, 30 * MINUTES);
    assert_eq!((types(&sim), environment(&sim).fleet.is_updating()), (vec![], false));
}

#[test]
fn an_environment_is_not_changed_while_its_instances_are_replaced() {
    let mut sim = world(4, 0);
    sim.submit("q", job(100));
    replace(&mut sim, 30 * MINUTES);
    let spec = renewed(&sim, 0);
    let refused = Err(Refusal::EnvironmentUpdating(spec.id.clone()));
    assert_eq!(sim.try_put(spec.clone()), refused);
    assert_eq!(sim.replace_instances(spec.clone(), Duration::ZERO), refused);
    sim.pass(100);
    assert_eq!(sim.try_put(spec), Ok(()));
    let missing = EnvironmentSpec { id: EnvironmentId::new("other"), ..renewed(&sim, 0) };
    assert!(matches!(sim.replace_instances(missing, Duration::ZERO), Err(Refusal::NoEnvironment(_))));
}

#[test]
fn an_attempt_on_several_instances_goes_with_the_first_of_them() {
    let mut sim = world(8, 0);
    let id = sim.submit("q", job(10 * MINUTES).nodes(3, 0));
    sim.pass(1);
    replace(&mut sim, MINUTES);
    sim.pass(MINUTES + 1);
    let reason = sim.job(id).reason.as_ref().map(Reason::as_str).unwrap_or_default();
    assert!(sim.status(id) == Failed && reason.starts_with("Host EC2 (instance i-"), "{reason}");
    assert!(types(&sim).is_empty() && !environment(&sim).fleet.is_updating());
}

#[test]
fn the_last_old_instance_may_be_interrupted() {
    let mut sim = world(4, 0);
    let id = sim.submit("q", job(10 * MINUTES).attempts(2));
    sim.pass(1);
    replace(&mut sim, 30 * MINUTES);
    sim.interrupt(Interruption::Instance(EnvironmentId::new("ce"), host(&sim, id))).unwrap();
    assert!(!environment(&sim).fleet.is_updating());
    sim.pass(1);
    assert_eq!((types(&sim), sim.status(id)), (vec!["new"], Running));
}
