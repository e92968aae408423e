//! Setting a stack up for an update, and seeing what the new template means for each resource.

use super::{Changes, ExportChange, Runner, TemplateChange, aim, blank, machine, parameter_records};
use crate::engine::difference::{behavior, changed_properties, takes_tags};
use crate::engine::machine::{OnFailure, Part, State, Verdict};
use crate::engine::plan::Plan;
use crate::engine::policy::{StackPolicy, Wish};
use crate::engine::record::{ChangeSetRecord, Deployment, Evaluated, FormerStack, ResourceRecord, Standing};
use crate::template::Schemas as _;
use barge_core::resource::{Property, ResourceSchema, UpdateBehavior};
use barge_core::{Document, Principal, Timestamp};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a stack is to become.
#[derive(Debug)]
pub(crate) struct UpdateOrder {
    pub(crate) plan: Plan,
    /// The template's text.
    pub(crate) body: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) on_failure: OnFailure,
    pub(crate) deployment: Deployment,
    pub(crate) retain_except_on_create: bool,
    pub(crate) token: Option<String>,
    pub(crate) principal: Principal,
    /// ARN of the role that the principal is.
    pub(crate) role_arn: Option<String>,
    /// The change set that says all this, recorded as executed together with the beginning.
    pub(crate) executed: Option<Box<ChangeSetRecord>>,
    /// A new stack policy, and the one for this update only.
    pub(crate) policy: Option<String>,
    pub(crate) policy_during_update: Option<String>,
    /// The stack's operation count that the plan was made for.
    pub(crate) base: u64,
}

impl Runner {
    /// Gives the stack its new template and parameters, and every resource of the old and the new template its place in
    /// the update. The resources' positions change: the new template's come first.
    pub(super) fn begin_update(&mut self, order: UpdateOrder, changes: &mut Changes, now: Timestamp) {
        let fresh = self.stack.former.is_none();
        self.resources = self.positioned(&order, fresh, now);
        let stack = &mut self.stack;
        if fresh {
            stack.former = Some(Box::new(FormerStack {
                description: stack.description.clone(),
                parameters: std::mem::take(&mut stack.parameters),
                conditions: std::mem::take(&mut stack.conditions),
                capabilities: std::mem::take(&mut stack.capabilities),
                tags: std::mem::take(&mut stack.tags),
                outputs: stack.outputs.clone(),
                imports: std::mem::take(&mut stack.imports),
            }));
        }
        stack.operation += 1;
        stack.parameters = parameter_records(&order.plan);
        stack.description.clone_from(&order.plan.template.description);
        stack.conditions = order.plan.conditions;
        stack.imports = order.plan.imports;
        (stack.capabilities, stack.tags) = (order.capabilities, order.tags);
        (stack.token, stack.principal, stack.role_arn) = (order.token, order.principal, order.role_arn);
        (stack.on_update_failure, stack.deployment) = (order.on_failure, order.deployment);
        if let Some(set) = &order.executed {
            stack.change_set = Some(set.id.clone());
        }
        if order.policy.is_some() {
            stack.policy = order.policy;
        }
        stack.policy_during_update = order.policy_during_update;
        self.template = order.plan.template;
        self.machine = machine(&self.stack, &self.resources);
        self.look_up();
        changes.executed = order.executed;
        changes.renumbered = true;
        changes.resources.extend(0..self.resources.len());
        changes.template.push(TemplateChange::Propose { body: order.body, processed: order.plan.processed });
        changes.exports.push(ExportChange::Import);
    }

    /// The resources in their new positions: the new template's, what it no longer has, what updates left over.
    fn positioned(&self, order: &UpdateOrder, fresh: bool, now: Timestamp) -> Vec<ResourceRecord> {
        let old: Vec<(usize, &ResourceRecord)> = self
            .resources
            .iter()
            .enumerate()
            .filter(|(_, record)| !matches!(record.state, State::Left | State::Gone | State::Kept))
            .collect();
        let planned: HashMap<&str, usize> =
            order.plan.resources.iter().enumerate().map(|(i, planned)| (planned.logical_id.as_str(), i)).collect();
        let is_main = |record: &ResourceRecord| record.standing.part != Part::Leftover;
        // New positions of old ones.
        let mut moved = HashMap::new();
        for (index, record) in old.iter().filter(|(_, record)| is_main(record)) {
            if let Some(position) = planned.get(record.logical_id.as_str()) {
                moved.insert(*index, *position);
            }
        }
        let rest: Vec<(usize, &ResourceRecord)> =
            old.iter().filter(|(index, _)| !moved.contains_key(index)).copied().collect();
        for (place, (index, _)) in rest.iter().enumerate() {
            moved.insert(*index, planned.len() + place);
        }
        let by_position: HashMap<usize, &ResourceRecord> =
            old.iter().map(|(index, record)| (moved[index], *record)).collect();
        let mut records = Vec::with_capacity(planned.len() + rest.len());
        for (position, resource) in order.plan.resources.iter().enumerate() {
            let aim = aim(&order.plan.template, resource, order.retain_except_on_create);
            let Some(record) = by_position.get(&position) else {
                let existing = order.plan.existing.get(&resource.logical_id).cloned();
                let mut record = blank(resource.clone(), aim, existing, now);
                record.generation = self.stack.operation + 1;
                record.standing = Standing {
                    part: Part::Added,
                    wanted: Some(std::mem::take(&mut record.dependencies)),
                    ..Standing::default()
                };
                records.push(record);
                continue;
            };
            let mut record = renumbered(record, &moved, fresh);
            record.standing.part = match record.standing.part {
                Part::Added => Part::Added,
                _ => Part::Steady,
            };
            record.standing.wanted = Some(resource.dependencies.clone());
            if matches!(record.state, State::Absent | State::Failed | State::Waiting) {
                record.state = State::Waiting;
                record.generation = self.stack.operation + 1;
                (record.properties, record.shown) = (None, None);
            }
            if record.standing.part == Part::Added {
                (record.policy, record.replace_policy) = (aim.policy, aim.replace_policy);
            }
            record.aim = Some(aim);
            records.push(record);
        }
        for (_, record) in rest {
            let mut record = renumbered(record, &moved, fresh);
            record.standing.part = match record.standing.part {
                Part::Steady | Part::Removed => Part::Removed,
                // What a failed update added and this one no longer wants goes whatever comes of this one.
                Part::Added | Part::Leftover => Part::Leftover,
            };
            record.aim = None;
            records.push(record);
        }
        records
    }

