//! NAT gateways. A deleted one is shown as such for an hour, as EC2 does (VPC User Guide, "NAT gateways").

use crate::addresses::{AddressRecord, Association};
use crate::describe::{Described, Question, describe, show};
use crate::filters::{Field, text};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::network_interfaces::InterfaceRecord;
use crate::subnets::SubnetRecord;
use crate::{errors, tags};
use barge_core::ids::SeededIds;
use barge_core::{AwsError, Timestamp};
use barge_wire::ec2::{
    AvailabilityMode, ConnectivityType, CreateNatGatewayRequest, CreateNatGatewayResult, DeleteNatGatewayRequest,
    DeleteNatGatewayResult, DescribeNatGatewaysRequest, DescribeNatGatewaysResult, NatGateway, NatGatewayAddress,
    NatGatewayAddressStatus, NatGatewayState, NetworkInterfaceType, Tag,
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
    pub(crate) subnet: String,
    pub(crate) connectivity: ConnectivityType,
    pub(crate) address: Option<Elastic>,
    pub(crate) interface: String,
    pub(crate) private_ip: Ipv4Addr,
    pub(crate) created: Timestamp,
    pub(crate) deleted: Option<Timestamp>,
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
        let elastic = self.address.as_ref();
        Ok(NatGateway {
            nat_gateway_id: Some(self.id.clone()),
            vpc_id: Some(self.vpc.clone()),
            subnet_id: Some(self.subnet.clone()),
            connectivity_type: Some(self.connectivity),
            availability_mode: Some(AvailabilityMode::Zonal),
            create_time: Some(self.created),
            delete_time: self.deleted,
            state: Some(self.state()),
            nat_gateway_addresses: Some(vec![NatGatewayAddress {
                allocation_id: elastic.map(|elastic| elastic.allocation.clone()),
                association_id: elastic.map(|elastic| elastic.association.clone()),
                public_ip: elastic.map(|elastic| elastic.public_ip.to_string()),
                network_interface_id: Some(self.interface.clone()),
                private_ip: Some(self.private_ip.to_string()),
                is_primary: Some(true),
                status: Some(NatGatewayAddressStatus::Succeeded),
                ..NatGatewayAddress::default()
            }]),
            tags: Some(tags),
            ..NatGateway::default()
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
            let same = Some(&nat.subnet) == input.subnet_id.as_ref()
                && nat.address.as_ref().map(|elastic| &elastic.allocation) == input.allocation_id.as_ref();
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
    if input.availability_mode == Some(AvailabilityMode::Regional) {
        return Err(AwsError::not_implemented("Amazon EC2", "regional NAT gateways in CreateNatGateway"));
    }
    let id = net.mint(Kind::NatGateway);
    if let Some(found) = net.find(&id)? {
        return Ok(found);
    }
    let subnet_id = input.subnet_id.as_ref().ok_or_else(|| errors::missing_parameter("SubnetId"))?;
    let subnet = net.get::<SubnetRecord>(subnet_id)?;
    let connectivity = input.connectivity_type.unwrap_or(ConnectivityType::Public);
    let mut address = elastic_address(net, connectivity, input.allocation_id.as_deref())?;
    let private_ip = input.private_ip_address.as_deref().map(private_address).transpose()?;
    let interface = InterfaceRecord::make(net, &subnet, NetworkInterfaceType::NatGateway, &id, Vec::new(), private_ip)?;
    let association = net.mint_with("eipassoc");
    if let Some(address) = &mut address {
        address.association = Some(Association {
            id: association.clone(),
            interface: interface.id.clone(),
            private_ip: interface.private_ip,
        });
        net.put(address)?;
    }
    let nat = NatRecord {
        vpc: subnet.vpc,
        subnet: subnet.id,
        connectivity,
        address: address.map(|address| Elastic { allocation: address.id, association, public_ip: address.public_ip }),
        interface: interface.id,
        private_ip: interface.private_ip,
        created: net.now,
        deleted: None,
        id,
    };
    net.put(&nat)?;
    tags::put(net, &nat.id, tags)?;
    Ok(nat)
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
        (ConnectivityType::Public, Some(allocation)) => {
            let address = net.get::<AddressRecord>(allocation)?;
            if address.association.is_some() {
                return Err(errors::refused(
                    "Resource.AlreadyAssociated",
                    format!("Elastic IP address [{allocation}] is already associated"),
                ));
            }
            Ok(Some(address))
        }
    }
}

pub(crate) fn delete(net: &Network<'_>, input: DeleteNatGatewayRequest) -> Result<DeleteNatGatewayResult, AwsError> {
    for forgotten in net.select::<NatRecord>(|nat| nat.forgotten(net.now))? {
        net.remove(&forgotten.id)?;
    }
    let mut nat = net.get::<NatRecord>(&input.nat_gateway_id)?;
    if nat.deleted.is_none() {
        if let Some(elastic) = &nat.address
            && let Some(mut address) = net.find::<AddressRecord>(&elastic.allocation)?
        {
            address.association = None;
            net.put(&address)?;
        }
        net.remove(&nat.interface)?;
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
