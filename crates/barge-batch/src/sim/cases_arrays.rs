//! Arrays and dependencies, case by case.

use super::{Run, SimJob, Simulation};
use crate::core::{Dependency, EndedBy, IndexSet, JobId, Known, Reason, Refusal, Status, Success, lifecycle};
use Dependency::{NToN, Sequential, Whole};
use Status::{Failed, Pending, Runnable, Running, Starting, Succeeded};

fn one_queue(vcpus: u64) -> Simulation {
    Simulation::new(64, 1 << 20).environment("ce", vcpus).queue("q", 1, &["ce"])
}

fn job() -> SimJob {
    SimJob::default()
}

fn reason(sim: &Simulation, id: JobId) -> &str {
    sim.job(id).reason.as_ref().map_or("", Reason::as_str)
}

fn summary(sim: &Simulation, id: JobId) -> Vec<(Status, u32)> {
    sim.state().summary(id).unwrap().into_iter().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn an_array_fans_out_in_order_and_ends_with_its_last_child() {
    let mut sim = one_queue(2);
    let id = sim.submit("q", job().array(5));
    assert_eq!(sim.status(id), Pending);
    assert_eq!(summary(&sim, id), [(Runnable, 3), (Starting, 2)]);
    assert!(!sim.has_record(id.child(2)), "a child that waits has no record");
    sim.pass(15);
    assert_eq!(summary(&sim, id), [(Runnable, 1), (Running, 2), (Succeeded, 2)]);
    sim.settle();
    let order: Vec<JobId> = sim.launched().iter().map(|task| task.attempt.job).collect();
    assert_eq!(order, (0..5).map(|index| id.child(index)).collect::<Vec<_>>());
    assert_eq!(sim.told(id), [Pending, Succeeded]);
    let tally = sim.job(id).array.as_ref().and_then(|array| array.tally).unwrap();
    assert_eq!((tally.succeeded, tally.failed), (5, 0));
    assert!(sim.state().jobs().next().is_none());
}

#[test]
fn one_failed_child_fails_the_array_when_all_have_ended() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job().array(3).attempts(2).runs([Run::exits(1, 1), Run::exits(1, 0)]));
    sim.settle();
    assert_eq!(sim.status(id), Succeeded, "each child is tried again by itself");
    let id = sim.submit("q", job().array(3).runs([Run::exits(1, 1)]));
    sim.settle();
    assert_eq!((sim.status(id), reason(&sim, id)), (Failed, lifecycle::ARRAY_CHILD_FAILED));
    assert_eq!(sim.job(id.child(2)).past.len(), 1);
}

#[test]
fn a_child_that_is_tried_again_goes_before_its_siblings() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job().array(2).attempts(2).runs([Run::exits(1, 1), Run::exits(1, 0)]));
    sim.settle();
    let order: Vec<JobId> = sim.launched().iter().map(|task| task.attempt.job).collect();
    assert_eq!(order, [id.child(0), id.child(0), id.child(1), id.child(1)]);
}

#[test]
fn cancelling_an_array_leaves_what_runs() {
    let mut sim = one_queue(2);
    let id = sim.submit("q", job().array(5).attempts(3).runs([Run::exits(10, 0)]));
    sim.pass(1);
    sim.cancel(id).unwrap();
    assert_eq!(summary(&sim, id), [(Running, 2), (Failed, 3)]);
    assert!(!sim.has_record(id.child(4)), "children that never started have no record");
    sim.settle();
    assert_eq!((sim.status(id.child(0)), sim.status(id)), (Succeeded, Failed));
    assert_eq!((reason(&sim, id), sim.job(id).ended_by), ("cancelled", Some(EndedBy::Cancel)));
}

#[test]
fn terminating_an_array_stops_what_runs_and_nothing_is_tried_again() {
    let mut sim = one_queue(2);
    let id = sim.submit("q", job().array(5).attempts(3));
    sim.pass(1);
    sim.terminate(id).unwrap();
    sim.settle();
    assert_eq!((sim.status(id.child(0)), sim.status(id), sim.launched().len()), (Failed, Failed, 2));
    assert_eq!((reason(&sim, id), sim.job(id.child(1)).ended_by), ("terminated", Some(EndedBy::Terminate)));
}

