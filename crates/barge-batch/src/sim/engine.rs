//! A virtual engine: attempts end when and how they were told to beforehand.

use crate::core::{AttemptId, Event, Memory, Outcome};
use barge_core::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// How one attempt of a job will go.
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
        let ends = Outcome::Exited { code, memory: Memory::Within };
        Self { start_after: Duration::ZERO, lasts: Duration::from_secs(seconds), ends }
    }

    /// Never starts.
    pub fn fails_to_start(reason: &str) -> Self {
        Self { ends: Outcome::FailedToStart(reason.into()), ..Self::exits(0, 0) }
    }
}

/// What the engine will report, in order of time.
#[derive(Debug, Default)]
pub(super) struct Engine {
    agenda: BTreeMap<(Timestamp, u64), Event>,
    next: u64,
    /// When the end of each running attempt is on the agenda.
    ends: HashMap<AttemptId, (Timestamp, u64)>,
    launched: HashSet<AttemptId>,
}

impl Engine {
    /// Takes an attempt.
    ///
    /// # Panics
    /// Where it was launched before.
    pub(super) fn launch(&mut self, attempt: AttemptId, now: Timestamp, run: Run) {
        assert!(self.launched.insert(attempt), "attempt {attempt} is launched twice");
        let start = now + run.start_after;
        if !matches!(run.ends, Outcome::FailedToStart(_)) {
            self.plan(start, Event::AttemptStarted { attempt, at: start });
        }
        let at = start + run.lasts;
        let end = self.plan(at, Event::AttemptEnded { attempt, at, outcome: run.ends });
        self.ends.insert(attempt, end);
    }

    /// Ends an attempt a second from now, as SIGTERM does.
    pub(super) fn stop(&mut self, attempt: AttemptId, now: Timestamp) {
        let soon = now + Duration::from_secs(1);
        if let Some(end) = self.ends.get(&attempt).copied().filter(|end| end.0 > soon) {
            self.agenda.remove(&end);
            let outcome = Outcome::Exited { code: 143, memory: Memory::Within };
            let end = self.plan(soon, Event::AttemptEnded { attempt, at: soon, outcome });
            self.ends.insert(attempt, end);
        }
    }

    pub(super) fn forget(&mut self, attempt: AttemptId) {
        self.ends.remove(&attempt);
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
