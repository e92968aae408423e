//! Resources that exist already and are taken into a stack (CloudFormation User Guide, "Import AWS resources into a
//! CloudFormation stack automatically"). Which those are is decided when a change set is made.

use super::CloudFormation;
use crate::engine::{self, Action, Plan, ResourceDifference};
use crate::template::{Expression, RemovalPolicy, ResourceDeclaration};
use barge_core::resource::{Properties, ResourceProvider};
use barge_core::{AwsError, Context, Document};
use std::collections::BTreeMap;

/// Why a change set can't take a resource in; a sentence.
type Refusal = String;

/// Finds which of the resources that `changes` adds are there already, and makes imports of them. The inner error is why
/// the change set can't be carried out.
pub(super) async fn find(
    service: &CloudFormation,
    cx: &Context,
    plan: &Plan,
    changes: &mut [ResourceDifference],
) -> Result<Result<(), Refusal>, AwsError> {
    for change in changes.iter_mut().filter(|change| change.action == Action::Add) {
        let declared = plan.template.resources.get(&change.logical_id);
        let provider = service.engine.registry().provider(&change.type_name);
        let (Some(declared), Some(provider)) = (declared, provider) else { continue };
        let Some(properties) = named(declared, provider.as_ref()) else { continue };
        let Some(physical_id) = provider.existing(cx, &properties).await? else { continue };
        if let Some(refusal) = refusal(service, cx, change, declared, &physical_id).await? {
            return Ok(Err(refusal));
        }
        change.action = Action::Import;
        change.physical_id = Some(physical_id);
    }
    Ok(Ok(()))
}

/// The physical ids of what a change set's changes take in, by logical id.
pub(super) fn of(changes: &[ResourceDifference]) -> BTreeMap<String, String> {
    let imports = changes.iter().filter(|change| change.action == Action::Import);
    imports.filter_map(|change| Some((change.logical_id.clone(), change.physical_id.clone()?))).collect()
}

/// The custom name of a resource, where its template has one that is written out: names from functions are not looked up.
fn named(declared: &ResourceDeclaration, provider: &dyn ResourceProvider) -> Option<Properties> {
    let property = provider.schema().identifier()?;
    let Expression::Literal(name) = declared.properties.get(property)? else { return None };
    Some(Document::Map([(property.to_owned(), name.clone())].into_iter().collect()))
}

async fn refusal(
    service: &CloudFormation,
    cx: &Context,
    change: &ResourceDifference,
    declared: &ResourceDeclaration,
    physical_id: &str,
) -> Result<Option<Refusal>, AwsError> {
    let logical_id = &change.logical_id;
    if declared.deletion_policy == RemovalPolicy::Delete {
        return Ok(Some(format!(
            "Resource {logical_id} exists as {physical_id}: to be imported it needs the DeletionPolicy Retain or \
             RetainExceptOnCreate"
        )));
    }
    let (scope, id, type_name) = (cx.scope.clone(), physical_id.to_owned(), change.type_name.clone());
    let holder = service
        .engine
        .store()
        .read(move |db| {
            let Some(stack) = engine::stack_of(db, &scope, &id)?.filter(engine::StackRecord::live) else {
                return Ok::<_, AwsError>(None);
            };
            let held = engine::resources(db, &stack.id)?.into_iter().any(|record| {
                record.listed() && record.type_name == type_name && record.physical_id.as_ref() == Some(&id)
            });
            Ok(held.then_some(stack.name))
        })
        .await?;
    Ok(holder.map(|stack| format!("Resource {logical_id} ({physical_id}) already belongs to the stack {stack}")))
}
