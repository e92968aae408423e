//! Room: holes and who fills them, instances, Spot, consumable resources, time limits. Case by case.

use super::{Run, SimJob, Simulation};
use crate::core::why::{Cause, Resource};
use crate::core::{
    Blockage, ConsumableId, ConsumableKind, EnvironmentId, EnvironmentKind, ExitAction, ExitRule, FleetSpec,
    InstanceType, Interruption, JobId, Needs, Pattern, Reason, Refusal, Status, Strategy, Switch, lifecycle,
};
use Status::{Failed, Runnable, Running, Starting, Succeeded};
use std::time::Duration;

fn one_queue(vcpus: u64) -> Simulation {
    Simulation::new(64, 1 << 20).environment("ce", vcpus).queue("q", 1, &["ce"])
}

fn job() -> SimJob {
    SimJob::default()
}

fn lasting(seconds: u64) -> SimJob {
    job().runs([Run::exits(seconds, 0)])
}

fn reason(sim: &Simulation, id: JobId) -> Option<&str> {
    sim.job(id).reason.as_ref().map(Reason::as_str)
}

#[test]
fn small_jobs_fill_the_holes_that_a_large_one_leaves() {
    let mut sim = one_queue(4);
    sim.submit("q", lasting(100).vcpus(2));
    let large = sim.submit("q", job().vcpus(3));
    let (fits, would_delay) = (sim.submit("q", lasting(1000)), sim.submit("q", lasting(1000)));
    assert_eq!([large, fits, would_delay].map(|id| sim.status(id)), [Runnable, Starting, Runnable]);
    sim.pass(100);
    assert_eq!([large, fits, would_delay].map(|id| sim.status(id)), [Running, Running, Runnable]);
}

#[test]
fn a_large_job_does_not_starve_behind_a_stream_of_small_ones() {
    let mut sim = one_queue(8);
    for _ in 0..8 {
        sim.submit("q", lasting(10));
    }
    sim.pass(5);
    let large = sim.submit("q", lasting(10).vcpus(8));
    for second in 0..100 {
        sim.submit("q", lasting(10));
        sim.pass(1);
        if second >= 5 {
            let started = sim.job(large).started_at.map(barge_core::Timestamp::millis);
            assert_eq!(started, Some(10_000), "it starts when what ran before it has ended");
        }
    }
    sim.settle();
}

#[test]
fn room_held_for_a_job_is_held_over_a_restart() {
    let mut sim = one_queue(4);
    sim.submit("q", lasting(100).vcpus(2));
    let large = sim.submit("q", job().vcpus(4));
    for _ in 0..3 {
        sim.submit("q", lasting(1000));
        sim.restart();
    }
    sim.pass(100);
    assert_eq!(sim.status(large), Running);
}

#[test]
fn a_queue_of_higher_priority_does_not_wait_for_room_held_below() {
    let mut sim = Simulation::new(64, 1024).environment("ce", 4).queue("low", 1, &["ce"]).queue("high", 9, &["ce"]);
    sim.submit("low", lasting(100).vcpus(2));
    sim.submit("low", job().vcpus(4));
    let urgent = sim.submit("high", job().vcpus(2));
    assert_eq!(sim.status(urgent), Starting);
}

#[test]
fn a_queue_of_lower_priority_respects_room_held_above() {
    let mut sim = Simulation::new(64, 1024).environment("ce", 4).queue("low", 1, &["ce"]).queue("high", 9, &["ce"]);
    sim.submit("high", lasting(100).vcpus(2));
    let large = sim.submit("high", job().vcpus(4));
    let small = sim.submit("low", lasting(1000));
    sim.pass(100);
    assert_eq!((sim.status(large), sim.status(small)), (Running, Runnable));
}

