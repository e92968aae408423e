//! The first pass: making every resource once what it needs exists.

use super::{After, Effect, Machine, Phase, Remains, State};
use barge_wire::cloudformation::ResourceStatus;

pub(super) const INITIATED: &str = "Resource creation Initiated";
const CANCELLED: &str = "Resource creation cancelled";

impl Machine {
    /// Starts every creation whose dependencies exist.
    pub(super) fn launch(&mut self, out: &mut Vec<Effect>) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let ready = node.wanted.iter().all(|&dependency| self.nodes[dependency].state == State::Exists);
            if node.state == State::Waiting && ready {
                self.begin_creation(index, out);
            }
        }
        if self.nodes.iter().all(|node| node.state == State::Exists) {
            out.push(Effect::EvaluateOutputs);
        }
    }

    pub(super) fn begin_creation(&mut self, index: usize, out: &mut Vec<Effect>) {
        let node = &mut self.nodes[index];
        node.state = State::Creating;
        node.bound.clone_from(&node.wanted);
        out.push(Effect::Resource(index, ResourceStatus::CreateInProgress, None));
        out.push(Effect::Create(index));
    }

    pub(super) fn created(&mut self, index: usize, out: &mut Vec<Effect>) {
        self.nodes[index].state = State::Exists;
        self.pass(index);
        out.push(Effect::Resource(index, ResourceStatus::CreateInProgress, Some(INITIATED.to_owned())));
        if let Phase::Draining(After::Remove(_) | After::Revert) = self.ledger.phase {
            out.push(Effect::Resource(index, ResourceStatus::CreateFailed, Some(CANCELLED.to_owned())));
            self.ledger.failed.push(self.nodes[index].logical_id.clone());
        } else {
            out.push(Effect::Resource(index, ResourceStatus::CreateComplete, None));
        }
        self.proceed(out);
    }

    pub(super) fn create_failed(&mut self, index: usize, reason: String, remains: Remains, out: &mut Vec<Effect>) {
        self.nodes[index].state = match remains {
            Remains::Nothing => State::Absent,
            Remains::Something => State::Failed,
        };
        self.ledger.failed.push(self.nodes[index].logical_id.clone());
        out.push(Effect::Resource(index, ResourceStatus::CreateFailed, Some(reason)));
        self.begin_draining();
        self.drained(out);
    }
}
