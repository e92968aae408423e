//! AWS::EC2::VPC (CloudFormation Template Reference, "AWS::EC2::VPC").

use super::properties::{boolean, cidr, request};
use super::{NetworkResource, resource};
use crate::kind::Kind;
use crate::network::Network;
use crate::network_acls::NetworkAclRecord;
use crate::security_groups::GroupRecord;
use crate::vpcs::{self, VpcRecord};
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, TAG, property};
use barge_core::{AwsError, Document};
use barge_wire::ec2::DeleteVpcRequest;

pub(super) struct Vpc;

impl NetworkResource for Vpc {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::VPC",
        properties: &[
            property("CidrBlock", PropertyType::String).required().replaces(),
            property("EnableDnsHostnames", PropertyType::Boolean),
            property("EnableDnsSupport", PropertyType::Boolean),
            property("InstanceTenancy", PropertyType::String).replaces(),
            property("Tags", PropertyType::List).of(TAG),
        ],
        attributes: &[
            "CidrBlock",
            "CidrBlockAssociations",
            "DefaultNetworkAcl",
            "DefaultSecurityGroup",
            "Ipv6CidrBlocks",
            "VpcId",
        ],
    };
    const KIND: Kind = Kind::Vpc;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        let made = vpcs::create(net, request(&creation.properties, &["CidrBlock", "InstanceTenancy"])?)?;
        set_attributes(net, &made.vpc.and_then(|vpc| vpc.vpc_id).unwrap_or_default(), &creation.properties)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        let vpc = net.get::<VpcRecord>(id)?;
        let group = net.select::<GroupRecord>(|group| group.vpc == id && group.is_default())?.pop();
        Ok(resource(
            id,
            [
                ("CidrBlock", vpc.cidr.to_string().into()),
                ("CidrBlockAssociations", vec![vpc.association.into()].into()),
                ("DefaultNetworkAcl", NetworkAclRecord::of_vpc(net, id)?.id.into()),
                ("DefaultSecurityGroup", group.map_or(Document::Null, |group| group.id.into())),
                ("Ipv6CidrBlocks", Vec::new().into()),
                ("VpcId", id.into()),
            ],
        ))
    }

    fn properties(net: &Network<'_>, id: &str, given: &Properties) -> Result<Properties, AwsError> {
        let vpc = net.get::<VpcRecord>(id)?;
        Ok(Document::map([
            ("CidrBlock", cidr(given, "CidrBlock", vpc.cidr)),
            ("EnableDnsHostnames", vpc.dns_hostnames.into()),
            ("EnableDnsSupport", vpc.dns_support.into()),
            ("InstanceTenancy", vpc.tenancy.as_str().into()),
        ]))
    }

    fn update(net: &Network<'_>, id: &str, _: &Properties, new: &Creation) -> Result<(), AwsError> {
        set_attributes(net, id, &new.properties)
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        vpcs::delete(net, DeleteVpcRequest { vpc_id: id.to_owned(), dry_run: None })
    }
}

fn set_attributes(net: &Network<'_>, id: &str, properties: &Properties) -> Result<(), AwsError> {
    let mut vpc = net.get::<VpcRecord>(id)?;
    vpc.dns_support = boolean(properties, "EnableDnsSupport")?.unwrap_or(true);
    vpc.dns_hostnames = boolean(properties, "EnableDnsHostnames")?.unwrap_or(false);
    net.put(&vpc)
}
