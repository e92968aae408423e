//! Jobs as they went: what a plan needs of them, from what is kept of each. Reads no rows, and decides nothing.

use crate::core::lifecycle::{OUT_OF_MEMORY, SPOT_TASK_INTERRUPTED, TIMED_OUT};
use crate::core::{
    ConsumableId, Dependency, EndedBy, Job, JobId, Needs, PastAttempt, PastTask, Reason, Retry, Status, Terms,
};
use barge_core::Timestamp;
use serde::{Deserialize, Serialize};

/// A job that was submitted, and how it went so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastJob {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// The name and revision of its definition.
    pub definition: String,
    /// Its queue's name.
    pub queue: String,
    /// Its share identifier; empty in a first-in-first-out queue.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub share: String,
    /// Its scheduling priority.
    pub priority: i32,
    /// Its state, e.g. `RUNNABLE`.
    pub status: String,
    /// When it was submitted; milliseconds since 1970.
    pub created_at: Timestamp,
    /// When it ended; `None` where it has not.
    pub stopped_at: Option<Timestamp>,
    /// Which call ended it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// What each node takes: how many nodes in a row take as much, the first node first. One for any but a multi-node job.
    pub nodes: Vec<(u16, Needs)>,
    /// Consumable resources that each attempt takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumables: Vec<(ConsumableId, u64)>,
    /// Which failures are tried again.
    pub retry: Retry,
    /// Seconds that an attempt may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// What it waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    /// Its attempts in order; none of an array.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<PastRun>,
    /// Of an array, how many children it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<u32>,
    /// Of an array, the children that have had attempts, by index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<(u32, Vec<PastRun>)>,
}

/// How an attempt went: its main task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastRun {
    /// From its start to its end, or until now; of one that never ran, from its placement.
    pub seconds: f64,
    /// How it ended.
    pub ending: Ending,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// It has not.
    Running,
    /// Its container ended with this code.
    Exited(i32),
    /// Its container was killed for its memory, with this code.
    OutOfMemory(i32),
    /// Its container never ran, for this reason.
    NotStarted(Reason),
    /// Nobody knows how it ended; the status reason.
    Lost(Reason),
    /// It ran longer than it may.
    TimedOut,
    /// Someone ended its job.
    Stopped,
    /// Spot took it away.
    Interrupted,
}

impl PastJob {
    /// A job, and its children that have a record; `definition` is an ARN.
    pub(crate) fn of(name: String, definition: &str, job: &Job, children: &[Job], now: Timestamp) -> Self {
        let terms: &Terms = &job.terms;
        let of_child = |child: &Job| Some((child.id.parent()?.1, runs(child, now)));
        Self {
            id: job.id,
            name,
            definition: last_part(definition),
            queue: last_part(terms.queue.as_str()),
            share: terms.share.to_string(),
            priority: terms.priority,
            status: job.status.as_str().to_owned(),
            created_at: job.created_at,
            stopped_at: job.stopped_at.filter(|_| job.status.is_final()),
            ended_by: job.ended_by,
            nodes: in_a_row(&terms.shape.tasks),
            consumables: terms.shape.consumables.clone(),
            retry: terms.retry.clone(),
            timeout: terms.timeout.map(|timeout| timeout.as_secs()),
            depends_on: terms.depends_on.clone(),
            attempts: runs(job, now),
            array: job.array.as_ref().map(|array| array.size),
            children: children.iter().filter_map(of_child).filter(|(_, runs)| !runs.is_empty()).collect(),
        }
    }

    /// Whether anything of it was ever placed.
    pub(crate) fn has_run(&self) -> bool {
        !self.attempts.is_empty() || !self.children.is_empty()
    }
}

