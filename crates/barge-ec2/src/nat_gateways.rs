//! NAT gateways. A deleted one is shown as such for an hour, as EC2 does (VPC User Guide, "NAT gateways").

use crate::addresses::{AddressRecord, Association};
use crate::describe::{Described, Question, describe, show};
use crate::filters::{Field, text};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::network_interfaces::InterfaceRecord;
use crate::regional_nat::{self, ZoneAddress};
use crate::subnets::SubnetRecord;
use crate::{errors, tags};
use barge_core::ids::SeededIds;
use barge_core::{AwsError, Timestamp};
use barge_wire::ec2::{
    AutoProvisionZonesState, AutoScalingIpsState, AvailabilityMode, ConnectivityType, CreateNatGatewayRequest,
    CreateNatGatewayResult, DeleteNatGatewayRequest, DeleteNatGatewayResult, DescribeNatGatewaysRequest,
    DescribeNatGatewaysResult, NatGateway, NatGatewayAddress, NatGatewayAddressStatus, NatGatewayState,
    NetworkInterfaceType, Tag,
};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long a deleted gateway is shown.
const SHOWN_AFTER: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NatRecord {
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) connectivity: ConnectivityType,
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) created: Timestamp,
    pub(crate) deleted: Option<Timestamp>,
}

/// Where a gateway is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Place {
    /// In a subnet, with an interface there; a public one has an address.
    Zonal { subnet: String, address: Option<Elastic>, interface: String, private_ip: Ipv4Addr },
    /// In the zones of its VPC, without addresses where it is to find out itself which it needs.
    Regional { addresses: Vec<ZoneAddress> },
}

/// The elastic address of a public gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Elastic {
    pub(crate) allocation: String,
    pub(crate) association: String,
    pub(crate) public_ip: Ipv4Addr,
}

impl Record for NatRecord {
    const KIND: Kind = Kind::NatGateway;

    fn id(&self) -> &str {
        &self.id
    }
}

impl NatRecord {
    fn state(&self) -> NatGatewayState {
        if self.deleted.is_some() { NatGatewayState::Deleted } else { NatGatewayState::Available }
    }

    /// Whether an address is mapped to it as a regional gateway.
    pub(crate) fn has(&self, address: &AddressRecord) -> bool {
        match &self.place {
            Place::Regional { addresses } if self.deleted.is_none() => {
                addresses.iter().any(|zone| zone.elastic().allocation == address.id)
            }
            _ => false,
        }
    }

    fn forgotten(&self, now: Timestamp) -> bool {
        self.deleted.is_some_and(|deleted| deleted + SHOWN_AFTER < now)
    }
}

impl Described for NatRecord {
    type Shown = NatGateway;

    const FILTERS: &'static [Field<NatGateway>] = &[
        ("nat-gateway-id", |nat| text(nat.nat_gateway_id.as_ref())),
        ("state", |nat| nat.state.map(|state| state.to_string()).into_iter().collect()),
        ("subnet-id", |nat| text(nat.subnet_id.as_ref())),
        ("vpc-id", |nat| text(nat.vpc_id.as_ref())),
    ];

    fn show(&self, _: &Network<'_>, tags: Vec<Tag>) -> Result<NatGateway, AwsError> {
        let shown = NatGateway {
            nat_gateway_id: Some(self.id.clone()),
            vpc_id: Some(self.vpc.clone()),
            connectivity_type: Some(self.connectivity),
            create_time: Some(self.created),
            delete_time: self.deleted,
            state: Some(self.state()),
            tags: Some(tags),
            ..NatGateway::default()
        };
        Ok(match &self.place {
            Place::Zonal { subnet, address, interface, private_ip } => NatGateway {
                subnet_id: Some(subnet.clone()),
                availability_mode: Some(AvailabilityMode::Zonal),
                nat_gateway_addresses: Some(vec![NatGatewayAddress {
                    allocation_id: address.as_ref().map(|elastic| elastic.allocation.clone()),
                    association_id: address.as_ref().map(|elastic| elastic.association.clone()),
                    public_ip: address.as_ref().map(|elastic| elastic.public_ip.to_string()),
                    network_interface_id: Some(interface.clone()),
                    private_ip: Some(private_ip.to_string()),
                    is_primary: Some(true),
                    status: Some(NatGatewayAddressStatus::Succeeded),
                    ..NatGatewayAddress::default()
                }]),
                ..shown
            },
            Place::Regional { addresses } => {
                let automatic = addresses.is_empty();
                let (zones, ips) = if automatic {
                    (AutoProvisionZonesState::Enabled, AutoScalingIpsState::Enabled)
                } else {
                    (AutoProvisionZonesState::Disabled, AutoScalingIpsState::Disabled)
                };
                NatGateway {
                    availability_mode: Some(AvailabilityMode::Regional),
                    auto_provision_zones: Some(zones),
                    auto_scaling_ips: Some(ips),
                    nat_gateway_addresses: Some(addresses.iter().map(ZoneAddress::show).collect()),
                    ..shown
                }
            }
        })
    }

    fn tags(shown: &NatGateway) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

