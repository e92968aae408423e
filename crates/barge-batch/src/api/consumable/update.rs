//! UpdateConsumableResource: the quantity is set, added to, or taken from; once for each client token.

use super::{count, refused, resolve};
use crate::api::{definition, nothing};
use crate::core::{Consumable, Event, State};
use crate::dispatcher::{Alteration, Directory};
use crate::service::BatchService;
use crate::store::Write;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{UpdateConsumableResourceRequest, UpdateConsumableResourceResponse};

/// Client tokens that are remembered for each resource.
const TOKENS: usize = 100;

/// What becomes of the quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Set(u64),
    Add(u64),
    Remove(u64),
}

impl Change {
    fn read(operation: Option<&str>, quantity: Option<i64>) -> Result<Self, AwsError> {
        let quantity = quantity.ok_or_else(|| client_exception("quantity must be provided."))?;
        let quantity = u64::try_from(quantity).map_err(|_| client_exception("quantity must be at least 0."))?;
        match operation {
            None | Some("SET") => Ok(Self::Set(quantity)),
            Some("ADD") => Ok(Self::Add(quantity)),
            Some("REMOVE") => Ok(Self::Remove(quantity)),
            Some(other) => Err(client_exception(format!("operation must be SET, ADD or REMOVE, not {other:?}."))),
        }
    }

    /// The total after the change.
    fn of(self, total: u64) -> Result<u64, AwsError> {
        let sum = match self {
            Self::Set(quantity) => Some(quantity),
            Self::Add(quantity) => total.checked_add(quantity).filter(|sum| i64::try_from(*sum).is_ok()),
            Self::Remove(quantity) => total.checked_sub(quantity),
        };
        sum.ok_or_else(|| client_exception(format!("The total quantity of {total} can't be changed by that much.")))
    }
}

impl BatchService {
    /// Changes a resource's quantity.
    pub(crate) async fn update_consumable(
        &self,
        cx: &Context,
        input: UpdateConsumableResourceRequest,
    ) -> Result<UpdateConsumableResourceResponse, AwsError> {
        let UpdateConsumableResourceRequest { consumable_resource: reference, operation, quantity, client_token } =
            input;
        let change = Change::read(operation.as_deref(), quantity)?;
        let id = resolve(cx, &reference)?;
        let changed = id.clone();
        self.dispatcher
            .alter(move |state: &State, directory: &Directory| {
                let missing = || definition::no_consumable(&reference);
                let mut row = directory.consumable(&changed).cloned().ok_or_else(missing)?;
                let now = state.consumable(&changed).copied().ok_or_else(missing)?;
                if let Some(token) = client_token {
                    if row.detail.tokens.contains(&token) {
                        return Ok(nothing());
                    }
                    row.detail.tokens.push(token);
                    let spare = row.detail.tokens.len().saturating_sub(TOKENS);
                    row.detail.tokens.drain(..spare);
                }
                let total = change.of(now.total)?;
                let events = vec![Event::PutConsumable(changed, Consumable { total, ..now })];
                Ok(Alteration { events, refused, writes: vec![Write::PutConsumable(Box::new(row))] })
            })
            .await?;
        let name = id.as_str().rsplit('/').next().unwrap_or_default().to_owned();
        let looked = id.clone();
        let total = self.dispatcher.look(move |state, _| state.consumable(&looked).map(|found| found.total)).await?;
        Ok(UpdateConsumableResourceResponse {
            consumable_resource_name: name,
            consumable_resource_arn: id.to_string(),
            total_quantity: total.and_then(count),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_set_added_and_removed() {
        for (operation, quantity, total) in [
            (Some("SET"), 7, Some(7)),
            (None, 7, Some(7)),
            (Some("ADD"), 7, Some(17)),
            (Some("ADD"), i64::MAX, None),
            (Some("REMOVE"), 7, Some(3)),
            (Some("REMOVE"), 11, None),
            (Some("DOUBLE"), 7, None),
            (Some("SET"), -1, None),
        ] {
            let changed = Change::read(operation, Some(quantity)).and_then(|change| change.of(10));
            assert_eq!(changed.ok(), total, "{operation:?} {quantity}");
        }
    }
}
