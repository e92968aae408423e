//! `AWS::Batch::ComputeEnvironment`.

use super::disposal::{Disposable, dispose};
use super::{completed, in_capitals, kept, resource, update_tags};
use crate::BatchService;
use async_trait::async_trait;
use barge_core::resource::PropertyType::{Map, String as Text};
use barge_core::resource::{Creation, Properties, Reading, Resource, ResourceProvider, ResourceSchema, property};
use barge_core::{AwsError, Context, Document};
use barge_wire::batch::{
    Batch, CEState, CreateComputeEnvironmentRequest, DescribeComputeEnvironmentsRequest,
    UpdateComputeEnvironmentRequest,
};
use barge_wire::from_properties;
use indexmap::IndexMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Batch::ComputeEnvironment",
    properties: &[
        property("ComputeEnvironmentName", Text).replaces(),
        property("Type", Text).required().replaces(),
        property("State", Text),
        property("ComputeResources", Map).open(&["Tags"]),
        property("ServiceRole", Text),
        property("Tags", Map).open(&["Tags"]),
    ],
    attributes: &["ComputeEnvironmentArn"],
};

pub(super) struct ComputeEnvironmentProvider(pub(super) Arc<BatchService>);

fn normalized(properties: &Document) -> IndexMap<String, Document> {
    let mut properties = properties.as_map().cloned().unwrap_or_default();
    in_capitals(&mut properties, "Type");
    in_capitals(&mut properties, "State");
    if let Some(Document::Map(resources)) = properties.get_mut("ComputeResources") {
        in_capitals(resources, "Type");
    }
    properties
}

#[async_trait]
impl ResourceProvider for ComputeEnvironmentProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = Document::Map(normalized(&completed(creation, "ComputeEnvironmentName")));
        let input: CreateComputeEnvironmentRequest = from_properties(&properties)?;
        let made = self.0.create_environment(cx, input, Some(creation.token.clone())).await?;
        Ok(resource("ComputeEnvironmentArn", made.compute_environment_arn.unwrap_or_default()))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        _old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let mut change = normalized(&new.properties);
        for kept in ["ComputeEnvironmentName", "Type", "Tags"] {
            change.shift_remove(kept);
        }
        change.insert("ComputeEnvironment".to_owned(), physical_id.into());
        let change: UpdateComputeEnvironmentRequest = from_properties(&Document::Map(change))?;
        self.0.update_environment(cx, change).await?;
        update_tags(&self.0, cx, physical_id, new).await?;
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
            let mut kept = kept(found, properties);
            if let Some(written) = properties.get("ComputeResources")
                && let Document::Map(members) = &mut kept
                && let Some(Document::Map(resources)) = members.get_mut("ComputeResources")
            {
                // Between its bounds Batch itself moves it.
                let written = written.get("DesiredvCpus").cloned();
                resources.extend(written.map(|written| ("DesiredvCpus".to_owned(), written)));
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
        self.0.update_environment(cx, disable).await.map(drop)
    }

    async fn start_deletion(&self, cx: &Context, arn: &str) -> Result<(), AwsError> {
        self.0.delete_environment(cx, arn).await
    }
}
