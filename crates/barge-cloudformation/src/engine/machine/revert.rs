//! The pass back: after a failed update each resource, in the old template's order, is again what it was. What the
//! update made goes only when all else has succeeded.

use super::{Course, Effect, Failed, Identity, Machine, Part, Phase, Removal, State, Turn, USER, listed};
use crate::template::RemovalPolicy;
use barge_wire::cloudformation::{ResourceStatus, StackStatus};
use std::collections::BTreeSet;

impl Machine {
    pub(super) fn begin_revert(&mut self, reason: String, out: &mut Vec<Effect>) {
        self.ledger.phase = Phase::Reverting;
        for node in &mut self.nodes {
            node.turn = Turn::Pending;
        }
        out.push(Effect::Stack(StackStatus::UpdateRollbackInProgress, Some(reason)));
        self.revert(out);
    }

    /// Undoes what stayed as it was when it failed.
    pub(super) fn roll_back(&mut self, what: Failed, out: &mut Vec<Effect>) {
        match what {
            Failed::Update => self.begin_revert(USER.to_owned(), out),
            Failed::Creation => {
                self.ledger.phase = Phase::Removing(Removal::Rollback);
                out.push(Effect::Stack(StackStatus::RollbackInProgress, Some(USER.to_owned())));
                self.remove(out);
            }
        }
    }

    /// Goes on with a rollback that failed; the resources in `skip` are taken for changed back.
    pub(super) fn go_on(&mut self, skip: &BTreeSet<String>, out: &mut Vec<Effect>) {
        self.ledger.phase = Phase::Reverting;
        out.push(Effect::Stack(StackStatus::UpdateRollbackInProgress, Some(USER.to_owned())));
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            if node.state == State::Broken && node.part != Part::Leftover && skip.contains(&node.logical_id) {
                self.passed_back(index);
                out.push(Effect::Resource(index, ResourceStatus::UpdateComplete, None));
            }
        }
        self.revert(out);
    }

    /// Begins with every resource of the old template whose dependencies have had their turn.
    pub(super) fn revert(&mut self, out: &mut Vec<Effect>) {
        loop {
            let mut moved = false;
            for index in 0..self.nodes.len() {
                let node = &self.nodes[index];
                let old = matches!(node.part, Part::Steady | Part::Removed);
                let idle = matches!(node.state, State::Exists | State::Broken);
                let ready = || node.former.iter().all(|&slot| self.nodes[slot].done());
                if old && idle && !node.done() && ready() {
                    self.turn_back(index, out);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        let old = |part| matches!(part, Part::Steady | Part::Removed);
        if self.nodes.iter().all(|node| !old(node.part) || node.done()) {
            self.ledger.phase = Phase::Cleaning(Course::Back);
            out.push(Effect::Stack(StackStatus::UpdateRollbackCompleteCleanupInProgress, None));
            self.clean(out);
        }
    }

    fn turn_back(&mut self, index: usize, out: &mut Vec<Effect>) {
        let node = &self.nodes[index];
        let mut told = self.ledger.update_failed.contains(&node.logical_id) && node.part == Part::Steady;
        if let Some(leftover) = node.stable {
            self.restore(index, leftover);
            out.push(Effect::Restore { index, leftover });
            told = true;
        }
        if self.nodes[index].touched {
            self.nodes[index].state = State::Reverting;
            out.push(Effect::Resource(index, ResourceStatus::UpdateInProgress, None));
            out.push(Effect::Revert(index));
            return;
        }
        self.passed_back(index);
        if told {
            out.push(Effect::Resource(index, ResourceStatus::UpdateComplete, None));
        }
    }

    /// The leftover's resource takes its place again; what replaced it is left over.
    fn restore(&mut self, index: usize, leftover: usize) {
        let (bound, touched) = (self.nodes[index].bound.clone(), self.nodes[index].touched);
        let old = &mut self.nodes[leftover];
        let (old_bound, old_touched) =
            (std::mem::replace(&mut old.bound, bound), std::mem::replace(&mut old.touched, touched));
        old.policy = RemovalPolicy::Delete;
        let node = &mut self.nodes[index];
        (node.bound, node.touched, node.stable, node.state) = (old_bound, old_touched, None, State::Exists);
    }

    fn passed_back(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.state = State::Exists;
        node.touched = false;
        node.turn = Turn::Done;
        node.bound.clone_from(&node.former);
    }

    pub(super) fn reverted(&mut self, index: usize, identity: Identity, out: &mut Vec<Effect>) {
        if identity == Identity::Changed {
            self.leave_behind(index);
            self.nodes[index].stable = None;
        }
        self.passed_back(index);
        out.push(Effect::Resource(index, ResourceStatus::UpdateComplete, None));
        self.proceed(out);
    }

    pub(super) fn revert_failed(&mut self, index: usize, reason: String, out: &mut Vec<Effect>) {
        self.nodes[index].state = State::Broken;
        out.push(Effect::Resource(index, ResourceStatus::UpdateFailed, Some(reason)));
        self.begin_draining();
        self.drained(out);
    }

    /// The rollback failed: the resources that could not be changed back are named.
    pub(super) fn give_up(&mut self, out: &mut Vec<Effect>) {
        let broken = self.nodes.iter().filter(|node| node.state == State::Broken && node.part != Part::Leftover);
        let names: Vec<String> = broken.map(|node| node.logical_id.clone()).collect();
        self.settle(StackStatus::UpdateRollbackFailed, Some(listed("update", &names)), out);
    }
}
