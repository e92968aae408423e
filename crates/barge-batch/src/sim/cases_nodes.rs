//! Multi-node jobs, case by case.

use super::{Run, SimJob, Simulation};
use crate::core::{JobId, Reason, Status, lifecycle};
use Status::{Failed, Runnable, Running, Starting, Succeeded};
use std::time::Duration;

fn one_queue(vcpus: u64) -> Simulation {
    Simulation::new(64, 1 << 20).environment("ce", vcpus).queue("q", 1, &["ce"])
}

fn nodes(count: usize, main: u16) -> SimJob {
    SimJob::default().nodes(count, main)
}

fn reason(sim: &Simulation, id: JobId) -> Option<&str> {
    sim.job(id).reason.as_ref().map(Reason::as_str)
}

#[test]
fn all_nodes_start_together_or_none() {
    let mut sim = one_queue(4);
    sim.submit("q", SimJob::default().vcpus(2));
    let id = sim.submit("q", nodes(3, 0));
    assert_eq!((sim.status(id), sim.launched().len()), (Runnable, 1));
    sim.pass(10);
    assert_eq!((sim.status(id), sim.launched().len()), (Running, 4));
    sim.settle();
    assert_eq!((sim.status(id), sim.job(id).past[0].tasks.len()), (Succeeded, 3));
}

#[test]
fn the_main_nodes_end_is_the_jobs() {
    for (main_code, expected) in [(0, Succeeded), (7, Failed)] {
        let mut sim = one_queue(4);
        let id = sim.submit("q", nodes(3, 1).runs([Run::exits(500, 0), Run::exits(5, main_code), Run::exits(2, 9)]));
        sim.pass(5);
        assert_eq!(sim.status(id), Running, "the other nodes are being stopped");
        sim.settle();
        let codes: Vec<_> = sim.job(id).past[0].tasks.iter().map(|task| task.exit_code).collect();
        assert_eq!(codes, [Some(143), Some(main_code), Some(9)], "a node may end before the main node");
        assert_eq!((sim.status(id), reason(&sim, id)), (expected, Some(lifecycle::EXITED)));
    }
}

#[test]
fn the_job_runs_when_its_main_node_does() {
    let mut sim = one_queue(4);
    let late = Run { start_after: Duration::from_secs(5), ..Run::exits(5, 0) };
    let id = sim.submit("q", nodes(2, 1).runs([Run::exits(100, 0), late]));
    sim.pass(4);
    assert_eq!(sim.status(id), Starting);
    sim.restart();
    sim.pass(1);
    assert_eq!(sim.status(id), Running);
    assert_eq!(sim.job(id).started_at.map(barge_core::Timestamp::millis), Some(5000));
}

#[test]
fn a_node_that_can_not_run_ends_the_attempt() {
    let mut sim = one_queue(4);
    let id = sim.submit("q", nodes(2, 0).attempts(2).runs([Run::exits(50, 0), Run::fails_to_start("CannotPull")]));
    sim.settle();
    assert_eq!((sim.status(id), sim.job(id).past.len()), (Failed, 2), "it is tried again");
    assert_eq!(reason(&sim, id), Some(lifecycle::NOT_STARTED));
}

#[test]
fn what_nodes_hold_comes_back_as_each_ends() {
    let mut sim = one_queue(2);
    let id = sim.submit("q", nodes(2, 0).runs([Run::exits(50, 0), Run::exits(5, 0)]));
    let next = sim.submit("q", SimJob::default());
    sim.pass(5);
    assert_eq!((sim.status(id), sim.status(next)), (Running, Running));
}

#[test]
fn terminating_stops_every_node() {
    let mut sim = one_queue(4);
    let id = sim.submit("q", nodes(3, 0).attempts(5));
    sim.pass(1);
    sim.terminate(id).unwrap();
    sim.settle();
    let codes: Vec<_> = sim.job(id).past[0].tasks.iter().map(|task| task.exit_code).collect();
    assert_eq!((codes, sim.status(id)), (vec![Some(143); 3], Failed));
    assert_eq!((sim.job(id).past.len(), reason(&sim, id)), (1, Some("terminated")));
}

#[test]
fn the_timeout_counts_from_the_main_nodes_start() {
    let mut sim = one_queue(4);
    let id = sim.submit("q", nodes(2, 0).timeout(60).runs([Run::exits(500, 0)]));
    sim.settle();
    assert_eq!((sim.status(id), reason(&sim, id)), (Failed, Some(lifecycle::TIMED_OUT)));
    assert_eq!(sim.now().millis(), 61_000);
}
