//! One stack between two commits: the machine's effects become records, events and provider calls. Pure but for the
//! clock and ids that come as parameters.
//!
//! `happening` is what goes in and comes out, `refusal` what does not go in. `update` sets a stack up for an update and
//! compares, `evaluate` gives values, `record` keeps the records in step with the machine.

mod evaluate;
mod happening;
mod record;
mod refusal;
mod update;

pub(crate) use evaluate::token;
pub(crate) use happening::{Call, Changes, ExportChange, Happening, Setting, TemplateChange};
pub(crate) use record::stack_event;
pub(crate) use refusal::updatable;
pub(crate) use update::UpdateOrder;

use super::machine::{Effect, Failed, Identity, Input, Ledger, Machine, Node, Part, Remains, State};
use super::plan::{Plan, PlannedResource};
use super::policy::Wish;
use super::record::{Aim, HIDDEN, OutputRecord, ParameterRecord, ResourceRecord, StackRecord, Standing};
use crate::Registry;
use crate::template::{Pseudo, RemovalPolicy, Template};
use barge_core::resource::Resource;
use barge_core::{Document, IdSource, Timestamp};
use barge_wire::cloudformation::StackStatus;
use std::collections::{BTreeMap, VecDeque};

/// The type that stands for the stack itself in its events.
pub(crate) const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) stack: StackRecord,
    pub(crate) resources: Vec<ResourceRecord>,
    machine: Machine,
    template: Template,
    registry: Registry,
    pseudo: Pseudo,
    parameters: BTreeMap<String, Document>,
    /// The parameters with hidden values hidden; `None` where none is.
    shown_parameters: Option<BTreeMap<String, Document>>,
    made: BTreeMap<String, Resource>,
}

impl Runner {
    /// A stack that is about to be made after `plan`.
    pub(crate) fn planned(mut stack: StackRecord, plan: Plan, registry: Registry, now: Timestamp) -> Self {
        stack.parameters = parameter_records(&plan);
        stack.conditions = plan.conditions;
        stack.imports = plan.imports;
        let resources = plan.resources.into_iter().map(|planned| {
            let aim = aim(&plan.template, &planned, stack.retain_except_on_create);
            let existing = plan.existing.get(&planned.logical_id).cloned();
            blank(planned, aim, existing, now)
        });
        let resources = resources.collect();
        Self::with(stack, resources, plan.template, registry)
    }

    /// A stored stack. Its template matters only while it is made or updated.
    pub(crate) fn stored(
        stack: StackRecord,
        resources: Vec<ResourceRecord>,
        template: &str,
        registry: Registry,
    ) -> Self {
        let template = Template::parse(template).unwrap_or_default();
        Self::with(stack, resources, template, registry)
    }

    fn with(stack: StackRecord, resources: Vec<ResourceRecord>, template: Template, registry: Registry) -> Self {
        let machine = machine(&stack, &resources);
        let pseudo = Pseudo {
            account: stack.scope.account.clone(),
            region: stack.scope.region.clone(),
            stack_id: Some(stack.id.clone()),
            stack_name: Some(stack.name.clone()),
        };
        let mut runner = Self {
            stack,
            resources,
            machine,
            template,
            registry,
            pseudo,
            parameters: BTreeMap::new(),
            shown_parameters: None,
            made: BTreeMap::new(),
        };
        runner.look_up();
        runner
    }

    /// Sets what is derived from the records.
    fn look_up(&mut self) {
        let parameters = &self.stack.parameters;
        let hidden =
            |parameter: &ParameterRecord| if parameter.no_echo { HIDDEN.into() } else { parameter.value.clone() };
        self.shown_parameters = parameters
            .values()
            .any(|parameter| parameter.no_echo)
            .then(|| parameters.iter().map(|(name, parameter)| (name.clone(), hidden(parameter))).collect());
        self.parameters = parameters.iter().map(|(name, parameter)| (name.clone(), parameter.value.clone())).collect();
        let listed = self.resources.iter().filter(|record| record.listed());
        self.made = listed.filter_map(|record| Some((record.logical_id.clone(), made(record)?))).collect();
    }

    pub(crate) fn settled(&self) -> bool {
        self.machine.settled()
    }