#[test]
fn why_names_what_is_short() {
    let mut sim = Simulation::new(2, 100).environment("ce", 4).queue("q", 1, &["ce"]);
    sim.submit("q", lasting(100).vcpus(2).memory(60));
    let waits = sim.submit("q", job().vcpus(2).memory(50));
    let waiting = sim.state().why(waits).unwrap();
    let short = |of, needed, free, total| Cause::Short { of, needed, free, total };
    assert_eq!(
        waiting.causes,
        [short(Resource::MachineMemory, 50, 40, 100), short(Resource::MachineVcpu, 2000, 0, 2000),]
    );
    assert_eq!(waiting.causes[1].to_string(), "needs 2 vCPUs; the machine has 0 of 2 to promise");
    let behind = sim.submit("q", job().vcpus(3));
    assert_eq!(sim.state().why(behind).unwrap().ahead, 1);
    let after = sim.submit("q", job().after(crate::core::Dependency::Whole(waits)));
    assert_eq!(sim.state().why(after).unwrap().causes, [Cause::Dependency(waits)]);
    let array = sim.submit("q", job().vcpus(2).array(5));
    let causes = sim.state().causes(array).unwrap();
    assert!(causes.contains(&short(Resource::MachineVcpu, 2000, 0, 2000)), "{causes:?}");
    assert_eq!(sim.state().causes(array.child(3)).unwrap(), causes);
    sim.settle();
    assert_eq!(sim.state().why(waits), None);
}

#[test]
fn a_full_machine_is_told_after_a_minute_and_limits_end_the_wait() {
    let mut sim = Simulation::new(64, 100).environment("ce", 64).queue("q", 1, &["ce"]);
    let code = Blockage::Machine.code().unwrap();
    sim.limit("q", code, 600);
    sim.submit("q", lasting(10_000).memory(100));
    let (waits, next) = (sim.submit("q", job().memory(50)), sim.submit("q", job().memory(20)));
    sim.pass(59);
    assert_eq!((reason(&sim, waits), sim.blocked().len()), (None, 0));
    sim.pass(1);
    assert_eq!(
        (reason(&sim, waits), sim.blocked().len()),
        (Blockage::Machine.reason().as_ref().map(Reason::as_str), 1)
    );
    sim.restart();
    sim.pass(540);
    let ended = format!("Canceled by JobStateTimeLimit action due to reason: {code}");
    assert_eq!((sim.status(waits), reason(&sim, waits)), (Failed, Some(ended.as_str())));
    assert_eq!(sim.status(next), Runnable, "its own time begins now");
    sim.pass(600);
    assert_eq!(sim.status(next), Failed);
}

#[test]
fn an_environment_at_its_maximum_is_an_ordinary_wait() {
    let mut sim = one_queue(1);
    sim.limit("q", Blockage::Machine.code().unwrap(), 600);
    sim.submit("q", lasting(10_000));
    let waits = sim.submit("q", job());
    sim.pass(9_000);
    assert_eq!((sim.status(waits), reason(&sim, waits), sim.blocked().len()), (Runnable, None, 0));
}

#[test]
fn consumables_are_given_out_once_and_come_back() {
    for (kind, left) in [(ConsumableKind::Replenishable, 3), (ConsumableKind::NonReplenishable, 1)] {
        let mut sim = one_queue(8);
        sim.put_consumable("licence", kind, 3);
        let (first, second) =
            (sim.submit("q", job().consumes("licence", 2)), sim.submit("q", job().consumes("licence", 2)));
        let other = sim.submit("q", job());
        assert_eq!([first, second, other].map(|id| sim.status(id)), [Starting, Runnable, Starting]);
        sim.restart();
        sim.pass(10);
        let found = *sim.state().consumable(&ConsumableId::new("licence")).unwrap();
        match kind {
            ConsumableKind::Replenishable => assert_eq!((found.available(), sim.status(second)), (left - 2, Running)),
            ConsumableKind::NonReplenishable => assert_eq!((found.available(), sim.status(second)), (left, Runnable)),
        }
    }
}

#[test]
fn who_waits_for_much_of_a_resource_is_not_overtaken() {
    let mut sim = one_queue(8);
    sim.put_consumable("licence", ConsumableKind::Replenishable, 3);
    sim.submit("q", lasting(100).consumes("licence", 2));
    let (much, little) =
        (sim.submit("q", job().consumes("licence", 3)), sim.submit("q", lasting(999).consumes("licence", 1)));
    sim.pass(50);
    assert_eq!((sim.status(much), sim.status(little)), (Runnable, Runnable));
    sim.pass(50);
    assert_eq!((sim.status(much), sim.status(little)), (Running, Runnable));
    let missing = job().consumes("other", 1);
    assert!(matches!(sim.try_submit("q", missing), Err(Refusal::NoConsumable(_))));
}

