//! A stack's life as a state machine: what happened goes in, what to do and what to say comes out. Pure: no clock, no
//! store, no provider, no values. The same machine is rebuilt from stored states after a restart.
//!
//! `create`, `update`, `revert` and `remove` are the passes over the resources; this file has the states and takes the
//! inputs.

mod create;
mod remove;
mod revert;
mod update;

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
    /// Its creation failed and left something that is to be deleted.
    Failed,
    /// What the new template says of it is being looked at: only within one input's effects.
    Comparing,
    /// It is being changed to what the new template says.
    Updating,
    /// Another resource is being made in its place.
    Replacing,
    /// Changing it failed: it may be half-changed.
    Broken,
    /// It is being changed back.
    Reverting,
    /// Its deletion is under way.
    Deleting,
    /// It was deleted.
    Gone,
    /// Its deletion failed.
    Stuck,
    /// It stays and has left the stack.
    Kept,
    /// An update took it out of the stack.
    Left,
}

impl State {
    /// Whether a call that makes or changes the resource is under way.
    fn under_way(self) -> bool {
        matches!(self, Self::Creating | Self::Comparing | Self::Updating | Self::Replacing | Self::Reverting)
    }

    /// Whether there is something to delete.
    fn there(self) -> bool {
        matches!(self, Self::Exists | Self::Failed | Self::Broken)
    }
}

/// What a failed creation leads to (CreateStack's `OnFailure`). An update knows only the first and the last.
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

/// What follows when no call is under way any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum After {
    /// A failed creation stays as it is.
    Stop,
    Remove(Removal),
    /// A failed update is undone.
    Revert,
    /// A failed update stays as it is.
    StopUpdate,
    /// A failed rollback of an update stays as it is.
    GiveUp,
}

/// Which way an update ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Course {
    /// The new template counts.
    Forward,
    /// The old one does.
    Back,
}

/// Where the stack is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Creating,
    Updating,
    /// No call starts any more; those under way are waited for, because only what has ended can be undone.
    Draining(After),
    Reverting,
    /// What an update left behind is removed.
    Cleaning(Course),
    Removing(Removal),
    Settled,
}

/// A resource's part in an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Part {
    /// Both templates have it.
    #[default]
    Steady,
    /// Only the new one has it.
    Added,
    /// Only the old one has it.
    Removed,
    /// Neither: another resource has taken its place.
    Leftover,
}

/// Whether the present pass has come past a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Turn {
    #[default]
    Pending,
    Done,
}

/// A resource as the machine sees it. Nodes are known by their positions.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) logical_id: String,
    /// The position of the node that its logical id names: its own, but for a leftover.
    pub(crate) slot: usize,
    /// Slots of what it needs as it is now.
    pub(crate) bound: Vec<usize>,
    /// Slots of what it needed before the update.
    pub(crate) former: Vec<usize>,
    /// Slots of what it is to need.
    pub(crate) wanted: Vec<usize>,
    pub(crate) policy: RemovalPolicy,
    /// What becomes of it where an update replaces it.
    pub(crate) replace_policy: RemovalPolicy,
    pub(crate) state: State,
    pub(crate) part: Part,
    pub(crate) turn: Turn,
    /// Whether it was changed in place since the stack was last stable.
    pub(crate) touched: bool,
    /// The leftover that it replaced since the stack was last stable.
    pub(crate) stable: Option<usize>,
}

impl Node {
    fn done(&self) -> bool {
        self.turn == Turn::Done
    }
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) nodes: Vec<Node>,
    pub(crate) ledger: Ledger,
}

/// What the machine knows besides its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) phase: Phase,
    pub(crate) on_failure: OnFailure,
    /// The same for the update that runs or ran last.
    pub(crate) on_update_failure: OnFailure,
    /// Logical ids of what failed to create, or was cancelled, in that order.
    pub(crate) failed: Vec<String>,
    /// The same of what failed to update.
    pub(crate) update_failed: Vec<String>,
    /// Why the operation failed, where no resource did.
    pub(crate) cause: Option<String>,
}

/// What a new template means for a resource that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    InPlace,
    Replace,
    /// It can't be told, or can't be done.
    Impossible(String),
}

/// Whether a failed creation left something that is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remains {
    Nothing,
    Something,
}

/// Whether a change gave the resource another physical id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    Kept,
    Changed,
}

