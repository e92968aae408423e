//! Keeping the records in step with the machine, and the events that tell of it.

use super::{Changes, ExportChange, Runner, STACK_TYPE, TemplateChange, made};
use crate::engine::machine::{Part, State};
use crate::engine::record::{Evaluated, EventRecord, FormerStack, ResourceRecord, StackRecord, Standing};
use barge_core::resource::Resource;
use barge_core::{IdSource, Timestamp};
use barge_wire::cloudformation::{ResourceStatus, StackStatus};

impl Runner {
    /// A creation ended: of a new resource, or of one that replaces another.
    pub(super) fn created(&mut self, index: usize, resource: Resource, changes: &mut Changes) {
        if self.machine.nodes[index].state == State::Replacing {
            self.leave_behind(index, changes);
            let record = &mut self.resources[index];
            record.generation = self.stack.operation;
            if let Some(Evaluated { properties, shown }) = record.next.take() {
                (record.properties, record.shown) = (Some(properties), Some(shown));
            }
        }
        self.holds(index, resource, changes);
    }

    /// A change ended, forward or back.
    pub(super) fn updated(&mut self, index: usize, resource: Resource, changes: &mut Changes) {
        let record = &mut self.resources[index];
        let (before, next) = (record.before.clone(), record.next.clone());
        if record.physical_id.as_ref() != Some(&resource.physical_id) {
            self.leave_behind(index, changes);
        }
        let back = self.machine.nodes[index].state == State::Reverting;
        let record = &mut self.resources[index];
        record.next = None;
        if let Some(Evaluated { properties, shown }) = if back { before } else { next } {
            (record.properties, record.shown) = (Some(properties), Some(shown));
        }
        self.holds(index, resource, changes);
    }

    fn holds(&mut self, index: usize, resource: Resource, changes: &mut Changes) {
        let record = &mut self.resources[index];
        record.physical_id = Some(resource.physical_id.clone());
        record.attributes.clone_from(&resource.attributes);
        self.made.insert(record.logical_id.clone(), resource);
        changes.resources.insert(index);
    }

    /// A failed creation left something.
    pub(super) fn remains(&mut self, index: usize, physical_id: String, changes: &mut Changes) {
        if self.machine.nodes[index].state != State::Replacing {
            self.resources[index].physical_id = Some(physical_id);
            return;
        }
        let next = self.resources[index].next.clone();
        self.leave_behind(index, changes);
        let position = self.resources.len() - 1;
        let remains = &mut self.resources[position];
        remains.physical_id = Some(physical_id);
        remains.generation = self.stack.operation;
        if let Some(Evaluated { properties, shown }) = next {
            (remains.properties, remains.shown) = (Some(properties), Some(shown));
        }
    }

    /// A record at the end takes over the resource that is replaced.
    fn leave_behind(&mut self, index: usize, changes: &mut Changes) {
        let record = &mut self.resources[index];
        let leftover = ResourceRecord { next: None, aim: None, ..record.clone() };
        // That was the old resource's.
        record.before = None;
        changes.resources.insert(self.resources.len());
        self.resources.push(leftover);
    }

    /// The leftover's resource takes its place again.
    pub(super) fn restore(&mut self, index: usize, leftover: usize) {
        let (low, high) = self.resources.split_at_mut(leftover);
        let (record, other) = (&mut low[index], &mut high[0]);
        std::mem::swap(&mut record.physical_id, &mut other.physical_id);
        std::mem::swap(&mut record.attributes, &mut other.attributes);
        std::mem::swap(&mut record.properties, &mut other.properties);
        std::mem::swap(&mut record.shown, &mut other.shown);
        std::mem::swap(&mut record.generation, &mut other.generation);
        std::mem::swap(&mut record.next, &mut other.next);
        std::mem::swap(&mut record.before, &mut other.before);
        self.made.extend(made(record).map(|resource| (record.logical_id.clone(), resource)));
    }

    /// Copies the machine's states into the records.
    pub(super) fn remember(&mut self, changes: &mut Changes) {
        for (index, (record, node)) in self.resources.iter_mut().zip(&self.machine.nodes).enumerate() {
            let standing = Standing {
                part: node.part,
                turn: node.turn,
                touched: node.touched,
                stable: node.stable,
                slot: (node.slot != index).then_some(node.slot),
                former: node.former.clone(),
                wanted: (node.wanted != node.bound).then(|| node.wanted.clone()),
            };
            if record.state != node.state || record.standing != standing || record.dependencies != node.bound {
                record.state = node.state;
                record.standing = standing;
                record.dependencies.clone_from(&node.bound);
                changes.resources.insert(index);
            }
            if record.policy != node.policy {
                record.policy = node.policy;
                changes.resources.insert(index);
            }
        }
        let (stack, ledger) = (&mut self.stack, &self.machine.ledger);
        let same = stack.phase == ledger.phase
            && stack.failed == ledger.failed
            && stack.update_failed == ledger.update_failed
            && stack.cause == ledger.cause;
        if !same {
            stack.phase = ledger.phase;
            stack.failed.clone_from(&ledger.failed);
            stack.update_failed.clone_from(&ledger.update_failed);
            stack.cause.clone_from(&ledger.cause);
            changes.stack = true;
        }
    }

