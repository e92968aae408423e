//! AWS::EC2::SecurityGroupIngress and AWS::EC2::SecurityGroupEgress: one rule each (CloudFormation Template Reference,
//! pages of these names).

use super::properties::{required, text};
use super::security_group::erase_default;
use super::{NetworkResource, resource};
use crate::errors;
use crate::kind::Kind;
use crate::network::Network;
use crate::security_group_rules::{self as rules, Direction, Peer, RuleRecord, Traffic};
use crate::security_groups::{self, GroupRecord};
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, property};
use barge_core::{AwsError, Document};
use barge_wire::ec2::{IpPermission, IpRange, Ipv6Range, PrefixListId, UserIdGroupPair};
use indexmap::IndexMap;

pub(super) struct Ingress;
pub(super) struct Egress;

impl NetworkResource for Ingress {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::SecurityGroupIngress",
        properties: &[
            property("CidrIp", PropertyType::String).replaces(),
            property("CidrIpv6", PropertyType::String).replaces(),
            property("Description", PropertyType::String),
            property("FromPort", PropertyType::Integer).replaces(),
            property("GroupId", PropertyType::String).replaces(),
            property("GroupName", PropertyType::String).replaces(),
            property("IpProtocol", PropertyType::String).required().replaces(),
            property("SourcePrefixListId", PropertyType::String).replaces(),
            property("SourceSecurityGroupId", PropertyType::String).replaces(),
            property("SourceSecurityGroupName", PropertyType::String).replaces(),
            property("SourceSecurityGroupOwnerId", PropertyType::String).replaces(),
            property("ToPort", PropertyType::Integer).replaces(),
        ],
        attributes: &["Id"],
    };
    const KIND: Kind = Kind::SecurityGroupRule;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        create(net, &creation.properties, Direction::Ingress)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        shown(net, id)
    }

    fn properties(net: &Network<'_>, id: &str, given: &Properties) -> Result<Properties, AwsError> {
        properties(net, id, given)
    }

    fn update(net: &Network<'_>, id: &str, _: &Properties, new: &Creation) -> Result<(), AwsError> {
        set_description(net, id, &new.properties)
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        net.remove(id)
    }
}

impl NetworkResource for Egress {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::SecurityGroupEgress",
        properties: &[
            property("CidrIp", PropertyType::String).replaces(),
            property("CidrIpv6", PropertyType::String).replaces(),
            property("Description", PropertyType::String),
            property("DestinationPrefixListId", PropertyType::String).replaces(),
            property("DestinationSecurityGroupId", PropertyType::String).replaces(),
            property("FromPort", PropertyType::Integer).replaces(),
            property("GroupId", PropertyType::String).required().replaces(),
            property("IpProtocol", PropertyType::String).required().replaces(),
            property("ToPort", PropertyType::Integer).replaces(),
        ],
        attributes: &["Id"],
    };
    const KIND: Kind = Kind::SecurityGroupRule;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        create(net, &creation.properties, Direction::Egress)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        shown(net, id)
    }

    fn properties(net: &Network<'_>, id: &str, given: &Properties) -> Result<Properties, AwsError> {
        properties(net, id, given)
    }

    fn update(net: &Network<'_>, id: &str, _: &Properties, new: &Creation) -> Result<(), AwsError> {
        set_description(net, id, &new.properties)
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        net.remove(id)
    }
}

fn create(net: &Network<'_>, properties: &Properties, direction: Direction) -> Result<(), AwsError> {
    let (id, name) = (text(properties, "GroupId"), text(properties, "GroupName"));
    let group = security_groups::resolve(net, id.as_deref(), name.as_deref())?;
    let rule = permission(properties, direction)?;
    if peers(&rule) != 1 {
        return Err(errors::refused(
            "InvalidParameterCombination",
            "Exactly one source or destination must be specified.",
        ));
    }
    if direction == Direction::Egress {
        // As on AWS the rule that lets everything out goes with the first of a template's own, even where that is the same.
        erase_default(net, &group)?;
    }
    rules::authorize(net, &group, direction, &[rule], &[]).map(drop)
}

fn peers(rule: &IpPermission) -> usize {
    rule.ip_ranges.iter().len()
        + rule.ipv6_ranges.iter().len()
        + rule.prefix_list_ids.iter().len()
        + rule.user_id_group_pairs.iter().len()
}

fn shown(net: &Network<'_>, id: &str) -> Result<Resource, AwsError> {
    net.get::<RuleRecord>(id)?;
    Ok(resource(id, [("Id", id.into())]))
}

