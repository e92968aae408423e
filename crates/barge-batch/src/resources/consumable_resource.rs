//! `AWS::Batch::ConsumableResource`.

use super::spelling::{Case, Spelling, spelled};
use super::{completed, kept, update_tags};
use crate::BatchService;
use async_trait::async_trait;
use barge_core::resource::PropertyType::{Integer, Map, String as Text};
use barge_core::resource::{Creation, Properties, Reading, Resource, ResourceProvider, ResourceSchema, property};
use barge_core::{AwsError, Context, Document};
use barge_wire::batch::{
    CreateConsumableResourceRequest, DescribeConsumableResourceResponse, UpdateConsumableResourceRequest,
};
use barge_wire::from_properties;
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Batch::ConsumableResource",
    properties: &[
        property("ConsumableResourceName", Text).replaces(),
        property("TotalQuantity", Integer).required(),
        property("ResourceType", Text).required().replaces(),
        property("Tags", Map).open(&["Tags"]),
    ],
    attributes: &["ConsumableResourceArn", "AvailableQuantity", "InUseQuantity", "CreatedAt"],
};

const SPELLINGS: [Spelling; 1] = [(&["ResourceType"], Case::Upper)];

pub(super) struct ConsumableResourceProvider(pub(super) Arc<BatchService>);

impl ConsumableResourceProvider {
    async fn made(&self, cx: &Context, arn: &str) -> Result<Resource, AwsError> {
        self.0.describe_consumable(cx, arn).await.map(shown)
    }
}

fn shown(found: DescribeConsumableResourceResponse) -> Resource {
    let number = |number: Option<i64>| Document::from(number.unwrap_or(0));
    let attributes = BTreeMap::from([
        ("ConsumableResourceArn".to_owned(), Document::from(found.consumable_resource_arn.as_str())),
        ("AvailableQuantity".to_owned(), number(found.available_quantity)),
        ("InUseQuantity".to_owned(), number(found.in_use_quantity)),
        ("CreatedAt".to_owned(), number(found.created_at)),
    ]);
    Resource { physical_id: found.consumable_resource_arn, attributes }
}

#[async_trait]
impl ResourceProvider for ConsumableResourceProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = spelled(&completed(creation, "ConsumableResourceName"), &SPELLINGS);
        let input: CreateConsumableResourceRequest = from_properties(&properties)?;
        let made = self.0.create_consumable(cx, input, Some(creation.token.clone())).await?;
        self.made(cx, &made.consumable_resource_arn).await
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        _old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let wanted: CreateConsumableResourceRequest = from_properties(&completed(new, "ConsumableResourceName"))?;
        let change = UpdateConsumableResourceRequest {
            consumable_resource: physical_id.to_owned(),
            operation: Some("SET".to_owned()),
            quantity: wanted.total_quantity,
            client_token: None,
        };
        self.0.update_consumable(cx, change).await?;
        update_tags(&self.0, cx, physical_id, new).await?;
        self.made(cx, physical_id).await
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _properties: &Properties) -> Result<(), AwsError> {
        self.0.delete_consumable(cx, physical_id).await
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        match self.0.describe_consumable(cx, physical_id).await {
            Ok(found) => {
                let kept = kept(found.clone(), properties, &SPELLINGS);
                Ok(Some(Reading::new(&SCHEMA, shown(found), kept)))
            }
            Err(error) if error.is("ClientException") => Ok(None),
            Err(error) => Err(error),
        }
    }
}