#[test]
fn one_child_can_be_ended_before_it_starts() {
    let mut sim = one_queue(1);
    let id = sim.submit("q", job().array(3));
    sim.terminate(id.child(1)).unwrap();
    assert_eq!((sim.status(id.child(1)), reason(&sim, id.child(1))), (Failed, "terminated"));
    assert_eq!(sim.terminate(id.child(1)), Err(Refusal::NoLiveJob(id.child(1))));
    assert_eq!(sim.cancel(id.child(7)), Err(Refusal::NoLiveJob(id.child(7))));
    sim.settle();
    assert_eq!((sim.status(id.child(2)), sim.status(id)), (Succeeded, Failed));
}

#[test]
fn a_job_waits_for_those_it_depends_on() {
    let mut sim = one_queue(4);
    let first = sim.submit("q", job());
    let array = sim.submit("q", job().array(2).runs([Run::exits(20, 0)]));
    let last = sim.submit("q", job().after(Whole(first)).after(Whole(array)));
    assert_eq!(sim.status(last), Pending);
    sim.pass(10);
    assert_eq!((sim.status(first), sim.status(last)), (Succeeded, Pending));
    sim.pass(10);
    assert_eq!(sim.told(last), [Pending, Runnable, Starting, Running]);
    sim.settle();
    assert_eq!(sim.status(last), Succeeded);
}

#[test]
fn a_failure_fails_all_that_wait_for_it() {
    let mut sim = one_queue(4);
    let first = sim.submit("q", job().runs([Run::exits(5, 1)]));
    let second = sim.submit("q", job().after(Whole(first)));
    let third = sim.submit("q", job().array(3).after(Whole(second)));
    sim.settle();
    for id in [second, third] {
        assert_eq!((sim.status(id), reason(&sim, id)), (Failed, lifecycle::DEPENDENCY_FAILED));
    }
    assert!(sim.job(third).array.as_ref().is_some_and(|array| array.closed.is_some()));
    assert_eq!(sim.launched().len(), 1);
}

#[test]
fn a_chain_of_any_length_fails_at_once() {
    let mut sim = one_queue(1).scrutiny(super::Scrutiny::OneIn(20_000));
    let first = sim.submit("q", job().runs([Run::exits(1, 1)]));
    let mut last = first;
    for _ in 0..20_000 {
        last = sim.submit("q", job().after(Whole(last)));
    }
    sim.settle();
    assert_eq!(sim.status(last), Failed);
}

#[test]
fn a_job_that_depends_on_one_that_has_ended() {
    let mut sim = one_queue(4);
    let (good, bad) = (sim.submit("q", job()), sim.submit("q", job().runs([Run::exits(1, 1)])));
    sim.settle();
    let ended = |success| Known::Ended { success, succeeded: IndexSet::default() };
    let runs = sim.submit("q", job().after(Whole(good)).knowing(good, ended(Success::Yes)));
    let fails = sim.submit("q", job().after(Whole(bad)).knowing(bad, ended(Success::No)));
    assert_eq!((sim.status(runs), sim.status(fails)), (Starting, Failed));
    let stale = job().after(Whole(good)).knowing(good, Known::Live);
    assert_eq!(sim.try_submit("q", stale), Err(Refusal::DependencyEnded(good)));
    assert_eq!(sim.try_submit("q", job().after(Whole(JobId::new(99)))), Err(Refusal::NoLiveJob(JobId::new(99))));
}

#[test]
fn sequential_children_go_one_by_one() {
    let mut sim = one_queue(8);
    let id = sim.submit("q", job().array(3).after(Sequential));
    assert_eq!(summary(&sim, id), [(Pending, 2), (Starting, 1)]);
    sim.pass(25);
    assert_eq!(summary(&sim, id), [(Running, 1), (Succeeded, 2)]);
    sim.settle();
    assert_eq!(sim.status(id), Succeeded);
}

