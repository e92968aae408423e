//! Elastic IP addresses. They come from 198.18.0.0/15, which RFC 2544 keeps for tests: no machine elsewhere has one.

use crate::describe::{Described, Question, describe};
use crate::filters::{Field, text};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::{errors, tags};
use barge_core::AwsError;
use barge_wire::ec2::{
    Address, AllocateAddressRequest, AllocateAddressResult, DescribeAddressesRequest, DescribeAddressesResult,
    DomainType, ReleaseAddressRequest, Tag,
};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// 198.18.0.0, and how many addresses follow it.
const POOL: u32 = Ipv4Addr::new(198, 18, 0, 0).to_bits();
const POOL_SIZE: u32 = 1 << 17;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AddressRecord {
    pub(crate) id: String,
    pub(crate) public_ip: Ipv4Addr,
    pub(crate) association: Option<Association>,
}

/// What an address is mapped to: an interface, or a regional NAT gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Association {
    pub(crate) id: String,
    pub(crate) interface: Option<String>,
    pub(crate) private_ip: Option<Ipv4Addr>,
}

impl Record for AddressRecord {
    const KIND: Kind = Kind::Address;

    fn id(&self) -> &str {
        &self.id
    }
}

impl Described for AddressRecord {
    type Shown = Address;

    const FILTERS: &'static [Field<Address>] = &[
        ("allocation-id", |address| text(address.allocation_id.as_ref())),
        ("association-id", |address| text(address.association_id.as_ref())),
        ("domain", |address| address.domain.map(|domain| domain.to_string()).into_iter().collect()),
        ("network-border-group", |address| text(address.network_border_group.as_ref())),
        ("network-interface-id", |address| text(address.network_interface_id.as_ref())),
        ("network-interface-owner-id", |address| text(address.network_interface_owner_id.as_ref())),
        ("private-ip-address", |address| text(address.private_ip_address.as_ref())),
        ("public-ip", |address| text(address.public_ip.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<Address, AwsError> {
        let association = self.association.as_ref();
        Ok(Address {
            allocation_id: Some(self.id.clone()),
            association_id: association.map(|association| association.id.clone()),
            domain: Some(DomainType::Vpc),
            network_interface_id: association.and_then(|association| association.interface.clone()),
            network_interface_owner_id: association.and_then(|used| used.interface.as_ref()).map(|_| net.account()),
            private_ip_address: association.and_then(|used| used.private_ip).map(|ip| ip.to_string()),
            public_ipv4_pool: Some("amazon".to_owned()),
            network_border_group: Some(net.region().to_owned()),
            public_ip: Some(self.public_ip.to_string()),
            tags: Some(tags),
            ..Address::default()
        })
    }

    fn tags(shown: &Address) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

/// Allocates an address, or gives the one that an earlier try with the same ids allocated.
pub(crate) fn make(net: &Network<'_>, tags: &[Tag]) -> Result<AddressRecord, AwsError> {
    let id = net.mint(Kind::Address);
    if let Some(found) = net.find(&id)? {
        return Ok(found);
    }
    let address = AddressRecord { id, public_ip: free_address(net)?, association: None };
    net.put(&address)?;
    tags::put(net, &address.id, tags)?;
    Ok(address)
}

/// The first free address from a random place of the pool on.
fn free_address(net: &Network<'_>) -> Result<Ipv4Addr, AwsError> {
    let taken: Vec<Ipv4Addr> = net.list::<AddressRecord>()?.into_iter().map(|address| address.public_ip).collect();
    let mut random = [0; 4];
    net.ids.fill(&mut random);
    let start = u32::from_le_bytes(random) % POOL_SIZE;
    (0..POOL_SIZE)
        .map(|step| Ipv4Addr::from_bits(POOL + (start + step) % POOL_SIZE))
        .find(|address| !taken.contains(address))
        .ok_or_else(|| errors::refused("AddressLimitExceeded", "The maximum number of addresses has been reached."))
}

pub(crate) fn allocate(net: &Network<'_>, input: AllocateAddressRequest) -> Result<AllocateAddressResult, AwsError> {
    if input.domain == Some(DomainType::Standard) {
        return Err(errors::invalid_value("Value (standard) for parameter domain is invalid. EC2-Classic is retired."));
    }
    check_border(net, input.network_border_group.as_deref())?;
    let address = make(net, &tags::specified(input.tag_specifications, Kind::Address)?)?;
    Ok(AllocateAddressResult {
        allocation_id: Some(address.id),
        public_ipv4_pool: Some("amazon".to_owned()),
        network_border_group: Some(net.region().to_owned()),
        domain: Some(DomainType::Vpc),
        public_ip: Some(address.public_ip.to_string()),
        ..AllocateAddressResult::default()
    })
}

fn check_border(net: &Network<'_>, group: Option<&str>) -> Result<(), AwsError> {
    match group {
        Some(group) if group != net.region() => {
            Err(errors::invalid_value(format!("Value ({group}) for parameter networkBorderGroup is invalid.")))
        }
        _ => Ok(()),
    }
}

pub(crate) fn release(net: &Network<'_>, input: ReleaseAddressRequest) -> Result<(), AwsError> {
    check_border(net, input.network_border_group.as_deref())?;
    let id = match (input.allocation_id, input.public_ip) {
        (Some(id), _) => id,
        (None, Some(_)) => {
            return Err(errors::invalid_value(
                "You must specify an allocation id when releasing a VPC elastic IP address",
            ));
        }
        (None, None) => return Err(errors::missing_parameter("AllocationId")),
    };
    let address = net.get::<AddressRecord>(&id)?;
    if address.association.is_some() {
        return Err(errors::refused("InvalidIPAddress.InUse", format!("Address {} is in use.", address.public_ip)));
    }
    net.remove(&address.id)
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeAddressesRequest,
) -> Result<DescribeAddressesResult, AwsError> {
    let question = Question { ids: input.allocation_ids, filters: input.filters, ..Question::default() };
    let (mut addresses, _) = describe::<AddressRecord>(net, question)?;
    if let Some(wanted) = input.public_ips.filter(|wanted| !wanted.is_empty()) {
        for public_ip in &wanted {
            by_public_ip(net, public_ip)?;
        }
        addresses.retain(|address| address.public_ip.as_ref().is_some_and(|own| wanted.contains(own)));
    }
    Ok(DescribeAddressesResult { addresses: Some(addresses) })
}

pub(crate) fn by_public_ip(net: &Network<'_>, public_ip: &str) -> Result<AddressRecord, AwsError> {
    let found = net.select::<AddressRecord>(|address| address.public_ip.to_string() == public_ip)?.pop();
    found.ok_or_else(|| errors::refused("InvalidAddress.NotFound", format!("Address '{public_ip}' not found.")))
}
