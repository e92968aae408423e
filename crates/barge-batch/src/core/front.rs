//! Who would start next: the front of a queue's lines, without starting anything.
//!
//! The order is that in which the scheduler would pick, were there room for everything at once: what a share is given
//! counts at its next turn. What an array's waiting children take counts when the array has its turn; since a share's rank only
//! rises with what it holds, those behind come in the same order as if each child had a turn of its own.

use super::share::FairShare;
use super::{Job, JobId, Queue, QueueId, ShareId, State, Usage, queue::Place};
use barge_core::Timestamp;
use std::collections::btree_map::Iter;
use std::collections::{BTreeMap, BTreeSet};

/// A share during one look: the first of each of its lines by place, with those behind.
struct Turn<'a> {
    heads: BTreeMap<Place, (JobId, Iter<'a, Place, JobId>)>,
    booked: u128,
    held: u64,
}

impl Turn<'_> {
    fn next(&mut self) -> Option<JobId> {
        let (_, (job, mut behind)) = self.heads.pop_first()?;
        if let Some((place, next)) = behind.next() {
            self.heads.insert(*place, (*next, behind));
        }
        Some(job)
    }

    /// In a first-in-first-out queue all shares are alike.
    fn rank(&self, policy: Option<&FairShare>, share: &ShareId) -> u128 {
        policy.map_or(0, |policy| policy.rank(share, self.booked, self.held))
    }
}

impl State {
    /// The first `count` that wait for room in a queue, in the order in which they would start, and since when each waits: it
    /// blocks its queue, or its last attempt has ended, or it was submitted. An array whose children wait is there once; a child
    /// that is tried again by itself. Costs O(lines + count · log lines), a line being the jobs of one share and shape.
    pub fn front(&self, queue: &QueueId, now: Timestamp, count: usize) -> Vec<(JobId, Timestamp)> {
        let Some(queue) = self.queues.get(queue) else { return Vec::new() };
        let policy = queue.policy().map(AsRef::as_ref);
        let mut turns = turns(queue, policy, now);
        let mut order: BTreeSet<(u128, &ShareId)> =
            turns.iter().map(|(share, turn)| (turn.rank(policy, share), *share)).collect();
        let mut front = Vec::new();
        while front.len() < count
            && let Some((_, share)) = order.pop_first()
        {
            let Some(turn) = turns.get_mut(share) else { continue };
            let Some(job) = turn.next().and_then(|id| self.jobs.get(&id)) else { continue };
            turn.held += Usage::of(&job.terms.shape.tasks).vcpu_milli * waiting(job);
            front.push((job.id, since(job)));
            order.insert((turn.rank(policy, share), share));
        }
        front
    }
}

fn turns<'a>(queue: &'a Queue, policy: Option<&FairShare>, now: Timestamp) -> BTreeMap<&'a ShareId, Turn<'a>> {
    let waiting = queue.shares.iter().filter(|(_, share)| !share.lines.is_empty());
    let turn = |(id, share): (&'a ShareId, &'a super::Share)| {
        let heads = share.lines.values().filter_map(|line| {
            let mut line = line.iter();
            line.next().map(|(place, job)| (*place, (*job, line)))
        });
        let booked = policy.map_or(0, |policy| share.ledger.usage(now, policy.decay, share.held));
        (id, Turn { heads: heads.collect(), booked, held: share.held })
    };
    waiting.map(turn).collect()
}

/// How many attempts would start at a job's turn.
fn waiting(job: &Job) -> u64 {
    job.array.as_ref().map_or(1, |array| array.runnable.len().into())
}

