//! What a new plan would change in a stack, as far as it can be told before anything is done: what a change set shows,
//! and whether there is anything to do at all. Pure.

use super::context;
use super::plan::Plan;
use super::record::{HIDDEN, OutputRecord, ParameterRecord, ResourceRecord, StackRecord};
use crate::template::{
    Branches, Budget, Environment, EvalError, Expression, Pseudo, RemovalPolicy, ResourceDeclaration, Schemas,
    Template, attributes, references,
};
use barge_core::Document;
use barge_core::resource::{Resource, ResourceSchema, UpdateBehavior};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What would happen to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Action {
    Add,
    /// It exists and is taken into the stack.
    Import,
    Modify,
    Remove,
}

/// Whether another resource would take its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Replacement {
    False,
    /// It depends on a value that is known only when the change set is executed.
    Conditional,
    True,
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Target {
    Property(String),
    Metadata,
    DeletionPolicy,
    UpdateReplacePolicy,
    Tags,
}

/// Why a value changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Source {
    /// The template says something else.
    Direct,
    Parameter(String),
    /// `Ref` of a resource that changes.
    Reference(String),
    /// An attribute of a resource that changes: `Name.Attribute`.
    Attribute(String),
    /// A nested stack: its template is looked at when it is its turn.
    Automatic,
}

/// One change to a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Detail {
    pub(crate) target: Target,
    pub(crate) source: Source,
    /// Whether the new value is known.
    pub(crate) known: bool,
    /// Whether changing it replaces the resource.
    pub(crate) replaces: bool,
    /// Values as JSON or text, where they are known and not hidden.
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// What would happen to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResourceDifference {
    pub(crate) logical_id: String,
    pub(crate) type_name: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) action: Action,
    pub(crate) replacement: Option<Replacement>,
    /// What becomes of the resource that goes.
    pub(crate) policy: Option<RemovalPolicy>,
    pub(crate) details: Vec<Detail>,
    /// ARN of the change set of the nested stack that it is.
    #[serde(default)]
    pub(crate) change_set: Option<String>,
    /// The resource whole before and after the change, as JSON, where there is one.
    #[serde(default)]
    pub(crate) before: Option<String>,
    #[serde(default)]
    pub(crate) after: Option<String>,
}

/// A stack and what it is to become.
pub(crate) struct Comparison<'a> {
    pub(crate) stack: &'a StackRecord,
    pub(crate) resources: &'a [ResourceRecord],
    /// The template that the stack has.
    pub(crate) template: &'a Template,
    pub(crate) plan: &'a Plan,
    pub(crate) tags: &'a BTreeMap<String, String>,
    pub(crate) pseudo: &'a Pseudo,
    pub(crate) schemas: &'a dyn Schemas,
    /// Nested stacks that are known to stay as they are, by logical id.
    pub(crate) unchanged: &'a BTreeSet<String>,
}

/// What would change.
pub(crate) struct Differences {
    pub(crate) resources: Vec<ResourceDifference>,
    /// Whether anything else does: outputs, exports, the stack's tags.
    pub(crate) beside: bool,
    /// Properties of the nested stacks that would be made or looked at, as far as they are known, by logical id.
    pub(crate) nested: BTreeMap<String, Document>,
}

impl Differences {
    pub(crate) fn none(&self) -> bool {
        self.resources.is_empty() && !self.beside
    }
}

/// Whether a resource of this type looks different each time it is looked at: what a nested stack's template says is
/// known only to the nested stack.
fn always(type_name: &str) -> bool {
    type_name == "AWS::CloudFormation::Stack"
}

