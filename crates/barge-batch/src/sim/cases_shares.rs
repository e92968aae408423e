//! Fair shares, case by case.

use super::{Run, SimJob, Simulation};
use crate::core::{FairShare, JobId, Refusal, Status};
use std::collections::BTreeMap;
use std::time::Duration;

fn policy(weights: &[(&str, u32)]) -> FairShare {
    let weights = weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
    FairShare { weights, ..FairShare::default() }
}

fn fair(vcpus: u64, policy: FairShare) -> Simulation {
    Simulation::new(640, 1 << 20).environment("ce", vcpus).fair_queue("q", &["ce"], policy)
}

fn of(share: &str) -> SimJob {
    SimJob::default().share(share, 0)
}

fn running(sim: &Simulation) -> BTreeMap<String, u64> {
    let queue = sim.state().queue(&"q".into()).unwrap();
    queue.held().filter(|(_, held)| *held > 0).map(|(share, held)| (share.to_string(), held / 1000)).collect()
}

fn shares(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(share, count)| ((*share).to_owned(), *count)).collect()
}

#[test]
fn equal_shares_get_equal_parts() {
    let mut sim = fair(8, policy(&[]));
    for _ in 0..20 {
        sim.submit("q", of("a"));
    }
    assert_eq!(running(&sim), shares(&[("a", 8)]), "nothing is kept for shares that are not there");
    for _ in 0..20 {
        sim.submit("q", of("b"));
    }
    sim.pass(10);
    assert_eq!(running(&sim), shares(&[("a", 4), ("b", 4)]));
}

#[test]
fn weights_divide_what_there_is() {
    let mut sim = fair(9, policy(&[("heavy", 5_000)]));
    sim.submit("q", of("light").vcpus(9));
    for _ in 0..30 {
        sim.submit("q", of("light"));
        sim.submit("q", of("heavy"));
    }
    sim.pass(10);
    assert_eq!(running(&sim), shares(&[("heavy", 6), ("light", 3)]), "a weight of a half gets twice as much");
}

#[test]
fn what_was_used_before_counts() {
    let decay = Duration::from_secs(1600);
    let mut sim = fair(1, FairShare { decay, ..policy(&[]) });
    sim.submit("q", of("a").runs([Run::exits(800, 0)]));
    for _ in 0..10 {
        sim.submit("q", of("a").runs([Run::exits(100, 0)]));
        sim.submit("q", of("b").runs([Run::exits(100, 0)]));
    }
    sim.restart();
    sim.pass(800 + 650);
    assert_eq!(running(&sim), shares(&[("b", 1)]));
    let order: Vec<JobId> = sim.launched().iter().map(|task| task.attempt.job).collect();
    let b_first = order[1..7].iter().all(|id| sim.job(*id).terms.share.as_str() == "b");
    assert!(b_first, "a has used its part for a while");
    sim.settle();
}

#[test]
fn within_a_share_priority_counts() {
    let mut sim = fair(1, policy(&[]));
    let first = sim.submit("q", of("a"));
    let (low, high) = (sim.submit("q", of("a")), sim.submit("q", SimJob::default().share("a", 5)));
    sim.settle();
    let order: Vec<JobId> = sim.launched().iter().map(|task| task.attempt.job).collect();
    assert_eq!(order, [first, high, low]);
}

#[test]
fn a_reservation_keeps_room_for_shares_that_are_not_there() {
    let mut sim = fair(8, FairShare { compute_reservation: 50, ..policy(&[]) });
    for _ in 0..8 {
        sim.submit("q", of("a"));
    }
    assert_eq!(running(&sim), shares(&[("a", 4)]), "half is kept for others");
    for _ in 0..8 {
        sim.submit("q", of("b"));
    }
    assert_eq!(running(&sim).values().sum::<u64>(), 6, "with two a quarter");
    sim.pass(10);
    assert_eq!(running(&sim), shares(&[("a", 3), ("b", 3)]));
    sim.settle();
    assert_eq!(sim.launched().len(), 16, "what is left alone may use it");
}

#[test]
fn a_share_is_needed_where_shares_are() {
    let mut sim = fair(8, policy(&[])).queue("plain", 1, &["ce"]);
    assert!(matches!(sim.try_submit("q", SimJob::default()), Err(Refusal::ShareNeeded(_))));
    assert!(matches!(sim.try_submit("plain", of("a")), Err(Refusal::ShareUnknown(_))));
}

#[test]
fn arrays_share_too() {
    let mut sim = fair(4, policy(&[]));
    let array = sim.submit("q", of("a").array(100));
    let other = sim.submit("q", of("b"));
    sim.pass(10);
    assert_eq!((sim.status(array), sim.status(other)), (Status::Pending, Status::Running));
}

#[test]
fn a_queue_that_goes_leaves_nothing_of_its_shares() {
    let spec = FairShare { decay: Duration::from_secs(1600), ..policy(&[]) };
    let mut sim = fair(1, spec);
    sim.submit("q", of("a"));
    sim.pass(5);
    sim.disable("q");
    sim.delete_queue("q").unwrap();
    sim.settle();
    assert!(sim.state().queue(&"q".into()).is_none());
    assert_eq!(sim.shares_saved(), 0);
}
