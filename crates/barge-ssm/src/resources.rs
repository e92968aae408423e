//! `AWS::SSM::Parameter` (CloudFormation Template Reference).

use crate::SsmService;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::from_properties;
use barge_wire::ssm::{PutParameterRequest, Tag};
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::SSM::Parameter", properties: &PROPERTIES, attributes: &["Type", "Value"] };

const PROPERTIES: [Property; 8] = [
    property("Name", PropertyType::String).identifies(),
    property("Type", PropertyType::String).required(),
    property("Value", PropertyType::String).required(),
    property("Description", PropertyType::String),
    property("AllowedPattern", PropertyType::String),
    property("DataType", PropertyType::String),
    property("Tier", PropertyType::String),
    property("Tags", PropertyType::Map),
];

/// Characters of a generated name.
const LONGEST_NAME: usize = 128;

/// The provider of `AWS::SSM::Parameter`.
pub fn resources(service: &Arc<SsmService>) -> Vec<Arc<dyn ResourceProvider>> {
    vec![Arc::new(Parameter(Arc::clone(service)))]
}

struct Parameter(Arc<SsmService>);

fn text(properties: &Properties, name: &str) -> Option<String> {
    properties.get(name).and_then(Document::scalar_text)
}

/// The stack's tags, under the parameter's own.
fn tags(creation: &Creation) -> BTreeMap<String, String> {
    let own = creation.properties.get("Tags").and_then(Document::as_map).into_iter().flatten();
    let own = own.filter_map(|(key, value)| Some((key.clone(), value.scalar_text()?)));
    let stack = creation.tags.iter().filter(|(key, _)| !key.starts_with("aws:"));
    stack.map(|(key, value)| (key.clone(), value.clone())).chain(own).collect()
}

fn request(creation: &Creation, name: &str) -> Result<PutParameterRequest, AwsError> {
    let mut members = creation.properties.as_map().cloned().unwrap_or_default();
    members.shift_remove("Tags");
    members.insert("Name".to_owned(), name.into());
    from_properties(&Document::Map(members))
}

fn resource(name: &str, properties: &Properties) -> Resource {
    let attributes = ["Type", "Value"].into_iter();
    let attributes = attributes.filter_map(|name| Some((name.to_owned(), text(properties, name)?.into())));
    Resource { physical_id: name.to_owned(), attributes: attributes.collect() }
}

#[async_trait]
impl ResourceProvider for Parameter {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let name = text(&creation.properties, "Name").unwrap_or_else(|| creation.physical_name(LONGEST_NAME));
        let mut request = request(creation, &name)?;
        request.tags = Some(tags(creation).into_iter().map(|(key, value)| Tag { key, value }).collect());
        self.0.put(cx, request, Some(creation.token.clone())).await?;
        Ok(resource(&name, &creation.properties))
    }

    async fn update(&self, cx: &Context, id: &str, _: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let request = PutParameterRequest { overwrite: Some(true), ..request(new, id)? };
        self.0.put(cx, request, None).await?;
        let wanted = tags(new);
        self.0.change_tags(cx, id, move |tags| *tags = wanted).await?;
        Ok(resource(id, &new.properties))
    }

    async fn delete(&self, cx: &Context, id: &str, _: &Properties) -> Result<(), AwsError> {
        match self.0.delete(cx, id).await {
            Err(error) if !error.is("ParameterNotFound") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, id: &str, properties: &Properties) -> Result<Option<Resource>, AwsError> {
        match self.0.one(cx, id).await {
            Ok(found) => {
                let mut now = resource(id, properties);
                now.attributes.insert("Value".to_owned(), found.version.value.into());
                now.attributes.insert("Type".to_owned(), found.version.kind.as_str().into());
                Ok(Some(now))
            }
            Err(error) if error.is("ParameterNotFound") => Ok(None),
            Err(error) => Err(error),
        }
    }
}
