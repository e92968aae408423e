//! Consumable resources (Batch User Guide, "Resource-aware scheduling"). How much there is and is in use is the core's to say.

mod jobs;
mod list;
mod update;

use super::{definition, names, nothing, tags};
use crate::core::{Consumable, ConsumableId, ConsumableKind, Event, Refusal};
use crate::dispatcher::Alteration;
use crate::service::BatchService;
use crate::store::{ConsumableDetail, ConsumableRow, Write};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CreateConsumableResourceRequest, CreateConsumableResourceResponse, DescribeConsumableResourceResponse,
};
use std::collections::BTreeMap;

pub(super) const KIND: &str = "consumable-resource";

fn refused(refusal: Refusal) -> AwsError {
    match refusal {
        Refusal::NoConsumable(id) => definition::no_consumable(id.as_str()),
        Refusal::ConsumableInUse(id) => {
            client_exception(format!("Cannot delete, jobs that have not ended need consumable resource {id}"))
        }
        other => client_exception(other.to_string()),
    }
}

fn resolve(cx: &Context, reference: &str) -> Result<ConsumableId, AwsError> {
    let arn = names::resolve(cx, KIND, reference).ok_or_else(|| definition::no_consumable(reference))?;
    Ok(ConsumableId::new(arn))
}

/// A quantity in the wire's numbers.
fn count(quantity: u64) -> Option<i64> {
    i64::try_from(quantity).ok()
}

/// The resource with the core's quantities.
fn shown(
    mut detail: DescribeConsumableResourceResponse,
    now: Option<Consumable>,
) -> DescribeConsumableResourceResponse {
    if let Some(consumable) = now {
        detail.total_quantity = count(consumable.total);
        detail.in_use_quantity = count(consumable.in_use);
        detail.available_quantity = count(consumable.available());
    }
    detail
}

impl BatchService {
    /// Creates a resource; once where it comes with the token of a template's resource.
    pub(crate) async fn create_consumable(
        &self,
        cx: &Context,
        input: CreateConsumableResourceRequest,
        token: Option<String>,
    ) -> Result<CreateConsumableResourceResponse, AwsError> {
        let CreateConsumableResourceRequest {
            consumable_resource_name: name,
            total_quantity,
            resource_type,
            tags: given,
        } = input;
        if !names::is_legal(&name) {
            return Err(client_exception("consumableResourceName should match valid pattern"));
        }
        let (kind, word) = kind(resource_type.as_deref())?;
        let total = total_quantity.unwrap_or(0);
        let total = u64::try_from(total).map_err(|_| client_exception("totalQuantity must be at least 0."))?;
        tags::check(given.as_ref().unwrap_or(&BTreeMap::new()))?;
        let id = resolve(cx, &name)?;
        let shown = DescribeConsumableResourceResponse {
            consumable_resource_name: name.clone(),
            consumable_resource_arn: id.to_string(),
            total_quantity,
            resource_type: Some(word.to_owned()),
            created_at: Some(self.ambient.clock.now().millis()),
            tags: Some(given.unwrap_or_default()),
            ..DescribeConsumableResourceResponse::default()
        };
        let detail = ConsumableDetail { shown, tokens: Vec::new() };
        let row = ConsumableRow { scope: cx.scope.clone(), token, detail };
        let made = id.clone();
        self.dispatcher
            .alter(move |_, directory| match directory.consumable(&made) {
                Some(old) if old.token.is_some() && old.token == row.token => Ok(nothing()),
                Some(_) => Err(client_exception("Object already exists")),
                None => {
                    let events = vec![Event::PutConsumable(made, Consumable { kind, total, in_use: 0 })];
                    Ok(Alteration { events, refused, writes: vec![Write::PutConsumable(Box::new(row))] })
                }
            })
            .await?;
        Ok(CreateConsumableResourceResponse { consumable_resource_name: name, consumable_resource_arn: id.to_string() })
    }

    pub(crate) async fn describe_consumable(
        &self,
        cx: &Context,
        reference: &str,
    ) -> Result<DescribeConsumableResourceResponse, AwsError> {
        let id = resolve(cx, reference)?;
        let found = self
            .dispatcher
            .look(move |state, directory| {
                let row = directory.consumable(&id)?;
                Some(shown(row.detail.shown.clone(), state.consumable(&id).copied()))
            })
            .await?;
        found.ok_or_else(|| definition::no_consumable(reference))
    }

    /// Deletes a resource that no live job needs. One that is not there is deleted already.
    pub(crate) async fn delete_consumable(&self, cx: &Context, reference: &str) -> Result<(), AwsError> {
        let id = resolve(cx, reference)?;
        self.dispatcher
            .alter(move |_, directory| {
                if directory.consumable(&id).is_none() {
                    return Ok(nothing());
                }
                let events = vec![Event::DeleteConsumable(id.clone())];
                Ok(Alteration { events, refused, writes: vec![Write::DeleteConsumable(id)] })
            })
            .await
    }
}

fn kind(word: Option<&str>) -> Result<(ConsumableKind, &'static str), AwsError> {
    match word {
        None | Some("REPLENISHABLE") => Ok((ConsumableKind::Replenishable, "REPLENISHABLE")),
        Some("NON_REPLENISHABLE") => Ok((ConsumableKind::NonReplenishable, "NON_REPLENISHABLE")),
        Some(other) => {
            Err(client_exception(format!("resourceType must be REPLENISHABLE or NON_REPLENISHABLE, not {other:?}.")))
        }
    }
}
