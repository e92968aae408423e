//! Change sets of nested stacks (CloudFormation User Guide, "Change sets for nested stacks"): they show what the change set of
//! the stack above all does below. Only that one is executed or deleted, and these go with it.

use super::capabilities::Transforms;
use super::proposal::{self, Proposal};
use super::stacks::{self, Settings};
use super::{CloudFormation, capabilities, embedded, stacks::capability_list, template_url};
use crate::engine::{
    self, Action, ChangeSetKind, ChangeSetRecord, Differences, OnFailure, Parent, ResourceDifference, Source,
    StackRecord, token,
};
use crate::template::KNOWN_LATER;
use crate::types::{nested_stack, wanted_nested_stack};
use barge_core::ids::SeededIds;
use barge_core::resource::Creation;
use barge_core::{AwsError, Context, Document, IdSource as _};
use barge_wire::cloudformation::error;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;

/// What looks into stacks, and so calls itself for the stacks below those below.
type Looking<'a, T> = Pin<Box<dyn Future<Output = Result<T, AwsError>> + Send + 'a>>;

/// Compares a stack with what it is to be, where nested stacks are looked into: those that stay as they are change nothing.
pub(super) async fn compare(
    service: &CloudFormation,
    cx: &Context,
    stack: &StackRecord,
    set: &ChangeSetRecord,
    proposal: &Proposal,
) -> Result<Differences, AwsError> {
    let mut same = BTreeSet::new();
    loop {
        let differences = proposal::compare_knowing(service, stack, proposal, &same).await?;
        let before = same.len();
        for change in differences.resources.iter().filter(|change| only_looked_at(change)) {
            if let Some(properties) = differences.nested.get(&change.logical_id)
                && let Ok(Below::Same) = below(service, cx, stack, set, change, properties).await
            {
                same.insert(change.logical_id.clone());
            }
        }
        // One that is known to stay may be all that another depends on.
        if same.len() == before {
            return Ok(differences);
        }
    }
}

/// Makes a change set for each nested stack that `set` makes or changes, and for those below. What can't be made fails `set`;
/// a stack whose parameters are not known yet has none.
///
/// `nested` holds the properties of the stacks nested in `stack`, as far as they are known.
pub(super) fn propose<'a>(
    service: &'a CloudFormation,
    cx: &'a Context,
    stack: &'a StackRecord,
    set: &'a mut ChangeSetRecord,
    nested: &'a BTreeMap<String, Document>,
) -> Looking<'a, Vec<ChangeSetRecord>> {
    Box::pin(async move {
        let mut sets = Vec::new();
        for index in 0..set.changes.len() {
            let mut change = set.changes[index].clone();
            let Some(properties) = nested.get(&change.logical_id) else { continue };
            match below(service, cx, stack, set, &change, properties).await {
                Ok(Below::Unknown | Below::Same) => {}
                Ok(Below::Changed { mut child, record, nested }) => {
                    let grandchildren = propose(service, cx, &record, &mut child, &nested).await?;
                    change.change_set = Some(child.id.clone());
                    if let Some(reason) = &child.failure {
                        set.failure = Some(failure(&child.id, reason));
                    }
                    sets.push(*child);
                    sets.extend(grandchildren);
                }
                Err(error) if error.status >= 500 => return Err(error),
                Err(error) => {
                    set.failure = Some(failure(&change.logical_id, &error.message));
                }
            }
            set.changes[index] = change;
        }
        Ok(sets)
    })
}

fn failure(of: &str, reason: &str) -> String {
    format!("Nested change set {of} was not successfully created: {reason}")
}

/// Whether the only reason for the change is that a nested stack's template may be another.
fn only_looked_at(change: &ResourceDifference) -> bool {
    change.action == Action::Modify && change.details.iter().all(|detail| detail.source == Source::Automatic)
}

/// What becomes of a nested stack.
enum Below {
    /// Its parameters are not known yet.
    Unknown,
    Same,
    Changed {
        child: Box<ChangeSetRecord>,
        record: Box<StackRecord>,
        nested: BTreeMap<String, Document>,
    },
}

