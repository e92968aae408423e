//! `AWS::Batch::SchedulingPolicy`.

use super::{completed, kept, resource, update_tags};
use crate::BatchService;
use async_trait::async_trait;
use barge_core::resource::PropertyType::{Map, String as Text};
use barge_core::resource::{Creation, Properties, Reading, Resource, ResourceProvider, ResourceSchema, property};
use barge_core::{AwsError, Context, Document};
use barge_wire::batch::{
    CreateSchedulingPolicyRequest, DescribeSchedulingPoliciesRequest, FairsharePolicy, UpdateSchedulingPolicyRequest,
};
use barge_wire::{Typed, from_properties};
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Batch::SchedulingPolicy",
    properties: &[
        property("Name", Text).replaces(),
        property("FairsharePolicy", Map).of(FairsharePolicy::SHAPE),
        property("Tags", Map).open(&["Tags"]),
    ],
    attributes: &["Arn"],
};

pub(super) struct SchedulingPolicyProvider(pub(super) Arc<BatchService>);

#[async_trait]
impl ResourceProvider for SchedulingPolicyProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let input: CreateSchedulingPolicyRequest = from_properties(&completed(creation, "Name"))?;
        let made = self.0.create_policy(cx, input, Some(creation.token.clone())).await?;
        Ok(resource("Arn", made.arn))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        _old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        // A template that says nothing of shares means the default policy.
        let empty = Document::Map(indexmap::IndexMap::new());
        let policy: FairsharePolicy = from_properties(new.properties.get("FairsharePolicy").unwrap_or(&empty))?;
        let change = UpdateSchedulingPolicyRequest {
            arn: physical_id.to_owned(),
            fairshare_policy: Some(policy),
            ..UpdateSchedulingPolicyRequest::default()
        };
        self.0.update_policy(cx, change).await?;
        update_tags(&self.0, cx, physical_id, new).await?;
        Ok(resource("Arn", physical_id.to_owned()))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _properties: &Properties) -> Result<(), AwsError> {
        self.0.delete_policy(cx, physical_id).await
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let input = DescribeSchedulingPoliciesRequest { arns: vec![physical_id.to_owned()] };
        let found = self.0.describe_policies(cx, input).await?.scheduling_policies;
        Ok(found
            .into_iter()
            .flatten()
            .next()
            .map(|found| Reading::new(&SCHEMA, resource("Arn", found.arn.clone()), kept(found, properties, &[]))))
    }
}
