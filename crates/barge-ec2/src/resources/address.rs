//! AWS::EC2::EIP (CloudFormation Template Reference, "AWS::EC2::EIP"). `Ref` gives the address itself.

use super::properties::request;
use super::{NetworkResource, resource};
use crate::addresses::{self, AddressRecord};
use crate::describe::Described as _;
use crate::kind::Kind;
use crate::network::Network;
use barge_core::AwsError;
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, TAG, property};
use barge_wire::ec2::ReleaseAddressRequest;
use barge_wire::to_properties;

pub(super) struct ElasticIp;

impl NetworkResource for ElasticIp {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::EIP",
        properties: &[
            property("Domain", PropertyType::String).replaces(),
            property("NetworkBorderGroup", PropertyType::String).replaces(),
            property("Tags", PropertyType::List).of(TAG),
        ],
        attributes: &["AllocationId", "PublicIp"],
    };
    const KIND: Kind = Kind::Address;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        let input = request(&creation.properties, &["Domain", "NetworkBorderGroup"])?;
        addresses::allocate(net, input).map(drop)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        let address = net.get::<AddressRecord>(id)?.public_ip.to_string();
        Ok(resource(&address, [("AllocationId", id.into()), ("PublicIp", address.as_str().into())]))
    }

    fn properties(net: &Network<'_>, id: &str, _: &Properties) -> Result<Properties, AwsError> {
        Ok(to_properties(net.get::<AddressRecord>(id)?.show(net, Vec::new())?))
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        let input = ReleaseAddressRequest { allocation_id: Some(id.to_owned()), ..Default::default() };
        addresses::release(net, input)
    }

    fn record_id(net: &Network<'_>, physical_id: &str) -> Result<String, AwsError> {
        Ok(addresses::by_public_ip(net, physical_id)?.id)
    }
}
