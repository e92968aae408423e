//! What an attempt took and what that would have cost: computed from what the core keeps of it, nothing is kept besides.

use super::{Architecture, Catalog, Cost, Demand};
use crate::core::{EnvironmentId, Job, JobId, Name, Needs, PastAttempt, PastTask, QueueId, Reason};
use barge_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRecord {
    /// Of which job.
    pub job: JobId,
    /// 1 for the first.
    pub attempt: u32,
    /// The queue that its job waited in.
    pub queue: QueueId,
    /// Where it ran.
    pub environment: EnvironmentId,
    /// The type of the main task's instance, where the environment has any.
    pub instance_type: Option<Name>,
    /// When its main container started, where it did; milliseconds since 1970.
    pub started_at: Option<Timestamp>,
    /// When the last of its tasks ended.
    pub stopped_at: Timestamp,
    /// The main container's exit code, where it had one.
    pub exit_code: Option<i32>,
    /// Why it ended.
    pub status_reason: Reason,
    /// From submission, or from the end of the attempt before, until it was placed: waiting for other jobs is part of it.
    pub wait_seconds: f64,
    /// From the main container's start to its end.
    pub run_seconds: f64,
    /// vCPUs times the seconds that its tasks held them.
    pub vcpu_seconds: f64,
    /// MiB times the seconds that its tasks held them.
    pub memory_mib_seconds: f64,
    /// What it would have cost, millionths of a US dollar.
    pub cost: Cost,
}

impl AttemptRecord {
    /// A record of each attempt of a job that has ended, in order. The core knows neither processors nor storage, so they
    /// are given: `storage_gib` for each task.
    pub fn of(job: &Job, architecture: Architecture, storage_gib: u32) -> Vec<Self> {
        let mut since = job.created_at;
        let mut records = Vec::with_capacity(job.past.len());
        for past in &job.past {
            let record = Self::new(job, past, since, (architecture, storage_gib));
            since = record.stopped_at;
            records.push(record);
        }
        records
    }

    fn new(job: &Job, past: &PastAttempt, since: Timestamp, (architecture, storage_gib): (Architecture, u32)) -> Self {
        let main = past.task(job.terms.main_node());
        let run = main.and_then(|task| Some(task.stopped_at.since(task.started_at?))).unwrap_or_default();
        let held = |task: &PastTask| task.stopped_at.since(past.placed_at);
        let tasks = || past.tasks.iter().zip(&job.terms.shape.tasks);
        let sum = |of: fn(&Needs) -> u32| -> f64 {
            tasks().map(|(task, needs)| held(task).as_secs_f64() * f64::from(of(needs))).sum()
        };
        let cost = |(task, needs): (&PastTask, &Needs)| {
            Catalog::get().rates(Demand { needs: *needs, architecture, storage_gib }).cost(held(task))
        };
        Self {
            job: job.id,
            attempt: past.number,
            queue: job.terms.queue.clone(),
            environment: past.environment.clone(),
            instance_type: main.and_then(|task| task.instance.as_ref()).map(|(_, name)| name.clone()),
            started_at: main.and_then(|task| task.started_at),
            stopped_at: past.tasks.iter().map(|task| task.stopped_at).max().unwrap_or(past.placed_at),
            exit_code: main.and_then(|task| task.exit_code),
            status_reason: past.status_reason.clone(),
            wait_seconds: past.placed_at.since(since).as_secs_f64(),
            run_seconds: Duration::as_secs_f64(&run),
            vcpu_seconds: sum(|needs| needs.vcpu_milli) / 1000.0,
            memory_mib_seconds: sum(|needs| needs.memory_mib),
            cost: tasks().map(cost).sum(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // sums of few small numbers
mod tests {
    use super::*;
    use crate::core::{InstanceId, Kind, Platform, Shape, Terms};
    use std::sync::Arc;

    fn task(started: Option<i64>, stopped: i64) -> PastTask {
        PastTask {
            instance: Some((InstanceId(7), "c5.large".into())),
            started_at: started.map(Timestamp::from_millis),
            stopped_at: Timestamp::from_millis(stopped),
            exit_code: started.map(|_| 3),
            container_reason: None,
            status_reason: "done".into(),
            containers: Vec::new(),
        }
    }

    fn attempt(number: u32, placed: i64, tasks: Vec<PastTask>) -> PastAttempt {
        let placed_at = Timestamp::from_millis(placed);
        PastAttempt { number, environment: "ce".into(), placed_at, tasks, status_reason: "done".into() }
    }

    fn job(kind: Kind, tasks: usize, past: Vec<PastAttempt>) -> Job {
        let needs = Needs { vcpu_milli: 500, memory_mib: 1024 };
        let shape = Shape { platform: Platform::Ec2, tasks: vec![needs; tasks], consumables: Vec::new() };
        let terms = Terms { queue: "q".into(), shape: Arc::new(shape), kind, ..Terms::default() };
        Job {
            id: JobId::new(1),
            created_at: Timestamp::from_millis(1000),
            terms: Arc::new(terms),
            past,
            ..Job::default()
        }
    }

    #[test]
    fn each_attempt_has_its_wait_its_run_and_its_price() {
        let past = vec![attempt(1, 5000, vec![task(Some(6000), 9000)]), attempt(2, 9500, vec![task(None, 3_609_500)])];
        let records = AttemptRecord::of(&job(Kind::Single, 1, past), Architecture::X86, 20);
        let [first, second] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!((first.wait_seconds, first.run_seconds, first.vcpu_seconds), (4.0, 3.0, 2.0));
        assert_eq!(first.memory_mib_seconds, 4096.0);
        assert_eq!((first.exit_code, first.instance_type.as_ref()), (Some(3), Some(&"c5.large".into())));
        assert_eq!((second.wait_seconds, second.run_seconds, second.vcpu_seconds), (0.5, 0.0, 1800.0));
        assert_eq!(second.cost.fargate, Some(40_480 / 2 + 4445), "an image that took an hour to fetch");
        assert_eq!(second.started_at, None);
        let json = serde_json::to_string(first).unwrap();
        assert!(
            json.starts_with(r#"{"job":"00000000-0000-0000-0000-000000000001","attempt":1,"queue":"q","#),
            "{json}"
        );
    }

    #[test]
    fn nodes_add_up_and_the_main_one_gives_the_times() {
        let tasks = vec![task(Some(2000), 61_000), task(Some(3000), 31_000)];
        let record =
            AttemptRecord::of(&job(Kind::Nodes { main: 1 }, 2, vec![attempt(1, 1000, tasks)]), Architecture::X86, 20);
        let [record] = record.as_slice() else { panic!("{record:?}") };
        assert_eq!((record.run_seconds, record.vcpu_seconds), (28.0, 45.0));
        assert_eq!(record.stopped_at, Timestamp::from_millis(61_000));
        let one = Catalog::get().rates(Needs { vcpu_milli: 500, memory_mib: 1024 }.into());
        let both = one.cost(Duration::from_mins(1)) + one.cost(Duration::from_secs(30));
        assert_eq!(record.cost, both);
    }
}
