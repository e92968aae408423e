//! How attempts went that were measured: kept small, since there may be millions.

use super::distribution::millis;
use crate::core::{Memory, Outcome, Reason};
use crate::history::{Ending, PastRun};
use std::time::Duration;

/// The time that an attempt outlasts its timeout by, so that it is the timeout that ends it.
const BEYOND_TIMEOUT: Duration = Duration::from_mins(1);
/// SIGTERM's and SIGKILL's exit code, for an attempt that is ended from outside.
const KILLED: i32 = 137;

/// The attempts of jobs and of arrays' children: each has a number, those of an array's children one after the other.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Where the attempts of each begin; the next one's begin is its end.
    begins: Vec<u32>,
    attempts: Vec<Attempt>,
    /// Reasons, each once for each attempt that has one: few have.
    reasons: Vec<Reason>,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    lasts: Duration,
    end: End,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Running,
    Exits(i32),
    ExceedsMemory(i32),
    NotStarted(u32),
    Lost(u32),
    Stopped,
}

/// How a task ends, as the scheduler is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// By itself.
    Ends(Outcome),
    /// Because someone ends its job.
    Stopped,
}

impl Measured {
    /// Adds the attempts of a job or a child; gives its number. What Spot interrupted is left out: a plan has its own
    /// interruptions.
    pub(super) fn add(&mut self, runs: &[PastRun]) -> u32 {
        let number = index(self.begins.len());
        self.begins.push(index(self.attempts.len()));
        for run in runs {
            let mut lasts = millis(run.seconds);
            let end = match &run.ending {
                Ending::Interrupted => continue,
                Ending::Running => End::Running,
                Ending::Exited(code) => End::Exits(*code),
                Ending::OutOfMemory(code) => End::ExceedsMemory(*code),
                Ending::NotStarted(reason) => End::NotStarted(self.reason(reason)),
                Ending::Lost(reason) => End::Lost(self.reason(reason)),
                Ending::Stopped => End::Stopped,
                Ending::TimedOut => {
                    lasts += BEYOND_TIMEOUT;
                    End::Exits(KILLED)
                }
            };
            self.attempts.push(Attempt { lasts, end });
        }
        number
    }

    fn reason(&mut self, reason: &Reason) -> u32 {
        self.reasons.push(reason.clone());
        index(self.reasons.len() - 1)
    }

    fn of(&self, number: u32) -> std::ops::Range<usize> {
        let at = |number: usize| self.begins.get(number).map_or(self.attempts.len(), |begin| *begin as usize);
        at(number as usize)..at(number as usize + 1)
    }

    /// Has what still runs succeed after `typical`, or now where it has run for longer.
    pub(super) fn go_on(&mut self, number: u32, typical: Duration) {
        let range = self.of(number);
        for attempt in self.attempts[range].iter_mut().filter(|attempt| attempt.end == End::Running) {
            *attempt = Attempt { lasts: attempt.lasts.max(typical), end: End::Exits(0) };
        }
    }

    /// The attempt of a job or child, `before` others having gone before it, and how long it lasts; `None` where so many were not
    /// measured.
    pub(super) fn attempt(&self, number: u32, before: usize) -> Option<(u32, Duration)> {
        let at = self.of(number).nth(before)?;
        Some((index(at), self.attempts[at].lasts))
    }

    /// How an attempt ends.
    pub(super) fn fate(&self, attempt: u32) -> Fate {
        let reason = |number: u32| self.reasons[number as usize].clone();
        Fate::Ends(match self.attempts[attempt as usize].end {
            End::Stopped => return Fate::Stopped,
            End::Running => Outcome::exited(0),
            End::Exits(code) => Outcome::exited(code),
            End::ExceedsMemory(code) => Outcome::Exited { code, memory: Memory::Exceeded, containers: Vec::new() },
            End::NotStarted(number) => Outcome::FailedToStart(reason(number)),
            End::Lost(number) => Outcome::Lost(reason(number)),
        })
    }
}

fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seconds: u32, ending: Ending) -> PastRun {
        PastRun { seconds: seconds.into(), ending }
    }

    #[test]
    fn attempts_go_as_they_went() {
        let mut measured = Measured::default();
        let first = measured.add(&[
            run(1, Ending::Interrupted),
            run(2, Ending::Exited(3)),
            run(4, Ending::NotStarted("no image".into())),
            run(5, Ending::OutOfMemory(137)),
            run(60, Ending::TimedOut),
            run(6, Ending::Lost("gone".into())),
            run(7, Ending::Stopped),
        ]);
        let none = measured.add(&[]);
        let running = measured.add(&[run(8, Ending::Running)]);
        measured.go_on(running, Duration::from_secs(30));
        let long = measured.add(&[run(80, Ending::Running)]);
        measured.go_on(long, Duration::from_secs(30));
        let memory = Outcome::Exited { code: 137, memory: Memory::Exceeded, containers: Vec::new() };
        for (number, before, expected) in [
            (first, 0, Some((2, Fate::Ends(Outcome::exited(3))))),
            (first, 1, Some((4, Fate::Ends(Outcome::FailedToStart("no image".into()))))),
            (first, 2, Some((5, Fate::Ends(memory)))),
            (first, 3, Some((120, Fate::Ends(Outcome::exited(137))))),
            (first, 4, Some((6, Fate::Ends(Outcome::Lost("gone".into()))))),
            (first, 5, Some((7, Fate::Stopped))),
            (first, 6, None),
            (none, 0, None),
            (running, 0, Some((30, Fate::Ends(Outcome::exited(0))))),
            (long, 0, Some((80, Fate::Ends(Outcome::exited(0))))),
        ] {
            let found = measured.attempt(number, before);
            let found = found.map(|(attempt, lasts)| (lasts.as_secs(), measured.fate(attempt)));
            assert_eq!(found, expected, "{number} {before}");
        }
    }
}