fn kind(name: &str, vcpus: u32, memory_mib: u32, price_micros: u64) -> InstanceType {
    InstanceType { name: name.into(), vcpu_milli: vcpus * 1000, memory_mib, price_micros }
}

fn fleet(min_vcpus: u64) -> FleetSpec {
    let types = vec![kind("large", 2, 4000, 90), kind("xlarge", 4, 8000, 170)];
    FleetSpec::new(min_vcpus * 1000, types, Strategy::Smallest, Duration::from_mins(5))
}

fn ec2(kind: EnvironmentKind, max: u64, min: u64) -> Simulation {
    Simulation::new(640, 1 << 20).instances("ce", kind, max, fleet(min)).queue("q", 1, &["ce"])
}

fn vcpus(sim: &Simulation) -> u64 {
    sim.state().environment(&EnvironmentId::new("ce")).unwrap().fleet.vcpu_milli() / 1000
}

#[test]
fn instances_follow_demand_up_at_once_and_down_after_a_while() {
    let mut sim = ec2(EnvironmentKind::Ec2, 8, 0);
    assert_eq!(vcpus(&sim), 0);
    let jobs: Vec<JobId> = (0..6).map(|_| sim.submit("q", job().on_ec2())).collect();
    assert_eq!((vcpus(&sim), sim.launched().len()), (6, 6), "two jobs to an instance");
    let large = sim.submit("q", job().on_ec2().vcpus(4));
    assert_eq!((sim.status(large), vcpus(&sim)), (Runnable, 6));
    sim.pass(10);
    assert_eq!((sim.status(large), vcpus(&sim)), (Running, 8), "idle ones made room for a larger one");
    sim.pass(10 + 299);
    assert_eq!(vcpus(&sim), 4, "the others have been idle for five minutes");
    sim.restart();
    sim.pass(600);
    assert_eq!(vcpus(&sim), 0);
    assert!(jobs.iter().all(|id| sim.status(*id) == Succeeded));
}

#[test]
fn minimum_vcpus_are_kept() {
    let mut sim = ec2(EnvironmentKind::Ec2, 8, 4);
    assert_eq!(vcpus(&sim), 4);
    sim.submit("q", job().on_ec2().vcpus(4));
    sim.settle();
    assert_eq!(vcpus(&sim), 4);
}

#[test]
fn a_job_larger_than_every_type_waits_with_the_reason() {
    let mut sim = ec2(EnvironmentKind::Ec2, 64, 0);
    let id = sim.submit("q", job().on_ec2().memory(8001));
    assert_eq!(reason(&sim, id).map(str::to_owned), Blockage::Requirements.reason().map(|reason| reason.to_string()));
    assert_eq!(sim.state().why(id).unwrap().causes, [Cause::NoInstanceType(EnvironmentId::new("ce"))]);
}

#[test]
fn a_job_whose_instances_are_more_than_the_maximum_waits_aside() {
    // The maximum, the job's nodes, the vCPUs of each; whether it can start. Instances have two or four vCPUs.
    for (max, nodes, vcpus, starts) in
        [(3, 1, 3, false), (4, 1, 3, true), (8, 3, 3, false), (12, 3, 3, true), (4, 4, 1, true)]
    {
        let mut sim = ec2(EnvironmentKind::Ec2, max, 0);
        let id = sim.submit("q", job().on_ec2().vcpus(vcpus).nodes(nodes, 0));
        let behind = sim.submit("q", lasting(1).on_ec2());
        sim.settle();
        assert_eq!((sim.status(id) == Succeeded, sim.status(behind)), (starts, Succeeded), "{max} {nodes} {vcpus}");
        let why = Blockage::MaxVcpus.reason().map(|reason| reason.to_string());
        assert!(starts || reason(&sim, id).map(str::to_owned) == why);
    }
}

