//! AWS::EC2::VPCEndpoint (CloudFormation Template Reference, "AWS::EC2::VPCEndpoint").

use super::properties::{boolean, json, request, texts};
use super::{NetworkResource, resource};
use crate::describe::Described as _;
use crate::errors;
use crate::kind::Kind;
use crate::network::Network;
use crate::vpc_endpoints::{self, EndpointRecord};
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, Structure, TAG, property};
use barge_core::{AwsError, Document};
use barge_wire::ec2::{CreateVpcEndpointRequest, DnsOptionsSpecification, ModifyVpcEndpointRequest, VpcEndpointType};
use barge_wire::{from_properties, to_properties};

pub(super) struct VpcEndpoint;

const DNS_OPTIONS: &Structure = &Structure(&[
    property("DnsRecordIpType", PropertyType::String),
    property(INBOUND, PropertyType::String),
    property("PrivateDnsPreference", PropertyType::String),
    property("PrivateDnsSpecifiedDomains", PropertyType::List),
]);

impl NetworkResource for VpcEndpoint {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::VPCEndpoint",
        properties: &[
            property("DnsOptions", PropertyType::Map).of(DNS_OPTIONS),
            property("IpAddressType", PropertyType::String),
            property("PolicyDocument", PropertyType::Json),
            property("PrivateDnsEnabled", PropertyType::Boolean),
            property("RouteTableIds", PropertyType::List),
            property("SecurityGroupIds", PropertyType::List),
            property("ServiceName", PropertyType::String).required().replaces(),
            property("SubnetIds", PropertyType::List),
            property("Tags", PropertyType::List).of(TAG),
            property("VpcEndpointType", PropertyType::String).replaces(),
            property("VpcId", PropertyType::String).required().replaces(),
        ],
        attributes: &["CreationTimestamp", "DnsEntries", "Id", "NetworkInterfaceIds"],
    };
    const KIND: Kind = Kind::VpcEndpoint;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        let properties = &creation.properties;
        let members = [
            "IpAddressType",
            "RouteTableIds",
            "SecurityGroupIds",
            "ServiceName",
            "SubnetIds",
            "VpcEndpointType",
            "VpcId",
        ];
        let mut input: CreateVpcEndpointRequest = request(properties, &members)?;
        input.policy_document = json(properties, "PolicyDocument")?;
        input.dns_options = dns_options(properties)?;
        // Unlike the API, a template that doesn't mention private DNS gets none.
        input.private_dns_enabled = Some(boolean(properties, "PrivateDnsEnabled")?.unwrap_or(false));
        vpc_endpoints::make(net, &input, &[]).map(drop)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        let endpoint = net.get::<EndpointRecord>(id)?;
        let interfaces = endpoint.interfaces(net)?.into_iter().map(|interface| Document::from(interface.id));
        let entries = endpoint.dns_entries(net).into_iter().map(|entry| {
            let zone = entry.hosted_zone_id.unwrap_or_default();
            Document::from(format!("{zone}:{}", entry.dns_name.unwrap_or_default()))
        });
        Ok(resource(
            id,
            [
                ("CreationTimestamp", endpoint.created.iso8601().into()),
                ("DnsEntries", entries.collect::<Vec<_>>().into()),
                ("Id", id.into()),
                ("NetworkInterfaceIds", interfaces.collect::<Vec<_>>().into()),
            ],
        ))
    }

    fn properties(net: &Network<'_>, id: &str, _: &Properties) -> Result<Properties, AwsError> {
        let endpoint = net.get::<EndpointRecord>(id)?;
        let groups = ("SecurityGroupIds".to_owned(), endpoint.groups.iter().map(String::as_str).collect());
        let shown = to_properties(endpoint.show(net, Vec::new())?);
        let mut shown = shown.as_map().cloned().unwrap_or_default();
        if let Some(Document::Map(options)) = shown.get_mut("DnsOptions")
            && let Some(only) = options.get_mut(INBOUND)
        {
            *only = if *only == Document::Bool(true) { ONLY_INBOUND } else { ALL_RESOLVERS }.into();
        }
        Ok(Document::map(shown.into_iter().chain([groups])))
    }

    fn update(net: &Network<'_>, id: &str, _: &Properties, new: &Creation) -> Result<(), AwsError> {
        let properties = &new.properties;
        let endpoint = net.get::<EndpointRecord>(id)?;
        let policy = json(properties, "PolicyDocument")?;
        let addressing: CreateVpcEndpointRequest = request(properties, &["IpAddressType", "VpcId"])?;
        let mut input = ModifyVpcEndpointRequest {
            vpc_endpoint_id: id.to_owned(),
            reset_policy: Some(policy.is_none()),
            policy_document: policy,
            ip_address_type: addressing.ip_address_type,
            dns_options: dns_options(properties)?,
            ..ModifyVpcEndpointRequest::default()
        };
        let changes = |name: &str, have: &[String]| -> Result<(Vec<String>, Vec<String>), AwsError> {
            let want = texts(properties, name)?;
            let removed = have.iter().filter(|id| !want.contains(id)).cloned().collect();
            Ok((want.into_iter().filter(|id| !have.contains(id)).collect(), removed))
        };
        if endpoint.endpoint_type == VpcEndpointType::Gateway {
            let (add, remove) = changes("RouteTableIds", &endpoint.route_tables)?;
            (input.add_route_table_ids, input.remove_route_table_ids) = (Some(add), Some(remove));
        } else {
            let (add, remove) = changes("SubnetIds", &endpoint.subnets)?;
            (input.add_subnet_ids, input.remove_subnet_ids) = (Some(add), Some(remove));
            if !texts(properties, "SecurityGroupIds")?.is_empty() {
                let (add, remove) = changes("SecurityGroupIds", &endpoint.groups)?;
                (input.add_security_group_ids, input.remove_security_group_ids) = (Some(add), Some(remove));
            }
            input.private_dns_enabled = Some(boolean(properties, "PrivateDnsEnabled")?.unwrap_or(false));
        }
        vpc_endpoints::modify(net, input).map(drop)
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        vpc_endpoints::erase(net, &net.get(id)?)
    }
}

const INBOUND: &str = "PrivateDnsOnlyForInboundResolverEndpoint";
const ONLY_INBOUND: &str = "OnlyInboundResolver";
const ALL_RESOLVERS: &str = "AllResolvers";

/// The options, with the word that templates have for a truth of the API's.
fn dns_options(properties: &Properties) -> Result<Option<DnsOptionsSpecification>, AwsError> {
    let Some(mut options) = properties.get("DnsOptions").and_then(Document::as_map).cloned() else { return Ok(None) };
    if let Some(value) = options.get_mut(INBOUND) {
        *value = match value.as_str() {
            Some(ONLY_INBOUND) => Document::Bool(true),
            Some(ALL_RESOLVERS) => Document::Bool(false),
            _ => {
                let message = format!("{INBOUND} must be {ONLY_INBOUND} or {ALL_RESOLVERS}");
                return Err(errors::invalid_value(message));
            }
        };
    }
    from_properties(&Document::Map(options)).map(Some)
}
