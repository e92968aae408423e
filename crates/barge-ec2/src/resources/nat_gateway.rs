//! AWS::EC2::NatGateway (CloudFormation Template Reference, "AWS::EC2::NatGateway").

use super::properties::request;
use super::{NetworkResource, resource};
use crate::kind::Kind;
use crate::nat_gateways::{self, NatRecord, Place};
use crate::network::Network;
use crate::regional_nat;
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, TAG, property};
use barge_core::{AwsError, Document};
use barge_wire::Typed;
use barge_wire::ec2::{AvailabilityZoneAddress, CreateNatGatewayRequest, DeleteNatGatewayRequest};

pub(super) struct NatGateway;

const MEMBERS: [&str; 7] = [
    "AllocationId",
    "AvailabilityMode",
    "AvailabilityZoneAddresses",
    "ConnectivityType",
    "PrivateIpAddress",
    "SubnetId",
    "VpcId",
];

impl NetworkResource for NatGateway {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::NatGateway",
        properties: &[
            property("AllocationId", PropertyType::String).replaces(),
            property("AvailabilityMode", PropertyType::String).replaces(),
            property("AvailabilityZoneAddresses", PropertyType::List).of(AvailabilityZoneAddress::SHAPE),
            property("ConnectivityType", PropertyType::String).replaces(),
            // Addresses are given back at once: no connection is ever in progress.
            property("MaxDrainDurationSeconds", PropertyType::Integer).write_only(),
            property("PrivateIpAddress", PropertyType::String).replaces(),
            property("SubnetId", PropertyType::String).replaces(),
            property("Tags", PropertyType::List).of(TAG),
            property("VpcId", PropertyType::String).replaces(),
        ],
        attributes: &["EniId", "NatGatewayId"],
    };
    const KIND: Kind = Kind::NatGateway;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        nat_gateways::make(net, &request(&creation.properties, &MEMBERS)?, &[]).map(drop)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        let nat = net.get::<NatRecord>(id)?;
        if nat.deleted.is_some() {
            return Err(Kind::NatGateway.missing(id));
        }
        let interface = match nat.place {
            Place::Zonal { interface, .. } => Some(("EniId", interface.into())),
            Place::Regional { .. } => None,
        };
        Ok(resource(id, [("NatGatewayId", id.into())].into_iter().chain(interface)))
    }

    fn update(net: &Network<'_>, id: &str, old: &Properties, new: &Creation) -> Result<(), AwsError> {
        if old.get("AvailabilityZoneAddresses") == new.properties.get("AvailabilityZoneAddresses") {
            return Ok(());
        }
        let wanted: CreateNatGatewayRequest = request(&new.properties, &MEMBERS)?;
        regional_nat::remap(net, net.get(id)?, wanted.availability_zone_addresses.as_deref().unwrap_or_default())
    }

    fn properties(net: &Network<'_>, id: &str, _: &Properties) -> Result<Properties, AwsError> {
        let nat = net.get::<NatRecord>(id)?;
        let place = match nat.place {
            Place::Zonal { subnet, address, private_ip, .. } => vec![
                ("AvailabilityMode", "zonal".into()),
                ("AllocationId", address.map(|elastic| elastic.allocation).into()),
                ("PrivateIpAddress", private_ip.to_string().into()),
                ("SubnetId", subnet.into()),
            ],
            Place::Regional { addresses } => vec![
                ("AvailabilityMode", "regional".into()),
                ("AvailabilityZoneAddresses", regional_nat::by_zone(&addresses)),
                ("VpcId", nat.vpc.into()),
            ],
        };
        let connectivity = ("ConnectivityType", nat.connectivity.as_str().into());
        Ok(Document::map(place.into_iter().chain([connectivity])))
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        let input = DeleteNatGatewayRequest { nat_gateway_id: id.to_owned(), dry_run: None };
        nat_gateways::delete(net, input).map(drop)
    }
}
