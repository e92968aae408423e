//! Plans, case by case, and beside the simulator that checks everything.

use super::*;
use crate::core::{AttemptId, Dependency, EnvironmentKind, JobId, Machine, Status};
use crate::sim::{Run, Scrutiny, SimJob, Simulation};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::Duration;

fn setup(kind: &str, max_vcpus: u32) -> Setup {
    let text = format!(
        r#"{{"environments": [{{"name": "ce", "type": "{kind}", "maxvCpus": {max_vcpus}}}],
            "queues": [{{"name": "q", "environments": ["ce"]}}]}}"#
    );
    Setup::parse("plan.json", &text).unwrap()
}

fn plan(setup: &Setup, jobs: &str, assumptions: &Assumptions) -> Outcome {
    let workload = Workload::parse("jobs.csv", jobs, setup).unwrap();
    compare(setup, &workload, assumptions, &[], &|_, _, _| {}).unwrap().outcomes.remove(0)
}

fn ideal(max_vcpus: u32, jobs: &str) -> Outcome {
    plan(&setup("FARGATE", max_vcpus), jobs, &Assumptions::ideal(1))
}

fn refused(jobs: &str) -> String {
    Workload::parse("jobs.csv", jobs, &setup("FARGATE", 4)).unwrap_err().to_string()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small whole numbers
fn seconds(outcome: &Outcome) -> [u64; 2] {
    [outcome.makespan_seconds, outcome.waits[0].max].map(|seconds| seconds.round() as u64)
}

#[test]
fn small_plans_come_to_what_can_be_counted_by_hand() {
    for (jobs, succeeded, failed, waiting, attempts, makespan, longest_wait) in [
        // Four at a time, ten seconds each.
        ("array,duration\n10,10\n", 10, 0, 0, 10, 30, 20),
        // One after the other.
        ("name,duration,depends_on\na,10,\nb,20,a\nc,30,a b\n", 3, 0, 0, 3, 60, 30),
        // What fails is tried again; what depends on it fails with it.
        ("name,duration,attempts,fail,depends_on\na,10,3,1,\nb,1,1,0,a\n", 0, 2, 0, 3, 30, 0),
        // Children wait for their counterparts, or for the one before.
        ("name,array,duration,depends_on\na,4,10,\nb,4,10,N_TO_N(a)\n", 8, 0, 0, 8, 20, 10),
        ("array,duration,depends_on\n4,10,SEQUENTIAL\n", 4, 0, 0, 4, 40, 30),
        // What was submitted later counts from its submission.
        ("at,duration,vcpus\n0,10,4\n5,10,4\n", 2, 0, 0, 2, 20, 5),
        // What never fits waits, and does not block what fits.
        ("duration,vcpus,memory\n10,8,16384\n10,1,2048\n", 1, 0, 1, 1, 10, 0),
        // What runs too long is stopped.
        ("duration,timeout,attempts\n100,60,3\n", 0, 1, 0, 1, 61, 0),
        // What a job depends on may have ended long before.
        ("at,name,duration,depends_on\n0,a,10,\n100,b,10,a\n", 2, 0, 0, 2, 110, 0),
        ("at,name,duration,array,depends_on\n0,a,10,2,\n100,b,10,2,N_TO_N(a)\n", 4, 0, 0, 4, 110, 0),
    ] {
        let found = ideal(4, jobs);
        assert_eq!((found.succeeded, found.failed, found.waiting), (succeeded, failed, waiting), "{jobs}");
        assert_eq!((found.attempts, seconds(&found)), (attempts, [makespan, longest_wait]), "{jobs}");
    }
}

#[test]
fn rows_may_come_in_any_order_of_time_and_dependencies_follow() {
    let found = ideal(4, "at,name,duration,depends_on\n50,late,1,\n0,a,10,\n5,b,10,a\n");
    assert_eq!((found.succeeded, seconds(&found)), (3, [51, 5]));
}

#[test]
fn what_is_wrong_with_jobs_is_said_with_line_and_column() {
    for (jobs, message) in [
        ("queue,duration\nq,1\nx,1\n", "jobs.csv:3:1: there is no enabled queue `x`"),
        ("at,duration\n0,1\n0,fast\n", "jobs.csv:3:3: `fast` is neither seconds"),
        ("at\n0\n", "jobs.csv:2:1: duration is missing"),
        ("duration,depends_on\n1,a\n", "jobs.csv:2:3: no job `a` stands above"),
        ("at,name,duration,depends_on\n9,a,1,\n0,b,1,a\n", "jobs.csv:3:7: job `a` is submitted later"),
        ("name,duration,depends_on\na,1,\nb,1,N_TO_N(a)\n", "jobs.csv:3:5: `a` is no array of the same size"),
        ("duration,array\n1,1\n", "jobs.csv:2:3: an array has 2 to 10000 children"),
        ("duration,attempts\n1,11\n", "jobs.csv:2:3: attempts are 1 to 10"),
        ("duration,fail\n1,2\n", "jobs.csv:2:3: a probability is 0 to 1"),
        ("duration,vcpus\n1,many\n", "jobs.csv:2:3: `many` is not a number"),
        ("duration,share\n1,a\n", "jobs.csv:2:3: the queue is no fair-share queue"),
        ("duration,definition\n1,d\n", "jobs.csv:2:3: there is no definition `d`"),
        ("duration,timeout\n1,5\n", "jobs.csv:2:3: a timeout is 60 seconds or more"),
        ("{\"duration\": 1}\n{\"duration\": \"x\"}\n", "jobs.csv:2:14: `x` is neither seconds"),
        ("duration\n", "jobs.csv: there are no jobs in it"),
    ] {
        let found = refused(jobs);
        assert!(found.starts_with(message), "{found}");
    }
}

const HOURS: &str = "array,vcpus,memory,duration,attempts\n100,1,1900,\"lognormal(3600,900)\",10\n";

#[test]
fn the_same_seed_gives_the_same_report_and_another_another() {
    let setup = setup("FARGATE_SPOT", 16);
    let report = |seed| {
        let workload = Workload::parse("jobs.csv", HOURS, &setup).unwrap();
        let assumptions = Assumptions { seed, interruptions_per_hour: 0.5, ..Assumptions::default() };
        let types = [EnvironmentKind::Fargate, EnvironmentKind::Ec2, EnvironmentKind::Spot];
        let report = compare(&setup, &workload, &assumptions, &types, &|_, _, _| {}).unwrap();
        serde_json::to_string(&report).unwrap()
    };
    assert_eq!(report(1), report(1));
    assert_ne!(report(1), report(2));
}

#[test]
fn scenarios_stand_side_by_side_and_spot_repeats_work() {
    let setup = setup("FARGATE", 16);
    let workload = Workload::parse("jobs.csv", HOURS, &setup).unwrap();
    let assumptions = Assumptions { interruptions_per_hour: 0.2, ..Assumptions::default() };
    let types = [EnvironmentKind::Fargate, EnvironmentKind::FargateSpot, EnvironmentKind::Ec2, EnvironmentKind::Spot];
    let report = compare(&setup, &workload, &assumptions, &types, &|_, _, _| {}).unwrap();
    let titles: Vec<&str> = report.outcomes.iter().map(|outcome| outcome.title.as_str()).collect();
    assert_eq!(titles, ["FARGATE, as given", "FARGATE_SPOT", "EC2", "SPOT"]);
    let [fargate, fargate_spot, ec2, spot] = report.outcomes.as_slice() else { panic!("{titles:?}") };
    for outcome in &report.outcomes {
        assert_eq!((outcome.succeeded, outcome.failed, outcome.waiting), (100, 0, 0), "{}", outcome.title);
    }
    assert_eq!((fargate.interruptions, ec2.interruptions), (0, 0));
    for outcome in [fargate_spot, spot] {
        assert!(outcome.interruptions > 10, "{}", outcome.title);
        assert_eq!(outcome.attempts, 100 + outcome.interruptions);
        assert!(outcome.makespan_seconds > fargate.makespan_seconds);
    }
    let hours = fargate.vcpus.mean * fargate.makespan_seconds / 3600.0;
    assert!((95.0..110.0).contains(&hours), "a hundred jobs of an hour: {hours}");
    // 1 vCPU and 2 GiB at 0.04937 dollars an hour.
    let cost = |outcome: &Outcome| outcome.cost_micros.unwrap();
    assert!((4_700_000..5_400_000).contains(&cost(fargate)), "{}", cost(fargate));
    assert!(cost(fargate_spot) < cost(fargate) && cost(spot) < cost(ec2));
    let instances = ec2.instances.unwrap();
    assert!(instances.launched >= 1 && instances.vcpu_utilisation.is_some_and(|part| part > 0.8), "{instances:?}");
    assert!(fargate.instances.is_none());
}

#[test]
fn what_does_not_run_on_fargate_is_counted_there_and_runs_on_ec2() {
    let setup = setup("EC2", 64);
    let jobs = "name,vcpus,memory,nodes,duration,depends_on\nlarge,32,1024,1,60,\nnodes,1,1024,2,60,\nsmall,1,2048,1,60,\nafter,1,2048,1,60,large\n";
    let workload = Workload::parse("jobs.csv", jobs, &setup).unwrap();
    let report =
        compare(&setup, &workload, &Assumptions::ideal(1), &[EnvironmentKind::Fargate], &|_, _, _| {}).unwrap();
    let counts: Vec<_> = report.outcomes.iter().map(|outcome| (outcome.succeeded, outcome.refused)).collect();
    assert_eq!(counts, [(4, 0), (1, 3)]);
}

#[test]
fn the_machine_bounds_the_plan_as_given_and_costs_nothing() {
    let setup = setup("FARGATE", 100);
    let machine = Some(Machine { vcpu_milli: 2000, memory_mib: 1 << 20 });
    let found = plan(&setup, "array,duration\n10,10\n", &Assumptions { machine, ..Assumptions::default() });
    assert_eq!((found.title.as_str(), seconds(&found), found.cost_micros), ("this machine", [50, 40], None));
    assert_eq!(found.vcpus.utilisation, Some(1.0));
    assert!(found.memory_gib.utilisation.is_some());
}

#[test]
fn start_and_boot_take_their_time() {
    let assumptions = Assumptions { interruptions_per_hour: 0.0, ..Assumptions::default() };
    for (kind, makespan) in [("FARGATE", 30 + 10), ("EC2", 120 + 5 + 10)] {
        let found = plan(&setup(kind, 4), "duration\n10\n", &assumptions);
        assert_eq!(seconds(&found)[0], makespan, "{kind}");
    }
}

#[test]
fn a_job_that_never_starts_says_for_what_it_waits() {
    let found = ideal(4, "vcpus,memory,duration,array\n8,16384,1,5\n");
    let [waiting] = found.waiting_for.as_slice() else { panic!("{:?}", found.waiting_for) };
    assert_eq!((waiting.queue.as_str(), waiting.jobs), ("q", 5));
    assert_eq!(waiting.reason, "needs 8 vCPUs; compute environment ce has 4 of 4 free");
}

#[test]
fn interruptions_of_idle_instances_do_not_go_on_for_ever() {
    let text = r#"{"environments": [{"name": "ce", "type": "SPOT", "maxvCpus": 16, "minvCpus": 8}],
        "queues": [{"name": "q", "environments": ["ce"]}]}"#;
    let setup = Setup::parse("plan.json", text).unwrap();
    let assumptions = Assumptions { interruptions_per_hour: 100.0, ..Assumptions::default() };
    let found = plan(&setup, "duration,vcpus,memory,attempts\n600,1,1024,10\n1,64,1024,1\n", &assumptions);
    assert_eq!(found.succeeded + found.failed + found.waiting, 2);
}

