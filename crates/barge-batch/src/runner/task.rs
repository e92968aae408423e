//! What becomes of a task, from where each of its containers stands: which to start next, which to stop, and when and
//! how it is over. Pure, and without memory beyond the containers' own states: after a restart the same decisions follow
//! from what the engine still knows.
//!
//! A container starts when all that it depends on has happened (API Reference, "TaskContainerDependency"). The task ends
//! - when an essential container ends: its end is the task's, and the first one's where several do;
//! - when a container waits for what can't happen any more: the container that it waits for decided the end;
//! - when a container was lost while others had not started: nobody knows whether they should;
//! - when it is stopped, or no container is left.
//!
//! The others are stopped in the reverse order of their dependencies: a container only when none that depends on it
//! lives (ECS Developer Guide, "Container dependency"). Nothing is started in a task that ends.

mod progress;
#[cfg(test)]
mod tests;

pub(super) use progress::Progress;

use super::{Condition, ContainerSpec, Essential};
use crate::core::lifecycle::OUT_OF_MEMORY;
use crate::core::{ContainerEnd, Memory, Name, Outcome, Reason};
use barge_core::Timestamp;

/// Which containers there are, and what each waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: Name,
    essential: Essential,
    depends_on: Vec<(usize, Condition)>,
}

/// Where a container stands. Later variants follow earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has started it.
    Waiting,
    /// It was handed to the engine.
    Launching,
    /// It runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It is over.
    Ended(End),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// When it started, where it did.
    pub(super) started: Option<Timestamp>,
    /// When it ended.
    pub(super) at: Timestamp,
    /// What is known of its end.
    pub(super) how: How,
    /// Who wanted it.
    pub(super) by: By,
}

/// What is known of a container's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Its exit code, and whether it was killed for its memory.
    Exited(i32, Memory),
    /// It never ran.
    NotStarted(Reason),
    /// Nobody saw it end.
    Lost(Reason),
}

/// Who wanted a container's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// Nobody: it ended by itself.
    Itself,
    /// It was told to stop: its task is being ended.
    Stop,
}

/// Whether somebody asked for the task's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nobody has.
    GoOn,
    /// It shall stop.
    Stop,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Containers to be started.
    pub(super) launch: Vec<usize>,
    /// Containers to be stopped.
    pub(super) stop: Vec<usize>,
}

impl Step {
    pub(super) fn is_empty(&self) -> bool {
        self.launch.is_empty() && self.stop.is_empty()
    }
}

/// What ends a task by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cause {
    /// The container whose end it is.
    of: usize,
    kind: CauseKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CauseKind {
    /// Its end is the task's.
    Decides,
    /// Nobody knows what should follow.
    Unknown,
}

impl Stage {
    fn is_living(&self) -> bool {
        matches!(self, Self::Launching | Self::Running { .. })
    }

    fn started(&self) -> Option<Timestamp> {
        match self {
            Self::Waiting | Self::Launching => None,
            Self::Running { since } => Some(*since),
            Self::Ended(end) => end.started,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Launching => 1,
            Self::Running { .. } => 2,
            Self::Ended(_) => 3,
        }
    }
}

/// What a dependency comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    Yes,
    NotYet,
    Never,
}

fn met(condition: Condition, stage: &Stage) -> Met {
    match stage {
        Stage::Running { .. } if condition == Condition::Start => Met::Yes,
        Stage::Waiting | Stage::Launching | Stage::Running { .. } => Met::NotYet,
        Stage::Ended(End { how: How::NotStarted(_), .. }) => Met::Never,
        Stage::Ended(End { how: How::Exited(0, _), .. }) => Met::Yes,
        Stage::Ended(_) if condition == Condition::Success => Met::Never,
        Stage::Ended(_) => Met::Yes,
    }
}

impl Plan {
    /// The plan of these containers.
    ///
    /// # Errors
    /// In words for people, where there are none, two have one name, one depends on what is not there, or they wait for
    /// each other.
    pub(super) fn new(containers: &[ContainerSpec]) -> Result<Self, String> {
        let position = |name: &str| containers.iter().position(|container| container.name == name);
        let mut parts = Vec::with_capacity(containers.len());
        for (i, container) in containers.iter().enumerate() {
            let name = &container.name;
            if position(name) != Some(i) {
                return Err(format!("container {name} is defined twice"));
            }
            let mut depends_on = Vec::with_capacity(container.depends_on.len());
            for dependency in &container.depends_on {
                let other = &dependency.container;
                let unknown = || format!("container {name} depends on {other}, which is not in the task");
                depends_on.push((position(other).ok_or_else(unknown)?, dependency.condition));
            }
            parts.push(Part { name: name.as_str().into(), essential: container.essential, depends_on });
        }
        let plan = Self { parts };
        match plan.parts.len() {
            0 => Err("the task has no containers".to_owned()),
            _ if plan.has_cycle() => Err("the task's containers wait for each other".to_owned()),
            _ => Ok(plan),
        }
    }

