//! `AWS::Batch::JobDefinition`: each change is a new revision, and the old one is deregistered.

use super::{completed, kept, resource};
use crate::BatchService;
use async_trait::async_trait;
use barge_core::resource::PropertyType::{Boolean, Integer, List, Map, String as Text};
use barge_core::resource::{Creation, Properties, Reading, Resource, ResourceProvider, ResourceSchema, property};
use barge_core::{AwsError, Context};
use barge_wire::batch::{Batch, DescribeJobDefinitionsRequest, RegisterJobDefinitionRequest};
use barge_wire::from_properties;
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Batch::JobDefinition",
    properties: &[
        property("JobDefinitionName", Text).replaces(),
        property("Type", Text).required().replaces(),
        property("ContainerProperties", Map).replaces(),
        property("EcsProperties", Map).replaces(),
        property("NodeProperties", Map).replaces(),
        property("ConsumableResourceProperties", Map).replaces(),
        property("Parameters", Map).replaces().open(&["Parameters"]),
        property("PlatformCapabilities", List).replaces(),
        property("PropagateTags", Boolean).replaces(),
        property("RetryStrategy", Map).replaces(),
        property("SchedulingPriority", Integer).replaces(),
        property("Timeout", Map).replaces(),
        property("Tags", Map).open(&["Tags"]).replaces(),
    ],
    attributes: &["JobDefinitionArn"],
};

pub(super) struct JobDefinitionProvider(pub(super) Arc<BatchService>);

#[async_trait]
impl ResourceProvider for JobDefinitionProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let input: RegisterJobDefinitionRequest = from_properties(&completed(creation, "JobDefinitionName"))?;
        let made = self.0.register_definition(cx, input, Some(creation.token.clone())).await?;
        Ok(resource("JobDefinitionArn", made.job_definition_arn))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        _old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        // Only where nothing that makes a revision differs: then it is as it should be.
        let found = self.read(cx, physical_id, &new.properties).await?;
        found.map(|found| found.resource).ok_or_else(|| AwsError::internal(format!("{physical_id} is gone")))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Properties) -> Result<(), AwsError> {
        match self.read(cx, physical_id, properties).await? {
            Some(_) => self.0.deregister_definition(cx, physical_id).await,
            None => Ok(()),
        }
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let input = DescribeJobDefinitionsRequest {
            job_definitions: Some(vec![physical_id.to_owned()]),
            ..DescribeJobDefinitionsRequest::default()
        };
        let found = self.0.describe_job_definitions(cx, input).await?.job_definitions;
        let active = found.into_iter().flatten().find(|found| found.status.as_deref() == Some("ACTIVE"));
        Ok(active.map(|found| {
            let resource = resource("JobDefinitionArn", found.job_definition_arn.clone());
            Reading::new(&SCHEMA, resource, kept(found, properties))
        }))
    }
}
