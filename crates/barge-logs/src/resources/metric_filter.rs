//! `AWS::Logs::MetricFilter` (AWS CloudFormation Template Reference). Kept, not counted: there are no metrics here.

use super::text;
use crate::CloudWatchLogs;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, Structure,
    property, tag_list,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::logs::{DeleteMetricFilterRequest, PutMetricFilterRequest};
use barge_wire::{from_properties, to_properties};
use indexmap::IndexMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::Logs::MetricFilter", properties: &PROPERTIES, attributes: &[] };

const PROPERTIES: [Property; 4] = [
    property("FilterName", PropertyType::String).replaces(),
    property("FilterPattern", PropertyType::String).required(),
    property("LogGroupName", PropertyType::String).required().replaces(),
    property("MetricTransformations", PropertyType::List).of(TRANSFORMATION).required(),
];

const TRANSFORMATION: &Structure = &Structure(&[
    property("DefaultValue", PropertyType::Number),
    property("Dimensions", PropertyType::List).of(DIMENSION),
    property("MetricName", PropertyType::String).required(),
    property("MetricNamespace", PropertyType::String).required(),
    property("MetricValue", PropertyType::String).required(),
    property("Unit", PropertyType::String),
]);

const DIMENSION: &Structure =
    &Structure(&[property("Key", PropertyType::String).required(), property("Value", PropertyType::String).required()]);

/// The provider.
pub(crate) struct MetricFilter(pub(crate) Arc<CloudWatchLogs>);

fn request(properties: &Properties, name: &str) -> Result<PutMetricFilterRequest, AwsError> {
    let mut members = properties.as_map().cloned().unwrap_or_default();
    members.insert("FilterName".to_owned(), name.into());
    if let Some(Document::List(transformations)) = members.get_mut("MetricTransformations") {
        transformations.iter_mut().for_each(by_key);
    }
    from_properties(&Document::Map(members))
}

/// Templates list dimensions as keys and values, the API has a map.
fn by_key(transformation: &mut Document) {
    let Document::Map(members) = transformation else { return };
    if let Some(Document::List(list)) = members.get("Dimensions") {
        let entries = list.iter().filter_map(|entry| Some((text(entry, "Key")?, entry.get("Value")?.clone())));
        let map: IndexMap<String, Document> = entries.collect();
        members.insert("Dimensions".to_owned(), Document::Map(map));
    }
}

/// The other way round.
fn by_entry(transformation: &mut Document) {
    let Document::Map(members) = transformation else { return };
    if let Some(Document::Map(map)) = members.get("Dimensions") {
        let list = map.iter().map(|(key, value)| (key.clone(), value.scalar_text().unwrap_or_default()));
        members.insert("Dimensions".to_owned(), tag_list(list.collect::<Vec<_>>()));
    }
}

fn resource(name: &str) -> Resource {
    Resource { physical_id: name.to_owned(), ..Resource::default() }
}

fn group(properties: &Properties) -> String {
    text(properties, "LogGroupName").unwrap_or_default()
}

#[async_trait]
impl ResourceProvider for MetricFilter {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let name = text(&creation.properties, "FilterName").unwrap_or_else(|| creation.physical_name(512));
        // Putting is the same whether the filter is there or not, as it is on AWS.
        self.0.put_filter(cx, request(&creation.properties, &name)?).await?;
        Ok(resource(&name))
    }

    async fn update(&self, cx: &Context, id: &str, _: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        self.0.put_filter(cx, request(&new.properties, id)?).await?;
        Ok(resource(id))
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Properties) -> Result<(), AwsError> {
        let request = DeleteMetricFilterRequest { log_group_name: group(properties), filter_name: id.to_owned() };
        match self.0.delete_filter(cx, request).await {
            Err(error) if !error.is("ResourceNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, id: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let found = self.0.filter(cx, &group(properties), id).await?;
        Ok(found.map(|found| {
            let mut kept = to_properties(found);
            if let Document::Map(members) = &mut kept
                && let Some(Document::List(transformations)) = members.get_mut("MetricTransformations")
            {
                transformations.iter_mut().for_each(by_entry);
            }
            Reading::new(&SCHEMA, resource(id), kept)
        }))
    }
}
