//! `AWS::Logs::LogStream` (AWS CloudFormation Template Reference).

use super::text;
use crate::CloudWatchLogs;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::logs::DescribeLogStreamsRequest;
use std::sync::Arc;

const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::Logs::LogStream", properties: &PROPERTIES, attributes: &[] };

const PROPERTIES: [Property; 2] = [
    property("LogGroupName", PropertyType::String).required().replaces(),
    property("LogStreamName", PropertyType::String).replaces(),
];

/// The provider.
pub(crate) struct Stream {
    service: Arc<CloudWatchLogs>,
}

impl Stream {
    pub(crate) fn new(service: Arc<CloudWatchLogs>) -> Self {
        Self { service }
    }
}

fn resource(name: &str) -> Resource {
    Resource { physical_id: name.to_owned(), ..Resource::default() }
}

fn group(properties: &Properties) -> String {
    text(properties, "LogGroupName").unwrap_or_default()
}

#[async_trait]
impl ResourceProvider for Stream {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let name = text(&creation.properties, "LogStreamName").unwrap_or_else(|| creation.physical_name(512));
        let token = Some(creation.token.clone());
        self.service.make_stream(cx, group(&creation.properties), name.clone(), token).await?;
        Ok(resource(&name))
    }

    async fn update(&self, _: &Context, physical_id: &str, _: &Properties, _: &Creation) -> Result<Resource, AwsError> {
        // Every property's change replaces the stream, so there is nothing to change in place.
        Ok(resource(physical_id))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Properties) -> Result<(), AwsError> {
        match self.service.delete_stream(cx, group(properties), physical_id.to_owned()).await {
            Err(error) if !error.is("ResourceNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let request = DescribeLogStreamsRequest {
            log_group_name: Some(group(properties)),
            log_stream_name_prefix: Some(physical_id.to_owned()),
            limit: Some(1),
            ..DescribeLogStreamsRequest::default()
        };
        match self.service.describe_streams(cx, request).await {
            Err(error) if error.is("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
            Ok(found) => {
                // The name itself comes first among those that begin with it.
                let first = found.log_streams.unwrap_or_default().into_iter().next();
                let same = first.is_some_and(|stream| stream.log_stream_name.as_deref() == Some(physical_id));
                let kept = [("LogGroupName", group(properties).into()), ("LogStreamName", physical_id.into())];
                Ok(same.then(|| Reading::new(&SCHEMA, resource(physical_id), Document::map(kept))))
            }
        }
    }
}
