//! AWS::EC2::SecurityGroup (CloudFormation Template Reference, "AWS::EC2::SecurityGroup"). `Ref` gives the id; the name
//! where the template names no VPC.

use super::properties::{required, text};
use super::security_group_rule::{as_written, permission};
use super::{NetworkResource, resource};
use crate::errors;
use crate::kind::Kind;
use crate::network::Network;
use crate::security_group_rules::{self as rules, Direction, Origin, RuleRecord};
use crate::security_groups::{self, GroupRecord, Plan};
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, Structure, TAG, property};
use barge_core::{AwsError, Document};
use barge_wire::ec2::{DeleteSecurityGroupRequest, IpPermission};

pub(super) struct SecurityGroup;

const INGRESS: &Structure = &Structure(&[
    property("CidrIp", PropertyType::String),
    property("CidrIpv6", PropertyType::String),
    property("Description", PropertyType::String),
    property("FromPort", PropertyType::Integer),
    property("IpProtocol", PropertyType::String).required(),
    property("SourcePrefixListId", PropertyType::String),
    property("SourceSecurityGroupId", PropertyType::String),
    property("SourceSecurityGroupName", PropertyType::String),
    property("SourceSecurityGroupOwnerId", PropertyType::String),
    property("ToPort", PropertyType::Integer),
]);

const EGRESS: &Structure = &Structure(&[
    property("CidrIp", PropertyType::String),
    property("CidrIpv6", PropertyType::String),
    property("Description", PropertyType::String),
    property("DestinationPrefixListId", PropertyType::String),
    property("DestinationSecurityGroupId", PropertyType::String),
    property("FromPort", PropertyType::Integer),
    property("IpProtocol", PropertyType::String).required(),
    property("ToPort", PropertyType::Integer),
]);

impl NetworkResource for SecurityGroup {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::SecurityGroup",
        properties: &[
            property("GroupDescription", PropertyType::String).required().replaces(),
            property("GroupName", PropertyType::String).replaces(),
            property("SecurityGroupEgress", PropertyType::List).of(EGRESS),
            property("SecurityGroupIngress", PropertyType::List).of(INGRESS),
            property("Tags", PropertyType::List).of(TAG),
            property("VpcId", PropertyType::String).replaces(),
        ],
        attributes: &["GroupId", "Id", "VpcId"],
    };
    const KIND: Kind = Kind::SecurityGroup;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        let properties = &creation.properties;
        let plan = Plan {
            vpc: text(properties, "VpcId"),
            name: text(properties, "GroupName").unwrap_or_else(|| creation.physical_name(255)),
            description: required(properties, "GroupDescription")?,
            tags: Vec::new(),
        };
        let group = security_groups::make(net, plan)?;
        for (direction, name) in LISTS {
            change(net, &group, direction, &[], &listed(properties, name)?)?;
        }
        Ok(())
    }

    fn resource(net: &Network<'_>, id: &str, properties: &Properties) -> Result<Resource, AwsError> {
        let group = net.get::<GroupRecord>(id)?;
        let physical_id = if text(properties, "VpcId").is_some() { &group.id } else { &group.name };
        let attributes =
            [("GroupId", id.into()), ("Id", physical_id.as_str().into()), ("VpcId", group.vpc.clone().into())];
        Ok(resource(physical_id, attributes))
    }

    fn properties(net: &Network<'_>, id: &str, given: &Properties) -> Result<Properties, AwsError> {
        let group = net.get::<GroupRecord>(id)?;
        let mut kept = vec![
            ("GroupDescription", group.description.as_str().into()),
            ("GroupName", group.name.as_str().into()),
            ("VpcId", group.vpc.as_str().into()),
        ];
        for (direction, name) in LISTS {
            let written = given.get(name).and_then(Document::as_list).unwrap_or_default();
            let rules = net.select::<RuleRecord>(|rule| rule.group == id && rule.direction == direction)?;
            kept.push((name, rules.iter().map(|rule| as_written(net, &group, rule, written)).collect()));
        }
        Ok(Document::map(kept))
    }

    fn update(net: &Network<'_>, id: &str, old: &Properties, new: &Creation) -> Result<(), AwsError> {
        let group = net.get::<GroupRecord>(id)?;
        for (direction, name) in LISTS {
            change(net, &group, direction, &listed(old, name)?, &listed(&new.properties, name)?)?;
        }
        Ok(())
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        let input = DeleteSecurityGroupRequest { group_id: Some(id.to_owned()), ..Default::default() };
        security_groups::delete(net, input).map(drop)
    }

    fn record_id(net: &Network<'_>, physical_id: &str) -> Result<String, AwsError> {
        match Kind::of_id(physical_id) {
            Some(Kind::SecurityGroup) => Ok(physical_id.to_owned()),
            _ => Ok(security_groups::resolve(net, None, Some(physical_id))?.id),
        }
    }
}

const LISTS: [(Direction, &str); 2] =
    [(Direction::Ingress, "SecurityGroupIngress"), (Direction::Egress, "SecurityGroupEgress")];

fn listed(properties: &Properties, name: &str) -> Result<Vec<IpPermission>, AwsError> {
    let direction = if name == LISTS[0].1 { Direction::Ingress } else { Direction::Egress };
    properties
        .get(name)
        .and_then(Document::as_list)
        .unwrap_or_default()
        .iter()
        .map(|rule| {
            known_members(rule, direction)?;
            permission(rule, direction)
        })
        .collect()
}

/// Refuses a member that a rule does not have.
fn known_members(rule: &Document, direction: Direction) -> Result<(), AwsError> {
    let Structure(members) = match direction {
        Direction::Ingress => INGRESS,
        Direction::Egress => EGRESS,
    };
    let mut names = rule.as_map().into_iter().flat_map(|rule| rule.keys());
    match names.find(|name| members.iter().all(|member| member.name != *name)) {
        Some(unknown) => Err(errors::refused("ValidationError", format!("Unknown parameter: {unknown}"))),
        None => Ok(()),
    }
}

/// Takes the rules of the `old` lists away and adds those of the `new`. A group lets everything out until egress is listed;
/// where what was listed is removed, it lets nothing out (CloudFormation Template Reference, "AWS::EC2::SecurityGroup").
fn change(
    net: &Network<'_>,
    group: &GroupRecord,
    direction: Direction,
    old: &[IpPermission],
    new: &[IpPermission],
) -> Result<(), AwsError> {
    for permission in old {
        for rule in rules::rules_of(net, group, direction, permission)? {
            erase(net, group, |other| other.same_as(&rule))?;
        }
    }
    if direction == Direction::Egress && !new.is_empty() {
        erase_default(net, group)?;
    }
    rules::authorize(net, group, direction, new, &[]).map(drop)
}

/// Takes away the rule that came with a group.
pub(super) fn erase_default(net: &Network<'_>, group: &GroupRecord) -> Result<(), AwsError> {
    erase(net, group, |rule| rule.origin == Origin::Default)
}

fn erase(net: &Network<'_>, group: &GroupRecord, wanted: impl Fn(&RuleRecord) -> bool) -> Result<(), AwsError> {
    for rule in net.select::<RuleRecord>(|rule| rule.group == group.id && wanted(rule))? {
        net.remove(&rule.id)?;
    }
    Ok(())
}