    /// A resource has another status. Gives the event that tells of it; that a creation was initiated is no news of what
    /// is taken into the stack.
    pub(super) fn resource_changed(
        &mut self,
        index: usize,
        status: ResourceStatus,
        reason: Option<String>,
        now: Timestamp,
        ids: &dyn IdSource,
    ) -> Option<EventRecord> {
        let (status, reason) = match self.resources[index].existing {
            Some(_) if status == ResourceStatus::CreateInProgress && reason.is_some() => return None,
            Some(_) => imported(status, reason),
            None => (status, reason),
        };
        let reverting = self.machine.nodes[index].state == State::Reverting;
        let record = &mut self.resources[index];
        record.status = Some(status);
        record.status_reason.clone_from(&reason);
        record.changed = now;
        // What is being given to the resource, where that is not yet what it has.
        let coming = if reverting { record.before.as_ref() } else { record.next.as_ref() };
        Some(EventRecord {
            id: format!("{}-{status}-{}", record.logical_id, ids.uuid()),
            logical_id: record.logical_id.clone(),
            physical_id: record.physical_id.clone(),
            type_name: record.type_name.clone(),
            status,
            reason,
            properties: coming.map(|coming| coming.shown.clone()).or_else(|| record.shown.clone()),
            token: self.stack.token.clone(),
            at: now,
        })
    }

    pub(super) fn stack_changed(
        &mut self,
        status: StackStatus,
        reason: Option<String>,
        changes: &mut Changes,
        now: Timestamp,
        ids: &dyn IdSource,
    ) -> Vec<EventRecord> {
        self.stack.status = status;
        self.stack.status_reason.clone_from(&reason);
        match status {
            StackStatus::DeleteComplete => {
                self.stack.deleted = Some(now);
                self.stack.outputs.clear();
                changes.exports.push(ExportChange::Forget);
            }
            StackStatus::CreateInProgress => {
                self.stack.outputs.clear();
                changes.exports.push(ExportChange::Import);
            }
            StackStatus::RollbackInProgress | StackStatus::DeleteInProgress => {
                self.stack.operation += 1;
                self.stack.outputs.clear();
            }
            StackStatus::UpdateInProgress => self.stack.updated = Some(now),
            StackStatus::UpdateRollbackInProgress => self.restore_stack(changes),
            StackStatus::UpdateComplete => self.settle_update(Part::Steady, changes),
            StackStatus::UpdateRollbackComplete => self.settle_update(Part::Leftover, changes),
            _ => {}
        }
        let mut events = vec![stack_event(&self.stack, status, reason, now, ids)];
        if matches!(status, StackStatus::CreateInProgress | StackStatus::UpdateInProgress) {
            let warnings = self.template.warnings.iter().map(|warning| format!("Warning: {warning}"));
            events.extend(warnings.map(|text| stack_event(&self.stack, status, Some(text), now, ids)));
        }
        events.into_iter().flatten().collect()
    }

    /// The stack's own part is again what it was before the update.
    fn restore_stack(&mut self, changes: &mut Changes) {
        self.stack.operation += 1;
        if let Some(former) = self.stack.former.take() {
            let FormerStack { description, parameters, conditions, capabilities, tags, outputs, imports } = *former;
            let stack = &mut self.stack;
            (stack.description, stack.parameters, stack.conditions) = (description, parameters, conditions);
            (stack.capabilities, stack.tags, stack.outputs) = (capabilities, tags, outputs);
            stack.imports = imports;
            changes.template.push(TemplateChange::Restore);
        }
    }

    /// The update, or its rollback, has succeeded: the records forget what was before it. With `Part::Steady` what the
    /// new template says counts from now on.
    fn settle_update(&mut self, counts: Part, changes: &mut Changes) {
        for (index, record) in self.resources.iter_mut().enumerate() {
            let aim = record.aim.take();
            (record.next, record.before) = (None, None);
            if let Some(aim) = aim.filter(|_| counts == Part::Steady) {
                (record.policy, record.replace_policy, record.metadata) =
                    (aim.policy, aim.replace_policy, aim.metadata);
                self.machine.nodes[index].policy = record.policy;
                self.machine.nodes[index].replace_policy = record.replace_policy;
            }
            changes.resources.insert(index);
        }
        self.stack.former = None;
        self.stack.policy_during_update = None;
        changes.exports.push(ExportChange::Settle);
        if counts == Part::Steady {
            changes.template.push(TemplateChange::Settle);
        }
    }
}

/// The status of a creation, said of a resource that is taken into the stack instead (CloudFormation User Guide, "Import
/// AWS resources into a CloudFormation stack").
fn imported(status: ResourceStatus, reason: Option<String>) -> (ResourceStatus, Option<String>) {
    match status {
        ResourceStatus::CreateInProgress => {
            (ResourceStatus::ImportInProgress, Some("Resource import started.".to_owned()))
        }
        ResourceStatus::CreateComplete => {
            (ResourceStatus::ImportComplete, Some("Resource import completed.".to_owned()))
        }
        ResourceStatus::CreateFailed => (ResourceStatus::ImportFailed, reason),
        other => (other, reason),
    }
}

/// An event about the stack itself; `None` for a status that no event has.
pub(crate) fn stack_event(
    stack: &StackRecord,
    status: StackStatus,
    reason: Option<String>,
    now: Timestamp,
    ids: &dyn IdSource,
) -> Option<EventRecord> {
    Some(EventRecord {
        id: ids.uuid(),
        logical_id: stack.name.clone(),
        physical_id: Some(stack.id.clone()),
        type_name: STACK_TYPE.to_owned(),
        status: ResourceStatus::parse(status.as_str())?,
        reason,
        properties: None,
        token: stack.token.clone(),
        at: now,
    })
}
