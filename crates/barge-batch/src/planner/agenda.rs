//! What will happen in the virtual world, in order of time; at one moment, in the order in which it was planned.
//!
//! What is planned otherwise later stays where it is and is passed over when its time comes: a plan counts only while its
//! number is the one that the task remembers.

use crate::core::{EnvironmentId, InstanceId, TaskId};
use barge_core::Timestamp;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

/// From the request to stop until the container has ended.
const STOPPING: Duration = Duration::from_secs(1);
/// The exit code of a container that SIGTERM ended.
pub(super) const TERMINATED: i32 = 143;

/// How a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this code.
    Exit(i32),
    /// As this attempt did that was measured.
    Measured(u32),
}

/// How a task will go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// From placement to the container's start.
    pub(super) start_after: Duration,
    /// From the start to the end.
    pub(super) lasts: Duration,
    /// How it ends.
    pub(super) end: End,
    /// From placement until Spot takes it, where that comes before its end.
    pub(super) interrupted_after: Option<Duration>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The task's container runs.
    Started(TaskId),
    /// The task has ended.
    Ended { task: TaskId, placed_at: Timestamp, end: End },
    /// Spot takes the task.
    Interrupted(TaskId),
    /// Spot takes the instance, if it is still there.
    InstanceInterrupted(EnvironmentId, InstanceId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Started(u32),
    Ended(u32),
    Interrupted(u32),
    Instance(u32),
}

/// A task that was launched and has not ended.
#[derive(Clone, Copy, Debug)]
struct Slot {
    task: TaskId,
    placed_at: Timestamp,
    ends: End,
    /// The plans that count.
    start: u64,
    end: u64,
    interruption: u64,
    ends_at: Timestamp,
}

/// What will happen.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(Timestamp, u64, What)>>,
    planned: u64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_task: HashMap<TaskId, u32>,
    instances: Vec<(EnvironmentId, InstanceId)>,
}

impl Agenda {
    /// Launches a task.
    pub(super) fn launch(&mut self, task: TaskId, now: Timestamp, course: Course) {
        let index = self.free.pop().unwrap_or_else(|| u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let starts_at = now + course.start_after;
        let ends_at = starts_at + course.lasts;
        let start = self.plan(starts_at, What::Started(index));
        let end = self.plan(ends_at, What::Ended(index));
        let interruption = course.interrupted_after.map_or(0, |after| self.plan(now + after, What::Interrupted(index)));
        let slot = Slot { task, placed_at: now, ends: course.end, start, end, interruption, ends_at };
        match self.slots.get_mut(index as usize) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.by_task.insert(task, index);
    }

    /// Plans an instance's interruption.
    pub(super) fn interrupt(&mut self, at: Timestamp, environment: EnvironmentId, instance: InstanceId) {
        let index = u32::try_from(self.instances.len()).unwrap_or(u32::MAX);
        self.instances.push((environment, instance));
        self.plan(at, What::Instance(index));
    }

    /// Asks a task to stop.
    pub(super) fn stop(&mut self, task: TaskId, now: Timestamp) {
        let Some(index) = self.by_task.get(&task).copied() else { return };
        let at = now + STOPPING;
        if self.slots[index as usize].ends_at <= at {
            return;
        }
        let end = self.plan(at, What::Ended(index));
        let slot = &mut self.slots[index as usize];
        (slot.end, slot.ends_at, slot.ends) = (end, at, End::Exit(TERMINATED));
    }

    /// How many tasks have not ended.
    pub(super) fn running(&self) -> usize {
        self.by_task.len()
    }

    /// When something happens next.
    pub(super) fn next_at(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((at, number, what))) = self.heap.peek().copied() {
            if self.counts(number, what) {
                return Some(at);
            }
            self.heap.pop();
        }
        None
    }

