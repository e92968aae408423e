//! What happened since the program started: attempts placed and ended, how long they waited and ran.
//!
//! Nothing of it is kept: a restart begins anew, as Prometheus expects of counters.

use super::histogram::Histogram;
use crate::core::{AttemptId, Effect, EnvironmentId, Job, PastAttempt, QueueId, Status};
use barge_core::Timestamp;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Something that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    queue: QueueId,
    environment: EnvironmentId,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// An attempt got its place after this time: since submission, or since the attempt before it ended.
    Placed(Duration),
    /// An attempt ended after its main container had run this long; `None` where that never started.
    Ended(Option<Duration>, End),
}

/// What became of a job when its attempt had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Succeeded,
    Retried,
    Failed,
}

/// What the effects of one event tell of attempts.
pub(crate) fn observe(effects: &[Effect]) -> Vec<Observation> {
    let ended: HashSet<AttemptId> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Forget(task) => Some(task.attempt),
            _ => None,
        })
        .collect();
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Emit(job) => observed(job, &ended),
            _ => None,
        })
        .collect()
}

fn observed(job: &Job, ended: &HashSet<AttemptId>) -> Option<Observation> {
    let queue = job.terms.queue.clone();
    let end = match job.status {
        Status::Starting => {
            let live = job.live.as_ref()?;
            let since = job.past.last().and_then(stopped_at).unwrap_or(job.created_at);
            let what = What::Placed(live.placed_at.since(since));
            return Some(Observation { queue, environment: live.environment.clone(), what });
        }
        Status::Runnable => End::Retried,
        Status::Succeeded => End::Succeeded,
        Status::Failed => End::Failed,
        Status::Submitted | Status::Pending | Status::Running => return None,
    };
    // A job that is cancelled while it waits to be tried again ends without an attempt of its own.
    let past = job.past.last().filter(|past| ended.contains(&AttemptId { job: job.id, number: past.number }))?;
    let main = past.task(job.terms.main_node());
    let ran = main.and_then(|task| Some(task.stopped_at.since(task.started_at?)));
    Some(Observation { queue, environment: past.environment.clone(), what: What::Ended(ran, end) })
}

fn stopped_at(past: &PastAttempt) -> Option<Timestamp> {
    past.tasks.iter().map(|task| task.stopped_at).max()
}

/// Counts of one queue in one environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    /// Waits of attempts that were placed.
    pub(crate) waits: Histogram,
    /// Runs of attempts that have ended and had started.
    pub(crate) runs: Histogram,
    pub(crate) succeeded: u64,
    pub(crate) retried: u64,
    pub(crate) failed: u64,
}

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    totals: Mutex<BTreeMap<(QueueId, EnvironmentId), Totals>>,
}

impl Meter {
    /// Counts what is durable now.
    pub(crate) fn add(&self, observations: Vec<Observation>) {
        let mut all = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        for Observation { queue, environment, what } in observations {
            let totals = all.entry((queue, environment)).or_default();
            match what {
                What::Placed(waited) => totals.waits.add(waited),
                What::Ended(ran, end) => {
                    if let Some(ran) = ran {
                        totals.runs.add(ran);
                    }
                    match end {
                        End::Succeeded => totals.succeeded += 1,
                        End::Retried => totals.retried += 1,
                        End::Failed => totals.failed += 1,
                    }
                }
            }
        }
    }

    /// The counts as they are now.
    pub(crate) fn totals(&self) -> BTreeMap<(QueueId, EnvironmentId), Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{JobId, LiveAttempt, PastTask, TaskId, Terms};
    use std::sync::Arc;

    fn millis(at: i64) -> Timestamp {
        Timestamp::from_millis(at)
    }

    fn job(status: Status, past: Vec<PastAttempt>) -> Job {
        let terms = Arc::new(Terms { queue: "q".into(), ..Terms::default() });
        Job { id: JobId::new(1), terms, status, created_at: millis(1000), past, ..Job::default() }
    }

    fn attempt(number: u32, started: Option<i64>, stopped: i64) -> PastAttempt {
        let task = PastTask {
            instance: None,
            started_at: started.map(millis),
            stopped_at: millis(stopped),
            exit_code: None,
            container_reason: None,
            status_reason: "".into(),
            containers: Vec::new(),
        };
        let environment = "ce".into();
        PastAttempt { number, environment, placed_at: millis(1000), tasks: vec![task], status_reason: "".into() }
    }

    fn forget(number: u32) -> Effect {
        Effect::Forget(TaskId { attempt: AttemptId { job: JobId::new(1), number }, node: 0 })
    }

    fn emit(job: Job) -> Effect {
        Effect::Emit(Box::new(job))
    }

    #[test]
    fn waits_begin_with_submission_and_with_the_attempt_before() {
        for (past, waited) in [(vec![], 4000), (vec![attempt(1, None, 3000)], 2000)] {
            let live = LiveAttempt {
                number: 1,
                environment: "ce".into(),
                placed_at: millis(5000),
                order: 1,
                tasks: Vec::new(),
                stopping: None,
            };
            let starting = Job { live: Some(Box::new(live)), ..job(Status::Starting, past) };
            let what = What::Placed(Duration::from_millis(waited));
            let expected = Observation { queue: "q".into(), environment: "ce".into(), what };
            assert_eq!(observe(&[emit(starting)]), [expected]);
        }
    }

    #[test]
    fn an_attempt_ends_once() {
        let ran = || vec![attempt(1, Some(2000), 5000)];
        for (effects, expected) in [
            (vec![forget(1), emit(job(Status::Succeeded, ran()))], Some((Some(3000), End::Succeeded))),
            (vec![forget(1), emit(job(Status::Failed, ran()))], Some((Some(3000), End::Failed))),
            (vec![forget(1), emit(job(Status::Runnable, vec![attempt(1, None, 9)]))], Some((None, End::Retried))),
            // Cancelled while it waits to be tried again.
            (vec![emit(job(Status::Failed, ran()))], None),
            (vec![forget(2), emit(job(Status::Failed, ran()))], None),
            (vec![forget(1), emit(job(Status::Running, vec![]))], None),
        ] {
            let seen: Vec<What> = observe(&effects).into_iter().map(|observation| observation.what).collect();
            let expected = expected.map(|(ran, end)| What::Ended(ran.map(Duration::from_millis), end));
            assert_eq!(seen, Vec::from_iter(expected), "{effects:?}");
        }
    }

    #[test]
    fn the_meter_adds_up() {
        let meter = Meter::default();
        meter.add(observe(&[forget(1), emit(job(Status::Succeeded, vec![attempt(1, Some(2000), 5000)]))]));
        meter.add(observe(&[forget(1), emit(job(Status::Runnable, vec![attempt(1, None, 5000)]))]));
        let totals = &meter.totals()[&("q".into(), "ce".into())];
        assert_eq!((totals.succeeded, totals.retried, totals.failed), (1, 1, 0));
        assert_eq!((totals.runs.count(), totals.waits.count()), (1, 0));
    }
}
