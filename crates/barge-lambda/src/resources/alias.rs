//! `AWS::Lambda::Alias` (CloudFormation Template Reference). `Ref` gives the alias' ARN.

use super::properties::{self, request, text};
use crate::LambdaService;
use crate::names::{FunctionKey, Qualifier, Target, resolve};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, Structure,
    property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::lambda::{
    AliasConfiguration, CreateAliasRequest, DeleteAliasRequest, GetAliasRequest, UpdateAliasRequest,
};
use indexmap::IndexMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::Lambda::Alias", properties: &PROPERTIES, attributes: &["AliasArn"] };

const PROPERTIES: [Property; 5] = [
    property("FunctionName", PropertyType::String).required().replaces(),
    property("FunctionVersion", PropertyType::String).required(),
    property("Name", PropertyType::String).required().replaces(),
    property("Description", PropertyType::String),
    property("RoutingConfig", PropertyType::Map).of(ROUTING),
];

const ROUTING: &Structure = &Structure(&[property("AdditionalVersionWeights", PropertyType::List).of(WEIGHT)]);

const WEIGHT: &Structure = &Structure(&[
    property("FunctionVersion", PropertyType::String).required(),
    property("FunctionWeight", PropertyType::Number).required(),
]);

/// The provider.
pub(super) struct AliasResource(pub(super) Arc<LambdaService>);

/// Templates list weights, the API has a map. Without weights an update takes those away that are there.
fn routing(properties: &Properties) -> Document {
    let list = properties.get("RoutingConfig").and_then(|routing| routing.get("AdditionalVersionWeights"));
    let entries = list.and_then(Document::as_list).unwrap_or_default().iter();
    let weights: IndexMap<String, Document> = entries
        .filter_map(|entry| Some((text(entry, "FunctionVersion")?, entry.get("FunctionWeight")?.clone())))
        .collect();
    Document::map([("AdditionalVersionWeights", Document::Map(weights))])
}

fn kept(function_name: Document, alias: &AliasConfiguration) -> Properties {
    let weights = alias.routing_config.as_ref().and_then(|routing| routing.additional_version_weights.as_ref());
    let weight = |(version, weight): (&String, &f64)| {
        Document::map([("FunctionVersion", version.as_str().into()), ("FunctionWeight", Document::from(*weight))])
    };
    let weights: Document = weights.into_iter().flatten().map(weight).collect();
    Document::map([
        ("FunctionName", function_name),
        ("FunctionVersion", alias.function_version.clone().into()),
        ("Name", alias.name.clone().into()),
        ("Description", alias.description.clone().into()),
        ("RoutingConfig", Document::map([("AdditionalVersionWeights", weights)])),
    ])
}

fn resource(alias: AliasConfiguration) -> Resource {
    let arn = alias.alias_arn.unwrap_or_default();
    Resource { attributes: std::iter::once(("AliasArn".to_owned(), arn.as_str().into())).collect(), physical_id: arn }
}

/// The function and alias that a physical id names.
fn named(cx: &Context, id: &str) -> Result<(String, String), AwsError> {
    match resolve(&cx.scope, id, None)? {
        Target { key, qualifier: Qualifier::Alias(name) } => Ok((key.name, name)),
        Target { key, qualifier } => Err(qualifier.not_found(&key)),
    }
}

#[async_trait]
impl ResourceProvider for AliasResource {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let request: CreateAliasRequest =
            request(&creation.properties, &[("RoutingConfig", routing(&creation.properties))])?;
        Ok(resource(self.0.make_alias(cx, request, Some(creation.token.clone())).await?))
    }

    async fn update(&self, cx: &Context, _: &str, _: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let description = text(&new.properties, "Description").unwrap_or_default();
        let members = [("RoutingConfig", routing(&new.properties)), ("Description", description.into())];
        let request: UpdateAliasRequest = request(&new.properties, &members)?;
        Ok(resource(self.0.change_alias(cx, request).await?))
    }

    async fn delete(&self, cx: &Context, id: &str, _: &Properties) -> Result<(), AwsError> {
        let (function_name, name) = named(cx, id)?;
        match self.0.remove_alias(cx, &DeleteAliasRequest { function_name, name }).await {
            Err(error) if !error.is("ResourceNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, id: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let (function_name, name) = named(cx, id)?;
        match self.0.alias(cx, &GetAliasRequest { function_name: function_name.clone(), name }) {
            Ok(alias) => {
                let name = properties::function_name(cx, properties, &FunctionKey::new(&cx.scope, &function_name));
                let kept = kept(name, &alias);
                Ok(Some(Reading::new(&SCHEMA, resource(alias), kept)))
            }
            Err(error) if error.is("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }
}
