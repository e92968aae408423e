//! One stack between two commits: the machine's effects become records, events and provider calls. Pure but for the
//! clock and ids that come as parameters.

use super::machine::{Effect, Input, Machine, Node, State};
use super::plan::Plan;
use super::record::{EventRecord, HIDDEN, OutputRecord, ParameterRecord, ResourceRecord, StackRecord};
use crate::template::{Budget, Environment, EvalError, Pseudo, Template};
use barge_core::resource::{Creation, Properties, Resource};
use barge_core::{Document, IdSource, Timestamp};
use barge_wire::cloudformation::{ResourceStatus, StackStatus};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The type that stands for the stack itself in its events.
pub(crate) const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// What happened to a stack, with what came of it.
#[derive(Debug)]
pub(crate) enum Happening {
    Start,
    Resume,
    Created(usize, Resource),
    CreateFailed(usize, String),
    TimedOut,
    Delete {
        keep: BTreeSet<String>,
        token: Option<String>,
    },
    /// Its termination protection is switched.
    Protect(bool),
    Deleted(usize),
    DeleteFailed(usize, String),
}

/// What must be stored, and what must then be done.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) stack: bool,
    pub(crate) resources: BTreeSet<usize>,
    pub(crate) events: Vec<EventRecord>,
    pub(crate) calls: Vec<Call>,
}

/// A call to a resource's provider.
#[derive(Debug)]
pub(crate) enum Call {
    Create { index: usize, creation: Creation },
    Delete { index: usize, physical_id: String, properties: Properties },
}

impl Call {
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Create { index, .. } | Self::Delete { index, .. } => *index,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) stack: StackRecord,
    pub(crate) resources: Vec<ResourceRecord>,
    machine: Machine,
    template: Template,
    pseudo: Pseudo,
    parameters: BTreeMap<String, Document>,
    /// The parameters with hidden values hidden; `None` where none is.
    shown_parameters: Option<BTreeMap<String, Document>>,
    made: BTreeMap<String, Resource>,
}

impl Runner {
    /// A stack that is about to be made after `plan`.
    pub(crate) fn planned(mut stack: StackRecord, plan: Plan, now: Timestamp) -> Self {
        let declared = &plan.template.parameters;
        stack.parameters = plan
            .parameters
            .iter()
            .map(|(name, bound)| {
                let no_echo = declared.get(name).is_some_and(|parameter| parameter.no_echo);
                let record = ParameterRecord { text: bound.text.clone(), value: bound.value.clone(), no_echo };
                (name.clone(), record)
            })
            .collect();
        stack.conditions = plan.conditions;
        let resources = plan
            .resources
            .into_iter()
            .map(|planned| {
                let declaration = plan.template.resources.get(&planned.logical_id);
                let metadata = declaration.and_then(|resource| resource.metadata.as_ref()).map(Document::to_json);
                let policy = match planned.deletion_policy {
                    crate::template::RemovalPolicy::Retain if stack.retain_except_on_create => {
                        crate::template::RemovalPolicy::RetainExceptOnCreate
                    }
                    policy => policy,
                };
                ResourceRecord {
                    logical_id: planned.logical_id,
                    type_name: planned.type_name,
                    dependencies: planned.dependencies,
                    policy,
                    state: State::Waiting,
                    status: None,
                    status_reason: None,
                    changed: now,
                    physical_id: None,
                    attributes: BTreeMap::new(),
                    properties: None,
                    shown: None,
                    metadata,
                }
            })
            .collect();
        Self::with(stack, resources, plan.template)
    }

    /// A stored stack. Its template matters only while it is being made.
    pub(crate) fn stored(stack: StackRecord, resources: Vec<ResourceRecord>, template: &str) -> Self {
        Self::with(stack, resources, Template::parse(template).unwrap_or_default())
    }