/// Whether two values are the same to a service: `1` and `"1"` are.
pub(crate) fn same(left: &Document, right: &Document) -> bool {
    match (left, right) {
        (Document::List(left), Document::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Document::Map(left), Document::Map(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right || left.scalar_text().is_some_and(|text| right.scalar_text() == Some(text)),
    }
}

/// The names of the properties whose values differ.
pub(crate) fn changed_properties(old: &Document, new: &Document) -> BTreeSet<String> {
    let names = [old, new].into_iter().filter_map(Document::as_map).flat_map(indexmap::IndexMap::keys);
    names
        .filter(|name| match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => !same(old, new),
            _ => true,
        })
        .cloned()
        .collect()
}

/// What changing the property does. Properties that a schema takes without listing them are changed in place.
pub(crate) fn behavior(schema: &ResourceSchema, property: &str) -> UpdateBehavior {
    let listed = schema.properties.iter().find(|known| known.name == property);
    listed.map_or(UpdateBehavior::InPlace, |property| property.update)
}

/// Whether the stack's tags are passed on to resources of the type.
pub(crate) fn takes_tags(schema: &ResourceSchema) -> bool {
    schema.properties.iter().any(|property| property.name == "Tags" && property.update == UpdateBehavior::InPlace)
}

impl Comparison<'_> {
    pub(crate) fn differences(&self) -> Differences {
        let parameters: BTreeMap<String, Document> =
            self.plan.parameters.iter().map(|(name, bound)| (name.clone(), bound.value.clone())).collect();
        let shown = self.shown(&parameters);
        let current: BTreeMap<&str, &ResourceRecord> = self
            .resources
            .iter()
            .filter(|record| record.listed() && record.physical_id.is_some())
            .map(|record| (record.logical_id.as_str(), record))
            .collect();
        let (mut known, mut found, mut nested) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let budget = Budget::default();
        for index in self.order() {
            let planned = &self.plan.resources[index];
            let environment = Environment {
                template: &self.plan.template,
                parameters: &parameters,
                conditions: &self.plan.conditions,
                pseudo: self.pseudo,
                resources: &known,
                exports: Some(&self.plan.imports),
                budget: &budget,
            };
            let (difference, resource) = match current.get(planned.logical_id.as_str()) {
                None => (Some(self.added(index)), None),
                Some(record) => self.compared(record, &environment, &found),
            };
            let declared = self.plan.template.resources.get(&planned.logical_id);
            if let Some(declared) = declared.filter(|_| always(&planned.type_name)) {
                nested.insert(planned.logical_id.clone(), environment.preview(&declared.properties));
            }
            let difference = difference.map(|difference| ResourceDifference {
                before: current.get(planned.logical_id.as_str()).map(|record| context::before(record)),
                after: declared
                    .map(|declared| context::after(declared, &Environment { parameters: &shown, ..environment })),
                ..difference
            });
            known.extend(resource.map(|resource| (planned.logical_id.clone(), resource)));
            found.extend(difference.map(|difference| (planned.logical_id.clone(), difference)));
        }
        let outputs_differ = {
            let environment = Environment {
                template: &self.plan.template,
                parameters: &parameters,
                conditions: &self.plan.conditions,
                pseudo: self.pseudo,
                resources: &known,
                exports: Some(&self.plan.imports),
                budget: &budget,
            };
            self.outputs_differ(&environment)
        };
        let mut resources: Vec<ResourceDifference> =
            self.plan.resources.iter().filter_map(|planned| found.remove(&planned.logical_id)).collect();
        resources.extend(self.removed());
        Differences { resources, beside: outputs_differ || *self.tags != self.stack.tags, nested }
    }

    /// The parameters' values with those hidden that may not be shown.
    fn shown(&self, parameters: &BTreeMap<String, Document>) -> BTreeMap<String, Document> {
        let mut shown = parameters.clone();
        for (name, _) in self.plan.template.parameters.iter().filter(|(_, parameter)| parameter.no_echo) {
            shown.insert(name.clone(), HIDDEN.into());
        }
        shown
    }

    /// The plan's resources, each after what it needs.
    fn order(&self) -> Vec<usize> {
        let resources = &self.plan.resources;
        let mut needed_by = vec![Vec::new(); resources.len()];
        let mut missing: Vec<usize> = resources.iter().map(|resource| resource.dependencies.len()).collect();
        for (index, resource) in resources.iter().enumerate() {
            for &dependency in &resource.dependencies {
                needed_by[dependency].push(index);
            }
        }
        let mut ready: Vec<usize> = (0..resources.len()).filter(|index| missing[*index] == 0).collect();
        let mut order = Vec::with_capacity(resources.len());
        while let Some(index) = ready.pop() {
            order.push(index);
            for &next in &needed_by[index] {
                missing[next] -= 1;
                if missing[next] == 0 {
                    ready.push(next);
                }
            }
        }
        order
    }

    fn added(&self, index: usize) -> ResourceDifference {
        let planned = &self.plan.resources[index];
        ResourceDifference {
            logical_id: planned.logical_id.clone(),
            type_name: planned.type_name.clone(),
            physical_id: None,
            action: Action::Add,
            replacement: None,
            policy: None,
            details: Vec::new(),
            change_set: None,
            before: None,
            after: None,
        }
    }

    fn removed(&self) -> impl Iterator<Item = ResourceDifference> {
        let planned: BTreeSet<&str> = self.plan.resources.iter().map(|resource| resource.logical_id.as_str()).collect();
        let gone = self
            .resources
            .iter()
            .filter(move |record| record.listed() && !planned.contains(record.logical_id.as_str()));
        gone.map(|record| ResourceDifference {
            logical_id: record.logical_id.clone(),
            type_name: record.type_name.clone(),
            physical_id: record.physical_id.clone(),
            action: Action::Remove,
            replacement: None,
            policy: Some(record.policy),
            details: Vec::new(),
            change_set: None,
            before: Some(context::before(record)),
            after: None,
        })
    }

    /// What changes of a resource that is there, and what of it is known to those that refer to it.
    fn compared(
        &self,
        record: &ResourceRecord,
        environment: &Environment<'_>,
        found: &BTreeMap<String, ResourceDifference>,
    ) -> (Option<ResourceDifference>, Option<Resource>) {
        let as_is = Resource {
            physical_id: record.physical_id.clone().unwrap_or_default(),
            attributes: record.attributes.clone(),
        };
        let Some(declared) = self.plan.template.resources.get(&record.logical_id) else { return (None, Some(as_is)) };
        let Some(schema) = self.schemas.schema(&record.type_name) else { return (None, Some(as_is)) };
        let mut details = self.properties(record, declared, schema, environment, found);
        details.extend(self.beside_properties(record, declared, schema));
        if details.is_empty() {
            return (None, Some(as_is));
        }
        let replacement = details
            .iter()
            .map(|detail| match (detail.replaces, detail.known) {
                (false, _) => Replacement::False,
                (true, true) => Replacement::True,
                (true, false) => Replacement::Conditional,
            })
            .max();
        let touched = details.iter().any(|detail| matches!(detail.target, Target::Property(_) | Target::Tags));
        // What may be replaced may get another id; what is changed in place may get other attributes.
        let resource = match replacement {
            Some(Replacement::True | Replacement::Conditional) => None,
            _ if touched => {
                let unknown = as_is.attributes.into_keys().map(|name| (name, Document::Null)).collect();
                Some(Resource { physical_id: as_is.physical_id, attributes: unknown })
            }
            _ => Some(as_is),
        };
        let difference = ResourceDifference {
            logical_id: record.logical_id.clone(),
            type_name: record.type_name.clone(),
            physical_id: record.physical_id.clone(),
            action: Action::Modify,
            replacement,
            policy: (replacement == Some(Replacement::True)).then_some(declared.update_replace_policy),
            details,
            change_set: None,
            before: None,
            after: None,
        };
        (Some(difference), resource)
    }

    fn properties(
        &self,
        record: &ResourceRecord,
        declared: &ResourceDeclaration,
        schema: &ResourceSchema,
        environment: &Environment<'_>,
        found: &BTreeMap<String, ResourceDifference>,
    ) -> Vec<Detail> {
        let none = Document::Map(indexmap::IndexMap::new());
        let old = record.properties.as_ref().unwrap_or(&none);
        let written = self.template.resources.get(&record.logical_id);
        let old_names = old.as_map().into_iter().flat_map(indexmap::IndexMap::keys);
        let names: BTreeSet<&String> = declared.properties.keys().chain(old_names).collect();
        let whole = environment.map(&declared.properties).ok();
        let replaces = |name: &str| match behavior(schema, name) {
            UpdateBehavior::InPlace => Some(false),
            UpdateBehavior::Replacement => Some(true),
            UpdateBehavior::Conditional => whole.as_ref().map(|new| self.schemas.replaces(&record.type_name, old, new)),
        };
        let mut details = Vec::new();
        for name in names {
            let expression = declared.properties.get(name);
            let new = expression.map_or(Ok(None), |expression| environment.value(expression));
            let (known, new) = match new {
                Ok(new) => (true, new),
                Err(EvalError::Unknown) => (false, None),
                // The resource itself will tell.
                Err(_) => continue,
            };
            let unchanged = match (old.get(name), &new) {
                (Some(old), Some(new)) => same(old, new),
                (None, None) => true,
                _ => false,
            };
            if known && unchanged {
                continue;
            }
            let before_expression = written.and_then(|written| written.properties.get(name));
            let hidden = [expression, before_expression].into_iter().flatten().any(|e| self.hides(e));
            let text = |value: &Document| value.scalar_text().unwrap_or_else(|| value.to_json());
            let shown = |value: Option<&Document>| value.filter(|_| !hidden).map(text);
            let known = known && replaces(name).is_some();
            for source in self.sources(expression, before_expression, found) {
                details.push(Detail {
                    target: Target::Property(name.clone()),
                    source,
                    known,
                    replaces: replaces(name).unwrap_or(true),
                    before: shown(old.get(name)),
                    after: shown(new.as_ref()),
                });
            }
        }
        details
    }

    /// Whether the value depends on a parameter with `NoEcho`.
    fn hides(&self, expression: &Expression) -> bool {
        references(expression, Branches::All).into_iter().any(|name| {
            let declared = |template: &Template| template.parameters.get(name).is_some_and(|p| p.no_echo);
            declared(self.template) || declared(&self.plan.template)
        })
    }

    fn sources(
        &self,
        expression: Option<&Expression>,
        written: Option<&Expression>,
        found: &BTreeMap<String, ResourceDifference>,
    ) -> Vec<Source> {
        let mut sources = Vec::new();
        if expression != written {
            sources.push(Source::Direct);
        }
        for name in expression.into_iter().flat_map(|expression| references(expression, Branches::All)) {
            if let Some(bound) = self.plan.parameters.get(name) {
                let before = self.stack.parameters.get(name).map(|record: &ParameterRecord| &record.value);
                if before.is_some_and(|before| *before != bound.value) {
                    sources.push(Source::Parameter(name.to_owned()));
                }
            } else if let Some(difference) = found.get(name) {
                let taken = expression.map(|expression| attributes(expression, name)).unwrap_or_default();
                if taken.is_empty() {
                    // A resource that keeps its id is the same to whoever refers to it.
                    let id_stays = matches!(difference.replacement, Some(Replacement::False));
                    sources.extend((!id_stays).then(|| Source::Reference(name.to_owned())));
                }
                sources.extend(taken.into_iter().map(|taken| Source::Attribute(format!("{name}.{taken}"))));
            }
        }
        // A condition, a mapping or an import gives another value.
        if sources.is_empty() {
            sources.push(Source::Direct);
        }
        sources
    }

    fn beside_properties(
        &self,
        record: &ResourceRecord,
        declared: &ResourceDeclaration,
        schema: &ResourceSchema,
    ) -> Vec<Detail> {
        let mut details = Vec::new();
        let mut add = |target, source, known, before: Option<String>, after: Option<String>| {
            details.push(Detail { target, source, known, replaces: false, before, after });
        };
        let metadata = declared.metadata.as_ref().map(Document::to_json);
        if metadata != record.metadata {
            add(Target::Metadata, Source::Direct, true, record.metadata.clone(), metadata);
        }
        let name = |policy: RemovalPolicy| Some(policy.as_str().to_owned());
        // A stack made with `RetainExceptOnCreate` has what its template retains so.
        let weakened =
            (record.policy, declared.deletion_policy) == (RemovalPolicy::RetainExceptOnCreate, RemovalPolicy::Retain);
        if declared.deletion_policy != record.policy && !weakened {
            add(Target::DeletionPolicy, Source::Direct, true, name(record.policy), name(declared.deletion_policy));
        }
        if declared.update_replace_policy != record.replace_policy {
            let (before, after) = (name(record.replace_policy), name(declared.update_replace_policy));
            add(Target::UpdateReplacePolicy, Source::Direct, true, before, after);
        }
        if *self.tags != self.stack.tags && takes_tags(schema) {
            add(Target::Tags, Source::Direct, true, None, None);
        }
        if always(&record.type_name) && !self.unchanged.contains(&record.logical_id) {
            add(Target::Property("TemplateURL".to_owned()), Source::Automatic, false, None, None);
        }
        details
    }

    fn outputs_differ(&self, environment: &Environment<'_>) -> bool {
        let mut new = Vec::new();
        for (key, output) in &self.plan.template.outputs {
            let wanted = output.condition.as_ref().is_none_or(|name| self.plan.conditions.get(name) == Some(&true));
            if !wanted {
                continue;
            }
            let value = environment.text(&output.value, "");
            let export = output.export.as_ref().map(|name| environment.text(name, "")).transpose();
            let (Ok(value), Ok(export)) = (value, export) else { return true };
            new.push(OutputRecord { key: key.clone(), value, description: output.description.clone(), export });
        }
        let plain = |output: &OutputRecord| {
            (output.key.clone(), output.value.clone(), output.description.clone(), output.export.clone())
        };
        let (old, new): (BTreeSet<_>, BTreeSet<_>) =
            (self.stack.outputs.iter().map(plain).collect(), new.iter().map(plain).collect());
        old != new
    }
}