    /// When its making has taken too long; `None` where nothing limits it.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let minutes = u64::try_from(self.stack.timeout_minutes?).ok()?;
        Some(self.stack.started + std::time::Duration::from_secs(minutes.saturating_mul(60)))
    }

    /// The type of a resource.
    pub(crate) fn type_name(&self, index: usize) -> &str {
        &self.resources[index].type_name
    }

    /// Takes what happened into the records.
    pub(crate) fn apply(&mut self, happening: Happening, now: Timestamp, ids: &dyn IdSource) -> Changes {
        let mut changes = Changes::default();
        let mut inputs = VecDeque::from_iter(self.input(happening, &mut changes, now));
        while let Some(input) = inputs.pop_front() {
            for effect in self.machine.step(input) {
                inputs.extend(self.effect(effect, &mut changes, now, ids));
            }
        }
        self.remember(&mut changes);
        changes
    }

    /// Carries an effect out, as far as that needs nothing outside, and gives what the machine is to hear of it.
    fn effect(&mut self, effect: Effect, changes: &mut Changes, now: Timestamp, ids: &dyn IdSource) -> Option<Input> {
        match effect {
            Effect::Create(index) => match self.creation(index) {
                Ok(creation) => {
                    changes.resources.insert(index);
                    changes.calls.push(match self.resources[index].existing.clone() {
                        None => Call::Create { index, creation },
                        Some(physical_id) => Call::Import { index, physical_id, properties: creation.properties },
                    });
                }
                Err(reason) => return Some(Input::CreateFailed(index, reason, Remains::Nothing)),
            },
            Effect::Compare(index) => {
                changes.resources.insert(index);
                return Some(Input::Compared(index, self.compare(index)));
            }
            Effect::Update(index) => changes.calls.push(self.update_call(index)),
            Effect::Replace(index) => changes.calls.push(self.replace_call(index)),
            Effect::Revert(index) => changes.calls.push(self.revert_call(index)),
            Effect::Restore { index, leftover } => {
                changes.resources.extend([index, leftover]);
                self.restore(index, leftover);
            }
            Effect::Delete(index) => changes.calls.push(self.delete_call(index)),
            Effect::EvaluateOutputs => return self.publish(changes),
            Effect::Resource(index, status, reason) => {
                let event = self.resource_changed(index, status, reason, now, ids);
                changes.resources.insert(index);
                changes.events.extend(event);
            }
            Effect::Stack(status, reason) => {
                changes.stack = true;
                let events = self.stack_changed(status, reason, changes, now, ids);
                changes.events.extend(events);
            }
        }
        None
    }

    /// Evaluates the outputs; where any is exported, that is done outside.
    fn publish(&mut self, changes: &mut Changes) -> Option<Input> {
        let outputs = match self.protected().map_or_else(|| self.outputs(), Err) {
            Ok(outputs) => outputs,
            Err(reason) => return Some(Input::Outputs(Err(reason))),
        };
        let exporting = |outputs: &[OutputRecord]| outputs.iter().any(|output| output.export.is_some());
        let before = self.stack.former.as_ref().is_some_and(|former| exporting(&former.outputs));
        let silent = !before && !exporting(&outputs);
        self.stack.outputs.clone_from(&outputs);
        changes.stack = true;
        if silent {
            return Some(Input::Outputs(Ok(())));
        }
        changes.calls.push(Call::Publish { outputs });
        None
    }

    /// Why the stack policy does not let the update remove what it would.
    fn protected(&self) -> Option<String> {
        let removed = self.resources.iter().filter(|record| record.standing.part == Part::Removed);
        removed.into_iter().find_map(|record| self.refused_by_policy(record, Wish::Delete))
    }

    /// What the machine hears of it; `None` where it is not the machine's matter.
    fn input(&mut self, happening: Happening, changes: &mut Changes, now: Timestamp) -> Option<Input> {
        let input = match &happening {
            Happening::Start => Input::Start,
            Happening::Resume => Input::Resume,
            Happening::Update(_) => Input::Update,
            Happening::Created(index, _) => Input::Created(*index),
            Happening::CreateFailed(index, reason, remains) => {
                let remains = if remains.is_some() { Remains::Something } else { Remains::Nothing };
                Input::CreateFailed(*index, reason.clone(), remains)
            }
            Happening::Updated(index, resource) => {
                let record = self.resources.get(*index)?;
                let same = record.physical_id.as_ref() == Some(&resource.physical_id);
                Input::Updated(*index, if same { Identity::Kept } else { Identity::Changed })
            }
            Happening::UpdateFailed(index, reason) => Input::UpdateFailed(*index, reason.clone()),
            Happening::Published(outcome) => Input::Outputs(outcome.clone()),
            Happening::TimedOut => Input::TimedOut,
            Happening::Cancel { .. } => Input::Cancel,
            Happening::RollBack { .. } => Input::RollBack(match self.stack.status {
                StackStatus::CreateFailed => Failed::Creation,
                _ => Failed::Update,
            }),
            Happening::Continue { skip, .. } => Input::Continue(skip.clone()),
            Happening::Delete { keep, .. } => Input::Delete(keep.clone()),
            Happening::Deleted(index) => Input::Deleted(*index),
            Happening::DeleteFailed(index, reason) => Input::DeleteFailed(*index, reason.clone()),
            Happening::Set(setting) => {
                match setting.clone() {
                    Setting::TerminationProtection(on) => self.stack.termination_protection = on,
                    Setting::Policy(body) => self.stack.policy = Some(body),
                    Setting::Role(principal, role) => {
                        (self.stack.principal, self.stack.role_arn) = (principal, role);
                    }
                }
                changes.stack = true;
                return None;
            }
        };
        if self.machine.stale(&input) {
            return None;
        }
        self.take(happening, changes, now);
        Some(input)
    }

    /// Takes into the records what the machine does not know of what happened.
    fn take(&mut self, happening: Happening, changes: &mut Changes, now: Timestamp) {
        match happening {
            Happening::Update(order) => self.begin_update(*order, changes, now),
            Happening::Created(index, resource) => self.created(index, resource, changes),
            Happening::CreateFailed(index, _, Some(physical_id)) => self.remains(index, physical_id, changes),
            Happening::Updated(index, resource) => self.updated(index, resource, changes),
            Happening::Cancel { token } | Happening::Continue { token, .. } => self.stack.token = token,
            Happening::Delete { token, .. } => {
                self.stack.token = token;
                changes.exports.push(ExportChange::Withdraw);
            }
            Happening::RollBack { token, retain_except_on_create } => {
                self.stack.token = token;
                if retain_except_on_create {
                    for record in self.resources.iter_mut().filter(|r| r.policy == RemovalPolicy::Retain) {
                        record.policy = RemovalPolicy::RetainExceptOnCreate;
                    }
                    changes.resources.extend(0..self.resources.len());
                    self.machine = machine(&self.stack, &self.resources);
                }
            }
            _ => return,
        }
        changes.stack = true;
    }
}

