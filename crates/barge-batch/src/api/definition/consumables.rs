//! Consumable resources that jobs need (API Reference, "ConsumableResourceProperties"). Whether they are there is looked at when a
//! job is submitted.

use crate::api::names;
use crate::core::ConsumableId;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{ConsumableResourceProperties, ConsumableResourceRequirement};
use std::collections::BTreeSet;

/// Checks a list of requirements, of a definition or an override.
pub(in crate::api) fn check(properties: Option<&ConsumableResourceProperties>) -> Result<(), AwsError> {
    let mut seen = BTreeSet::new();
    for requirement in list(properties) {
        let name = requirement.consumable_resource.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Err(client_exception("consumableResource must be provided."));
        }
        if requirement.quantity.is_none_or(|quantity| quantity < 1) {
            return Err(client_exception(format!("The quantity of consumable resource {name} must be at least 1.")));
        }
        if !seen.insert(name) {
            return Err(client_exception(format!("Consumable resource {name} is named twice.")));
        }
    }
    Ok(())
}

fn list(properties: Option<&ConsumableResourceProperties>) -> &[ConsumableResourceRequirement] {
    properties.and_then(|properties| properties.consumable_resource_list.as_deref()).unwrap_or_default()
}

/// Requirements with overrides, which count for the resources that they name.
pub(in crate::api) fn overridden(
    own: Option<ConsumableResourceProperties>,
    overrides: Option<ConsumableResourceProperties>,
) -> Option<ConsumableResourceProperties> {
    let Some(overrides) = overrides else { return own };
    let mut all = own.and_then(|own| own.consumable_resource_list).unwrap_or_default();
    for requirement in overrides.consumable_resource_list.into_iter().flatten() {
        all.retain(|other| other.consumable_resource != requirement.consumable_resource);
        all.push(requirement);
    }
    Some(ConsumableResourceProperties { consumable_resource_list: Some(all) })
}

/// What an attempt takes, each resource once: `times` says for how many nodes each list counts.
pub(in crate::api) fn needed<'a>(
    cx: &Context,
    lists: impl Iterator<Item = Option<&'a ConsumableResourceProperties>>,
) -> Result<Vec<(ConsumableId, u64)>, AwsError> {
    let mut all: Vec<(ConsumableId, u64)> = Vec::new();
    for requirement in lists.flat_map(list) {
        let name = requirement.consumable_resource.as_deref().unwrap_or_default();
        let arn = names::resolve(cx, "consumable-resource", name).ok_or_else(|| missing(name))?;
        let id = ConsumableId::new(arn);
        let quantity = requirement.quantity.and_then(|quantity| u64::try_from(quantity).ok()).unwrap_or(0);
        match all.iter_mut().find(|(other, _)| *other == id) {
            Some((_, sum)) => *sum = sum.saturating_add(quantity),
            None => all.push((id, quantity)),
        }
    }
    all.sort();
    Ok(all)
}

/// The refusal of a resource that is not there.
pub(in crate::api) fn missing(reference: &str) -> AwsError {
    client_exception(format!("Consumable resource {reference} does not exist."))
}