    /// What the new template means for a resource. Its new properties are stored, so that a try after a restart is the
    /// same as the one before.
    pub(super) fn compare(&mut self, index: usize) -> Verdict {
        let new = match self.evaluated(index) {
            Ok(new) => new,
            Err(reason) => return Verdict::Impossible(reason),
        };
        let record = &self.resources[index];
        let Some(schema) = self.registry.schema(&record.type_name) else {
            return Verdict::Impossible(format!("the resource type {} is not known any more", record.type_name));
        };
        let nothing = Document::Map(IndexMap::new());
        let old = record.properties.as_ref().unwrap_or(&nothing);
        let half_changed = record.next.as_ref().map(|attempt| assumed(old, &attempt.properties, &new.properties));
        let changed = changed_properties(half_changed.as_ref().unwrap_or(old), &new.properties);
        let retagged =
            takes_tags(schema) && self.stack.former.as_ref().is_some_and(|former| former.tags != self.stack.tags);
        let always = record.type_name == super::STACK_TYPE;
        let replaces = {
            let old = half_changed.as_ref().unwrap_or(old);
            changed.iter().any(|name| match behavior(schema, name) {
                UpdateBehavior::InPlace => false,
                UpdateBehavior::Replacement => true,
                UpdateBehavior::Conditional => self.registry.replaces(&record.type_name, old, &new.properties),
            })
        };
        if changed.is_empty() && half_changed.is_none() && !retagged && !always {
            return Verdict::Same;
        }
        if replaces && let Some(name) = named(record, schema, &new.properties, &changed) {
            return Verdict::Impossible(format!(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {name} \
                 and update the stack again."
            ));
        }
        let wish = if replaces { Wish::Replace } else { Wish::Modify };
        if let Some(refusal) = self.refused_by_policy(record, wish) {
            return Verdict::Impossible(refusal);
        }
        let record = &mut self.resources[index];
        if let Some(assumed) = half_changed {
            record.properties = Some(assumed);
        }
        record.next = Some(new);
        if replaces { Verdict::Replace } else { Verdict::InPlace }
    }

    /// Why the stack policy does not let the resource be changed so.
    pub(super) fn refused_by_policy(&self, record: &ResourceRecord, wish: Wish) -> Option<String> {
        let text = self.stack.policy_during_update.as_ref().or(self.stack.policy.as_ref())?;
        let policy = StackPolicy::parse(text).ok()?;
        policy.refusal(wish, &record.logical_id, &record.type_name)
    }
}

/// The record for another numbering. `fresh` says that the stack is stable: the record's state is then what a rollback
/// leads back to.
fn renumbered(record: &ResourceRecord, moved: &HashMap<usize, usize>, fresh: bool) -> ResourceRecord {
    let mut record = record.clone();
    let place = |positions: &[usize]| positions.iter().filter_map(|old| moved.get(old).copied()).collect::<Vec<_>>();
    record.dependencies = place(&record.dependencies);
    let standing = &mut record.standing;
    standing.former = if fresh { record.dependencies.clone() } else { place(&standing.former) };
    standing.wanted = standing.wanted.as_deref().map(place);
    standing.stable = standing.stable.and_then(|old| moved.get(&old).copied());
    standing.slot = standing.slot.and_then(|old| moved.get(&old).copied());
    if fresh {
        record.before = record
            .properties
            .clone()
            .map(|properties| Evaluated { properties, shown: record.shown.clone().unwrap_or_default() });
    }
    record
}

/// The properties that a resource must be taken to have after a change from `old` to `attempt` failed half-way, seen from
/// a change to `new`: of each property the value that differs from the new one.
fn assumed(old: &Document, attempt: &Document, new: &Document) -> Document {
    let mut values = old.as_map().cloned().unwrap_or_default();
    for name in changed_properties(old, attempt) {
        let attempted = attempt.get(&name);
        if attempted == new.get(&name) {
            continue;
        }
        match attempted {
            Some(value) => values.insert(name, value.clone()),
            None => values.shift_remove(&name),
        };
    }
    Document::Map(values)
}

/// The name that the template gives a resource, where a new resource in its place would have the same.
fn named(
    record: &ResourceRecord,
    schema: &ResourceSchema,
    new: &Document,
    changed: &BTreeSet<String>,
) -> Option<String> {
    let physical_id = record.physical_id.as_deref()?;
    let replacing = || schema.properties.iter().filter(|property| property.update == UpdateBehavior::Replacement);
    // A name within another thing is free where that is another thing now: a stream of another group.
    let elsewhere = |property: &Property| property.name.ends_with("Name") || property.name.ends_with("Id");
    if replacing().any(|property| changed.contains(property.name) && elsewhere(property)) {
        return None;
    }
    replacing()
        .filter(|property| property.name.ends_with("Name") && !changed.contains(property.name))
        .filter_map(|property| new.get(property.name)?.scalar_text())
        .find(|name| {
            physical_id.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with(['/', ':']))
        })
}