    fn with(stack: StackRecord, resources: Vec<ResourceRecord>, template: Template) -> Self {
        let nodes = resources
            .iter()
            .map(|resource| Node {
                logical_id: resource.logical_id.clone(),
                dependencies: resource.dependencies.clone(),
                policy: resource.policy,
                state: resource.state,
            })
            .collect();
        let machine =
            Machine::restored(nodes, stack.on_failure, stack.phase, stack.failed.clone(), stack.cause.clone());
        let hidden =
            |parameter: &ParameterRecord| if parameter.no_echo { HIDDEN.into() } else { parameter.value.clone() };
        let shown_parameters = stack
            .parameters
            .values()
            .any(|parameter| parameter.no_echo)
            .then(|| stack.parameters.iter().map(|(name, parameter)| (name.clone(), hidden(parameter))).collect());
        let parameters =
            stack.parameters.iter().map(|(name, parameter)| (name.clone(), parameter.value.clone())).collect();
        let pseudo = Pseudo {
            account: stack.scope.account.clone(),
            region: stack.scope.region.clone(),
            stack_id: Some(stack.id.clone()),
            stack_name: Some(stack.name.clone()),
        };
        let made = resources.iter().filter_map(|record| Some((record.logical_id.clone(), made(record)?))).collect();
        Self { stack, resources, machine, template, pseudo, parameters, shown_parameters, made }
    }

    pub(crate) fn settled(&self) -> bool {
        self.machine.settled()
    }

