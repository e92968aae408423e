//! The pass of an update: each resource, once what it needs has had its turn, is left alone, changed, replaced or made.
//! What the new template no longer has, or what was replaced, goes only when all else has succeeded.

use super::create::INITIATED;
use super::{After, Course, Effect, Identity, Machine, Node, Part, Phase, Remains, State, Turn, USER, Verdict};
use crate::template::RemovalPolicy;
use barge_wire::cloudformation::{ResourceStatus, StackStatus};

const REPLACING: &str = "Requested update requires the creation of a new physical resource; hence creating one.";
const CANCELLED: &str = "Resource update cancelled";

impl Machine {
    pub(super) fn begin_update(&mut self, out: &mut Vec<Effect>) {
        self.ledger.phase = Phase::Updating;
        self.ledger.failed.clear();
        self.ledger.update_failed.clear();
        self.ledger.cause = None;
        for node in &mut self.nodes {
            node.turn = Turn::Pending;
        }
        out.push(Effect::Stack(StackStatus::UpdateInProgress, Some(USER.to_owned())));
        self.advance(out);
    }

    /// Begins with every resource of the new template whose dependencies have had their turn.
    pub(super) fn advance(&mut self, out: &mut Vec<Effect>) {
        let mut left = false;
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            if !matches!(node.part, Part::Steady | Part::Added) || node.done() {
                continue;
            }
            left = true;
            if !node.wanted.iter().all(|&slot| self.nodes[slot].done()) {
                continue;
            }
            match node.state {
                State::Waiting => self.begin_creation(index, out),
                State::Exists | State::Broken => {
                    self.nodes[index].state = State::Comparing;
                    out.push(Effect::Compare(index));
                }
                _ => {}
            }
        }
        if !left {
            out.push(Effect::EvaluateOutputs);
        }
    }

    /// The present pass has come past the resource, which now is as the pass wants it.
    pub(super) fn pass(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.turn = Turn::Done;
        node.bound.clone_from(&node.wanted);
    }

    pub(super) fn compared(&mut self, index: usize, verdict: Verdict, out: &mut Vec<Effect>) {
        if self.ledger.phase != Phase::Updating {
            // Another resource has failed meanwhile.
            self.nodes[index].state = if self.nodes[index].touched { State::Broken } else { State::Exists };
            return self.proceed(out);
        }
        match verdict {
            Verdict::Same => {
                self.nodes[index].state = State::Exists;
                self.pass(index);
                self.proceed(out);
            }
            Verdict::InPlace => {
                self.nodes[index].state = State::Updating;
                self.nodes[index].touched = true;
                out.push(Effect::Resource(index, ResourceStatus::UpdateInProgress, None));
                out.push(Effect::Update(index));
            }
            Verdict::Replace => {
                self.nodes[index].state = State::Replacing;
                out.push(Effect::Resource(index, ResourceStatus::UpdateInProgress, Some(REPLACING.to_owned())));
                out.push(Effect::Replace(index));
            }
            Verdict::Impossible(reason) => {
                let touched = self.nodes[index].touched;
                self.not_updated(index, if touched { State::Broken } else { State::Exists }, reason, out);
            }
        }
    }

    pub(super) fn updated(&mut self, index: usize, identity: Identity, out: &mut Vec<Effect>) {
        if identity == Identity::Changed {
            self.leave_behind(index);
        }
        self.changed(index, out);
    }

    /// The resource that replaces another is there.
    pub(super) fn replaced(&mut self, index: usize, out: &mut Vec<Effect>) {
        self.leave_behind(index);
        out.push(Effect::Resource(index, ResourceStatus::UpdateInProgress, Some(INITIATED.to_owned())));
        self.changed(index, out);
    }

    fn changed(&mut self, index: usize, out: &mut Vec<Effect>) {
        self.nodes[index].state = State::Exists;
        self.pass(index);
        if self.ledger.phase == Phase::Draining(After::Revert) {
            out.push(Effect::Resource(index, ResourceStatus::UpdateFailed, Some(CANCELLED.to_owned())));
            self.ledger.update_failed.push(self.nodes[index].logical_id.clone());
        } else {
            out.push(Effect::Resource(index, ResourceStatus::UpdateComplete, None));
        }
        self.proceed(out);
    }

    /// A node at the end takes over the resource that was replaced.
    pub(super) fn leave_behind(&mut self, index: usize) {
        let position = self.nodes.len();
        let node = &mut self.nodes[index];
        let leftover = Node {
            policy: node.replace_policy,
            state: State::Exists,
            part: Part::Leftover,
            turn: Turn::Done,
            stable: None,
            ..node.clone()
        };
        node.touched = false;
        node.stable = node.stable.or(Some(position));
        self.nodes.push(leftover);
    }

    pub(super) fn update_failed(&mut self, index: usize, reason: String, out: &mut Vec<Effect>) {
        self.not_updated(index, State::Broken, reason, out);
    }

    /// What was to replace the resource could not be made. The resource itself is as it was; remains get a node.
    pub(super) fn replacement_failed(&mut self, index: usize, reason: String, remains: Remains, out: &mut Vec<Effect>) {
        if remains == Remains::Something {
            let node = &self.nodes[index];
            self.nodes.push(Node {
                bound: node.wanted.clone(),
                policy: RemovalPolicy::Delete,
                state: State::Failed,
                part: Part::Leftover,
                turn: Turn::Done,
                touched: false,
                stable: None,
                ..node.clone()
            });
        }
        let touched = self.nodes[index].touched;
        self.not_updated(index, if touched { State::Broken } else { State::Exists }, reason, out);
    }

    fn not_updated(&mut self, index: usize, state: State, reason: String, out: &mut Vec<Effect>) {
        self.nodes[index].state = state;
        self.ledger.update_failed.push(self.nodes[index].logical_id.clone());
        out.push(Effect::Resource(index, ResourceStatus::UpdateFailed, Some(reason)));
        self.begin_draining();
        self.drained(out);
    }

    pub(super) fn updated_all(&mut self, out: &mut Vec<Effect>) {
        self.ledger.phase = Phase::Cleaning(Course::Forward);
        out.push(Effect::Stack(StackStatus::UpdateCompleteCleanupInProgress, None));
        self.clean(out);
    }

    pub(super) fn cancel(&mut self, out: &mut Vec<Effect>) {
        self.ledger.cause = Some(USER.to_owned());
        self.ledger.phase = Phase::Draining(After::Revert);
        self.drained(out);
    }
}
