//! AWS::EC2::NatGateway (CloudFormation Template Reference, "AWS::EC2::NatGateway").

use super::properties::request;
use super::{NetworkResource, resource};
use crate::kind::Kind;
use crate::nat_gateways::{self, NatRecord};
use crate::network::Network;
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, property};
use barge_core::{AwsError, Document};
use barge_wire::ec2::DeleteNatGatewayRequest;

pub(super) struct NatGateway;

impl NetworkResource for NatGateway {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::NatGateway",
        properties: &[
            property("AllocationId", PropertyType::String).replaces(),
            property("ConnectivityType", PropertyType::String).replaces(),
            property("PrivateIpAddress", PropertyType::String).replaces(),
            property("SubnetId", PropertyType::String).required().replaces(),
            property("Tags", PropertyType::List),
        ],
        attributes: &["EniId", "NatGatewayId"],
    };
    const KIND: Kind = Kind::NatGateway;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        let members = ["AllocationId", "ConnectivityType", "PrivateIpAddress", "SubnetId"];
        nat_gateways::make(net, &request(&creation.properties, &members)?, &[]).map(drop)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        let nat = net.get::<NatRecord>(id)?;
        if nat.deleted.is_some() {
            return Err(Kind::NatGateway.missing(id));
        }
        Ok(resource(id, [("EniId", nat.interface.into()), ("NatGatewayId", id.into())]))
    }

    fn properties(net: &Network<'_>, id: &str, _: &Properties) -> Result<Properties, AwsError> {
        let nat = net.get::<NatRecord>(id)?;
        Ok(Document::map([
            ("AllocationId", nat.address.map(|elastic| elastic.allocation).into()),
            ("ConnectivityType", nat.connectivity.as_str().into()),
            ("PrivateIpAddress", nat.private_ip.to_string().into()),
            ("SubnetId", nat.subnet.into()),
        ]))
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        let input = DeleteNatGatewayRequest { nat_gateway_id: id.to_owned(), dry_run: None };
        nat_gateways::delete(net, input).map(drop)
    }
}
