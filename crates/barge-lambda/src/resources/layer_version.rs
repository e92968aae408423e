//! `AWS::Lambda::LayerVersion` (CloudFormation Template Reference). `Ref` gives the layer version's ARN.

use super::properties::{request, text};
use crate::LambdaService;
use crate::layers::{arn, parse};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, Structure,
    property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::lambda::{DeleteLayerVersionRequest, PublishLayerVersionRequest};
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Lambda::LayerVersion",
    properties: &PROPERTIES,
    attributes: &["LayerVersionArn"],
};

const PROPERTIES: [Property; 6] = [
    property("CompatibleArchitectures", PropertyType::List).replaces(),
    property("CompatibleRuntimes", PropertyType::List).replaces(),
    property("Content", PropertyType::Map).of(CONTENT).required().replaces().write_only(),
    property("Description", PropertyType::String).replaces(),
    property("LayerName", PropertyType::String).replaces(),
    property("LicenseInfo", PropertyType::String).replaces(),
];

const CONTENT: &Structure = &Structure(&[
    property("S3Bucket", PropertyType::String).required(),
    property("S3Key", PropertyType::String).required(),
    property("S3ObjectVersion", PropertyType::String),
]);

/// Characters of a generated name.
const LONGEST_NAME: usize = 64;

/// The provider.
pub(super) struct LayerVersionResource(pub(super) Arc<LambdaService>);

fn resource(arn: &str) -> Resource {
    Resource {
        physical_id: arn.to_owned(),
        attributes: std::iter::once(("LayerVersionArn".to_owned(), arn.into())).collect(),
    }
}

#[async_trait]
impl ResourceProvider for LayerVersionResource {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let name = text(&creation.properties, "LayerName").unwrap_or_else(|| creation.physical_name(LONGEST_NAME));
        let request: PublishLayerVersionRequest = request(&creation.properties, &[("LayerName", name.into())])?;
        let (name, version) = self.0.publish_layer(cx, request, Some(creation.token.clone())).await?;
        Ok(resource(&format!("{}:{}", arn(&cx.scope, &name), version.number)))
    }

    async fn update(&self, _: &Context, id: &str, _: &Properties, _: &Creation) -> Result<Resource, AwsError> {
        // Every property replaces the layer version.
        Ok(resource(id))
    }

    async fn delete(&self, cx: &Context, id: &str, _: &Properties) -> Result<(), AwsError> {
        let Some((layer_name, Some(version_number))) = parse(&cx.scope, id) else { return Ok(()) };
        self.0.remove_layer_version(cx, &DeleteLayerVersionRequest { layer_name, version_number }).await
    }

    async fn read(&self, cx: &Context, id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let Some((name, Some(number))) = parse(&cx.scope, id) else { return Ok(None) };
        let found = self.0.shared.registry.layers.version(&cx.scope, &name, number).ok();
        Ok(found.map(|version| {
            let kept = [
                ("CompatibleArchitectures", version.architectures.iter().map(|one| one.as_str()).collect()),
                ("CompatibleRuntimes", version.runtimes.iter().map(|one| one.as_str()).collect()),
                ("Description", version.description.into()),
                ("LayerName", name.as_str().into()),
                ("LicenseInfo", version.license.into()),
            ];
            Reading::new(&SCHEMA, resource(id), Document::map(kept))
        }))
    }
}