#[test]
fn a_failed_sequential_child_fails_those_after_it() {
    let mut sim = one_queue(8);
    let id = sim.submit("q", job().array(9).after(Sequential).runs([Run::exits(1, 2)]));
    sim.settle();
    assert_eq!((sim.launched().len(), sim.status(id), reason(&sim, id)), (1, Failed, lifecycle::DEPENDENCY_FAILED));
}

#[test]
fn each_child_waits_for_its_counterpart() {
    let mut sim = one_queue(2);
    let first = sim.submit("q", job().array(4));
    let second = sim.submit("q", job().array(4).after(NToN(first)));
    assert_eq!(summary(&sim, second), [(Pending, 4)]);
    sim.pass(10);
    assert_eq!(summary(&sim, first), [(Running, 2), (Succeeded, 2)]);
    assert_eq!(summary(&sim, second), [(Pending, 2), (Runnable, 2)], "the first array goes before");
    sim.settle();
    assert_eq!((sim.status(first), sim.status(second)), (Succeeded, Succeeded));
}

#[test]
fn a_failed_child_fails_its_counterpart_alone() {
    let mut sim = one_queue(4);
    let first = sim.submit("q", job().array(3));
    let second = sim.submit("q", job().array(3).after(NToN(first)));
    let third = sim.submit("q", job().array(3).after(NToN(second)));
    sim.pass(1);
    sim.terminate(first.child(1)).unwrap();
    sim.settle();
    for id in [second, third] {
        assert_eq!((sim.status(id.child(0)), sim.status(id.child(1)), sim.status(id)), (Succeeded, Failed, Failed));
        assert_eq!(reason(&sim, id.child(1)), lifecycle::DEPENDENCY_FAILED);
    }
}

#[test]
fn counterparts_must_be_arrays_of_one_size() {
    let mut sim = one_queue(4);
    let (array, single) = (sim.submit("q", job().array(3)), sim.submit("q", job()));
    assert_eq!(sim.try_submit("q", job().array(4).after(NToN(array))), Err(Refusal::NotSameArray(array)));
    assert_eq!(sim.try_submit("q", job().after(NToN(array))), Err(Refusal::NotSameArray(array)));
    assert_eq!(sim.try_submit("q", job().array(3).after(NToN(single))), Err(Refusal::NotSameArray(single)));
}

#[test]
fn a_job_may_wait_for_one_child() {
    let mut sim = one_queue(1);
    let array = sim.submit("q", job().array(3));
    let waits = sim.submit("q", job().after(Whole(array.child(1))));
    sim.pass(10);
    assert_eq!(sim.status(waits), Pending);
    sim.pass(10);
    assert_eq!((sim.status(array), sim.status(waits)), (Pending, Runnable));
    let fails = sim.submit("q", job().after(Whole(array.child(0))));
    assert_eq!(sim.status(fails), Runnable, "child 0 had succeeded");
}

#[test]
fn restarts_change_nothing() {
    let mut sim = one_queue(2);
    let first = sim.submit("q", job().array(6).attempts(2).runs([Run::exits(3, 1), Run::exits(3, 0)]));
    let second = sim.submit("q", job().array(6).after(NToN(first)));
    let last = sim.submit("q", job().after(Whole(second)));
    for _ in 0..60 {
        sim.restart();
        sim.pass(1);
    }
    sim.settle();
    assert_eq!((sim.status(first), sim.status(second), sim.status(last)), (Succeeded, Succeeded, Succeeded));
    assert_eq!(sim.launched().len(), 12 + 6 + 1);
}

#[test]
fn waiting_children_cost_nothing() {
    let mut sim =
        Simulation::new(1, 1).environment("ce", 1).queue("q", 1, &["ce"]).scrutiny(super::Scrutiny::OneIn(1000));
    for _ in 0..100 {
        sim.submit("q", job().array(10_000));
    }
    assert_eq!(sim.state().jobs().count(), 101, "a hundred arrays and the child that runs");
    let waiting = sim.state().census(&"q".into())[&Runnable];
    assert_eq!(waiting, 999_999);
}
