//! The last passes: removing everything, or what an update left behind. What is needed goes after what needs it.

use super::{After, Course, Effect, Machine, Part, Phase, Removal, State, Turn, USER};
use crate::template::RemovalPolicy;
use barge_wire::cloudformation::{ResourceStatus, StackStatus};
use std::collections::BTreeSet;

impl Machine {
    pub(super) fn delete(&mut self, keep: &BTreeSet<String>, out: &mut Vec<Effect>) {
        let begun = Effect::Stack(StackStatus::DeleteInProgress, Some(USER.to_owned()));
        match self.ledger.phase {
            Phase::Draining(After::Remove(Removal::Delete)) | Phase::Removing(Removal::Delete) => {}
            Phase::Creating | Phase::Draining(After::Stop | After::Remove(_)) => {
                out.push(begun);
                self.ledger.phase = Phase::Draining(After::Remove(Removal::Delete));
                self.drained(out);
            }
            // A stack is not deleted while it is updated: the caller refuses.
            Phase::Updating | Phase::Draining(_) | Phase::Reverting | Phase::Cleaning(_) => {}
            Phase::Removing(_) | Phase::Settled => {
                out.push(begun);
                self.ledger.phase = Phase::Removing(Removal::Delete);
                for index in 0..self.nodes.len() {
                    let node = &mut self.nodes[index];
                    let there = node.state.there() || node.state == State::Stuck;
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
    pub(super) fn remove(&mut self, out: &mut Vec<Effect>) {
        let Phase::Removing(removal) = self.ledger.phase else { return };
        let all: Vec<bool> = self.nodes.iter().map(|node| node.state != State::Left).collect();
        let stays = |policy, state| match policy {
            RemovalPolicy::Delete => false,
            _ if state == State::Failed => false,
            RemovalPolicy::Retain => true,
            RemovalPolicy::RetainExceptOnCreate => removal == Removal::Delete,
        };
        let keep: Vec<bool> = self.nodes.iter().map(|node| stays(node.policy, node.state)).collect();
        let blocks =
            |state: State| !matches!(state, State::Waiting | State::Gone | State::Kept | State::Absent | State::Left);
        self.sweep(&all, &keep, blocks, out);
        if !self.any(State::Deleting) {
            self.removed(removal, out);
        }
    }

    fn removed(&mut self, removal: Removal, out: &mut Vec<Effect>) {
        let stuck: Vec<&str> =
            self.nodes.iter().filter(|node| node.state == State::Stuck).map(|node| node.logical_id.as_str()).collect();
        let (complete, failed) = match removal {
            Removal::Rollback => (StackStatus::RollbackComplete, StackStatus::RollbackFailed),
            Removal::FailedCreation | Removal::Delete => (StackStatus::DeleteComplete, StackStatus::DeleteFailed),
        };
        if stuck.is_empty() {
            return self.settle(complete, None, out);
        }
        let reason = format!("The following resource(s) failed to delete: [{}].", stuck.join(", "));
        self.settle(failed, Some(reason), out);
    }

    /// Removes what the update left behind.
    pub(super) fn clean(&mut self, out: &mut Vec<Effect>) {
        let Phase::Cleaning(course) = self.ledger.phase else { return };
        let doomed: Vec<bool> = self
            .nodes
            .iter()
            .map(|node| {
                node.part == Part::Leftover
                    || node.part == (if course == Course::Forward { Part::Removed } else { Part::Added })
            })
            .collect();
        let stays = |part, policy, state| match (course, part, policy) {
            (_, _, RemovalPolicy::Delete) => false,
            _ if state == State::Failed => false,
            (Course::Forward, ..) | (Course::Back, Part::Added, RemovalPolicy::Retain) => true,
            (Course::Back, ..) => false,
        };
        let keep: Vec<bool> = self.nodes.iter().map(|node| stays(node.part, node.policy, node.state)).collect();
        // What can't be deleted does not hold up the rest: this is tried once, and what stays leaves the stack.
        self.sweep(&doomed, &keep, |state| state.there() || state == State::Deleting, out);
        if !self.any(State::Deleting) {
            self.cleaned(course, &doomed, out);
        }
    }

    fn cleaned(&mut self, course: Course, doomed: &[bool], out: &mut Vec<Effect>) {
        let stuck = self.any(State::Stuck);
        for (node, doomed) in self.nodes.iter_mut().zip(doomed) {
            if *doomed {
                node.state = State::Left;
            }
            node.part = if *doomed { Part::Leftover } else { Part::Steady };
            node.turn = Turn::Pending;
            node.touched = false;
            node.stable = None;
        }
        let status = match course {
            Course::Forward => StackStatus::UpdateComplete,
            Course::Back => StackStatus::UpdateRollbackComplete,
        };
        self.settle(status, stuck.then(|| "One or more resources could not be deleted.".to_owned()), out);
    }

    /// Starts every deletion among the `doomed` that no other of them stands in the way of; those to keep are skipped.
    fn sweep(&mut self, doomed: &[bool], keep: &[bool], blocks: impl Fn(State) -> bool, out: &mut Vec<Effect>) {
        let mut needed_by = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| doomed[*index]) {
            for &slot in node.bound.iter().filter(|slot| **slot != node.slot) {
                needed_by[slot].push(index);
            }
        }
        loop {
            let mut unblocked = false;
            for index in (0..self.nodes.len()).rev().filter(|index| doomed[*index]) {
                let slot = self.nodes[index].slot;
                if needed_by[slot].iter().any(|&other| blocks(self.nodes[other].state)) {
                    continue;
                }
                match self.nodes[index].state {
                    State::Absent => {
                        self.nodes[index].state = State::Gone;
                        out.push(Effect::Resource(index, ResourceStatus::DeleteComplete, None));
                        unblocked = true;
                    }
                    state if state.there() && keep[index] => {
                        self.nodes[index].state = State::Kept;
                        out.push(Effect::Resource(index, ResourceStatus::DeleteSkipped, None));
                        unblocked = true;
                    }
                    state if state.there() => {
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
    }
}