#[test]
fn shares_are_planned_as_they_are_scheduled() {
    let text = r#"{"environments": [{"name": "ce", "type": "FARGATE", "maxvCpus": 1}], "queues": [{"name": "q",
        "environments": ["ce"], "fairShare": {"shareDistribution": [{"shareIdentifier": "b", "weightFactor": 0.5}]}}]}"#;
    let setup = Setup::parse("plan.json", text).unwrap();
    let found = plan(&setup, "share,array,duration\na,5,10\nb,5,10\n", &Assumptions::ideal(1));
    assert_eq!((found.succeeded, seconds(&found)), (10, [100, 90]));
}

#[test]
fn the_table_and_the_chart_show_the_report() {
    let setup = setup("FARGATE", 4);
    let workload = Workload::parse("jobs.csv", "array,duration,memory\n10,10,1024\n", &setup).unwrap();
    let report = compare(&setup, &workload, &Assumptions::ideal(1), &[EnvironmentKind::Ec2], &|_, _, _| {}).unwrap();
    let text = table(&report);
    let line = |label: &str| text.lines().find(|line| line.starts_with(label)).unwrap_or_else(|| panic!("{text}"));
    for (label, figures) in [
        ("makespan", vec!["makespan", "30.0", "s", "30.0", "s"]),
        ("succeeded", vec!["succeeded", "10", "10"]),
        ("wait in q, most", vec!["wait", "in", "q,", "most", "20.0", "s", "20.0", "s"]),
        ("of their maximum", vec!["of", "their", "maximum", "83.3", "%", "83.3", "%"]),
        ("cost, USD", vec!["cost,", "USD", "0.01", "0.02"]),
    ] {
        assert_eq!(line(label).split_whitespace().collect::<Vec<_>>(), figures, "{text}");
    }
    let svg = chart(&report.outcomes[0]);
    for part in [
        "<svg xmlns",
        "prefers-color-scheme: dark",
        "Jobs in q",
        "RUNNABLE",
        "vCPUs in use, 83 %",
        "maximum 4",
        "</svg>",
    ] {
        assert!(svg.contains(part), "{part}:\n{svg}");
    }
}

