//! AWS::EC2::Subnet (CloudFormation Template Reference, "AWS::EC2::Subnet").

use super::properties::{boolean, cidr, request};
use super::{NetworkResource, resource};
use crate::kind::Kind;
use crate::network::Network;
use crate::regions;
use crate::subnets::{self, SubnetRecord};
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, TAG, property};
use barge_core::{AwsError, Document};
use barge_wire::Typed;
use barge_wire::ec2::{DeleteSubnetRequest, HostnameType, PrivateDnsNameOptionsOnLaunch};

pub(super) struct Subnet;

impl NetworkResource for Subnet {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::Subnet",
        properties: &[
            property("AssignIpv6AddressOnCreation", PropertyType::Boolean),
            property("AvailabilityZone", PropertyType::String).replaces(),
            property("AvailabilityZoneId", PropertyType::String).replaces(),
            property("CidrBlock", PropertyType::String).required().replaces(),
            property("MapPublicIpOnLaunch", PropertyType::Boolean),
            property("PrivateDnsNameOptionsOnLaunch", PropertyType::Map).of(PrivateDnsNameOptionsOnLaunch::SHAPE),
            property("Tags", PropertyType::List).of(TAG),
            property("VpcId", PropertyType::String).required().replaces(),
        ],
        attributes: &[
            "AvailabilityZone",
            "AvailabilityZoneId",
            "CidrBlock",
            "Ipv6CidrBlocks",
            "NetworkAclAssociationId",
            "SubnetId",
            "VpcId",
        ],
    };
    const KIND: Kind = Kind::Subnet;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        let members = ["AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "VpcId"];
        let made = subnets::create(net, request(&creation.properties, &members)?)?;
        set_up(net, &made.subnet.and_then(|subnet| subnet.subnet_id).unwrap_or_default(), &creation.properties)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        let subnet = net.get::<SubnetRecord>(id)?;
        Ok(resource(
            id,
            [
                ("AvailabilityZoneId", regions::zone_id(&subnet.zone).into()),
                ("AvailabilityZone", subnet.zone.into()),
                ("CidrBlock", subnet.cidr.to_string().into()),
                ("Ipv6CidrBlocks", Vec::new().into()),
                ("NetworkAclAssociationId", subnet.acl_association.into()),
                ("SubnetId", id.into()),
                ("VpcId", subnet.vpc.into()),
            ],
        ))
    }

    fn properties(net: &Network<'_>, id: &str, given: &Properties) -> Result<Properties, AwsError> {
        let subnet = net.get::<SubnetRecord>(id)?;
        let names = [
            ("HostnameType", subnet.hostnames.as_str().into()),
            ("EnableResourceNameDnsARecord", subnet.resource_name_a_record.into()),
            ("EnableResourceNameDnsAAAARecord", Document::from(false)),
        ];
        Ok(Document::map([
            ("AvailabilityZoneId", regions::zone_id(&subnet.zone).into()),
            ("AvailabilityZone", subnet.zone.into()),
            ("CidrBlock", cidr(given, "CidrBlock", subnet.cidr)),
            ("AssignIpv6AddressOnCreation", false.into()),
            ("MapPublicIpOnLaunch", subnet.public_ip_on_launch.into()),
            ("PrivateDnsNameOptionsOnLaunch", Document::map(names)),
            ("VpcId", subnet.vpc.into()),
        ]))
    }

    fn update(net: &Network<'_>, id: &str, _: &Properties, new: &Creation) -> Result<(), AwsError> {
        set_up(net, id, &new.properties)
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        subnets::delete(net, DeleteSubnetRequest { subnet_id: id.to_owned(), dry_run: None })
    }
}

/// Sets what can be changed in place.
fn set_up(net: &Network<'_>, id: &str, properties: &Properties) -> Result<(), AwsError> {
    let none = Document::Null;
    let options = properties.get("PrivateDnsNameOptionsOnLaunch").unwrap_or(&none);
    let ipv6 = boolean(properties, "AssignIpv6AddressOnCreation")? == Some(true)
        || boolean(options, "EnableResourceNameDnsAAAARecord")? == Some(true);
    if ipv6 {
        return Err(AwsError::not_implemented("Amazon EC2", "IPv6 addresses in subnets"));
    }
    let names: PrivateDnsNameOptionsOnLaunch = request(options, &["HostnameType", "EnableResourceNameDnsARecord"])?;
    let mut subnet = net.get::<SubnetRecord>(id)?;
    subnet.public_ip_on_launch = boolean(properties, "MapPublicIpOnLaunch")?.unwrap_or(false);
    subnet.hostnames = names.hostname_type.unwrap_or(HostnameType::IpName);
    subnet.resource_name_a_record = names.enable_resource_name_dns_a_record.unwrap_or(false);
    net.put(&subnet)
}
