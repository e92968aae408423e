//! A virtual engine: tasks end when and how they were told to beforehand.

use crate::core::{Event, Memory, Outcome, TaskId};
use barge_core::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// How a task goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// From launch to the container's start.
    pub start_after: Duration,
    /// From the container's start to its end.
    pub lasts: Duration,
    /// How it ends.
    pub ends: Outcome,
}

impl Run {
    /// Starts at once, runs for `seconds`, exits with `code`.
    pub fn exits(seconds: u64, code: i32) -> Self {
        Self { start_after: Duration::ZERO, lasts: Duration::from_secs(seconds), ends: Outcome::exited(code) }
    }

    /// Never starts.
    pub fn fails_to_start(reason: &str) -> Self {
        Self { ends: Outcome::FailedToStart(reason.into()), ..Self::exits(0, 0) }
    }

    /// Is killed for its memory after a second.
    pub fn exceeds_memory() -> Self {
        let ends = Outcome::Exited { code: 137, memory: Memory::Exceeded, containers: Vec::new() };
        Self { ends, ..Self::exits(1, 0) }
    }
}

/// What the engine will report, in order of time.
#[derive(Debug, Default)]
pub(super) struct Engine {
    agenda: BTreeMap<(Timestamp, u64), Event>,
    next: u64,
    /// When the end of each running task is on the agenda.
    ends: HashMap<TaskId, (Timestamp, u64)>,
    launched: HashSet<TaskId>,
}

impl Engine {
    /// Takes a task.
    ///
    /// # Panics
    /// Where it was launched before.
    pub(super) fn launch(&mut self, task: TaskId, now: Timestamp, run: Run) {
        assert!(self.launched.insert(task), "task {task} is launched twice");
        let start = now + run.start_after;
        if matches!(run.ends, Outcome::Exited { .. }) {
            self.plan(start, Event::TaskStarted { task, at: start });
        }
        let at = start + run.lasts;
        let end = self.plan(at, Event::TaskEnded { task, at, outcome: run.ends });
        self.ends.insert(task, end);
    }

    /// Whether it was launched.
    pub(super) fn knows(&self, task: TaskId) -> bool {
        self.launched.contains(&task)
    }

    /// Ends a task a second from now, as SIGTERM does.
    pub(super) fn stop(&mut self, task: TaskId, now: Timestamp) {
        self.end_early(task, now + Duration::from_secs(1), Outcome::exited(143));
    }

    /// Loses a task: nobody knows how it ended.
    pub(super) fn lose(&mut self, task: TaskId, now: Timestamp) {
        self.end_early(task, now, Outcome::Lost("Host EC2 (instance i-0) terminated.".into()));
    }

    fn end_early(&mut self, task: TaskId, at: Timestamp, outcome: Outcome) {
        if let Some(end) = self.ends.get(&task).copied().filter(|end| end.0 > at) {
            self.agenda.remove(&end);
            let end = self.plan(at, Event::TaskEnded { task, at, outcome });
            self.ends.insert(task, end);
        }
    }

    pub(super) fn forget(&mut self, task: TaskId) {
        self.ends.remove(&task);
    }

    /// Tells again what it told of tasks that have ended and were not forgotten.
    pub(super) fn running(&self) -> impl Iterator<Item = TaskId> {
        self.ends.keys().copied()
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn take_next(&mut self) -> Option<Event> {
        self.agenda.pop_first().map(|(_, event)| event)
    }

    fn plan(&mut self, at: Timestamp, event: Event) -> (Timestamp, u64) {
        self.next += 1;
        self.agenda.insert((at, self.next), event);
        (at, self.next)
    }
}