    /// How many containers there are.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    fn has_cycle(&self) -> bool {
        let mut placed = vec![false; self.parts.len()];
        loop {
            let free = |(i, part): (usize, &Part)| {
                (!placed[i] && part.depends_on.iter().all(|(other, _)| placed[*other])).then_some(i)
            };
            match self.parts.iter().enumerate().find_map(free) {
                Some(i) => placed[i] = true,
                None => return placed.contains(&false),
            }
        }
    }

    /// What is to be done where containers stand like this.
    fn next(&self, stages: &[Stage], wish: Wish) -> Step {
        let living = |i: usize| stages[i].is_living();
        let all = 0..self.parts.len();
        if self.is_ending(stages, wish) {
            let needed =
                |i: usize| all.clone().any(|j| living(j) && self.parts[j].depends_on.iter().any(|(on, _)| *on == i));
            let stop = all.clone().filter(|i| living(*i) && !needed(*i)).collect();
            return Step { launch: Vec::new(), stop };
        }
        let ready = |i: usize| self.dependencies(i, stages).all(|(_, met)| met == Met::Yes);
        let launch = all.filter(|i| stages[*i] == Stage::Waiting && ready(*i)).collect();
        Step { launch, stop: Vec::new() }
    }

    fn dependencies(&self, i: usize, stages: &[Stage]) -> impl Iterator<Item = (usize, Met)> {
        self.parts[i].depends_on.iter().map(|(on, condition)| (*on, met(*condition, &stages[*on])))
    }

    fn is_ending(&self, stages: &[Stage], wish: Wish) -> bool {
        let stopped = stages.iter().any(|stage| matches!(stage, Stage::Ended(End { by: By::Stop, .. })));
        wish == Wish::Stop || stopped || self.cause(stages).is_some()
    }

    /// What ended the task first: of its own accord before by a stop, then by time.
    fn cause(&self, stages: &[Stage]) -> Option<Cause> {
        let waiting: Vec<usize> = (0..stages.len()).filter(|i| stages[*i] == Stage::Waiting).collect();
        let causes = stages.iter().enumerate().filter_map(|(of, stage)| {
            let Stage::Ended(end) = stage else { return None };
            let blocks = |i: &usize| self.dependencies(*i, stages).any(|(on, met)| on == of && met == Met::Never);
            let kind = if self.parts[of].essential == Essential::Yes || waiting.iter().any(blocks) {
                CauseKind::Decides
            } else if matches!(end.how, How::Lost(_)) && !waiting.is_empty() {
                CauseKind::Unknown
            } else {
                return None;
            };
            Some(((end.by, end.at, of), Cause { of, kind }))
        });
        causes.min_by_key(|(order, _)| *order).map(|(_, cause)| cause)
    }

    /// When and how the task ended, where it is over. The time is missing where none of it was ever started.
    fn over(&self, stages: &[Stage], wish: Wish) -> Option<(Option<Timestamp>, Outcome)> {
        let step = self.next(stages, wish);
        if stages.iter().any(Stage::is_living) || !step.is_empty() {
            return None;
        }
        let at = ends(stages).map(|end| end.at).max();
        let outcome = match self.cause(stages).map(|cause| &stages[cause.of]) {
            Some(Stage::Ended(end)) => self.outcome(end, stages),
            _ => self.outcome_without_cause(stages),
        };
        Some((at, outcome))
    }

    fn outcome(&self, end: &End, stages: &[Stage]) -> Outcome {
        match &end.how {
            How::Exited(code, memory) => {
                Outcome::Exited { code: *code, memory: *memory, containers: self.container_ends(stages) }
            }
            How::NotStarted(reason) => Outcome::FailedToStart(reason.clone()),
            How::Lost(reason) => Outcome::Lost(reason.clone()),
        }
    }

    /// The end of a task that no container decided: it was stopped before an essential one ended, or has none.
    fn outcome_without_cause(&self, stages: &[Stage]) -> Outcome {
        let failed = ends(stages).find(|end| matches!(end.how, How::Exited(code, _) if code != 0));
        let exited = || ends(stages).find(|end| matches!(end.how, How::Exited(..)));
        match failed.or_else(exited).or_else(|| ends(stages).next()) {
            Some(end) => self.outcome(end, stages),
            None => Outcome::FailedToStart("TaskFailedToStart: it was stopped before it started".into()),
        }
    }

    fn container_ends(&self, stages: &[Stage]) -> Vec<ContainerEnd> {
        if self.parts.len() == 1 {
            return Vec::new();
        }
        let end = |(i, part): (usize, &Part)| {
            let (exit_code, reason) = match &stages[i] {
                Stage::Ended(End { how: How::Exited(code, memory), .. }) => {
                    let out_of_memory = *memory == Memory::Exceeded && *code != 0;
                    (Some(*code), out_of_memory.then(|| OUT_OF_MEMORY.into()))
                }
                Stage::Ended(End { how: How::NotStarted(reason) | How::Lost(reason), .. }) => {
                    (None, Some(reason.clone()))
                }
                Stage::Waiting => (None, self.never_started(i, stages)),
                Stage::Launching | Stage::Running { .. } => (None, None),
            };
            ContainerEnd { name: part.name.clone(), exit_code, reason }
        };
        self.parts.iter().enumerate().map(end).collect()
    }

    fn never_started(&self, i: usize, stages: &[Stage]) -> Option<Reason> {
        let blocked = self.dependencies(i, stages).find(|(_, met)| *met == Met::Never);
        blocked.map(|(on, _)| {
            format!("Container was not started: its dependency on container {} can't be met", self.parts[on].name)
                .into()
        })
    }
}

fn ends(stages: &[Stage]) -> impl Iterator<Item = &End> {
    stages.iter().filter_map(|stage| match stage {
        Stage::Ended(end) => Some(end),
        _ => None,
    })
}