pub(crate) fn create(net: &Network<'_>, input: CreateNatGatewayRequest) -> Result<CreateNatGatewayResult, AwsError> {
    let tags = tags::specified(input.tag_specifications.clone(), Kind::NatGateway)?;
    let client_token = input.client_token.clone();
    let nat = match &client_token {
        Some(token) => {
            let ids = client_seed(net, "CreateNatGateway", token);
            let nat = make(&net.with_ids(&ids), &input, &tags)?;
            let same = match &nat.place {
                Place::Zonal { subnet, address, .. } => {
                    Some(subnet) == input.subnet_id.as_ref()
                        && address.as_ref().map(|elastic| &elastic.allocation) == input.allocation_id.as_ref()
                }
                Place::Regional { .. } => Some(&nat.vpc) == input.vpc_id.as_ref(),
            };
            if !same {
                return Err(mismatch());
            }
            nat
        }
        None => make(net, &input, &tags)?,
    };
    Ok(CreateNatGatewayResult { client_token, nat_gateway: Some(show(net, &nat)?) })
}

/// Ids that follow from a client's token: the same request again finds what the first one made.
pub(crate) fn client_seed(net: &Network<'_>, operation: &str, token: &str) -> SeededIds {
    SeededIds::new(format!("{operation}\n{}\n{}\n{token}", net.scope.account, net.region()))
}

/// A client token was used for something else.
pub(crate) fn mismatch() -> AwsError {
    errors::refused(
        "IdempotentParameterMismatch",
        "The client token was used in an earlier request with other parameters.",
    )
}

/// Makes a gateway, or gives the one that an earlier try with the same ids made.
pub(crate) fn make(net: &Network<'_>, input: &CreateNatGatewayRequest, tags: &[Tag]) -> Result<NatRecord, AwsError> {
    let id = net.mint(Kind::NatGateway);
    if let Some(found) = net.find(&id)? {
        return Ok(found);
    }
    let (vpc, place) = match input.availability_mode {
        Some(AvailabilityMode::Regional) => regional_nat::placed(net, input)?,
        Some(AvailabilityMode::Zonal) | None => zonal(net, input, &id)?,
    };
    let connectivity = input.connectivity_type.unwrap_or(ConnectivityType::Public);
    let nat = NatRecord { id, vpc, connectivity, place, created: net.now, deleted: None };
    net.put(&nat)?;
    tags::put(net, &nat.id, tags)?;
    Ok(nat)
}

