//! A task under way: where its containers stand, what was asked of it, and what of it was told already. Pure.

use super::{Plan, Stage, Step, Wish};
use crate::runner::Happening;
use barge_core::Timestamp;

/// How far a task is, and what of it was told.
#[derive(Clone, Debug)]
pub(in crate::runner) struct Progress {
    pub(super) stages: Vec<Stage>,
    wish: Wish,
    /// Containers that were told to stop.
    told_to_stop: Vec<usize>,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Started,
    Ended,
}

impl Progress {
    /// A task none of whose containers is known.
    pub(in crate::runner) fn new(plan: &Plan) -> Self {
        Self {
            stages: vec![Stage::Waiting; plan.len()],
            wish: Wish::GoOn,
            told_to_stop: Vec::new(),
            told: Told::Nothing,
        }
    }

    /// Takes news of a container; news that is older than what is known does nothing.
    pub(in crate::runner) fn note(&mut self, container: usize, stage: Stage) {
        if let Some(known) = self.stages.get_mut(container)
            && known.rank() < stage.rank()
        {
            *known = stage;
        }
    }

    /// Somebody asked for the task's end.
    pub(in crate::runner) fn wish_stop(&mut self) {
        self.wish = Wish::Stop;
    }

    /// What is to be done now.
    pub(in crate::runner) fn pending(&self, plan: &Plan) -> Step {
        let mut step = plan.next(&self.stages, self.wish);
        step.stop.retain(|container| !self.told_to_stop.contains(container));
        step
    }

    /// What is to be done now; it counts as done.
    pub(in crate::runner) fn step(&mut self, plan: &Plan) -> Step {
        let step = self.pending(plan);
        for container in &step.launch {
            self.note(*container, Stage::Launching);
        }
        self.told_to_stop.extend(&step.stop);
        step
    }

    /// What has happened to the task and was not told, with the times that are known; it counts as told.
    pub(in crate::runner) fn news(&mut self, plan: &Plan) -> Vec<(Option<Timestamp>, Happening)> {
        let mut news = Vec::new();
        if self.told < Told::Started
            && let Some(since) = self.stages.iter().filter_map(Stage::started).min()
        {
            self.told = Told::Started;
            news.push((Some(since), Happening::Started));
        }
        if self.told < Told::Ended
            && let Some((at, outcome)) = plan.over(&self.stages, self.wish)
        {
            self.told = Told::Ended;
            news.push((at, Happening::Ended(outcome)));
        }
        news
    }

    /// Everything is to be told once more.
    pub(in crate::runner) fn tell_again(&mut self) {
        self.told = Told::Nothing;
    }
}
