//! `AWS::Lambda::Version` (CloudFormation Template Reference). `Ref` gives the version's ARN.

use super::properties::{function_name, request};
use crate::LambdaService;
use crate::api::versions::Unchanged;
use crate::names::{FunctionKey, Qualifier, Target, resolve};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::lambda::PublishVersionRequest;
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Lambda::Version",
    properties: &PROPERTIES,
    attributes: &["FunctionArn", "Version"],
};

const PROPERTIES: [Property; 3] = [
    property("FunctionName", PropertyType::String).required().replaces(),
    property("CodeSha256", PropertyType::String).replaces(),
    property("Description", PropertyType::String).replaces(),
];

/// The provider.
pub(super) struct VersionResource(pub(super) Arc<LambdaService>);

fn resource(key: &FunctionKey, number: u64) -> Resource {
    let arn = Qualifier::Version(number).arn(key);
    let attributes = [("FunctionArn", arn.clone()), ("Version", number.to_string())];
    Resource {
        physical_id: arn,
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// The function and number that a physical id names.
fn named(cx: &Context, id: &str) -> Result<(FunctionKey, u64), AwsError> {
    match resolve(&cx.scope, id, None)? {
        Target { key, qualifier: Qualifier::Version(number) } => Ok((key, number)),
        Target { key, qualifier } => Err(qualifier.not_found(&key)),
    }
}

#[async_trait]
impl ResourceProvider for VersionResource {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let request: PublishVersionRequest = request(&creation.properties, &[])?;
        let token = Some(creation.token.as_str());
        let (function, number) = self.0.publish(cx, &request, Unchanged::Refused, token).await?;
        Ok(resource(&function.key, number))
    }

    async fn update(&self, cx: &Context, id: &str, _: &Properties, _: &Creation) -> Result<Resource, AwsError> {
        // Every property replaces the version.
        let (key, number) = named(cx, id)?;
        Ok(resource(&key, number))
    }

    async fn delete(&self, cx: &Context, id: &str, _: &Properties) -> Result<(), AwsError> {
        let (key, number) = named(cx, id)?;
        match self.0.remove_version(&key, number).await {
            Err(error) if !error.is("ResourceNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, id: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let (key, number) = named(cx, id)?;
        let found = self.0.shared.registry.get(&key).and_then(|function| function.at(number));
        Ok(found.map(|version| {
            let kept = [
                ("FunctionName", function_name(cx, properties, &key)),
                ("CodeSha256", version.code.base64().into()),
                ("Description", version.settings.description.into()),
            ];
            Reading::new(&SCHEMA, resource(&key, number), Document::map(kept))
        }))
    }
}