/// What failed and stayed as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    Creation,
    Update,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The stack is to be made.
    Start,
    /// The nodes are set for an update: it begins.
    Update,
    /// The server started again.
    Resume,
    /// A creation ended, of a new resource or of one that replaces another.
    Created(usize),
    CreateFailed(usize, String, Remains),
    Compared(usize, Verdict),
    /// A change ended, forward or back.
    Updated(usize, Identity),
    UpdateFailed(usize, String),
    /// The outputs have values and are exported, or the reason why not.
    Outputs(Result<(), String>),
    TimedOut,
    /// The update is to be undone.
    Cancel,
    /// The failed operation that stayed as it was is to be undone.
    RollBack(Failed),
    /// The rollback that failed is to go on, the named resources left as they are.
    Continue(BTreeSet<String>),
    /// The stack is to go; the named resources stay.
    Delete(BTreeSet<String>),
    Deleted(usize),
    DeleteFailed(usize, String),
}

/// What to do, and what to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Create(usize),
    /// See what the new template means for the resource, and say so with [`Input::Compared`].
    Compare(usize),
    Update(usize),
    /// Make another resource in its place.
    Replace(usize),
    /// Change the resource back.
    Revert(usize),
    /// The leftover takes its place again, and the other way round.
    Restore {
        index: usize,
        leftover: usize,
    },
    Delete(usize),
    EvaluateOutputs,
    Resource(usize, ResourceStatus, Option<String>),
    Stack(StackStatus, Option<String>),
}

const USER: &str = "User Initiated";

impl Machine {
    /// The machine that was in these states.
    pub(crate) fn restored(nodes: Vec<Node>, ledger: Ledger) -> Self {
        Self { nodes, ledger }
    }

