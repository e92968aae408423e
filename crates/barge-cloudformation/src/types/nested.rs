//! `AWS::CloudFormation::Stack`: a stack as a resource of another (CloudFormation User Guide, "Split a template into
//! reusable pieces using nested stacks").

use super::{Home, failed};
use crate::CloudFormation;
use crate::api::embedded;
use crate::engine::{Parent, StackRecord};
use async_trait::async_trait;
use barge_core::ids::SeededIds;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, TAG, property,
};
use barge_core::{AwsError, Context, Document, IdSource as _};
use barge_wire::cloudformation::StackStatus;
use std::collections::BTreeMap;

pub(super) struct NestedStack {
    pub(super) home: Home,
}

const PROPERTIES: &[Property] = &[
    property("TemplateURL", PropertyType::String).required(),
    property("Parameters", PropertyType::Map),
    property("Tags", PropertyType::List).of(TAG),
    property("TimeoutInMinutes", PropertyType::Integer),
];
const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::CloudFormation::Stack", properties: PROPERTIES, attributes: &["Outputs.*"] };

/// The nested stack's name and ARN, the same for every try of a creation.
pub(crate) fn arn(cx: &Context, creation: &Creation) -> (String, String) {
    let name = creation.physical_name(128);
    let uuid = SeededIds::new(format!("{}/nested", creation.token)).uuid();
    let id = cx.scope.arn("cloudformation", format!("stack/{name}/{uuid}")).to_string();
    (name, id)
}

/// What the parent's template says that the nested stack is to be.
pub(crate) fn wanted(creation: &Creation) -> Result<embedded::Wanted, AwsError> {
    let properties = &creation.properties;
    let text = |name: &str| properties.get(name).and_then(Document::scalar_text);
    let value = |value: &Document| match value {
        Document::List(list) => {
            let texts = list.iter().map(Document::scalar_text).collect::<Option<Vec<_>>>();
            texts.map(|texts| texts.join(","))
        }
        scalar => scalar.scalar_text(),
    };
    let mut parameters = BTreeMap::new();
    for (name, given) in properties.get("Parameters").and_then(Document::as_map).into_iter().flatten() {
        let text = value(given).ok_or_else(|| {
            failed(format!(
                "Value of property Parameters must be an object with String (or simple type) properties: {name}"
            ))
        })?;
        parameters.insert(name.clone(), text);
    }
    let mut tags = creation.tags.clone();
    for tag in properties.get("Tags").and_then(Document::as_list).into_iter().flatten() {
        let member = |name: &str| tag.get(name).and_then(Document::scalar_text);
        if let (Some(key), Some(value)) = (member("Key"), member("Value")) {
            tags.insert(key, value);
        }
    }
    let minutes = text("TimeoutInMinutes").map(|text| text.trim().parse::<i64>());
    Ok(embedded::Wanted {
        url: text("TemplateURL").unwrap_or_default(),
        parameters,
        tags,
        timeout_minutes: minutes.transpose().map_err(|_| failed("TimeoutInMinutes must be a number"))?,
    })
}

/// The resource that a nested stack is.
fn resource(stack: StackRecord) -> Resource {
    let outputs = stack.outputs.into_iter();
    let attributes = outputs.map(|output| (format!("Outputs.{}", output.key), output.value.into())).collect();
    Resource { physical_id: stack.id, attributes }
}

/// The nested stack once nothing is being done to it; `None` where there is none.
async fn settled(service: &CloudFormation, id: &str) -> Result<Option<StackRecord>, AwsError> {
    service.engine().settled(id).await?;
    embedded::find(service, id).await
}

impl NestedStack {
    async fn parent(service: &CloudFormation, creation: &Creation) -> Result<StackRecord, AwsError> {
        let parent = embedded::find(service, &creation.stack_id).await?;
        parent.ok_or_else(|| AwsError::internal("the parent stack is not there"))
    }
}

#[async_trait]
impl ResourceProvider for NestedStack {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let service = self.home.service()?;
        let (name, id) = arn(cx, creation);
        if embedded::find(&service, &id).await?.is_none() {
            let parent = Self::parent(&service, creation).await?;
            let root = parent.parent.as_ref().map_or_else(|| parent.id.clone(), |above| above.root.clone());
            let above = Parent { id: parent.id.clone(), root };
            embedded::create(
                &service,
                cx,
                &parent,
                embedded::Identity { name, id: id.clone(), above },
                wanted(creation)?,
            )
            .await
            .map_err(|error| failed(error.message))?;
        }
        match settled(&service, &id).await? {
            Some(stack) if stack.status == StackStatus::CreateComplete => Ok(resource(stack)),
            Some(stack) => {
                let reason = stack.status_reason.unwrap_or_default();
                Err(failed(format!("Embedded stack {id} was not successfully created: {reason}")))
            }
            None => Err(AwsError::internal("the nested stack is not there")),
        }
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        _: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let service = self.home.service()?;
        let missing = || failed(format!("Stack [{physical_id}] does not exist"));
        let stack = settled(&service, physical_id).await?.filter(StackRecord::live).ok_or_else(missing)?;
        // A try after a restart finds the update of the one before.
        let mut changed = stack.token.as_ref() == Some(&cx.request_id);
        if !changed {
            let parent = Self::parent(&service, new).await?;
            changed = embedded::update(&service, cx, &parent, &stack, wanted(new)?)
                .await
                .map_err(|error| failed(error.message))?;
        }
        let stack = settled(&service, physical_id).await?.ok_or_else(missing)?;
        if !changed || stack.status == StackStatus::UpdateComplete {
            return Ok(resource(stack));
        }
        Err(failed(format!(
            "Embedded stack {physical_id} was not successfully updated. Currently in {} with reason: {}",
            stack.status,
            stack.status_reason.unwrap_or_default()
        )))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _: &Properties) -> Result<(), AwsError> {
        let service = self.home.service()?;
        let Some(stack) = settled(&service, physical_id).await?.filter(StackRecord::live) else { return Ok(()) };
        let token = Some(cx.request_id.clone());
        service
            .engine()
            .delete(&stack.id, std::collections::BTreeSet::new(), token)
            .await
            .map_err(|e| failed(e.message))?;
        match settled(&service, physical_id).await? {
            Some(stack) if stack.live() => {
                let reason = stack.status_reason.unwrap_or_default();
                Err(failed(format!("Embedded stack {physical_id} was not successfully deleted: {reason}")))
            }
            _ => Ok(()),
        }
    }

    /// A nested stack that failed is there and goes with the parent's rollback.
    async fn remains(&self, cx: &Context, creation: &Creation) -> Option<String> {
        let service = self.home.service().ok()?;
        let (_, id) = arn(cx, creation);
        embedded::find(&service, &id).await.ok()?.filter(StackRecord::live).map(|stack| stack.id)
    }

    async fn read(&self, _: &Context, physical_id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let service = self.home.service()?;
        Ok(embedded::find(&service, physical_id)
            .await?
            .filter(StackRecord::live)
            .map(|stack| Reading::presence(resource(stack))))
    }
}