    /// What happens next; call [`Self::next_at`] before.
    pub(super) fn take_next(&mut self) -> Option<News> {
        let Reverse((_, _, what)) = self.heap.pop()?;
        Some(match what {
            What::Started(index) => {
                let slot = &mut self.slots[index as usize];
                slot.start = 0;
                News::Started(slot.task)
            }
            What::Interrupted(index) => {
                let slot = &mut self.slots[index as usize];
                slot.interruption = 0;
                News::Interrupted(slot.task)
            }
            What::Ended(index) => {
                let slot = self.slots[index as usize];
                let forgotten = &mut self.slots[index as usize];
                (forgotten.start, forgotten.end, forgotten.interruption) = (0, 0, 0);
                self.by_task.remove(&slot.task);
                self.free.push(index);
                News::Ended { task: slot.task, placed_at: slot.placed_at, end: slot.ends }
            }
            What::Instance(index) => {
                let (environment, instance) = self.instances[index as usize].clone();
                News::InstanceInterrupted(environment, instance)
            }
        })
    }

    fn counts(&self, number: u64, what: What) -> bool {
        let slot = |index: u32| &self.slots[index as usize];
        match what {
            What::Started(index) => slot(index).start == number,
            What::Ended(index) => slot(index).end == number,
            What::Interrupted(index) => slot(index).interruption == number,
            What::Instance(_) => true,
        }
    }

    fn plan(&mut self, at: Timestamp, what: What) -> u64 {
        self.planned += 1;
        self.heap.push(Reverse((at, self.planned, what)));
        self.planned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{AttemptId, JobId};

    fn task(job: u128) -> TaskId {
        AttemptId { job: JobId::new(job), number: 1 }.task(0)
    }

    fn course(start: u64, lasts: u64) -> Course {
        let (start_after, lasts) = (Duration::from_secs(start), Duration::from_secs(lasts));
        Course { start_after, lasts, end: End::Exit(0), interrupted_after: None }
    }

    fn everything(agenda: &mut Agenda) -> Vec<(i64, News)> {
        let mut all = Vec::new();
        while let Some(at) = agenda.next_at() {
            all.push((at.millis() / 1000, agenda.take_next().unwrap()));
        }
        all
    }

    #[test]
    fn tasks_start_and_end_in_their_time() {
        let mut agenda = Agenda::default();
        let zero = Timestamp::from_millis(0);
        agenda.launch(task(1), zero, course(2, 10));
        agenda.launch(task(2), zero, course(0, 5));
        let ended = |job, code| News::Ended { task: task(job), placed_at: zero, end: End::Exit(code) };
        let expected = [(0, News::Started(task(2))), (2, News::Started(task(1))), (5, ended(2, 0)), (12, ended(1, 0))];
        assert_eq!(everything(&mut agenda), expected);
        assert_eq!(agenda.running(), 0);
    }

    #[test]
    fn a_stopped_task_ends_a_second_later_unless_it_ends_before() {
        let mut agenda = Agenda::default();
        let zero = Timestamp::from_millis(0);
        agenda.launch(task(1), zero, course(0, 10));
        agenda.launch(task(2), zero, course(0, 1));
        agenda.stop(task(1), zero);
        agenda.stop(task(2), zero);
        let ends = everything(&mut agenda).split_off(2);
        let ended = |job, code| News::Ended { task: task(job), placed_at: zero, end: End::Exit(code) };
        assert_eq!(ends, [(1, ended(2, 0)), (1, ended(1, 143))]);
    }

    #[test]
    fn what_was_planned_for_a_task_that_has_ended_does_not_happen_to_the_next() {
        let mut agenda = Agenda::default();
        let zero = Timestamp::from_millis(0);
        let interrupted_after = Some(Duration::from_secs(7));
        agenda.launch(task(1), zero, Course { interrupted_after, ..course(0, 10) });
        agenda.stop(task(1), zero);
        assert!(agenda.next_at().is_some());
        agenda.take_next();
        assert_eq!(agenda.next_at(), Some(Timestamp::from_millis(1000)));
        agenda.take_next();
        let second = Timestamp::from_millis(1000);
        agenda.launch(task(2), second, course(0, 20));
        let all: Vec<i64> = everything(&mut agenda).into_iter().map(|(at, _)| at).collect();
        assert_eq!(all, [1, 21]);
    }
}
