//! `AWS::Batch::ComputeEnvironment`.
//!
//! Where instances would have to be replaced, either a new environment takes the old one's place, or an infrastructure update
//! replaces them: `ReplaceComputeEnvironment` says which.

mod changes;

use super::disposal::{Disposable, LOOK, dispose};
use super::{completed, kept, resource};
use crate::BatchService;
use async_trait::async_trait;
use barge_core::resource::PropertyType::{Boolean, Map, String as Text};
use barge_core::resource::{
    Creation, Properties, Property, Reading, Resource, ResourceProvider, ResourceSchema, With, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::Typed;
use barge_wire::batch::{
    Batch, CEState, CEStatus, ComputeResource, DescribeComputeEnvironmentsRequest, UpdateComputeEnvironmentRequest,
    UpdatePolicy,
};
use changes::{RESOURCES, SPELLINGS};
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Batch::ComputeEnvironment",
    properties: &[
        property("ComputeEnvironmentName", Text).replaces(),
        property("Type", Text).required().may_replace(),
        property("State", Text),
        property(RESOURCES, Map).of(&With(ComputeResource::SHAPE, FOR_UPDATES)).may_replace().open(&["Tags"]),
        property("ServiceRole", Text),
        property("ReplaceComputeEnvironment", Boolean).write_only(),
        property("UpdatePolicy", Map).of(UpdatePolicy::SHAPE),
        property("Tags", Map).replaces().open(&["Tags"]),
    ],
    attributes: &["ComputeEnvironmentArn"],
};

/// What only a template can say of instances.
const FOR_UPDATES: &[Property] = &[property("UpdateToLatestImageVersion", Boolean)];

pub(super) struct ComputeEnvironmentProvider(pub(super) Arc<BatchService>);

impl ComputeEnvironmentProvider {
    /// Waits until no instances are being replaced: until then an environment takes no change. The update policy says how
    /// long that can last.
    async fn settle(&self, cx: &Context, arn: &str) -> Result<(), AwsError> {
        loop {
            let input = DescribeComputeEnvironmentsRequest {
                compute_environments: Some(vec![arn.to_owned()]),
                ..DescribeComputeEnvironmentsRequest::default()
            };
            let found = self.0.describe_compute_environments(cx, input).await?.compute_environments;
            if !found.into_iter().flatten().any(|found| found.status == Some(CEStatus::Updating)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[async_trait]
impl ResourceProvider for ComputeEnvironmentProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let input = changes::creation(&completed(creation, "ComputeEnvironmentName"))?;
        let made = self.0.create_environment(cx, input, Some(creation.token.clone())).await?;
        let arn = made.compute_environment_arn.unwrap_or_default();
        if let Some(policy) = changes::completion(&arn, &creation.properties)? {
            self.0.update_environment(cx, policy).await?;
        }
        Ok(resource("ComputeEnvironmentArn", arn))
    }

    fn replaces(&self, old: &Properties, new: &Properties) -> bool {
        changes::replaces(old, new)
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let change = changes::update(physical_id, old, &new.properties)?;
        self.settle(cx, physical_id).await?;
        self.0.update_environment(cx, change).await?;
        self.settle(cx, physical_id).await?;
        Ok(resource("ComputeEnvironmentArn", physical_id.to_owned()))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Properties) -> Result<(), AwsError> {
        dispose(self, cx, physical_id, properties).await
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let input = DescribeComputeEnvironmentsRequest {
            compute_environments: Some(vec![physical_id.to_owned()]),
            ..DescribeComputeEnvironmentsRequest::default()
        };
        let found = self.0.describe_compute_environments(cx, input).await?.compute_environments;
        let found = found.into_iter().flatten().next();
        Ok(found.map(|found| {
            let resource = resource("ComputeEnvironmentArn", found.compute_environment_arn.clone());
            let mut kept = kept(found, properties, &SPELLINGS);
            if let Some(written) = properties.get("ComputeResources")
                && let Document::Map(members) = &mut kept
                && let Some(Document::Map(resources)) = members.get_mut("ComputeResources")
            {
                // Between its bounds Batch itself moves the one; the other is an order, which nothing keeps.
                for name in ["DesiredvCpus", "UpdateToLatestImageVersion"] {
                    resources.extend(written.get(name).map(|written| (name.to_owned(), written.clone())));
                }
            }
            Reading::new(&SCHEMA, resource, kept)
        }))
    }
}

#[async_trait]
impl Disposable for ComputeEnvironmentProvider {
    async fn disable(&self, cx: &Context, arn: &str) -> Result<(), AwsError> {
        let disable = UpdateComputeEnvironmentRequest {
            compute_environment: arn.to_owned(),
            state: Some(CEState::Disabled),
            ..UpdateComputeEnvironmentRequest::default()
        };
        self.settle(cx, arn).await?;
        self.0.update_environment(cx, disable).await.map(drop)
    }

    async fn start_deletion(&self, cx: &Context, arn: &str) -> Result<(), AwsError> {
        self.0.delete_environment(cx, arn).await
    }
}
