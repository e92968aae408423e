//! AWS::EC2::NetworkAclEntry (CloudFormation Template Reference, "AWS::EC2::NetworkAclEntry").

use super::properties::{boolean, gone, required};
use super::resource;
use crate::Ec2Service;
use crate::errors;
use crate::network_acls::{self, Direction, EntryRecord, NetworkAclRecord};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::ec2::{
    CreateNetworkAclEntryRequest, DeleteNetworkAclEntryRequest, IcmpTypeCode, PortRange, ReplaceNetworkAclEntryRequest,
};
use barge_wire::{Typed, from_properties, to_properties};
use indexmap::IndexMap;
use std::sync::Arc;

pub(super) struct Entry(pub(super) Arc<Ec2Service>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::EC2::NetworkAclEntry",
    properties: &[
        property("CidrBlock", PropertyType::String),
        property("Egress", PropertyType::Boolean).replaces(),
        property("Icmp", PropertyType::Map).of(IcmpTypeCode::SHAPE),
        property("NetworkAclId", PropertyType::String).required().replaces(),
        property("PortRange", PropertyType::Map).of(PortRange::SHAPE),
        property("Protocol", PropertyType::Integer).required(),
        property("RuleAction", PropertyType::String).required(),
        property("RuleNumber", PropertyType::Integer).required().replaces(),
    ],
    attributes: &["Id"],
};

/// The properties as a request.
fn wanted<T: Typed>(properties: &Properties) -> Result<T, AwsError> {
    let mut members = IndexMap::new();
    for name in ["CidrBlock", "NetworkAclId", "PortRange", "Protocol", "RuleAction", "RuleNumber"] {
        members.extend(properties.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    members.insert("Egress".to_owned(), boolean(properties, "Egress")?.unwrap_or(false).into());
    members.extend(properties.get("Icmp").map(|value| ("IcmpTypeCode".to_owned(), value.clone())));
    members.retain(|_, value| *value != Document::Null);
    from_properties(&Document::Map(members))
}

fn number(properties: &Properties) -> Result<i64, AwsError> {
    let text = required(properties, "RuleNumber")?;
    text.parse().map_err(|_| errors::invalid_value(format!("RuleNumber must be a number, found {text}")))
}

#[async_trait]
impl ResourceProvider for Entry {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let input: CreateNetworkAclEntryRequest = wanted(&creation.properties)?;
        self.0
            .write(cx, move |net| {
                let acl = net.get::<NetworkAclRecord>(&input.network_acl_id)?;
                // An entry that is there already as it is wanted is that of an earlier try.
                match acl.entry(Direction::of(input.egress), input.rule_number) {
                    Some(found) if *found == network_acls::wanted(&input)? => Ok(()),
                    _ => network_acls::create_entry(net, input),
                }
            })
            .await?;
        Ok(shown(&creation.physical_name(64)))
    }

    async fn update(&self, cx: &Context, id: &str, _: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let input: ReplaceNetworkAclEntryRequest = wanted(&new.properties)?;
        self.0.write(cx, move |net| network_acls::replace_entry(net, input)).await?;
        Ok(shown(id))
    }

    async fn delete(&self, cx: &Context, _: &str, properties: &Properties) -> Result<(), AwsError> {
        let input = DeleteNetworkAclEntryRequest {
            network_acl_id: required(properties, "NetworkAclId")?,
            rule_number: number(properties)?,
            egress: boolean(properties, "Egress")?.unwrap_or(false),
            dry_run: None,
        };
        self.0.write(cx, move |net| gone(network_acls::delete_entry(net, input))).await
    }

    async fn read(&self, cx: &Context, id: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let acl = required(properties, "NetworkAclId")?;
        let direction = Direction::of(boolean(properties, "Egress")?.unwrap_or(false));
        let (number, id) = (number(properties)?, id.to_owned());
        // The entry that the template's words mean: where it is the one that is there, they are its properties.
        let written: CreateNetworkAclEntryRequest = wanted(properties)?;
        let (meant, properties) = (network_acls::wanted(&written)?, properties.clone());
        self.0
            .read(cx, move |net| {
                let Some(acl) = net.find::<NetworkAclRecord>(&acl)? else { return Ok(None) };
                let Some(entry) = acl.entry(direction, number) else { return Ok(None) };
                let kept = if *entry == meant { properties } else { plain(&acl.id, entry) };
                Ok(Some(Reading::new(&SCHEMA, shown(&id), kept)))
            })
            .await
    }
}

fn plain(acl: &str, entry: &EntryRecord) -> Properties {
    let mut shown = to_properties(entry.show());
    if let Document::Map(members) = &mut shown {
        members.insert("NetworkAclId".to_owned(), acl.into());
        let icmp = members.shift_remove("IcmpTypeCode");
        members.extend(icmp.map(|value| ("Icmp".to_owned(), value)));
    }
    shown
}

fn shown(id: &str) -> Resource {
    resource(id, [("Id", id.into())])
}