/// A job of a random workload.
#[derive(Clone, Debug)]
struct Small {
    at: u64,
    queue: usize,
    size: u32,
    lasts: u64,
    attempts: u32,
    fails: bool,
    array: Option<u32>,
    after: Option<usize>,
}

fn small() -> impl Strategy<Value = Small> {
    let array = prop::option::weighted(0.3, 2u32..5);
    let after = prop::option::weighted(0.3, 0..30usize);
    (0u64..60, 0..2usize, 0u32..3, 0u64..40, 1u32..4, prop::bool::weighted(0.2), array, after).prop_map(
        |(at, queue, size, lasts, attempts, fails, array, after)| Small {
            at,
            queue,
            size,
            lasts,
            attempts,
            fails,
            array,
            after,
        },
    )
}

const TWO_QUEUES: &str = r#"{"environments": [{"name": "e0", "type": "FARGATE", "maxvCpus": 4}, {"name": "e1", "type": "FARGATE", "maxvCpus": 3}],
    "queues": [{"name": "q0", "priority": 1, "environments": ["e0"]}, {"name": "q1", "priority": 2, "environments": ["e0", "e1"]}]}"#;

fn as_csv(jobs: &[Small]) -> String {
    let mut text = "at,name,queue,vcpus,memory,duration,attempts,fail,array,depends_on\n".to_owned();
    for (number, job) in jobs.iter().enumerate() {
        let (vcpus, memory) = (1 << job.size, 2048 << job.size);
        let array = job.array.map(|size| size.to_string()).unwrap_or_default();
        let after = job.after.filter(|after| *after < number).map(|after| format!("j{after}")).unwrap_or_default();
        let Small { at, queue, lasts, attempts, .. } = job;
        let fail = u8::from(job.fails);
        let _ = writeln!(text, "{at},j{number},q{queue},{vcpus},{memory},{lasts},{attempts},{fail},{array},{after}");
    }
    text
}

