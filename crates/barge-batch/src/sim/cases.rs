//! The scheduler and lifecycle, case by case.

use super::{Run, SimJob, Simulation};
use crate::core::{
    Blockage, EndedBy, ExitAction, ExitRule, JobId, Pattern, Reason, Refusal, Status, Switch, lifecycle,
};
use Status::{Failed, Runnable, Running, Starting, Succeeded};
use barge_core::Timestamp;

fn one_queue(vcpus: u64) -> Simulation {
    Simulation::new(64, 1 << 20).environment("ce", vcpus).queue("q", 1, &["ce"])
}

fn job() -> SimJob {
    SimJob::default()
}

fn order(sim: &Simulation) -> Vec<JobId> {
    sim.launched().iter().map(|task| task.attempt.job).collect()
}

#[test]
fn a_job_goes_through_its_states() {
    let mut sim = one_queue(4);
    let id = sim.submit("q", job());
    sim.settle();
    assert_eq!(sim.told(id), [Runnable, Starting, Running, Succeeded]);
    let ended = sim.job(id);
    assert_eq!(ended.reason.as_ref().map(Reason::as_str), Some(lifecycle::EXITED));
    assert_eq!((ended.created_at.millis(), ended.started_at.map(Timestamp::millis)), (0, Some(0)));
    assert_eq!(ended.stopped_at.map(Timestamp::millis), Some(10_000));
    assert_eq!((ended.past.len(), ended.past[0].tasks[0].exit_code), (1, Some(0)));
    assert!(sim.state().job(id).is_none(), "a job that has ended takes no memory");
}

#[test]
fn first_in_first_out() {
    let mut sim = one_queue(1);
    let jobs: Vec<JobId> = (0..4).map(|_| sim.submit("q", job())).collect();
    sim.pass(15);
    let states: Vec<Status> = jobs.iter().map(|id| sim.status(*id)).collect();
    assert_eq!(states, [Succeeded, Running, Runnable, Runnable]);
    sim.settle();
    assert_eq!(order(&sim), jobs);
}

#[test]
fn max_vcpus_is_respected() {
    let mut sim = one_queue(4);
    for _ in 0..10 {
        sim.submit("q", job().vcpus(2));
    }
    assert_eq!(sim.launched().len(), 2);
    sim.pass(10);
    assert_eq!(sim.launched().len(), 4);
}

#[test]
fn higher_priority_goes_first() {
    let mut sim = Simulation::new(64, 1024).environment("ce", 1).queue("low", 1, &["ce"]).queue("high", 9, &["ce"]);
    let running = sim.submit("low", job());
    let low = sim.submit("low", job());
    let high = sim.submit("high", job());
    sim.settle();
    assert_eq!(order(&sim), [running, high, low]);
}

#[test]
fn equal_priorities_share_by_age() {
    let mut sim = Simulation::new(64, 1024).environment("ce", 1).queue("a", 1, &["ce"]).queue("b", 1, &["ce"]);
    let jobs: Vec<JobId> = ["b", "a", "a", "b", "a"].iter().map(|queue| sim.submit(queue, job())).collect();
    sim.settle();
    assert_eq!(order(&sim), jobs);
}

#[test]
fn overflow_goes_to_the_next_environment() {
    let mut sim = Simulation::new(64, 1024).environment("one", 1).environment("two", 1).queue("q", 1, &["two", "one"]);
    let (first, second) = (sim.submit("q", job()), sim.submit("q", job()));
    let place = |id| sim.job(id).live.as_ref().unwrap().environment.to_string();
    assert_eq!((place(first), place(second)), ("two".to_owned(), "one".to_owned()));
}

#[test]
fn the_machines_memory_is_strict() {
    let mut sim = Simulation::new(64, 1000).environment("ce", 40).queue("q", 1, &["ce"]);
    let (first, second) = (sim.submit("q", job().memory(600)), sim.submit("q", job().memory(600)));
    assert_eq!((sim.status(first), sim.status(second)), (Starting, Runnable));
    sim.pass(11);
    assert_eq!((sim.status(first), sim.status(second)), (Succeeded, Running));
}

#[test]
fn a_job_that_can_never_fit_waits_aside_with_the_reason() {
    for (large, why) in [(job().vcpus(41), Blockage::MaxVcpus), (job().memory(1001), Blockage::Requirements)] {
        let mut sim = Simulation::new(64, 1000).environment("ce", 40).queue("q", 1, &["ce"]);
        let (large, small) = (sim.submit("q", large), sim.submit("q", job()));
        assert_eq!((sim.status(large), sim.status(small)), (Runnable, Starting));
        assert_eq!(sim.job(large).reason, why.reason());
        assert_eq!(sim.blocked().len(), 1, "the world is told at once");
    }
}

