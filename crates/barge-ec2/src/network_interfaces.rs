//! Network interfaces: those that NAT gateways and interface endpoints have in subnets. Clients make none themselves.

use crate::addresses::AddressRecord;
use crate::describe::{Described, describe, question};
use crate::errors;
use crate::filters::{Field, text, truth};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::regions;
use crate::security_groups::GroupRecord;
use crate::subnets::SubnetRecord;
use barge_core::AwsError;
use barge_wire::ec2::{
    DescribeNetworkInterfacesRequest, DescribeNetworkInterfacesResult, GroupIdentifier, NetworkInterface,
    NetworkInterfaceAssociation, NetworkInterfacePrivateIpAddress, NetworkInterfaceStatus, NetworkInterfaceType, Tag,
};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InterfaceRecord {
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) subnet: String,
    pub(crate) private_ip: Ipv4Addr,
    pub(crate) interface_type: NetworkInterfaceType,
    /// The NAT gateway or endpoint that it belongs to.
    pub(crate) owner: String,
    pub(crate) groups: Vec<String>,
    mac: String,
}

impl Record for InterfaceRecord {
    const KIND: Kind = Kind::NetworkInterface;

    fn id(&self) -> &str {
        &self.id
    }
}

impl Described for InterfaceRecord {
    type Shown = NetworkInterface;

    const FILTERS: &'static [Field<NetworkInterface>] = &[
        ("addresses.private-ip-address", |interface| text(interface.private_ip_address.as_ref())),
        ("association.allocation-id", |interface| association(interface, |used| used.allocation_id.clone())),
        ("association.association-id", |interface| association(interface, |used| used.association_id.clone())),
        ("association.public-ip", |interface| association(interface, |used| used.public_ip.clone())),
        ("availability-zone", |interface| text(interface.availability_zone.as_ref())),
        ("description", |interface| text(interface.description.as_ref())),
        ("group-id", |interface| {
            interface.groups.iter().flatten().filter_map(|group| group.group_id.clone()).collect()
        }),
        ("group-name", |interface| {
            interface.groups.iter().flatten().filter_map(|group| group.group_name.clone()).collect()
        }),
        ("interface-type", |interface| interface.interface_type.map(|kind| kind.to_string()).into_iter().collect()),
        ("mac-address", |interface| text(interface.mac_address.as_ref())),
        ("network-interface-id", |interface| text(interface.network_interface_id.as_ref())),
        ("owner-id", |interface| text(interface.owner_id.as_ref())),
        ("private-ip-address", |interface| text(interface.private_ip_address.as_ref())),
        ("requester-managed", |interface| truth(interface.requester_managed)),
        ("status", |interface| interface.status.map(|status| status.to_string()).into_iter().collect()),
        ("subnet-id", |interface| text(interface.subnet_id.as_ref())),
        ("vpc-id", |interface| text(interface.vpc_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<NetworkInterface, AwsError> {
        let zone = net.get::<SubnetRecord>(&self.subnet)?.zone;
        let mut groups = Vec::with_capacity(self.groups.len());
        for id in &self.groups {
            let group = net.get::<GroupRecord>(id)?;
            groups.push(GroupIdentifier { group_id: Some(group.id), group_name: Some(group.name) });
        }
        let association = self.association(net)?;
        Ok(NetworkInterface {
            network_interface_id: Some(self.id.clone()),
            vpc_id: Some(self.vpc.clone()),
            subnet_id: Some(self.subnet.clone()),
            owner_id: Some(net.account()),
            availability_zone_id: Some(regions::zone_id(&zone)),
            availability_zone: Some(zone),
            description: Some(self.description()),
            groups: Some(groups),
            interface_type: Some(self.interface_type),
            ipv6_addresses: Some(Vec::new()),
            mac_address: Some(self.mac.clone()),
            private_ip_address: Some(self.private_ip.to_string()),
            private_ip_addresses: Some(vec![NetworkInterfacePrivateIpAddress {
                association: association.clone(),
                primary: Some(true),
                private_dns_name: None,
                private_ip_address: Some(self.private_ip.to_string()),
            }]),
            association,
            requester_managed: Some(true),
            source_dest_check: Some(self.interface_type != NetworkInterfaceType::NatGateway),
            status: Some(NetworkInterfaceStatus::InUse),
            tag_set: Some(tags),
            ..NetworkInterface::default()
        })
    }

    fn tags(shown: &NetworkInterface) -> &[Tag] {
        shown.tag_set.as_deref().unwrap_or_default()
    }
}

fn association(interface: &NetworkInterface, of: fn(&NetworkInterfaceAssociation) -> Option<String>) -> Vec<String> {
    interface.association.iter().filter_map(of).collect()
}

impl InterfaceRecord {
    /// Puts an interface into a subnet, at `address` or the first free one.
    pub(crate) fn make(
        net: &Network<'_>,
        subnet: &SubnetRecord,
        interface_type: NetworkInterfaceType,
        owner: &str,
        groups: Vec<String>,
        address: Option<Ipv4Addr>,
    ) -> Result<Self, AwsError> {
        let free = subnet.free_address(net)?;
        let private_ip = match address {
            None => free.ok_or_else(|| {
                errors::refused(
                    "InsufficientFreeAddressesInSubnet",
                    format!("Insufficient free addresses in subnet {}.", subnet.id),
                )
            })?,
            Some(address) if subnet.cidr.holds(address) => address,
            Some(address) => {
                return Err(errors::invalid_value(format!(
                    "Address {address} does not fall within the subnet's address range"
                )));
            }
        };
        if net.list::<Self>()?.iter().any(|other| other.subnet == subnet.id && other.private_ip == private_ip) {
            return Err(errors::refused("InvalidIPAddress.InUse", format!("Address {private_ip} is in use.")));
        }
        let digits = net.ids.hex(10);
        let pairs: Vec<String> = digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into()).collect();
        let interface = Self {
            id: net.mint(Kind::NetworkInterface),
            vpc: subnet.vpc.clone(),
            subnet: subnet.id.clone(),
            private_ip,
            interface_type,
            owner: owner.to_owned(),
            groups,
            // 02: an address that someone assigned, and of no maker.
            mac: format!("02:{}", pairs.join(":")),
        };
        net.put(&interface)?;
        Ok(interface)
    }

    fn description(&self) -> String {
        match self.interface_type {
            NetworkInterfaceType::NatGateway => format!("Interface for NAT Gateway {}", self.owner),
            _ => format!("VPC Endpoint Interface {}", self.owner),
        }
    }

    fn association(&self, net: &Network<'_>) -> Result<Option<NetworkInterfaceAssociation>, AwsError> {
        for address in net.list::<AddressRecord>()? {
            if let Some(used) = address.association.filter(|used| used.interface.as_ref() == Some(&self.id)) {
                return Ok(Some(NetworkInterfaceAssociation {
                    allocation_id: Some(address.id),
                    association_id: Some(used.id),
                    ip_owner_id: Some(net.account()),
                    public_ip: Some(address.public_ip.to_string()),
                    ..NetworkInterfaceAssociation::default()
                }));
            }
        }
        Ok(None)
    }
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeNetworkInterfacesRequest,
) -> Result<DescribeNetworkInterfacesResult, AwsError> {
    let (interfaces, next_token) = describe::<InterfaceRecord>(net, question!(input, network_interface_ids))?;
    Ok(DescribeNetworkInterfacesResult { network_interfaces: Some(interfaces), next_token })
}