/// The machine that the records describe.
fn machine(stack: &StackRecord, resources: &[ResourceRecord]) -> Machine {
    let nodes = resources.iter().enumerate().map(|(index, resource)| {
        let Standing { part, turn, touched, stable, slot, former, wanted } = resource.standing.clone();
        Node {
            logical_id: resource.logical_id.clone(),
            slot: slot.unwrap_or(index),
            bound: resource.dependencies.clone(),
            former,
            wanted: wanted.unwrap_or_else(|| resource.dependencies.clone()),
            policy: resource.policy,
            replace_policy: resource.aim.as_ref().map_or(resource.replace_policy, |aim| aim.replace_policy),
            state: resource.state,
            part,
            turn,
            touched,
            stable,
        }
    });
    let ledger = Ledger {
        phase: stack.phase,
        on_failure: stack.on_failure,
        on_update_failure: stack.on_update_failure,
        failed: stack.failed.clone(),
        update_failed: stack.update_failed.clone(),
        cause: stack.cause.clone(),
    };
    Machine::restored(nodes.collect(), ledger)
}

fn parameter_records(plan: &Plan) -> BTreeMap<String, ParameterRecord> {
    let declared = &plan.template.parameters;
    let record = |(name, bound): (&String, &crate::template::Bound)| {
        let no_echo = declared.get(name).is_some_and(|parameter| parameter.no_echo);
        let (text, resolved, value) = (bound.text.clone(), bound.resolved.clone(), bound.value.clone());
        (name.clone(), ParameterRecord { text, resolved, value, no_echo })
    };
    plan.parameters.iter().map(record).collect()
}

/// What the template says of a resource beside its properties. `new` says that the stack's creation, which makes it, was
/// asked to retain nothing where it fails.
fn aim(template: &Template, planned: &PlannedResource, retain_except_on_create: bool) -> Aim {
    let declaration = template.resources.get(&planned.logical_id);
    Aim {
        policy: match planned.deletion_policy {
            RemovalPolicy::Retain if retain_except_on_create => RemovalPolicy::RetainExceptOnCreate,
            policy => policy,
        },
        replace_policy: planned.replace_policy,
        metadata: declaration.and_then(|resource| resource.metadata.as_ref()).map(Document::to_json),
    }
}

/// A resource that nothing was done about yet.
fn blank(planned: PlannedResource, aim: Aim, existing: Option<String>, now: Timestamp) -> ResourceRecord {
    ResourceRecord {
        logical_id: planned.logical_id,
        type_name: planned.type_name,
        dependencies: planned.dependencies,
        // What was there before the stack does not go with a creation that fails.
        policy: if existing.is_some() { RemovalPolicy::Retain } else { aim.policy },
        state: State::Waiting,
        status: None,
        status_reason: None,
        changed: now,
        physical_id: None,
        attributes: BTreeMap::new(),
        properties: None,
        shown: None,
        metadata: aim.metadata,
        replace_policy: aim.replace_policy,
        generation: 0,
        standing: Standing::default(),
        next: None,
        before: None,
        existing,
        aim: None,
    }
}

/// The resource behind a record, where it exists.
fn made(record: &ResourceRecord) -> Option<Resource> {
    let physical_id = record.physical_id.clone()?;
    Some(Resource { physical_id, attributes: record.attributes.clone() })
}

#[cfg(test)]
mod tests;
