//! ListConsumableResources.

use super::shown;
use crate::api::jobs::{filter_pair, matches_name};
use crate::api::paging;
use crate::core::{Consumable, ConsumableId};
use crate::service::BatchService;
use crate::store::ConsumableDetail;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    ConsumableResourceSummary, KeyValuesPair, ListConsumableResourcesRequest, ListConsumableResourcesResponse,
};

impl BatchService {
    pub(in crate::api) async fn list_consumables(
        &self,
        cx: &Context,
        input: ListConsumableResourcesRequest,
    ) -> Result<ListConsumableResourcesResponse, AwsError> {
        let ListConsumableResourcesRequest { filters, max_results, next_token } = input;
        let wanted = filters.iter().flatten().map(read).collect::<Result<Vec<&[String]>, _>>()?;
        let rows = self.rows.resources::<ConsumableDetail>(cx.scope.clone()).await?;
        let mut all: Vec<_> = rows.into_iter().map(|row| row.detail.shown).collect();
        // Each filter must fit, by one of its values.
        all.retain(|detail| {
            let name = &detail.consumable_resource_name;
            wanted.iter().all(|names| names.iter().any(|wanted| matches_name(name, wanted)))
        });
        let next = next_token.as_deref();
        let (page, next_token) = paging::page(all, |row| &row.consumable_resource_name, max_results, next)?;
        let ids: Vec<ConsumableId> =
            page.iter().map(|detail| ConsumableId::new(detail.consumable_resource_arn.as_str())).collect();
        let look = move |state: &crate::core::State, _: &_| -> Vec<Option<Consumable>> {
            ids.iter().map(|id| state.consumable(id).copied()).collect()
        };
        let quantities = self.dispatcher.look(look).await?;
        let summaries = page.into_iter().zip(quantities).map(|(detail, now)| {
            let detail = shown(detail, now);
            ConsumableResourceSummary {
                consumable_resource_arn: detail.consumable_resource_arn,
                consumable_resource_name: detail.consumable_resource_name,
                total_quantity: detail.total_quantity,
                in_use_quantity: detail.in_use_quantity,
                resource_type: detail.resource_type,
            }
        });
        Ok(ListConsumableResourcesResponse { consumable_resources: summaries.collect(), next_token })
    }
}

/// The names that a filter lets through.
fn read(filter: &KeyValuesPair) -> Result<&[String], AwsError> {
    match filter.name.as_deref().unwrap_or_default() {
        "CONSUMABLE_RESOURCE_NAME" => match filter.values.as_deref() {
            Some(values) if !values.is_empty() => Ok(values),
            _ => filter_pair(filter).map(|_| &[][..]),
        },
        other => Err(client_exception(format!("{other:?} is no filter of ListConsumableResources."))),
    }
}