fn below<'a>(
    service: &'a CloudFormation,
    cx: &'a Context,
    stack: &'a StackRecord,
    set: &'a ChangeSetRecord,
    change: &'a ResourceDifference,
    properties: &'a Document,
) -> Looking<'a, Below> {
    Box::pin(async move {
        // What is added by an update belongs to the operation that the update will be.
        let generation = if set.kind == ChangeSetKind::Create { 0 } else { stack.operation + 1 };
        let creation = Creation {
            properties: properties.clone(),
            logical_id: change.logical_id.clone(),
            stack_name: stack.name.clone(),
            stack_id: stack.id.clone(),
            token: token(&stack.id, generation, &change.logical_id),
            tags: set.tags.clone(),
        };
        let wanted = wanted_nested_stack(&creation)?;
        if wanted.parameters.values().chain([&wanted.url]).any(|value| value.contains(KNOWN_LATER)) {
            return Ok(Below::Unknown);
        }
        let there = match &change.physical_id {
            Some(id) => embedded::find(service, id).await?.filter(StackRecord::live),
            None => None,
        };
        let (kind, record) = match there {
            Some(there) => (ChangeSetKind::Update, there),
            None => (ChangeSetKind::Create, blank(service, cx, stack, &creation)),
        };
        let body = template_url::read(service, cx, &wanted.url).await?;
        let plan = proposal::plan(service, &record, &body, wanted.parameters).await?;
        capabilities::check(&plan.template, &capability_list(&set.capabilities), Transforms::Shown)?;
        let proposal = Proposal { body, plan, tags: wanted.tags, capabilities: set.capabilities.clone() };
        let changed = compare(service, cx, &record, set, &proposal).await?;
        if changed.none() {
            return Ok(Below::Same);
        }
        let Differences { resources, nested, .. } = changed;
        let suffix = SeededIds::new(format!("{}/{}", set.id, creation.token)).upper_alphanumeric(12);
        let stem: String = format!("{}-{}", set.name, change.logical_id).chars().take(115).collect();
        let name = format!("{stem}-{suffix}");
        let child = ChangeSetRecord {
            id: cx
                .scope
                .arn("cloudformation", format!("changeSet/{name}/{}", service.engine.ambient().ids.uuid()))
                .to_string(),
            name,
            stack_id: record.id.clone(),
            stack_name: record.name.clone(),
            description: None,
            hidden: super::change_sets::hidden(&proposal),
            parameters: proposal
                .plan
                .parameters
                .iter()
                .map(|(name, bound)| (name.clone(), bound.text.clone()))
                .collect(),
            template: proposal.body,
            tags: proposal.tags,
            token: None,
            kind,
            base: record.operation,
            parent: Some(set.id.clone()),
            root: Some(set.root.clone().unwrap_or_else(|| set.id.clone())),
            failure: None,
            changes: resources,
            ..set.clone()
        };
        Ok(Below::Changed { child: Box::new(child), record: Box::new(record), nested })
    })
}

/// The record of a nested stack that is to be made, with the name and ARN that it will have.
fn blank(service: &CloudFormation, cx: &Context, above: &StackRecord, creation: &Creation) -> StackRecord {
    let (name, id) = nested_stack(cx, creation);
    let settings = Settings {
        name,
        tags: BTreeMap::new(),
        capabilities: Vec::new(),
        on_failure: OnFailure::DoNothing,
        token: None,
    };
    let root = above.parent.as_ref().map_or_else(|| above.id.clone(), |parent| parent.root.clone());
    StackRecord { id, parent: Some(Parent { id: above.id.clone(), root }), ..stacks::blank(service, cx, settings) }
}

/// Refuses to do with a nested stack's change set what only the one of the stack above all is for.
pub(super) fn refuse_below(set: &ChangeSetRecord) -> Result<(), AwsError> {
    match &set.root {
        Some(root) => Err(error::invalid_change_set_status_exception(format!(
            "ChangeSet [{}] belongs to a nested stack: use its root change set [{root}]",
            set.id
        ))),
        None => Ok(()),
    }
}

/// The change set `root` is carried out, and with it those below.
pub(super) async fn executed(service: &CloudFormation, root: String) -> Result<(), AwsError> {
    service
        .engine
        .store()
        .write(move |tx| {
            for set in engine::change_sets_below(tx, &root)? {
                engine::save_change_set(tx, &ChangeSetRecord { executed: true, ..set })?;
            }
            Ok(())
        })
        .await
}

/// Removes the change set `root` and those below.
pub(super) async fn remove(service: &CloudFormation, root: String) -> Result<(), AwsError> {
    service
        .engine
        .store()
        .write(move |tx| {
            for set in engine::change_sets_below(tx, &root)? {
                engine::remove_change_set(tx, &set.id)?;
            }
            engine::remove_change_set(tx, &root)
        })
        .await
}