#[test]
fn a_job_waits_aside_until_its_environment_grows() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job().vcpus(2));
    sim.put_environment("ce", 2, Switch::Enabled);
    assert_eq!((sim.status(id), sim.job(id).blocked.is_none()), (Starting, true));
    sim.settle();
    assert_eq!(sim.job(id).reason.as_ref().map(Reason::as_str), Some(lifecycle::EXITED));
}

#[test]
fn a_disabled_environment_starts_nothing_and_lets_what_runs_run() {
    let mut sim = one_queue(1);
    let (first, second) = (sim.submit("q", job()), sim.submit("q", job()));
    sim.put_environment("ce", 1, Switch::Disabled);
    sim.settle();
    assert_eq!((sim.status(first), sim.status(second)), (Succeeded, Runnable));
    sim.put_environment("ce", 1, Switch::Enabled);
    sim.settle();
    assert_eq!(sim.status(second), Succeeded);
}

#[test]
fn a_disabled_queue_takes_no_job_and_ends_those_it_has() {
    let mut sim = one_queue(1);
    let jobs = [sim.submit("q", job()), sim.submit("q", job())];
    sim.put_queue("q", 1, &["ce"], Switch::Disabled);
    assert!(matches!(sim.try_submit("q", job()), Err(Refusal::QueueDisabled(_))));
    sim.settle();
    assert!(jobs.iter().all(|id| sim.status(*id) == Succeeded));
}

#[test]
fn a_failing_job_is_tried_as_often_as_allowed() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job().attempts(3).runs([Run::exits(1, 1)]));
    let next = sim.submit("q", job());
    sim.settle();
    let codes: Vec<_> = sim.job(id).past.iter().map(|past| past.tasks[0].exit_code).collect();
    assert_eq!((sim.status(id), codes), (Failed, vec![Some(1); 3]));
    assert_eq!(order(&sim), [id, id, id, next], "a retry keeps its place");
}

#[test]
fn a_retry_may_succeed() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job().attempts(3).runs([Run::fails_to_start("CannotPull"), Run::exits(1, 0)]));
    sim.settle();
    let ended = sim.job(id);
    assert_eq!((ended.status, ended.past.len()), (Succeeded, 2));
    assert_eq!(ended.past[0].tasks[0].container_reason.as_ref().map(Reason::as_str), Some("CannotPull"));
    assert_eq!(
        (ended.past[0].status_reason.as_str(), ended.past[0].tasks[0].started_at),
        (lifecycle::NOT_STARTED, None)
    );
    assert_eq!(sim.told(id), [Runnable, Starting, Runnable, Starting, Running, Succeeded]);
}

#[test]
fn rules_decide_whether_it_is_tried_again() {
    let rule = |code: &str, action| ExitRule {
        exit_code: Some(Pattern::new(code)),
        reason: None,
        status_reason: None,
        action,
    };
    let rules = [rule("3", ExitAction::Exit), rule("*", ExitAction::Retry)];
    let mut sim = one_queue(1);
    let tried = sim.submit("q", job().attempts(3).rules(rules.clone()).runs([Run::exits(1, 1), Run::exits(1, 3)]));
    sim.settle();
    assert_eq!((sim.status(tried), sim.job(tried).past.len()), (Failed, 2));
}

#[test]
fn an_attempt_over_its_time_is_stopped_and_not_tried_again() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job().attempts(3).timeout(60).runs([Run::exits(1000, 0)]));
    sim.pass(59);
    assert_eq!(sim.status(id), Running);
    sim.pass(1);
    assert_eq!(sim.status(id), Running, "it is told to stop and has a second to do so");
    sim.pass(1);
    let ended = sim.job(id);
    assert_eq!((ended.status, ended.past.len()), (Failed, 1));
    assert_eq!(ended.reason.as_ref().map(Reason::as_str), Some(lifecycle::TIMED_OUT));
}

#[test]
fn exceeding_memory_is_named() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job().runs([Run::exceeds_memory()]));
    sim.settle();
    assert_eq!(
        sim.job(id).past[0].tasks[0].container_reason.as_ref().map(Reason::as_str),
        Some(lifecycle::OUT_OF_MEMORY)
    );
    assert_eq!(sim.job(id).reason.as_ref().map(Reason::as_str), Some(lifecycle::EXITED));
}

