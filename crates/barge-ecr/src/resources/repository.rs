//! `AWS::ECR::Repository`.

use crate::api::{Contents, policies, repositories};
use crate::mutability::Mutability;
use crate::{EcrService, lifecycle, rows};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, Structure, TAG,
    property, tag_list,
};
use barge_core::{AwsError, Context, Document, Scope};
use barge_wire::Typed;
use barge_wire::ecr::{
    CreateRepositoryRequest, EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, error,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const PROPERTIES: &[Property] = &[
    property("RepositoryName", PropertyType::String).identifies(),
    property("ImageTagMutability", PropertyType::String),
    property("ImageTagMutabilityExclusionFilters", PropertyType::List).of(EXCLUSION_FILTER),
    property("ImageScanningConfiguration", PropertyType::Map).of(ImageScanningConfiguration::SHAPE),
    property("EncryptionConfiguration", PropertyType::Map).of(EncryptionConfiguration::SHAPE).replaces(),
    property("RepositoryPolicyText", PropertyType::Json),
    property("LifecyclePolicy", PropertyType::Map).of(LIFECYCLE_POLICY).open(&["LifecyclePolicyText"]),
    property("EmptyOnDelete", PropertyType::Boolean).write_only(),
    property("Tags", PropertyType::List).of(TAG),
];

const EXCLUSION_FILTER: &Structure = &Structure(&[
    property(FILTER_TYPE, PropertyType::String).required(),
    property(FILTER, PropertyType::String).required(),
]);

const LIFECYCLE_POLICY: &Structure =
    &Structure(&[property("LifecyclePolicyText", PropertyType::Json), property("RegistryId", PropertyType::String)]);

static SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::ECR::Repository", properties: PROPERTIES, attributes: &["Arn", "RepositoryUri"] };

pub(super) struct Provider(pub(super) Arc<EcrService>);

/// What the template says, as the API's input and the rest.
struct Wanted {
    request: CreateRepositoryRequest,
    mutability: Mutability,
    policy: Option<String>,
    lifecycle: Option<String>,
}

fn wanted(cx: &Context, creation: &Creation) -> Result<Wanted, AwsError> {
    let mut members = creation.properties.as_map().cloned().unwrap_or_default();
    members.shift_remove("EmptyOnDelete");
    let policy = members.shift_remove("RepositoryPolicyText").map(|policy| match policy {
        Document::String(text) => text,
        tree => tree.to_json(),
    });
    if let Some(policy) = &policy {
        policies::check(policy)?;
    }
    let given = members.shift_remove("LifecyclePolicy");
    if let Some(registry) = given.as_ref().and_then(|given| given.get("RegistryId")).and_then(Document::scalar_text)
        && registry != cx.scope.account.as_str()
    {
        return Err(error::invalid_parameter_exception(format!("The registry {registry} is another account's")));
    }
    let lifecycle = given.as_ref().and_then(|given| given.get("LifecyclePolicyText")).map(|policy| match policy {
        Document::String(text) => text.clone(),
        tree => tree.to_json(),
    });
    if let Some(lifecycle) = &lifecycle {
        lifecycle::Policy::parse(lifecycle)?;
    }
    if let Some(Document::List(filters)) = members.get_mut("ImageTagMutabilityExclusionFilters") {
        filters.iter_mut().for_each(rename_filter);
    }
    // Names of repositories are in lower case.
    members
        .entry("RepositoryName".to_owned())
        .or_insert_with(|| creation.physical_name(256).to_ascii_lowercase().into());
    let mut request: CreateRepositoryRequest = barge_wire::from_properties(&Document::Map(members))?;
    let stack_tags =
        creation.tags.iter().map(|(key, value)| barge_wire::ecr::Tag { key: key.clone(), value: value.clone() });
    request.tags = Some(stack_tags.chain(request.tags.into_iter().flatten()).collect());
    let filters = request.image_tag_mutability_exclusion_filters.clone();
    let mutability = Mutability::of(request.image_tag_mutability, filters)?;
    Ok(Wanted { request, mutability, policy, lifecycle })
}

/// A filter's members as templates call them.
const FILTER_TYPE: &str = "ImageTagMutabilityExclusionFilterType";
const FILTER: &str = "ImageTagMutabilityExclusionFilterValue";

/// Gives the members of a filter the API's names for the template's.
fn rename_filter(filter: &mut Document) {
    let Document::Map(members) = filter else { return };
    for (name, own) in [("FilterType", FILTER_TYPE), ("Filter", FILTER)] {
        if let Some(value) = members.shift_remove(own) {
            members.insert(name.to_owned(), value);
        }
    }
}

fn kept(scope: &Scope, found: rows::Repository) -> Properties {
    let lifecycle = found.lifecycle.map(|text| {
        Document::map([("LifecyclePolicyText", text.into()), ("RegistryId", Document::from(scope.account.as_str()))])
    });
    let filters = found.mutability.filters().map(|filters| {
        let filters = filters.into_iter().map(|filter| {
            let filter = [(FILTER_TYPE, filter.filter_type.as_str().into()), (FILTER, Document::from(filter.filter))];
            Document::map(filter)
        });
        filters.collect::<Vec<_>>()
    });
    Document::map([
        ("RepositoryName", found.name.into()),
        ("ImageTagMutability", found.mutability.mode().as_str().into()),
        ("ImageTagMutabilityExclusionFilters", filters.into()),
        ("ImageScanningConfiguration", Document::map([("ScanOnPush", found.scan_on_push.into())])),
        ("EncryptionConfiguration", Document::map([("EncryptionType", EncryptionType::Aes256.as_str().into())])),
        ("RepositoryPolicyText", found.policy.into()),
        ("LifecyclePolicy", lifecycle.into()),
        ("Tags", tag_list(found.tags)),
    ])
}

impl Provider {
    fn resource(&self, scope: &Scope, name: &str) -> Resource {
        Resource {
            physical_id: name.to_owned(),
            attributes: BTreeMap::from([
                ("Arn".to_owned(), repositories::arn(scope, name).into()),
                ("RepositoryUri".to_owned(), EcrService::uri(&self.0.ambient.endpoint, name).into()),
            ]),
        }
    }
}

#[async_trait]
impl ResourceProvider for Provider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let Wanted { request, policy, lifecycle, .. } = wanted(cx, creation)?;
        let repository = self.0.create_as(cx, request, Some(creation.token.clone())).await?;
        if policy.is_some() || lifecycle.is_some() {
            let change = move |held: &mut rows::Repository| (held.policy, held.lifecycle) = (policy, lifecycle);
            self.0.change(cx, &repository.name, change).await?;
        }
        Ok(self.resource(&cx.scope, &repository.name))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        _: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let Wanted { request, mutability, policy, lifecycle } = wanted(cx, new)?;
        let change = move |held: &mut rows::Repository| {
            held.mutability = mutability;
            held.scan_on_push =
                request.image_scanning_configuration.and_then(|given| given.scan_on_push).unwrap_or(false);
            held.tags = request.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect();
            held.policy = policy;
            held.lifecycle = lifecycle;
        };
        self.0.change(cx, physical_id, change).await?;
        Ok(self.resource(&cx.scope, physical_id))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Properties) -> Result<(), AwsError> {
        let empty = properties.get("EmptyOnDelete").and_then(Document::scalar_text);
        let contents = if empty.is_some_and(|empty| empty.eq_ignore_ascii_case("true")) {
            Contents::Discard
        } else {
            Contents::Refuse
        };
        match self.0.remove_repository(&cx.scope, physical_id.to_owned(), contents).await {
            Err(error) if !error.is("RepositoryNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, physical_id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        match self.0.repository(&cx.scope, physical_id).await {
            Ok(found) => {
                let resource = self.resource(&cx.scope, physical_id);
                Ok(Some(Reading::new(&SCHEMA, resource, kept(&cx.scope, found))))
            }
            Err(error) if error.is("RepositoryNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }
}