/// The VPC and the place of the gateway `id` in a subnet.
fn zonal(net: &Network<'_>, input: &CreateNatGatewayRequest, id: &str) -> Result<(String, Place), AwsError> {
    let members =
        [("VpcId", input.vpc_id.is_some()), ("AvailabilityZoneAddresses", input.availability_zone_addresses.is_some())];
    if let Some((name, _)) = members.iter().find(|(_, given)| *given) {
        return Err(errors::refused(
            "InvalidParameterCombination",
            format!("{name} cannot be specified for a zonal NAT gateway"),
        ));
    }
    let subnet_id = input.subnet_id.as_ref().ok_or_else(|| errors::missing_parameter("SubnetId"))?;
    let subnet = net.get::<SubnetRecord>(subnet_id)?;
    let connectivity = input.connectivity_type.unwrap_or(ConnectivityType::Public);
    let mut address = elastic_address(net, connectivity, input.allocation_id.as_deref())?;
    let private_ip = input.private_ip_address.as_deref().map(private_address).transpose()?;
    let interface = InterfaceRecord::make(net, &subnet, NetworkInterfaceType::NatGateway, id, Vec::new(), private_ip)?;
    let association = net.mint_with("eipassoc");
    if let Some(address) = &mut address {
        address.association = Some(Association {
            id: association.clone(),
            interface: Some(interface.id.clone()),
            private_ip: Some(interface.private_ip),
        });
        net.put(address)?;
    }
    let address = address.map(|address| Elastic { allocation: address.id, association, public_ip: address.public_ip });
    let (interface, private_ip) = (interface.id, interface.private_ip);
    Ok((subnet.vpc, Place::Zonal { subnet: subnet.id, address, interface, private_ip }))
}

fn private_address(text: &str) -> Result<Ipv4Addr, AwsError> {
    text.parse()
        .map_err(|_| errors::invalid_value(format!("Value ({text}) for parameter privateIpAddress is invalid.")))
}

fn elastic_address(
    net: &Network<'_>,
    connectivity: ConnectivityType,
    allocation: Option<&str>,
) -> Result<Option<AddressRecord>, AwsError> {
    match (connectivity, allocation) {
        (ConnectivityType::Private, None) => Ok(None),
        (ConnectivityType::Private, Some(_)) => Err(errors::refused(
            "InvalidParameterCombination",
            "AllocationId cannot be specified for a private NAT gateway",
        )),
        (ConnectivityType::Public, None) => Err(errors::missing_parameter("AllocationId")),
        (ConnectivityType::Public, Some(allocation)) => free_address(net, allocation).map(Some),
    }
}

/// The address of an allocation, where it is mapped to nothing yet.
pub(crate) fn free_address(net: &Network<'_>, allocation: &str) -> Result<AddressRecord, AwsError> {
    let address = net.get::<AddressRecord>(allocation)?;
    if address.association.is_some() {
        return Err(errors::refused(
            "Resource.AlreadyAssociated",
            format!("Elastic IP address [{allocation}] is already associated"),
        ));
    }
    Ok(address)
}

pub(crate) fn delete(net: &Network<'_>, input: DeleteNatGatewayRequest) -> Result<DeleteNatGatewayResult, AwsError> {
    for forgotten in net.select::<NatRecord>(|nat| nat.forgotten(net.now))? {
        net.remove(&forgotten.id)?;
    }
    let mut nat = net.get::<NatRecord>(&input.nat_gateway_id)?;
    if nat.deleted.is_none() {
        match &nat.place {
            Place::Zonal { address, interface, .. } => {
                address.iter().try_for_each(|elastic| regional_nat::release(net, elastic))?;
                net.remove(interface)?;
            }
            Place::Regional { addresses } => {
                addresses.iter().try_for_each(|zone| regional_nat::release(net, zone.elastic()))?;
            }
        }
        nat.deleted = Some(net.now);
        net.put(&nat)?;
    }
    Ok(DeleteNatGatewayResult { nat_gateway_id: Some(nat.id) })
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeNatGatewaysRequest,
) -> Result<DescribeNatGatewaysResult, AwsError> {
    let question = Question {
        ids: input.nat_gateway_ids,
        filters: input.filter,
        max_results: input.max_results,
        next_token: input.next_token,
    };
    let (mut gateways, next_token) = describe::<NatRecord>(net, question)?;
    gateways.retain(|nat| nat.delete_time.is_none_or(|deleted| deleted + SHOWN_AFTER >= net.now));
    Ok(DescribeNatGatewaysResult { nat_gateways: Some(gateways), next_token })
}