#[test]
fn cancel_ends_what_waits_and_leaves_what_runs() {
    let mut sim = one_queue(1);
    let (runs, waits, next) = (sim.submit("q", job()), sim.submit("q", job()), sim.submit("q", job()));
    sim.cancel(runs).unwrap();
    sim.cancel(waits).unwrap();
    sim.settle();
    assert_eq!((sim.status(runs), sim.status(waits), sim.status(next)), (Succeeded, Failed, Succeeded));
    assert_eq!(
        (sim.job(waits).reason.as_ref().map(Reason::as_str), sim.job(waits).ended_by),
        (Some("cancelled"), Some(EndedBy::Cancel))
    );
    assert_eq!(sim.cancel(waits), Err(Refusal::NoLiveJob(waits)));
}

#[test]
fn cancelling_the_first_lets_the_next_go() {
    let mut sim = Simulation::new(64, 1024).environment("ce", 4).queue("q", 1, &["ce"]);
    sim.submit("q", job().vcpus(2));
    let (large, small) = (sim.submit("q", job().vcpus(4)), sim.submit("q", job()));
    assert_eq!(sim.status(small), Runnable);
    sim.cancel(large).unwrap();
    assert_eq!(sim.status(small), Starting);
}

#[test]
fn terminate_ends_anything_and_room_comes_free_when_it_has_stopped() {
    let mut sim = one_queue(1);
    let (runs, waits, next) = (sim.submit("q", job().attempts(5)), sim.submit("q", job()), sim.submit("q", job()));
    sim.terminate(waits).unwrap();
    sim.terminate(runs).unwrap();
    assert_eq!((sim.status(waits), sim.status(next)), (Failed, Runnable));
    sim.pass(1);
    let ended = sim.job(runs);
    assert_eq!(
        (ended.status, ended.reason.as_ref().map(Reason::as_str), ended.past.len()),
        (Failed, Some("terminated"), 1)
    );
    assert_eq!(ended.past[0].tasks[0].exit_code, Some(143));
    assert_eq!((ended.ended_by, sim.status(next)), (Some(EndedBy::Terminate), Running));
}

#[test]
fn a_lower_queue_may_use_room_too_small_for_a_higher_one() {
    let mut sim = Simulation::new(64, 1024).environment("ce", 4).queue("low", 1, &["ce"]).queue("high", 9, &["ce"]);
    sim.submit("high", job().vcpus(2));
    let large = sim.submit("high", job().vcpus(3));
    let small = sim.submit("low", job());
    assert_eq!((sim.status(large), sim.status(small)), (Runnable, Starting));
}

#[test]
fn deleting_a_queue_ends_its_jobs_first() {
    let mut sim = one_queue(1);
    let (runs, waits) = (sim.submit("q", job().attempts(3)), sim.submit("q", job()));
    assert!(matches!(sim.delete_queue("q"), Err(Refusal::QueueEnabled(_))));
    sim.put_queue("q", 1, &["ce"], Switch::Disabled);
    sim.delete_queue("q").unwrap();
    assert!(sim.state().queue(&crate::core::QueueId::new("q")).is_some_and(crate::core::Queue::is_deleting));
    assert!(matches!(sim.try_submit("q", job()), Err(Refusal::NoQueue(_))));
    sim.restart();
    sim.settle();
    for id in [runs, waits] {
        assert_eq!(
            (sim.status(id), sim.job(id).reason.as_ref().map(Reason::as_str)),
            (Failed, Some(lifecycle::QUEUE_DELETED))
        );
    }
    assert!(sim.state().queue(&crate::core::QueueId::new("q")).is_none());
}

#[test]
fn an_environment_goes_only_when_nothing_needs_it() {
    let mut sim = one_queue(1);
    sim.submit("q", job());
    assert!(matches!(sim.delete_environment("ce"), Err(Refusal::EnvironmentEnabled(_))));
    sim.put_environment("ce", 1, Switch::Disabled);
    assert!(matches!(sim.delete_environment("ce"), Err(Refusal::EnvironmentInQueue(_))));
    let mut sim = sim.environment("other", 1).queue("q", 1, &["other"]);
    assert!(matches!(sim.delete_environment("ce"), Err(Refusal::EnvironmentBusy(_))));
    sim.settle();
    assert_eq!(sim.delete_environment("ce"), Ok(()));
}

#[test]
fn a_restart_loses_nothing_and_starts_nothing_twice() {
    let mut sim = one_queue(2);
    let timed = sim.submit("q", job().timeout(60).runs([Run::exits(1000, 0)]));
    let others: Vec<JobId> = (0..4).map(|_| sim.submit("q", job())).collect();
    for _ in 0..30 {
        sim.restart();
        sim.pass(3);
    }
    assert!(others.iter().all(|id| sim.status(*id) == Succeeded));
    assert_eq!(sim.job(timed).reason.as_ref().map(Reason::as_str), Some(lifecycle::TIMED_OUT));
    assert_eq!(sim.launched().len(), 5);
}