    /// When its making has taken too long; `None` where nothing limits it.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let minutes = u64::try_from(self.stack.timeout_minutes?).ok()?;
        Some(self.stack.started + std::time::Duration::from_secs(minutes.saturating_mul(60)))
    }

    /// Takes what happened into the records.
    pub(crate) fn apply(&mut self, happening: Happening, now: Timestamp, ids: &dyn IdSource) -> Changes {
        let mut changes = Changes::default();
        let mut inputs = VecDeque::from_iter(self.input(happening, &mut changes));
        while let Some(input) = inputs.pop_front() {
            for effect in self.machine.step(input) {
                match effect {
                    Effect::Create(index) => match self.creation(index) {
                        Ok(creation) => {
                            changes.resources.insert(index);
                            changes.calls.push(Call::Create { index, creation });
                        }
                        Err(reason) => inputs.push_back(Input::CreateFailed(index, reason)),
                    },
                    Effect::Delete(index) => {
                        let record = &self.resources[index];
                        changes.calls.push(Call::Delete {
                            index,
                            physical_id: record.physical_id.clone().unwrap_or_default(),
                            properties: record.properties.clone().unwrap_or_default(),
                        });
                    }
                    Effect::EvaluateOutputs => {
                        let outputs = self.outputs();
                        inputs.push_back(Input::Outputs(outputs.map(|outputs| self.stack.outputs = outputs)));
                    }
                    Effect::Resource(index, status, reason) => {
                        let event = self.resource_changed(index, status, reason, now, ids);
                        changes.resources.insert(index);
                        changes.events.push(event);
                    }
                    Effect::Stack(status, reason) => {
                        changes.stack = true;
                        changes.events.extend(self.stack_changed(status, reason, now, ids));
                    }
                }
            }
        }
        self.remember(&mut changes);
        changes
    }

    /// What the machine hears of it; `None` where it is not the machine's matter.
    fn input(&mut self, happening: Happening, changes: &mut Changes) -> Option<Input> {
        Some(match happening {
            Happening::Start => Input::Start,
            Happening::Resume => Input::Resume,
            Happening::Created(index, resource) => {
                let record = &mut self.resources[index];
                record.physical_id = Some(resource.physical_id.clone());
                record.attributes.clone_from(&resource.attributes);
                self.made.insert(record.logical_id.clone(), resource);
                Input::Created(index)
            }
            Happening::CreateFailed(index, reason) => Input::CreateFailed(index, reason),
            Happening::TimedOut => Input::TimedOut,
            Happening::Delete { keep, token } => {
                self.stack.token = token;
                changes.stack = true;
                Input::Delete(keep)
            }
            Happening::Deleted(index) => Input::Deleted(index),
            Happening::DeleteFailed(index, reason) => Input::DeleteFailed(index, reason),
            Happening::Protect(protected) => {
                self.stack.termination_protection = protected;
                changes.stack = true;
                return None;
            }
        })
    }

    /// Copies the machine's states into the records.
    fn remember(&mut self, changes: &mut Changes) {
        for (index, (record, node)) in self.resources.iter_mut().zip(&self.machine.nodes).enumerate() {
            if record.state != node.state {
                record.state = node.state;
                changes.resources.insert(index);
            }
        }
        let Machine { phase, failed, cause, .. } = &self.machine;
        if self.stack.phase != *phase || self.stack.failed != *failed || self.stack.cause != *cause {
            self.stack.phase = *phase;
            self.stack.failed.clone_from(failed);
            self.stack.cause.clone_from(cause);
            changes.stack = true;
        }
    }

    fn resource_changed(
        &mut self,
        index: usize,
        status: ResourceStatus,
        reason: Option<String>,
        now: Timestamp,
        ids: &dyn IdSource,
    ) -> EventRecord {
        let record = &mut self.resources[index];
        record.status = Some(status);
        record.status_reason.clone_from(&reason);
        record.changed = now;
        EventRecord {
            id: format!("{}-{status}-{}", record.logical_id, ids.uuid()),
            logical_id: record.logical_id.clone(),
            physical_id: record.physical_id.clone(),
            type_name: record.type_name.clone(),
            status,
            reason,
            properties: record.shown.clone(),
            token: self.stack.token.clone(),
            at: now,
        }
    }

    fn stack_changed(
        &mut self,
        status: StackStatus,
        reason: Option<String>,
        now: Timestamp,
        ids: &dyn IdSource,
    ) -> Vec<EventRecord> {
        let stack = &mut self.stack;
        stack.status = status;
        stack.status_reason.clone_from(&reason);
        match status {
            StackStatus::DeleteComplete => stack.deleted = Some(now),
            StackStatus::CreateComplete => {}
            _ => stack.outputs.clear(),
        }
        let mut events = vec![stack_event(stack, status, reason, now, ids)];
        if status == StackStatus::CreateInProgress {
            let warnings = self.template.warnings.iter().map(|warning| format!("Warning: {warning}"));
            events.extend(warnings.map(|text| stack_event(stack, status, Some(text), now, ids)));
        }
        events.into_iter().flatten().collect()
    }

    fn environment<'a>(&'a self, parameters: &'a BTreeMap<String, Document>, budget: &'a Budget) -> Environment<'a> {
        Environment {
            template: &self.template,
            parameters,
            conditions: &self.stack.conditions,
            pseudo: &self.pseudo,
            resources: &self.made,
            budget,
        }
    }

    /// The creation of a resource; its properties are evaluated once and stored, so that a try after a restart is the
    /// same as the one before.
    fn creation(&mut self, index: usize) -> Result<Creation, String> {
        if self.resources[index].properties.is_none() {
            let declared = self.template.resources.get(&self.resources[index].logical_id);
            let declared = declared.ok_or_else(|| "the resource is not in the stack's template".to_owned())?;
            let text = |error: EvalError| error.to_string();
            let budget = Budget::default();
            let properties = self.environment(&self.parameters, &budget).map(&declared.properties).map_err(text)?;
            let shown = match &self.shown_parameters {
                Some(parameters) => {
                    self.environment(parameters, &budget).map(&declared.properties).map_err(text)?.to_json()
                }
                None => properties.to_json(),
            };
            let record = &mut self.resources[index];
            (record.properties, record.shown) = (Some(properties), Some(shown));
        }
        let record = &self.resources[index];
        Ok(Creation {
            properties: record.properties.clone().unwrap_or_default(),
            logical_id: record.logical_id.clone(),
            stack_name: self.stack.name.clone(),
            stack_id: self.stack.id.clone(),
            token: format!("{}/{}", self.stack.id, record.logical_id),
            tags: self.stack.tags.clone(),
        })
    }

    fn outputs(&self) -> Result<Vec<OutputRecord>, String> {
        let budget = Budget::default();
        let environment = self.environment(&self.parameters, &budget);
        let mut outputs = Vec::new();
        for (key, output) in &self.template.outputs {
            let wanted = output.condition.as_ref().is_none_or(|name| self.stack.conditions.get(name) == Some(&true));
            if !wanted {
                continue;
            }
            let value = environment
                .text(&output.value, "The Value field of every Outputs member")
                .map_err(|error| format!("Output {key} is malformed: {error}"))?;
            outputs.push(OutputRecord { key: key.clone(), value, description: output.description.clone() });
        }
        Ok(outputs)
    }
}

/// The resource behind a record, where it exists.
fn made(record: &ResourceRecord) -> Option<Resource> {
    let physical_id = record.physical_id.clone()?;
    Some(Resource { physical_id, attributes: record.attributes.clone() })
}

/// An event about the stack itself; `None` for a status that no event has.
fn stack_event(
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