/// The same in the simulator: succeeded, failed, attempts, makespan and longest wait of all attempts in milliseconds.
fn simulated(jobs: &[Small]) -> (u64, u64, u64, u64, u64) {
    let mut sim = Simulation::new(1000, 1 << 30)
        .scrutiny(Scrutiny::OneIn(16))
        .environment("e0", 4)
        .environment("e1", 3)
        .queue("q0", 1, &["e0"])
        .queue("q1", 2, &["e0", "e1"]);
    let mut ids: Vec<JobId> = Vec::new();
    let mut now = 0;
    for (number, job) in jobs.iter().enumerate() {
        sim.pass(job.at - now);
        now = job.at;
        let run = Run::exits(job.lasts, i32::from(job.fails));
        let mut submitted =
            SimJob::default().vcpus(1 << job.size).memory(2048 << job.size).attempts(job.attempts).runs([run]);
        if let Some(size) = job.array {
            submitted = submitted.array(size);
        }
        if let Some(after) = job.after.filter(|after| *after < number) {
            submitted = submitted.after(Dependency::Whole(ids[after]));
            let status = sim.status(ids[after]);
            if status.is_final() {
                let success =
                    if status == Status::Succeeded { crate::core::Success::Yes } else { crate::core::Success::No };
                let succeeded = crate::core::IndexSet::default();
                submitted = submitted.knowing(ids[after], crate::core::Known::Ended { success, succeeded });
            }
        }
        ids.push(sim.submit(if job.queue == 0 { "q0" } else { "q1" }, submitted));
    }
    sim.settle();
    let (mut succeeded, mut failed, mut longest, mut end) = (0, 0, 0, 0);
    let start = jobs[0].at * 1000;
    for (id, job) in ids.iter().zip(jobs) {
        let children: Vec<JobId> = job.array.map_or(vec![*id], |size| (0..size).map(|index| id.child(index)).collect());
        for child in children {
            let all_failed = sim.status(*id) == Status::Failed;
            let found = if sim.has_record(child) { sim.job(child).clone() } else { sim.job(*id).clone() };
            match (sim.has_record(child), found.status) {
                (true, Status::Succeeded) => succeeded += 1,
                (true, Status::Failed) => failed += 1,
                (false, _) if all_failed => failed += 1,
                (has_record, status) => panic!("{child} {has_record} {status:?}"),
            }
            end = end.max(u64::try_from(found.stopped_at.unwrap().millis()).unwrap());
            let mut since = found.created_at;
            for past in &found.past {
                longest = longest.max(past.placed_at.since(since).as_millis());
                since = past.tasks[0].stopped_at;
            }
        }
    }
    (succeeded, failed, sim.launched().len() as u64, end - start, u64::try_from(longest).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// The planner is the simulator without its checks: the same workload goes the same way.
    #[test]
    fn plans_agree_with_the_simulator(mut jobs in prop::collection::vec(small(), 1..30)) {
        jobs.sort_by_key(|job| job.at);
        let setup = Setup::parse("plan.json", TWO_QUEUES).unwrap();
        // What would need more than its queue's environments have waits for ever: it is left to other tests.
        let found = plan(&setup, &as_csv(&jobs), &Assumptions::ideal(1));
        let (succeeded, failed, attempts, makespan, longest) = simulated(&jobs);
        prop_assert_eq!((found.succeeded, found.failed, found.waiting, found.attempts), (succeeded, failed, 0, attempts));
        let millis = |seconds: f64| Duration::from_secs_f64(seconds).as_millis();
        prop_assert_eq!(millis(found.makespan_seconds), u128::from(makespan));
        let most = found.waits.iter().map(|wait| wait.max).fold(0.0, f64::max);
        prop_assert_eq!(millis(most), u128::from(longest));
    }

    /// Whatever a file says, it is read or refused.
    #[test]
    fn no_file_of_jobs_breaks_the_reader(text in "[-{}\\[\\]\":,\\\\a-z0-9é\n ]{0,60}") {
        let setup = setup("FARGATE", 4);
        let _ = Workload::parse("jobs", &text, &setup);
        let _ = Workload::parse("jobs", &format!("at,name,duration\n{text}"), &setup);
        let _ = Setup::parse("plan", &text);
    }
}

#[test]
fn ids_of_jobs_are_their_places() {
    let attempt = AttemptId { job: workload::job_id(0), number: 1 };
    assert_eq!(attempt.job, JobId::new(1));
}
