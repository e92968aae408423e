//! AWS::EC2::LaunchTemplate (CloudFormation Template Reference, "AWS::EC2::LaunchTemplate"). A change makes a new version;
//! the default version stays.

use super::properties::{required, text};
use super::{NetworkResource, resource};
use crate::kind::Kind;
use crate::launch_templates::{self, LaunchTemplateRecord};
use crate::network::Network;
use crate::{errors, tags};
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, property};
use barge_core::{AwsError, Document};
use barge_wire::ec2::{DeleteLaunchTemplateRequest, RequestLaunchTemplateData, Tag, TagSpecification};
use barge_wire::{Typed, from_properties, to_properties};

pub(super) struct LaunchTemplate;

/// Characters of a generated name.
const LONGEST_NAME: usize = 128;

impl NetworkResource for LaunchTemplate {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::LaunchTemplate",
        properties: &[
            property("LaunchTemplateData", PropertyType::Map).of(RequestLaunchTemplateData::SHAPE).required(),
            property("LaunchTemplateName", PropertyType::String).replaces(),
            property("TagSpecifications", PropertyType::List).of(TagSpecification::SHAPE).replaces(),
            property("VersionDescription", PropertyType::String),
        ],
        attributes: &["DefaultVersionNumber", "LatestVersionNumber", "LaunchTemplateId"],
    };
    const KIND: Kind = Kind::LaunchTemplate;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        let properties = &creation.properties;
        let name = text(properties, "LaunchTemplateName").unwrap_or_else(|| creation.physical_name(LONGEST_NAME));
        let description = text(properties, "VersionDescription");
        let template = launch_templates::make(net, &name, data(properties)?, description)?;
        set_tags(net, &template.id, creation)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        let template = net.get::<LaunchTemplateRecord>(id)?;
        Ok(resource(
            id,
            [
                ("DefaultVersionNumber", template.default_version.to_string().into()),
                ("LatestVersionNumber", template.latest_version.to_string().into()),
                ("LaunchTemplateId", id.into()),
            ],
        ))
    }

    fn properties(net: &Network<'_>, id: &str, _: &Properties) -> Result<Properties, AwsError> {
        let latest = to_properties(net.get::<LaunchTemplateRecord>(id)?.latest(net)?);
        let own = [
            ("ResourceType", Kind::LaunchTemplate.resource_type().into()),
            ("Tags", net.tags(id)?.into_iter().map(to_properties).collect()),
        ];
        let own = ("TagSpecifications".to_owned(), Document::List(vec![Document::map(own)]));
        Ok(Document::map(latest.as_map().cloned().unwrap_or_default().into_iter().chain([own])))
    }

    fn update(net: &Network<'_>, id: &str, old: &Properties, new: &Creation) -> Result<(), AwsError> {
        let changed = |name: &str| old.get(name) != new.properties.get(name);
        if changed("LaunchTemplateData") || changed("VersionDescription") {
            let description = text(&new.properties, "VersionDescription");
            launch_templates::make_version(net, id, data(&new.properties)?, description)?;
        }
        set_tags(net, id, new)
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        let input = DeleteLaunchTemplateRequest { launch_template_id: Some(id.to_owned()), ..Default::default() };
        launch_templates::delete(net, input).map(drop)
    }
}

fn data(properties: &Properties) -> Result<RequestLaunchTemplateData, AwsError> {
    let data = properties.get("LaunchTemplateData");
    from_properties(data.ok_or_else(|| errors::missing_parameter("LaunchTemplateData"))?)
}

fn set_tags(net: &Network<'_>, id: &str, creation: &Creation) -> Result<(), AwsError> {
    let stack = creation.tags.iter();
    let stack = stack.map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) });
    net.remove_tag(id, None, None)?;
    tags::put(net, id, &stack.chain(own_tags(&creation.properties)?).collect::<Vec<_>>())
}

/// The tags of the template itself, among those that it gives to what is launched.
fn own_tags(properties: &Properties) -> Result<Vec<Tag>, AwsError> {
    let list = properties.get("TagSpecifications").and_then(Document::as_list).unwrap_or_default();
    let given = list.iter().map(|specification| {
        required(specification, "ResourceType")?;
        from_properties::<TagSpecification>(specification)
    });
    tags::specified(Some(given.collect::<Result<_, _>>()?), Kind::LaunchTemplate)
}
