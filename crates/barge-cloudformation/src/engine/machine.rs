//! A stack's life as a state machine: what happened goes in, what to do and what to say comes out. Pure: no clock, no
//! store, no provider, no values. The same machine is rebuilt from stored states after a restart.

use crate::template::RemovalPolicy;
use barge_wire::cloudformation::{ResourceStatus, StackStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where a resource is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Not begun.
    Waiting,
    /// Its creation is under way.
    Creating,
    /// It is there.
    Exists,
    /// Its creation failed and left nothing.
    Absent,
    /// Its deletion is under way.
    Deleting,
    /// It was deleted.
    Gone,
    /// Its deletion failed.
    Stuck,
    /// It stays and has left the stack.
    Kept,
}

/// What a failed creation leads to (CreateStack's `OnFailure`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OnFailure {
    #[default]
    Rollback,
    Delete,
    DoNothing,
}

/// Why resources are being removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Removal {
    /// The creation failed and is undone; the stack stays.
    Rollback,
    /// The creation failed and the stack goes with it.
    FailedCreation,
    /// The user asked.
    Delete,
}

/// What follows when no creation is under way any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum After {
    Stop,
    Remove(Removal),
}

/// Where the stack is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Creating,
    /// No creation starts any more; those under way are waited for, because only a finished one can be undone.
    Draining(After),
    Removing(Removal),
    Settled,
}

/// A resource as the machine sees it. Nodes are known by their positions.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) logical_id: String,
    pub(crate) dependencies: Vec<usize>,
    pub(crate) policy: RemovalPolicy,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) nodes: Vec<Node>,
    dependents: Vec<Vec<usize>>,
    pub(crate) phase: Phase,
    pub(crate) on_failure: OnFailure,
    /// Logical ids of what failed to create, or was cancelled, in that order.
    pub(crate) failed: Vec<String>,
    /// Why the creation failed, where no resource did.
    pub(crate) cause: Option<String>,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The stack is to be made.
    Start,
    /// The server started again.
    Resume,
    Created(usize),
    CreateFailed(usize, String),
    /// The outputs have values, or the reason why not.
    Outputs(Result<(), String>),
    TimedOut,
    /// The stack is to go; the named resources stay.
    Delete(BTreeSet<String>),
    Deleted(usize),
    DeleteFailed(usize, String),
}

/// What to do, and what to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Create(usize),
    Delete(usize),
    EvaluateOutputs,
    Resource(usize, ResourceStatus, Option<String>),
    Stack(StackStatus, Option<String>),
}

const USER: &str = "User Initiated";

impl Machine {
    /// The machine that was in these states.
    pub(crate) fn restored(
        nodes: Vec<Node>,
        on_failure: OnFailure,
        phase: Phase,
        failed: Vec<String>,
        cause: Option<String>,
    ) -> Self {
        let mut dependents = vec![Vec::new(); nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            for &dependency in &node.dependencies {
                dependents[dependency].push(index);
            }
        }
        Self { nodes, dependents, phase, on_failure, failed, cause }
    }

    /// Whether nothing is left to do.
    pub(crate) fn settled(&self) -> bool {
        self.phase == Phase::Settled
    }