#[test]
fn an_interrupted_instance_takes_its_jobs_with_it() {
    let mut sim = ec2(EnvironmentKind::Spot, 8, 0);
    let again = ExitRule {
        exit_code: None,
        reason: None,
        status_reason: Some(Pattern::new("Host EC2*")),
        action: ExitAction::Retry,
    };
    let give_up = ExitRule { status_reason: Some(Pattern::new("*")), action: ExitAction::Exit, ..again.clone() };
    let tried = sim.submit("q", job().on_ec2().attempts(3).rules([again, give_up]));
    let once = sim.submit("q", job().on_ec2());
    sim.pass(1);
    let live = sim.job(tried).live.as_ref().unwrap();
    let instance = live.tasks[0].instance.unwrap();
    sim.interrupt(Interruption::Instance(live.environment.clone(), instance)).unwrap();
    sim.restart();
    sim.pass(1);
    let expected = lifecycle::host_terminated(&instance.to_string());
    assert_eq!((sim.status(once), reason(&sim, once)), (Failed, Some(expected.as_str())));
    assert_eq!(sim.job(tried).past[0].status_reason.as_str(), expected);
    assert_ne!(sim.job(tried).live.as_ref().unwrap().tasks[0].instance, Some(instance));
    sim.settle();
    assert_eq!(sim.status(tried), Succeeded);
    let past = &sim.job(tried).past[1].tasks[0];
    assert_eq!(past.instance.as_ref().map(|(_, kind)| kind.as_str()), Some("large"));
}

#[test]
fn a_spot_task_is_interrupted_in_awss_words() {
    let mut sim = Simulation::new(8, 1024).fargate_spot("ce", 8).queue("q", 1, &["ce"]);
    let id = sim.submit("q", lasting(100));
    sim.pass(1);
    let attempt = sim.job(id).live_id().unwrap();
    sim.interrupt(Interruption::Attempt(attempt)).unwrap();
    assert_eq!(sim.interrupt(Interruption::Attempt(attempt)), Err(Refusal::NothingToInterrupt), "once");
    sim.settle();
    assert_eq!((sim.status(id), reason(&sim, id)), (Failed, Some(lifecycle::SPOT_TASK_INTERRUPTED)));
}

#[test]
fn what_is_not_spot_is_not_interrupted() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job());
    let attempt = sim.job(id).live_id().unwrap();
    assert_eq!(sim.interrupt(Interruption::Attempt(attempt)), Err(Refusal::NothingToInterrupt));
}

#[test]
fn a_lost_task_is_tried_again() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job().attempts(2));
    sim.pass(1);
    sim.lose(sim.running()[0]);
    sim.settle();
    assert_eq!((sim.status(id), sim.job(id).past.len()), (Succeeded, 2));
}

#[test]
fn a_clock_that_jumps_ends_nothing_early_but_what_was_due() {
    let mut sim = one_queue(2);
    let timed = sim.submit("q", lasting(300).timeout(60));
    let other = sim.submit("q", lasting(300));
    sim.pass(30);
    sim.set_clock(barge_core::Timestamp::from_millis(-5_000));
    sim.pass(10);
    assert_eq!((sim.status(timed), sim.status(other)), (Running, Running));
    sim.set_clock(barge_core::Timestamp::from_millis(1_000_000));
    sim.settle();
    assert_eq!((sim.status(timed), sim.status(other)), (Failed, Succeeded));
}

#[test]
fn tasks_of_one_attempt_are_seated_together() {
    let needs = Needs { vcpu_milli: 2000, memory_mib: 1 };
    let sim = ec2(EnvironmentKind::Ec2, 8, 0);
    let environment = sim.state().environment(&EnvironmentId::new("ce")).unwrap();
    assert_eq!(environment.used.tasks, 0);
    assert!(environment.spec.fleet.as_ref().is_some_and(|fleet| fleet.types_for(needs).count() == 2));
}

#[test]
fn a_disabled_environment_keeps_no_minimum() {
    let mut sim = ec2(EnvironmentKind::Ec2, 8, 4);
    let mut spec = sim.state().environment(&EnvironmentId::new("ce")).unwrap().spec.clone();
    spec.switch = Switch::Disabled;
    sim.put(spec);
    sim.settle();
    assert_eq!(vcpus(&sim), 0);
}
