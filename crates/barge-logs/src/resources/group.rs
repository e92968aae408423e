//! `AWS::Logs::LogGroup` (AWS CloudFormation Template Reference).

use super::text;
use crate::errors::invalid;
use crate::{CloudWatchLogs, names};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, TAG, property,
    tag_list,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::logs::{CreateLogGroupRequest, LogGroupClass};
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::Logs::LogGroup", properties: &PROPERTIES, attributes: &["Arn"] };

const PROPERTIES: [Property; 5] = [
    property("LogGroupName", PropertyType::String).identifies(),
    property("LogGroupClass", PropertyType::String),
    property("RetentionInDays", PropertyType::Integer),
    property("DeletionProtectionEnabled", PropertyType::Boolean),
    property("Tags", PropertyType::List).of(TAG),
];

/// The provider.
pub(crate) struct Group {
    service: Arc<CloudWatchLogs>,
}

impl Group {
    pub(crate) fn new(service: Arc<CloudWatchLogs>) -> Self {
        Self { service }
    }
}

fn resource(cx: &Context, name: &str) -> Resource {
    let arn = format!("{}:*", names::group_arn(&cx.scope, name));
    Resource { physical_id: name.to_owned(), attributes: BTreeMap::from([("Arn".to_owned(), arn.into())]) }
}

fn retention(properties: &Properties) -> Result<Option<i64>, AwsError> {
    let days = text(properties, "RetentionInDays").map(|days| days.parse());
    days.transpose().map_err(|_| invalid("RetentionInDays must be an integer"))
}

fn class(properties: &Properties) -> Result<Option<LogGroupClass>, AwsError> {
    let unknown = |text: &str| invalid(format!("{text} is not a LogGroupClass"));
    text(properties, "LogGroupClass").map(|text| LogGroupClass::parse(&text).ok_or_else(|| unknown(&text))).transpose()
}

fn protected(properties: &Properties) -> bool {
    text(properties, "DeletionProtectionEnabled").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The stack's tags, under the resource's own.
fn wanted_tags(creation: &Creation) -> BTreeMap<String, String> {
    let own = creation.properties.get("Tags").and_then(Document::as_list).unwrap_or_default();
    let own = own.iter().filter_map(|tag| Some((text(tag, "Key")?, text(tag, "Value").unwrap_or_default())));
    creation.tags.clone().into_iter().chain(own).collect()
}

#[async_trait]
impl ResourceProvider for Group {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = &creation.properties;
        let name = text(properties, "LogGroupName").unwrap_or_else(|| creation.physical_name(512));
        let days = retention(properties)?;
        days.map_or(Ok(()), crate::groups::check_retention)?;
        let request = CreateLogGroupRequest {
            log_group_name: name.clone(),
            log_group_class: class(properties)?,
            tags: Some(wanted_tags(creation)),
            deletion_protection_enabled: Some(protected(properties)),
            ..CreateLogGroupRequest::default()
        };
        match self.service.make_group(cx, request, Some(creation.token.clone())).await {
            Err(error) if error.is("ResourceAlreadyExistsException") => {
                if self.service.group_creation(cx, &name).await?.as_ref() != Some(&creation.token) {
                    return Err(error);
                }
            }
            outcome => outcome?,
        }
        self.service.set_retention(cx, name.clone(), days).await?;
        Ok(resource(cx, &name))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        if class(old)?.unwrap_or_default() != class(&new.properties)?.unwrap_or_default() {
            return Err(invalid("The class of a log group can't be changed."));
        }
        self.service.set_retention(cx, physical_id.to_owned(), retention(&new.properties)?).await?;
        self.service.set_protection(cx, physical_id, protected(&new.properties)).await?;
        let want = wanted_tags(new);
        let have = self.service.tags_of(cx, physical_id.to_owned()).await?;
        let gone = have.into_keys().filter(|key| !want.contains_key(key)).collect();
        self.service.untag(cx, physical_id.to_owned(), gone).await?;
        self.service.tag(cx, physical_id.to_owned(), want).await?;
        Ok(resource(cx, physical_id))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _: &Properties) -> Result<(), AwsError> {
        match self.service.delete_group(cx, physical_id.to_owned()).await {
            Err(error) if !error.is("ResourceNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, physical_id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let found = self.service.group_state(cx, physical_id).await?;
        Ok(found.map(|(group, tags)| {
            let kept = Document::map([
                ("LogGroupName", physical_id.into()),
                ("LogGroupClass", group.class.as_str().into()),
                ("RetentionInDays", group.retention.into()),
                ("DeletionProtectionEnabled", group.protected.into()),
                ("Tags", tag_list(tags)),
            ]);
            Reading::new(&SCHEMA, resource(cx, physical_id), kept)
        }))
    }
}