/// The name at an ARN's end.
fn last_part(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

fn in_a_row(tasks: &[Needs]) -> Vec<(u16, Needs)> {
    let rows = tasks.chunk_by(|one, next| one == next);
    rows.filter_map(|row| Some((u16::try_from(row.len()).ok()?, *row.first()?))).collect()
}

fn runs(job: &Job, now: Timestamp) -> Vec<PastRun> {
    let last = job.past.len().saturating_sub(1);
    let main = job.terms.main_node();
    let past = job.past.iter().enumerate().filter_map(|(number, past)| {
        let task = past.task(main)?;
        let was_stopped = number == last && job.ended_by.is_some() && job.status == Status::Failed;
        let ending = if was_stopped { Ending::Stopped } else { ending(past, task) };
        let seconds = task.stopped_at.since(task.started_at.unwrap_or(past.placed_at)).as_secs_f64();
        Some(PastRun { seconds, ending })
    });
    let live = job.live.as_ref().map(|live| {
        let started = live.tasks.get(usize::from(main)).and_then(|task| task.started_at);
        let seconds = started.map(|started| now.since(started).as_secs_f64()).unwrap_or_default();
        PastRun { seconds, ending: Ending::Running }
    });
    past.chain(live).collect()
}

fn ending(past: &PastAttempt, task: &PastTask) -> Ending {
    let status = past.status_reason.as_str();
    let reason = task.container_reason.as_ref();
    match task.exit_code {
        _ if status == TIMED_OUT => Ending::TimedOut,
        _ if is_of_spot(status) => Ending::Interrupted,
        Some(code) if reason.is_some_and(|reason| reason.as_str() == OUT_OF_MEMORY) => Ending::OutOfMemory(code),
        Some(code) => Ending::Exited(code),
        None => match reason {
            Some(reason) => Ending::NotStarted(reason.clone()),
            None => Ending::Lost(past.status_reason.clone()),
        },
    }
}

/// Whether an attempt's status reason says that Spot took it.
pub(crate) fn is_of_spot(status_reason: &str) -> bool {
    status_reason == SPOT_TASK_INTERRUPTED || status_reason.starts_with("Host EC2 (instance ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::lifecycle::{EXITED, NOT_STARTED, host_terminated};
    use crate::core::{Array, Kind, LiveAttempt, LiveTask, Platform, Shape};
    use std::sync::Arc;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// Placed at 10, perhaps started at 12, ended at 20.
    fn past(started: Option<i64>, exit_code: Option<i32>, container: Option<&str>, status: &str) -> PastAttempt {
        let task = PastTask {
            instance: None,
            started_at: started.map(at),
            stopped_at: at(20),
            exit_code,
            container_reason: container.map(Reason::from),
            status_reason: status.into(),
            containers: Vec::new(),
        };
        PastAttempt {
            number: 1,
            environment: "e".into(),
            placed_at: at(10),
            tasks: vec![task],
            status_reason: status.into(),
        }
    }

    #[test]
    fn attempts_say_how_they_ended() {
        let host = host_terminated("i-1");
        for (attempt, seconds, ending) in [
            (past(Some(12), Some(0), None, EXITED), 8.0, Ending::Exited(0)),
            (past(Some(12), Some(137), Some(OUT_OF_MEMORY), EXITED), 8.0, Ending::OutOfMemory(137)),
            (past(None, None, Some("CannotPull"), NOT_STARTED), 10.0, Ending::NotStarted("CannotPull".into())),
            (past(Some(12), None, None, "gone"), 8.0, Ending::Lost("gone".into())),
            (past(Some(12), Some(143), None, TIMED_OUT), 8.0, Ending::TimedOut),
            (past(Some(12), Some(143), None, SPOT_TASK_INTERRUPTED), 8.0, Ending::Interrupted),
            (past(Some(12), Some(143), None, &host), 8.0, Ending::Interrupted),
        ] {
            let job = Job { status: Status::Failed, past: vec![attempt], ..Job::default() };
            assert_eq!(runs(&job, at(99)), [PastRun { seconds, ending }]);
        }
    }

    #[test]
    fn a_call_ends_the_last_attempt_and_what_runs_has_run_until_now() {
        let attempts = vec![past(Some(12), Some(1), None, EXITED), past(Some(15), Some(143), None, "enough")];
        let ended = Job {
            status: Status::Failed,
            ended_by: Some(EndedBy::Terminate),
            past: attempts.clone(),
            ..Job::default()
        };
        let endings: Vec<Ending> = runs(&ended, at(99)).into_iter().map(|run| run.ending).collect();
        assert_eq!(endings, [Ending::Exited(1), Ending::Stopped]);
        let task = LiveTask { started_at: Some(at(30)), ..LiveTask::default() };
        let live = LiveAttempt {
            number: 2,
            environment: "e".into(),
            placed_at: at(25),
            order: 1,
            tasks: vec![task],
            stopping: None,
        };
        let running = Job { live: Some(Box::new(live)), past: vec![attempts[0].clone()], ..Job::default() };
        assert_eq!(runs(&running, at(99))[1], PastRun { seconds: 69.0, ending: Ending::Running });
    }

    #[test]
    fn a_job_survives_its_json() {
        let small = Needs { vcpu_milli: 250, memory_mib: 512 };
        let large = Needs { vcpu_milli: 1000, memory_mib: 512 };
        let shape = Shape { platform: Platform::Ec2, tasks: vec![large, small, small], consumables: Vec::new() };
        let terms = Terms {
            queue: "arn:aws:batch:us-east-1:000000000000:job-queue/q".into(),
            shape: Arc::new(shape),
            kind: Kind::Array { size: 3 },
            depends_on: vec![Dependency::Sequential, Dependency::Whole(JobId::new(1).child(2))],
            ..Terms::default()
        };
        let mut array = Array::default();
        array.size = 3;
        let job = Job { id: JobId::new(7), terms: Arc::new(terms), array: Some(Box::new(array)), ..Job::default() };
        let child = Job {
            id: JobId::new(7).child(2),
            status: Status::Succeeded,
            past: vec![past(Some(12), Some(0), None, EXITED)],
            ..Job::default()
        };
        let waiting = Job { id: JobId::new(7).child(1), ..Job::default() };
        let definition = "arn:aws:batch:us-east-1:000000000000:job-definition/d:4";
        let past = PastJob::of("n".to_owned(), definition, &job, &[waiting, child], at(99));
        assert_eq!((past.queue.as_str(), past.definition.as_str(), past.array), ("q", "d:4", Some(3)));
        assert_eq!(past.nodes, [(1, large), (2, small)]);
        assert_eq!(past.children, [(2, vec![PastRun { seconds: 8.0, ending: Ending::Exited(0) }])]);
        let json = serde_json::to_string(&past).unwrap();
        assert_eq!(serde_json::from_str::<PastJob>(&json).unwrap(), past);
        assert!(json.contains(r#"{"seconds":8.0,"ending":{"exited":0}}"#), "{json}");
    }
}
