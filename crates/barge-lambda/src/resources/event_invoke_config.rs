//! `AWS::Lambda::EventInvokeConfig` (CloudFormation Template Reference).

use super::properties::{request, text};
use crate::LambdaService;
use crate::api::event_configs::Rest;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::lambda::DestinationConfig;
use barge_wire::{Typed, to_properties};
use std::sync::Arc;

const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::Lambda::EventInvokeConfig", properties: &PROPERTIES, attributes: &[] };

const PROPERTIES: [Property; 5] = [
    property("FunctionName", PropertyType::String).required().replaces(),
    property("Qualifier", PropertyType::String).required().replaces(),
    property("MaximumEventAgeInSeconds", PropertyType::Integer),
    property("MaximumRetryAttempts", PropertyType::Integer),
    property("DestinationConfig", PropertyType::Map).of(DestinationConfig::SHAPE),
];

/// The provider.
pub(super) struct EventInvokeConfigResource(pub(super) Arc<LambdaService>);

/// The function's name and the qualifier.
fn place(properties: &Properties) -> (String, Option<String>) {
    (text(properties, "FunctionName").unwrap_or_default(), text(properties, "Qualifier"))
}

fn resource(properties: &Properties) -> Resource {
    let (function, qualifier) = place(properties);
    let physical_id = format!("{function}|{}", qualifier.unwrap_or_default());
    Resource { physical_id, ..Resource::default() }
}

#[async_trait]
impl ResourceProvider for EventInvokeConfigResource {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        // Putting is the same whether there is one or not, as it is on AWS.
        self.0.put_event_config(cx, &request(&creation.properties, &[])?, Rest::Cleared).await?;
        Ok(resource(&creation.properties))
    }

    async fn update(&self, cx: &Context, _: &str, _: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        self.0.put_event_config(cx, &request(&new.properties, &[])?, Rest::Cleared).await?;
        Ok(resource(&new.properties))
    }

    async fn delete(&self, cx: &Context, _: &str, properties: &Properties) -> Result<(), AwsError> {
        let (function, qualifier) = place(properties);
        match self.0.remove_event_config(cx, &function, qualifier.as_deref()).await {
            Err(error) if !error.is("ResourceNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, _: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let (function, qualifier) = place(properties);
        match self.0.event_config(cx, &function, qualifier.as_deref()) {
            Ok(found) => {
                let kept = [
                    ("FunctionName", function.into()),
                    ("Qualifier", qualifier.into()),
                    ("MaximumEventAgeInSeconds", found.maximum_event_age_in_seconds.into()),
                    ("MaximumRetryAttempts", found.maximum_retry_attempts.into()),
                    ("DestinationConfig", found.destination_config.map(to_properties).into()),
                ];
                Ok(Some(Reading::new(&SCHEMA, resource(properties), Document::map(kept))))
            }
            Err(error) if error.is("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }
}