    /// Whether nothing is left to do.
    pub(crate) fn settled(&self) -> bool {
        self.ledger.phase == Phase::Settled
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
            Input::Update => self.begin_update(&mut out),
            Input::Resume => self.resume(&mut out),
            Input::Created(index) if self.nodes[index].state == State::Replacing => self.replaced(index, &mut out),
            Input::Created(index) => self.created(index, &mut out),
            Input::CreateFailed(index, reason, remains) if self.nodes[index].state == State::Replacing => {
                self.replacement_failed(index, reason, remains, &mut out);
            }
            Input::CreateFailed(index, reason, remains) => self.create_failed(index, reason, remains, &mut out),
            Input::Compared(index, verdict) => self.compared(index, verdict, &mut out),
            Input::Updated(index, identity) if self.nodes[index].state == State::Reverting => {
                self.reverted(index, identity, &mut out);
            }
            Input::Updated(index, identity) => self.updated(index, identity, &mut out),
            Input::UpdateFailed(index, reason) if self.nodes[index].state == State::Reverting => {
                self.revert_failed(index, reason, &mut out);
            }
            Input::UpdateFailed(index, reason) => self.update_failed(index, reason, &mut out),
            Input::Outputs(Ok(())) if self.ledger.phase == Phase::Updating => self.updated_all(&mut out),
            Input::Outputs(Ok(())) => {
                self.ledger.phase = Phase::Settled;
                out.push(Effect::Stack(StackStatus::CreateComplete, None));
            }
            Input::Outputs(Err(reason)) => self.fail(reason, &mut out),
            Input::TimedOut => self.fail("Stack creation time exceeded the specified timeout".to_owned(), &mut out),
            Input::Cancel => self.cancel(&mut out),
            Input::RollBack(what) => self.roll_back(what, &mut out),
            Input::Continue(skip) => self.go_on(&skip, &mut out),
            Input::Delete(keep) => self.delete(&keep, &mut out),
            Input::Deleted(index) => {
                self.nodes[index].state = State::Gone;
                out.push(Effect::Resource(index, ResourceStatus::DeleteComplete, None));
                self.proceed(&mut out);
            }
            Input::DeleteFailed(index, reason) => {
                self.nodes[index].state = State::Stuck;
                out.push(Effect::Resource(index, ResourceStatus::DeleteFailed, Some(reason)));
                self.proceed(&mut out);
            }
        }
        out
    }

    /// Whether the input no longer matters: a call made again after a restart ends twice, and a wish may come too late.
    pub(crate) fn stale(&self, input: &Input) -> bool {
        let state = |index: &usize| self.nodes.get(*index).map_or(State::Left, |node| node.state);
        match input {
            Input::Created(index) | Input::CreateFailed(index, ..) => {
                !matches!(state(index), State::Creating | State::Replacing)
            }
            Input::Compared(index, _) => state(index) != State::Comparing,
            Input::Updated(index, _) | Input::UpdateFailed(index, _) => {
                !matches!(state(index), State::Updating | State::Reverting)
            }
            Input::Deleted(index) | Input::DeleteFailed(index, _) => state(index) != State::Deleting,
            Input::Outputs(_) => !matches!(self.ledger.phase, Phase::Creating | Phase::Updating),
            Input::TimedOut => self.ledger.phase != Phase::Creating,
            Input::Cancel => self.ledger.phase != Phase::Updating,
            Input::RollBack(_) | Input::Continue(_) | Input::Update => !self.settled(),
            Input::Start | Input::Resume | Input::Delete(_) => false,
        }
    }

    fn any(&self, state: State) -> bool {
        self.nodes.iter().any(|node| node.state == state)
    }

    fn resume(&mut self, out: &mut Vec<Effect>) {
        for (index, node) in self.nodes.iter().enumerate() {
            out.extend(match node.state {
                State::Creating => Some(Effect::Create(index)),
                State::Comparing => Some(Effect::Compare(index)),
                State::Updating => Some(Effect::Update(index)),
                State::Replacing => Some(Effect::Replace(index)),
                State::Reverting => Some(Effect::Revert(index)),
                State::Deleting => Some(Effect::Delete(index)),
                _ => None,
            });
        }
        self.proceed(out);
    }

    /// Starts whatever can start now.
    fn proceed(&mut self, out: &mut Vec<Effect>) {
        match self.ledger.phase {
            Phase::Creating => self.launch(out),
            Phase::Updating => self.advance(out),
            Phase::Draining(_) => self.drained(out),
            Phase::Reverting => self.revert(out),
            Phase::Cleaning(_) => self.clean(out),
            Phase::Removing(_) => self.remove(out),
            Phase::Settled => {}
        }
    }

    /// The operation failed at `cause`, which is no resource.
    fn fail(&mut self, cause: String, out: &mut Vec<Effect>) {
        self.ledger.cause = Some(cause);
        self.begin_draining();
        self.drained(out);
    }

    /// No call starts any more, where one could.
    fn begin_draining(&mut self) {
        self.ledger.phase = match self.ledger.phase {
            Phase::Creating => Phase::Draining(match self.ledger.on_failure {
                OnFailure::Rollback => After::Remove(Removal::Rollback),
                OnFailure::Delete => After::Remove(Removal::FailedCreation),
                OnFailure::DoNothing => After::Stop,
            }),
            Phase::Updating => Phase::Draining(match self.ledger.on_update_failure {
                OnFailure::DoNothing => After::StopUpdate,
                OnFailure::Rollback | OnFailure::Delete => After::Revert,
            }),
            Phase::Reverting => Phase::Draining(After::GiveUp),
            other => other,
        };
    }

    /// Goes on to what follows, once no call is under way.
    fn drained(&mut self, out: &mut Vec<Effect>) {
        let Phase::Draining(after) = self.ledger.phase else { return };
        if self.nodes.iter().any(|node| node.state.under_way()) {
            return;
        }
        match after {
            After::Stop => self.settle(StackStatus::CreateFailed, Some(self.failure("")), out),
            After::StopUpdate => self.settle(StackStatus::UpdateFailed, Some(self.update_failure()), out),
            After::GiveUp => self.give_up(out),
            After::Revert => self.begin_revert(self.update_failure(), out),
            After::Remove(removal) => {
                self.ledger.phase = Phase::Removing(removal);
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

    fn settle(&mut self, status: StackStatus, reason: Option<String>, out: &mut Vec<Effect>) {
        self.ledger.phase = Phase::Settled;
        out.push(Effect::Stack(status, reason));
    }

    fn failure(&self, then: &str) -> String {
        match &self.ledger.cause {
            Some(cause) => format!("{}.{then}", cause.trim_end_matches('.')),
            None => format!("{}{then}", listed("create", &self.ledger.failed)),
        }
    }

    fn update_failure(&self) -> String {
        if let Some(cause) = &self.ledger.cause {
            return cause.clone();
        }
        let lists = [("create", &self.ledger.failed), ("update", &self.ledger.update_failed)];
        let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
        lists.map(|(verb, names)| listed(verb, names)).collect::<Vec<_>>().join(" ")
    }
}

fn listed(verb: &str, names: &[String]) -> String {
    format!("The following resource(s) failed to {verb}: [{}].", names.join(", "))
}

#[cfg(test)]
mod tests;