fn properties(net: &Network<'_>, id: &str, given: &Properties) -> Result<Properties, AwsError> {
    let rule = net.get::<RuleRecord>(id)?;
    let group = net.get::<GroupRecord>(&rule.group)?;
    let mut kept = as_written(net, &group, &rule, std::slice::from_ref(given));
    if let Document::Map(members) = &mut kept {
        members.insert("GroupId".to_owned(), group.id.into());
        members.insert("GroupName".to_owned(), group.name.into());
    }
    Ok(kept)
}

/// A group's rule as a template writes it: as one of the `written` does, where that means the same.
pub(super) fn as_written(net: &Network<'_>, group: &GroupRecord, rule: &RuleRecord, written: &[Document]) -> Document {
    let means = |written: &&Document| {
        let permission = permission(written, rule.direction);
        let meant = permission.and_then(|permission| rules::rules_of(net, group, rule.direction, &permission));
        meant.is_ok_and(|meant| meant.iter().any(|meant| meant.same_as(rule)))
    };
    let members = written.iter().find(means).and_then(Document::as_map).cloned();
    let mut members = members.unwrap_or_else(|| plain(rule));
    members.insert("Description".to_owned(), rule.description.clone().into());
    members.retain(|_, value| *value != Document::Null);
    Document::Map(members)
}

/// A rule's members, apart from its description.
fn plain(rule: &RuleRecord) -> IndexMap<String, Document> {
    let (list, group) = match rule.direction {
        Direction::Ingress => ("SourcePrefixListId", "SourceSecurityGroupId"),
        Direction::Egress => ("DestinationPrefixListId", "DestinationSecurityGroupId"),
    };
    let peer = match &rule.peer {
        Peer::Ipv4(cidr) => ("CidrIp", cidr.to_string()),
        Peer::Ipv6(cidr) => ("CidrIpv6", cidr.clone()),
        Peer::PrefixList(id) => (list, id.clone()),
        Peer::Group(id) => (group, id.clone()),
    };
    let Traffic { protocol, from, to } = &rule.traffic;
    let ports = (protocol != "-1").then_some([("FromPort", (*from).into()), ("ToPort", (*to).into())]);
    let members = [("IpProtocol", protocol.as_str().into()), (peer.0, peer.1.into())];
    members.into_iter().chain(ports.into_iter().flatten()).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn set_description(net: &Network<'_>, id: &str, properties: &Properties) -> Result<(), AwsError> {
    let mut rule = net.get::<RuleRecord>(id)?;
    rule.description = text(properties, "Description");
    net.put(&rule)
}

/// A rule as templates write it, as a permission.
pub(super) fn permission(rule: &Document, direction: Direction) -> Result<IpPermission, AwsError> {
    let description = text(rule, "Description");
    let port = |name: &str| {
        text(rule, name)
            .map(|text| text.parse::<i64>().map_err(|_| errors::invalid_value(format!("{name} must be a number"))))
            .transpose()
    };
    let (list, group, group_name) = match direction {
        Direction::Ingress => ("SourcePrefixListId", "SourceSecurityGroupId", Some("SourceSecurityGroupName")),
        Direction::Egress => ("DestinationPrefixListId", "DestinationSecurityGroupId", None),
    };
    let (group_id, group_name) = (text(rule, group), group_name.and_then(|name| text(rule, name)));
    let pair = (group_id.is_some() || group_name.is_some()).then(|| UserIdGroupPair {
        group_id,
        group_name,
        user_id: text(rule, "SourceSecurityGroupOwnerId"),
        description: description.clone(),
        ..UserIdGroupPair::default()
    });
    let range = text(rule, "CidrIp").map(|cidr| IpRange { cidr_ip: Some(cidr), description: description.clone() });
    let range6 =
        text(rule, "CidrIpv6").map(|cidr| Ipv6Range { cidr_ipv6: Some(cidr), description: description.clone() });
    let list = text(rule, list).map(|id| PrefixListId { prefix_list_id: Some(id), description });
    Ok(IpPermission {
        ip_protocol: Some(required(rule, "IpProtocol")?),
        from_port: port("FromPort")?,
        to_port: port("ToPort")?,
        user_id_group_pairs: pair.map(|pair| vec![pair]),
        ip_ranges: range.map(|range| vec![range]),
        ipv6_ranges: range6.map(|range| vec![range]),
        prefix_list_ids: list.map(|list| vec![list]),
    })
}
