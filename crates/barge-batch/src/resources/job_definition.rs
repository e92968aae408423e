//! `AWS::Batch::JobDefinition`: each change is a new revision of the same name. The old one is deregistered once the stack has
//! changed, unless the new one's `ResourceRetentionPolicy` says that it stays.

use super::spelling::{Case, Spelling, spelled};
use super::{completed, kept, resource, update_tags};
use crate::BatchService;
use crate::store::{Former, Origin};
use async_trait::async_trait;
use barge_core::resource::PropertyType::{Boolean, Integer, List, Map, String as Text};
use barge_core::resource::{
    Creation, Properties, Reading, Resource, ResourceProvider, ResourceSchema, Structure, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::batch::{
    Batch, ConsumableResourceProperties, ContainerProperties, DescribeJobDefinitionsRequest, EcsProperties, JobTimeout,
    NodeProperties, RegisterJobDefinitionRequest, RetryStrategy,
};
use barge_wire::{Typed, from_properties};
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Batch::JobDefinition",
    properties: &[
        property("JobDefinitionName", Text).replaces(),
        property("Type", Text).required(),
        property("ContainerProperties", Map).of(ContainerProperties::SHAPE),
        property("EcsProperties", Map).of(EcsProperties::SHAPE),
        property("NodeProperties", Map).of(NodeProperties::SHAPE),
        property("ConsumableResourceProperties", Map).of(ConsumableResourceProperties::SHAPE),
        property("Parameters", Map).open(&["Parameters"]),
        property("PlatformCapabilities", List),
        property("PropagateTags", Boolean),
        property("RetryStrategy", Map).of(RetryStrategy::SHAPE),
        property("SchedulingPriority", Integer),
        property("Timeout", Map).of(JobTimeout::SHAPE),
        property(RETENTION, Map).of(RETENTION_POLICY).write_only(),
        property("Tags", Map).open(&["Tags"]),
    ],
    attributes: &["JobDefinitionArn"],
};

const RETENTION: &str = "ResourceRetentionPolicy";

const RETENTION_POLICY: &Structure = &Structure(&[property("SkipDeregisterOnUpdate", Boolean)]);

const SPELLINGS: [Spelling; 12] = [
    (&["Type"], Case::Lower),
    (&["PlatformCapabilities"], Case::Upper),
    (&["RetryStrategy", "EvaluateOnExit", "Action"], Case::Upper),
    (&["ContainerProperties", "ResourceRequirements", "Type"], Case::Upper),
    (&["ContainerProperties", "LogConfiguration", "LogDriver"], Case::Lower),
    (&["ContainerProperties", "NetworkConfiguration", "AssignPublicIp"], Case::Upper),
    (&["NodeProperties", "NodeRangeProperties", "Container", "ResourceRequirements", "Type"], Case::Upper),
    (&["NodeProperties", "NodeRangeProperties", "Container", "LogConfiguration", "LogDriver"], Case::Lower),
    (&["EcsProperties", "TaskProperties", "NetworkConfiguration", "AssignPublicIp"], Case::Upper),
    (&["EcsProperties", "TaskProperties", "Containers", "ResourceRequirements", "Type"], Case::Upper),
    (&["EcsProperties", "TaskProperties", "Containers", "LogConfiguration", "LogDriver"], Case::Lower),
    (&["EcsProperties", "TaskProperties", "Containers", "DependsOn", "Condition"], Case::Upper),
];

/// The registration that a template declares, for a definition of this name or of that which the template gives.
fn registration(creation: &Creation, name: Option<&str>) -> Result<RegisterJobDefinitionRequest, AwsError> {
    let properties = spelled(&completed(creation, "JobDefinitionName"), &SPELLINGS);
    let mut properties = properties.as_map().cloned().unwrap_or_default();
    properties.shift_remove(RETENTION);
    if let Some(name) = name {
        properties.insert("JobDefinitionName".to_owned(), name.into());
    }
    from_properties(&Document::Map(properties))
}

/// What becomes of the revision in whose place comes the one with these properties.
fn former(properties: &Properties) -> Former {
    let skip = properties.get(RETENTION).and_then(|policy| policy.get("SkipDeregisterOnUpdate"));
    match skip.and_then(Document::scalar_text).as_deref() {
        Some("true") => Former::Kept,
        _ => Former::Deregistered,
    }
}

pub(super) struct JobDefinitionProvider(pub(super) Arc<BatchService>);

#[async_trait]
impl ResourceProvider for JobDefinitionProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let input = registration(creation, None)?;
        let origin = Origin { token: Some(creation.token.clone()), former: former(&creation.properties) };
        let made = self.0.register_definition(cx, input, origin).await?;
        Ok(resource("JobDefinitionArn", made.job_definition_arn))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let name = physical_id.rsplit('/').next().and_then(|local| local.split(':').next());
        let before = Creation { properties: old.clone(), ..new.clone() };
        let (before, after) = (registration(&before, name)?, registration(new, name)?);
        if before == after {
            // What differs are the stack's tags.
            update_tags(&self.0, cx, physical_id, new).await?;
            let found = self.read(cx, physical_id, &new.properties).await?;
            return found
                .map(|found| found.resource)
                .ok_or_else(|| AwsError::internal(format!("{physical_id} is gone")));
        }
        let token = Some(format!("{}/{physical_id}", cx.request_id));
        let made = self.0.register_definition(cx, after, Origin { token, former: former(&new.properties) }).await?;
        Ok(resource("JobDefinitionArn", made.job_definition_arn))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Properties) -> Result<(), AwsError> {
        match self.read(cx, physical_id, properties).await? {
            Some(_) => self.0.retire_definition(cx, physical_id).await,
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
            Reading::new(&SCHEMA, resource, kept(found, properties, &SPELLINGS))
        }))
    }
}
