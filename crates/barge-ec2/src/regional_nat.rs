//! Regional NAT gateways: one for all zones of a VPC, in no subnet (VPC User Guide, "Regional NAT gateways for automatic multi-AZ
//! expansion"). In automatic mode EC2 gives them addresses where workloads are; no workload is here, so they have none. In manual
//! mode a request says which addresses they have in which zone.

use crate::addresses::{AddressRecord, Association};
use crate::nat_gateways::{Elastic, NatRecord, Place, free_address};
use crate::network::Network;
use crate::vpcs::VpcRecord;
use crate::{errors, regions};
use barge_core::{AwsError, Document};
use barge_wire::ec2::{
    AvailabilityZoneAddress, ConnectivityType, CreateNatGatewayRequest, NatGatewayAddress, NatGatewayAddressStatus,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An address of a gateway in manual mode.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ZoneAddress {
    zone: String,
    elastic: Elastic,
}

impl ZoneAddress {
    pub(crate) fn elastic(&self) -> &Elastic {
        &self.elastic
    }

    pub(crate) fn show(&self) -> NatGatewayAddress {
        NatGatewayAddress {
            allocation_id: Some(self.elastic.allocation.clone()),
            association_id: Some(self.elastic.association.clone()),
            public_ip: Some(self.elastic.public_ip.to_string()),
            availability_zone: Some(self.zone.clone()),
            availability_zone_id: Some(regions::zone_id(&self.zone)),
            status: Some(NatGatewayAddressStatus::Succeeded),
            ..NatGatewayAddress::default()
        }
    }
}

/// Addresses as a template gives them: those of each zone together.
pub(crate) fn by_zone(addresses: &[ZoneAddress]) -> Document {
    let zones: BTreeSet<&str> = addresses.iter().map(|address| address.zone.as_str()).collect();
    let zone = |zone: &str| {
        let own = addresses.iter().filter(|address| address.zone == zone);
        let own: Document = own.map(|address| address.elastic.allocation.as_str()).collect();
        Document::map([("AvailabilityZone", zone.into()), ("AllocationIds", own)])
    };
    zones.into_iter().map(zone).collect()
}

/// The VPC and the addresses that a request gives a regional gateway.
pub(crate) fn placed(net: &Network<'_>, input: &CreateNatGatewayRequest) -> Result<(String, Place), AwsError> {
    let members = [
        ("SubnetId", input.subnet_id.is_some()),
        ("PrivateIpAddress", input.private_ip_address.is_some()),
        ("ConnectivityType private", input.connectivity_type == Some(ConnectivityType::Private)),
    ];
    if let Some((name, _)) = members.iter().find(|(_, given)| *given) {
        return Err(errors::refused(
            "InvalidParameterCombination",
            format!("{name} cannot be specified for a regional NAT gateway"),
        ));
    }
    if input.allocation_id.is_some() {
        return Err(AwsError::not_implemented("Amazon EC2", "AllocationId for a regional NAT gateway"));
    }
    let vpc = input.vpc_id.as_ref().ok_or_else(|| errors::missing_parameter("VpcId"))?;
    let vpc = net.get::<VpcRecord>(vpc)?.id;
    let addresses = map(net, input.availability_zone_addresses.as_deref().unwrap_or_default())?;
    Ok((vpc, Place::Regional { addresses }))
}

/// Maps addresses to a gateway, in the zones that a request names.
fn map(net: &Network<'_>, wanted: &[AvailabilityZoneAddress]) -> Result<Vec<ZoneAddress>, AwsError> {
    let mut mapped = Vec::new();
    for entry in wanted {
        let zone = zone(net, entry)?;
        for allocation in entry.allocation_ids.iter().flatten() {
            let mut address = free_address(net, allocation)?;
            let association = net.mint_with("eipassoc");
            address.association = Some(Association { id: association.clone(), interface: None, private_ip: None });
            net.put(&address)?;
            let elastic = Elastic { allocation: address.id, association, public_ip: address.public_ip };
            mapped.push(ZoneAddress { zone: zone.clone(), elastic });
        }
    }
    Ok(mapped)
}

/// Gives a gateway other addresses.
pub(crate) fn remap(net: &Network<'_>, mut nat: NatRecord, wanted: &[AvailabilityZoneAddress]) -> Result<(), AwsError> {
    let Place::Regional { addresses } = &mut nat.place else { return Ok(()) };
    for address in &*addresses {
        release(net, &address.elastic)?;
    }
    *addresses = map(net, wanted)?;
    net.put(&nat)
}

/// Gives an address back.
pub(crate) fn release(net: &Network<'_>, elastic: &Elastic) -> Result<(), AwsError> {
    if let Some(mut address) = net.find::<AddressRecord>(&elastic.allocation)? {
        address.association = None;
        net.put(&address)?;
    }
    Ok(())
}

fn zone(net: &Network<'_>, entry: &AvailabilityZoneAddress) -> Result<String, AwsError> {
    let named = |zone: &String| {
        entry.availability_zone.as_ref() == Some(zone)
            || entry.availability_zone_id.as_ref() == Some(&regions::zone_id(zone))
    };
    regions::zones(net.region()).into_iter().find(named).ok_or_else(|| {
        let given = entry.availability_zone.as_ref().or(entry.availability_zone_id.as_ref());
        let given = given.map(String::as_str).unwrap_or_default();
        errors::invalid_value(format!("Value ({given}) for parameter availabilityZone is invalid."))
    })
}
