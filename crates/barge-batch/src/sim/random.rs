//! Random histories: whatever happens in whatever order, what must hold holds.

use super::{Run, SimJob, Simulation};
use crate::core::{JobId, Memory, Outcome, Status, Switch};
use proptest::prelude::*;
use proptest::test_runner::Config;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Deed {
    Submit { queue: usize, job: SimJob },
    Cancel(usize),
    Terminate(usize),
    Pass(u64),
    PutEnvironment { name: usize, max_vcpus: u64, switch: Switch },
    PutQueue { name: usize, priority: i32, environments: Vec<usize>, switch: Switch },
    DeleteQueue(usize),
    DeleteEnvironment(usize),
    Restart,
}

const ENVIRONMENTS: [&str; 3] = ["e0", "e1", "e2"];
const QUEUES: [&str; 3] = ["q0", "q1", "q2"];

fn run() -> impl Strategy<Value = Run> {
    let ends = prop_oneof![
        4 => Just(Outcome::Exited { code: 0, memory: Memory::Within }),
        2 => Just(Outcome::Exited { code: 1, memory: Memory::Within }),
        1 => Just(Outcome::Exited { code: 137, memory: Memory::Exceeded }),
        1 => Just(Outcome::FailedToStart("CannotPullContainerError: gone".into())),
        1 => Just(Outcome::Lost("Host EC2 (instance i-0) terminated.".into())),
    ];
    (0u64..3, 0u64..200, ends).prop_map(|(start, lasts, ends)| Run {
        start_after: Duration::from_secs(start),
        lasts: Duration::from_secs(lasts),
        ends,
    })
}

fn job() -> impl Strategy<Value = SimJob> {
    (1u32..6, 1u32..1200, 1u32..4, any::<bool>(), prop::collection::vec(run(), 1..4)).prop_map(
        |(vcpus, memory, attempts, timed, runs)| {
            let job = SimJob::default().vcpus(vcpus).memory(memory).attempts(attempts).runs(runs);
            if timed { job.timeout(60) } else { job }
        },
    )
}

fn switch() -> impl Strategy<Value = Switch> {
    prop_oneof![4 => Just(Switch::Enabled), 1 => Just(Switch::Disabled)]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        12 => (0..3usize, job()).prop_map(|(queue, job)| Deed::Submit { queue, job }),
        2 => any::<usize>().prop_map(Deed::Cancel),
        2 => any::<usize>().prop_map(Deed::Terminate),
        6 => (0u64..100).prop_map(Deed::Pass),
        2 => (0..3usize, 0u64..8, switch())
            .prop_map(|(name, max_vcpus, switch)| Deed::PutEnvironment { name, max_vcpus, switch }),
        2 => (0..3usize, 0..3i32, prop::collection::vec(0..3usize, 1..3), switch()).prop_map(
            |(name, priority, environments, switch)| Deed::PutQueue { name, priority, environments, switch }
        ),
        1 => (0..3usize).prop_map(Deed::DeleteQueue),
        1 => (0..3usize).prop_map(Deed::DeleteEnvironment),
        2 => Just(Deed::Restart),
    ]
}

fn do_it(sim: &mut Simulation, jobs: &mut Vec<JobId>, deed: Deed) {
    let pick = |jobs: &[JobId], at: usize| jobs.get(at % jobs.len().max(1)).copied();
    match deed {
        Deed::Submit { queue, job } => jobs.extend(sim.try_submit(QUEUES[queue], job)),
        Deed::Cancel(at) => drop(pick(jobs, at).map(|job| sim.cancel(job))),
        Deed::Terminate(at) => drop(pick(jobs, at).map(|job| sim.terminate(job))),
        Deed::Pass(seconds) => sim.pass(seconds),
        Deed::PutEnvironment { name, max_vcpus, switch } => sim.put_environment(ENVIRONMENTS[name], max_vcpus, switch),
        Deed::PutQueue { name, priority, mut environments, switch } => {
            environments.dedup();
            let environments: Vec<&str> = environments.into_iter().map(|at| ENVIRONMENTS[at]).collect();
            sim.put_queue(QUEUES[name], priority, &environments, switch);
        }
        Deed::DeleteQueue(at) => drop(sim.delete_queue(QUEUES[at])),
        Deed::DeleteEnvironment(at) => drop(sim.delete_environment(ENVIRONMENTS[at])),
        Deed::Restart => sim.restart(),
    }
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    /// [`Simulation`] asserts after every event that counts are right, that nothing is launched twice and that ended jobs
    /// stay ended; here, that what was saved rebuilds the state, and that in the end every accepted job has ended or waits
    /// for something it may wait for.
    #[test]
    fn what_must_hold_holds(deeds in prop::collection::vec(deed(), 1..80)) {
        let mut sim = Simulation::new(8, 1000)
            .environment("e0", 4)
            .environment("e1", 2)
            .queue("q0", 1, &["e0"])
            .queue("q1", 2, &["e0", "e1"]);
        let mut jobs = Vec::new();
        for deed in deeds {
            do_it(&mut sim, &mut jobs, deed);
            prop_assert!(sim.state().used().memory_mib <= 1000);
            sim.check_saved();
        }
        for name in ENVIRONMENTS {
            sim.put_environment(name, 4, Switch::Enabled);
        }
        sim.settle();
        for id in jobs {
            let job = sim.job(id);
            let legal = job.status.is_final() || (job.status == Status::Runnable && job.aside.is_some());
            prop_assert!(legal, "{job:?}");
            prop_assert!(job.past.len() <= job.attempts_allowed as usize);
        }
    }
}