    /// Takes one input.
    pub(crate) fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        if self.stale(&input) {
            return out;
        }
        match input {
            Input::Start => {
                out.push(Effect::Stack(StackStatus::CreateInProgress, Some(USER.to_owned())));
                self.launch(&mut out);
            }
            Input::Resume => self.resume(&mut out),
            Input::Created(index) => self.created(index, &mut out),
            Input::CreateFailed(index, reason) => self.create_failed(index, reason, &mut out),
            Input::Outputs(Ok(())) => {
                self.phase = Phase::Settled;
                out.push(Effect::Stack(StackStatus::CreateComplete, None));
            }
            Input::Outputs(Err(reason)) => self.fail(reason, &mut out),
            Input::TimedOut if self.phase == Phase::Creating => {
                self.fail("Stack creation time exceeded the specified timeout".to_owned(), &mut out);
            }
            Input::TimedOut => {}
            Input::Delete(keep) => self.delete(&keep, &mut out),
            Input::Deleted(index) => {
                self.nodes[index].state = State::Gone;
                out.push(Effect::Resource(index, ResourceStatus::DeleteComplete, None));
                self.remove(&mut out);
            }
            Input::DeleteFailed(index, reason) => {
                self.nodes[index].state = State::Stuck;
                out.push(Effect::Resource(index, ResourceStatus::DeleteFailed, Some(reason)));
                self.remove(&mut out);
            }
        }
        out
    }

    /// Whether the input is the end of a call whose resource has moved on: a call made again after a restart ends twice.
    fn stale(&self, input: &Input) -> bool {
        let is = |index: &usize, state| self.nodes[*index].state == state;
        match input {
            Input::Created(index) | Input::CreateFailed(index, _) => !is(index, State::Creating),
            Input::Deleted(index) | Input::DeleteFailed(index, _) => !is(index, State::Deleting),
            _ => false,
        }
    }

    fn any(&self, state: State) -> bool {
        self.nodes.iter().any(|node| node.state == state)
    }

    fn resume(&mut self, out: &mut Vec<Effect>) {
        for (index, node) in self.nodes.iter().enumerate() {
            match node.state {
                State::Creating => out.push(Effect::Create(index)),
                State::Deleting => out.push(Effect::Delete(index)),
                _ => {}
            }
        }
        match self.phase {
            Phase::Creating => self.launch(out),
            Phase::Draining(_) => self.drained(out),
            Phase::Removing(_) => self.remove(out),
            Phase::Settled => {}
        }
    }

    /// Starts every creation whose dependencies exist.
    fn launch(&mut self, out: &mut Vec<Effect>) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let ready = node.dependencies.iter().all(|&dependency| self.nodes[dependency].state == State::Exists);
            if node.state == State::Waiting && ready {
                self.nodes[index].state = State::Creating;
                out.push(Effect::Resource(index, ResourceStatus::CreateInProgress, None));
                out.push(Effect::Create(index));
            }
        }
        if self.nodes.iter().all(|node| node.state == State::Exists) {
            out.push(Effect::EvaluateOutputs);
        }
    }

    fn created(&mut self, index: usize, out: &mut Vec<Effect>) {
        self.nodes[index].state = State::Exists;
        let initiated = Some("Resource creation Initiated".to_owned());
        out.push(Effect::Resource(index, ResourceStatus::CreateInProgress, initiated));
        match self.phase {
            Phase::Draining(After::Remove(_)) => {
                let reason = Some("Resource creation cancelled".to_owned());
                out.push(Effect::Resource(index, ResourceStatus::CreateFailed, reason));
                self.failed.push(self.nodes[index].logical_id.clone());
                self.drained(out);
            }
            Phase::Draining(After::Stop) => {
                out.push(Effect::Resource(index, ResourceStatus::CreateComplete, None));
                self.drained(out);
            }
            _ => {
                out.push(Effect::Resource(index, ResourceStatus::CreateComplete, None));
                self.launch(out);
            }
        }
    }

    fn create_failed(&mut self, index: usize, reason: String, out: &mut Vec<Effect>) {
        self.nodes[index].state = State::Absent;
        self.failed.push(self.nodes[index].logical_id.clone());
        out.push(Effect::Resource(index, ResourceStatus::CreateFailed, Some(reason)));
        if self.phase == Phase::Creating {
            self.phase = Phase::Draining(self.after_failure());
        }
        self.drained(out);
    }

    fn fail(&mut self, cause: String, out: &mut Vec<Effect>) {
        self.cause = Some(cause);
        self.phase = Phase::Draining(self.after_failure());
        self.drained(out);
    }

    fn after_failure(&self) -> After {
        match self.on_failure {
            OnFailure::Rollback => After::Remove(Removal::Rollback),
            OnFailure::Delete => After::Remove(Removal::FailedCreation),
            OnFailure::DoNothing => After::Stop,
        }
    }

    /// Goes on to what follows, once no creation is under way.
    fn drained(&mut self, out: &mut Vec<Effect>) {
        let Phase::Draining(after) = self.phase else { return };
        if self.any(State::Creating) {
            return;
        }
        match after {
            After::Stop => {
                self.phase = Phase::Settled;
                out.push(Effect::Stack(StackStatus::CreateFailed, Some(self.failure(""))));
            }
            After::Remove(removal) => {
                self.phase = Phase::Removing(removal);
                match removal {
                    Removal::Rollback => {
                        let reason = self.failure(" Rollback requested by user.");
                        out.push(Effect::Stack(StackStatus::RollbackInProgress, Some(reason)));
                    }
                    Removal::FailedCreation => {
                        let reason = self.failure(" Delete requested by user.");
                        out.push(Effect::Stack(StackStatus::DeleteInProgress, Some(reason)));
                    }
                    // Said when the user asked.
                    Removal::Delete => {}
                }
                self.remove(out);
            }
        }
    }

    fn failure(&self, then: &str) -> String {
        match &self.cause {
            Some(cause) => format!("{cause}.{then}"),
            None => format!("The following resource(s) failed to create: [{}].{then}", self.failed.join(", ")),
        }
    }

    fn delete(&mut self, keep: &BTreeSet<String>, out: &mut Vec<Effect>) {
        let begun = Effect::Stack(StackStatus::DeleteInProgress, Some(USER.to_owned()));
        match self.phase {
            Phase::Draining(After::Remove(Removal::Delete)) | Phase::Removing(Removal::Delete) => {}
            Phase::Creating | Phase::Draining(_) => {
                out.push(begun);
                self.phase = Phase::Draining(After::Remove(Removal::Delete));
                self.drained(out);
            }
            Phase::Removing(_) | Phase::Settled => {
                out.push(begun);
                self.phase = Phase::Removing(Removal::Delete);
                for index in 0..self.nodes.len() {
                    let node = &mut self.nodes[index];
                    let there = matches!(node.state, State::Stuck | State::Exists);
                    if there && keep.contains(&node.logical_id) {
                        node.state = State::Kept;
                        out.push(Effect::Resource(index, ResourceStatus::DeleteSkipped, None));
                    } else if node.state == State::Stuck {
                        node.state = State::Exists;
                    }
                }
                self.remove(out);
            }
        }
    }

    /// Starts every deletion that nothing stands in the way of, last first; ends the removal once none is left.
    fn remove(&mut self, out: &mut Vec<Effect>) {
        let Phase::Removing(removal) = self.phase else { return };
        loop {
            let mut unblocked = false;
            for index in (0..self.nodes.len()).rev() {
                if !self.free(index) {
                    continue;
                }
                match self.nodes[index].state {
                    State::Absent => {
                        self.nodes[index].state = State::Gone;
                        out.push(Effect::Resource(index, ResourceStatus::DeleteComplete, None));
                        unblocked = true;
                    }
                    State::Exists if self.stays(index, removal) => {
                        self.nodes[index].state = State::Kept;
                        out.push(Effect::Resource(index, ResourceStatus::DeleteSkipped, None));
                        unblocked = true;
                    }
                    State::Exists => {
                        self.nodes[index].state = State::Deleting;
                        out.push(Effect::Resource(index, ResourceStatus::DeleteInProgress, None));
                        out.push(Effect::Delete(index));
                    }
                    _ => {}
                }
            }
            if !unblocked {
                break;
            }
        }
        if !self.any(State::Deleting) {
            self.removed(removal, out);
        }
    }

    fn free(&self, index: usize) -> bool {
        let done = |&dependent: &usize| {
            matches!(self.nodes[dependent].state, State::Waiting | State::Gone | State::Kept | State::Absent)
        };
        self.dependents[index].iter().all(done)
    }

    fn stays(&self, index: usize, removal: Removal) -> bool {
        match self.nodes[index].policy {
            RemovalPolicy::Delete => false,
            RemovalPolicy::Retain => true,
            RemovalPolicy::RetainExceptOnCreate => removal == Removal::Delete,
        }
    }

    fn removed(&mut self, removal: Removal, out: &mut Vec<Effect>) {
        self.phase = Phase::Settled;
        let stuck: Vec<&str> =
            self.nodes.iter().filter(|node| node.state == State::Stuck).map(|node| node.logical_id.as_str()).collect();
        let (complete, failed) = match removal {
            Removal::Rollback => (StackStatus::RollbackComplete, StackStatus::RollbackFailed),
            Removal::FailedCreation | Removal::Delete => (StackStatus::DeleteComplete, StackStatus::DeleteFailed),
        };
        out.push(if stuck.is_empty() {
            Effect::Stack(complete, None)
        } else {
            let reason = format!("The following resource(s) failed to delete: [{}].", stuck.join(", "));
            Effect::Stack(failed, Some(reason))
        });
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
