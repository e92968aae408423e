//! `AWS::CDK::Metadata`: a note that the CDK leaves in its templates for AWS's statistics (CDK Developer Guide, "Version
//! reporting"). Nothing is made, and nothing is reported.

use async_trait::async_trait;
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceProvider, ResourceSchema, property};
use barge_core::{AwsError, Context};
use std::collections::BTreeMap;

pub(super) struct CdkMetadata;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::CDK::Metadata",
    properties: &[property("Analytics", PropertyType::String), property("Modules", PropertyType::String)],
    attributes: &[],
};

fn note(physical_id: String) -> Resource {
    Resource { physical_id, attributes: BTreeMap::new() }
}

#[async_trait]
impl ResourceProvider for CdkMetadata {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, _: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        Ok(note(creation.physical_name(64)))
    }

    async fn update(&self, _: &Context, physical_id: &str, _: &Properties, _: &Creation) -> Result<Resource, AwsError> {
        Ok(note(physical_id.to_owned()))
    }

    async fn delete(&self, _: &Context, _: &str, _: &Properties) -> Result<(), AwsError> {
        Ok(())
    }

    async fn read(&self, _: &Context, physical_id: &str, _: &Properties) -> Result<Option<Resource>, AwsError> {
        Ok(Some(note(physical_id.to_owned())))
    }
}