fn since(job: &Job) -> Timestamp {
    let tried = job.past.last().and_then(|past| past.tasks.iter().map(|task| task.stopped_at).max());
    let blocked = job.blocked.as_ref().map(|blocked| blocked.since);
    blocked.or(tried).unwrap_or(job.created_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Run, SimJob, Simulation};
    use proptest::prelude::*;

    /// Everything that has waited since the world began: one environment, closed.
    fn world(policy: Option<FairShare>) -> Simulation {
        let sim = Simulation::new(10_000, 1 << 30).environment("e", 0);
        match policy {
            Some(policy) => sim.fair_queue("q", &["e"], policy),
            None => sim.queue("q", 1, &["e"]),
        }
    }

    fn weights(weights: &[(&str, u32)]) -> FairShare {
        let weights = weights.iter().map(|(share, weight)| ((*share).to_owned(), *weight)).collect();
        FairShare { weights, ..FairShare::default() }
    }

    fn front(sim: &Simulation, count: usize) -> Vec<JobId> {
        sim.state().front(&"q".into(), sim.now(), count).into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn the_front_is_who_would_be_picked_one_by_one() {
        // Share, priority, vCPUs, children; then the order by number.
        type Case<'a> = (Option<FairShare>, &'a [(&'a str, i32, u32, Option<u32>)], &'a [usize]);
        let cases: [Case<'_>; 5] = [
            (None, &[("", 0, 4, None), ("", 0, 1, None), ("", 0, 2, Some(3)), ("", 0, 1, None)], &[0, 1, 2, 3]),
            (Some(weights(&[])), &[("a", 0, 1, None), ("a", 0, 1, None), ("b", 0, 1, None)], &[0, 2, 1]),
            (Some(weights(&[])), &[("a", 0, 1, None), ("a", 7, 1, None), ("a", 7, 2, None)], &[1, 2, 0]),
            (
                Some(weights(&[("b", 5000)])),
                &[("a", 0, 1, None), ("a", 0, 1, None), ("b", 0, 1, None), ("b", 0, 1, None), ("b", 0, 1, None)],
                &[0, 2, 3, 1, 4],
            ),
            (
                Some(weights(&[])),
                &[("a", 0, 1, Some(3)), ("a", 0, 1, None), ("b", 0, 1, None), ("b", 0, 1, None), ("b", 0, 2, None)],
                &[0, 2, 3, 4, 1],
            ),
        ];
        for (policy, jobs, order) in cases {
            let mut sim = world(policy.clone());
            let mut ids = Vec::new();
            for (share, priority, vcpus, array) in jobs {
                let mut job = SimJob::default().vcpus(*vcpus).share(share, *priority);
                job = if let Some(size) = array { job.array(*size) } else { job };
                ids.push(sim.submit("q", job));
            }
            let expected: Vec<JobId> = order.iter().map(|number| ids[*number]).collect();
            assert_eq!(front(&sim, 100), expected, "{policy:?} {jobs:?}");
            assert_eq!(front(&sim, 2), expected[..2], "{policy:?} {jobs:?}");
        }
    }

    #[test]
    fn each_says_since_when_it_waits() {
        let mut sim = Simulation::new(100, 1 << 20).environment("e", 1).queue("q", 1, &["e"]);
        sim.submit("q", SimJob::default().runs([Run::exits(30, 1), Run::exits(30, 0)]).attempts(2));
        sim.pass(5);
        let behind = sim.submit("q", SimJob::default());
        sim.pass(5);
        let last = sim.submit("q", SimJob::default());
        let seen = sim.state().front(&"q".into(), sim.now(), 9);
        assert_eq!(
            seen.iter().map(|(id, at)| (*id, at.millis())).collect::<Vec<_>>(),
            [(behind, 5000), (last, 10_000)]
        );
        assert!(sim.state().front(&"other".into(), sim.now(), 9).is_empty());
    }

    proptest! {
        #[test]
        fn the_scheduler_picks_in_that_order(
            jobs in prop::collection::vec((0usize..3, 0i32..3, 1u32..4, prop::option::weighted(0.3, 2u32..5)), 1..25),
            weight in 1u32..30_000,
            fair in prop::bool::weighted(0.8),
        ) {
            let mut sim = world(fair.then(|| weights(&[("b", weight), ("c", 2500)])));
            for (share, priority, vcpus, array) in &jobs {
                let mut job = SimJob::default().vcpus(*vcpus);
                job = if fair { job.share(["a", "b", "c"][*share], *priority) } else { job };
                job = if let Some(size) = array { job.array(*size) } else { job };
                sim.submit("q", job);
            }
            let expected = front(&sim, usize::MAX);
            sim.put_environment("e", 1_000_000, crate::core::Switch::Enabled);
            let mut started: Vec<JobId> = Vec::new();
            for task in sim.launched() {
                let root = task.attempt.job.root();
                if !started.contains(&root) {
                    started.push(root);
                }
            }
            prop_assert_eq!(started, expected);
        }
    }
}
