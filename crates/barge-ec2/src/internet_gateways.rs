//! Internet gateways and their attachment to one VPC.

use crate::addresses::AddressRecord;
use crate::describe::{Described, describe, question, show};
use crate::filters::{Field, text};
use crate::kind::Kind;
use crate::nat_gateways::NatRecord;
use crate::network::{Network, Record};
use crate::network_interfaces::InterfaceRecord;
use crate::vpcs::VpcRecord;
use crate::{errors, tags};
use barge_core::AwsError;
use barge_wire::ec2::{
    AttachInternetGatewayRequest, AttachmentStatus, CreateInternetGatewayRequest, CreateInternetGatewayResult,
    DeleteInternetGatewayRequest, DescribeInternetGatewaysRequest, DescribeInternetGatewaysResult,
    DetachInternetGatewayRequest, InternetGateway, InternetGatewayAttachment, Tag,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InternetGatewayRecord {
    pub(crate) id: String,
    /// The VPC that it is attached to.
    pub(crate) vpc: Option<String>,
}

impl Record for InternetGatewayRecord {
    const KIND: Kind = Kind::InternetGateway;

    fn id(&self) -> &str {
        &self.id
    }
}

impl Described for InternetGatewayRecord {
    type Shown = InternetGateway;

    const FILTERS: &'static [Field<InternetGateway>] = &[
        // EC2 shows an attached internet gateway as available.
        ("attachment.state", |gateway| gateway.attachments.iter().flatten().map(|_| "available".to_owned()).collect()),
        ("attachment.vpc-id", |gateway| {
            gateway.attachments.iter().flatten().filter_map(|attachment| attachment.vpc_id.clone()).collect()
        }),
        ("internet-gateway-id", |gateway| text(gateway.internet_gateway_id.as_ref())),
        ("owner-id", |gateway| text(gateway.owner_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<InternetGateway, AwsError> {
        let attachment = |vpc: &String| InternetGatewayAttachment {
            state: Some(AttachmentStatus::Attached),
            vpc_id: Some(vpc.clone()),
        };
        Ok(InternetGateway {
            attachments: Some(self.vpc.iter().map(attachment).collect()),
            internet_gateway_id: Some(self.id.clone()),
            owner_id: Some(net.account()),
            tags: Some(tags),
        })
    }

    fn tags(shown: &InternetGateway) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

/// Makes a gateway, or gives the one that an earlier try with the same ids made.
pub(crate) fn make(net: &Network<'_>, tags: &[Tag]) -> Result<InternetGatewayRecord, AwsError> {
    let id = net.mint(Kind::InternetGateway);
    if let Some(found) = net.find(&id)? {
        return Ok(found);
    }
    let gateway = InternetGatewayRecord { id, vpc: None };
    net.put(&gateway)?;
    tags::put(net, &gateway.id, tags)?;
    Ok(gateway)
}

pub(crate) fn create(
    net: &Network<'_>,
    input: CreateInternetGatewayRequest,
) -> Result<CreateInternetGatewayResult, AwsError> {
    let gateway = make(net, &tags::specified(input.tag_specifications, Kind::InternetGateway)?)?;
    Ok(CreateInternetGatewayResult { internet_gateway: Some(show(net, &gateway)?) })
}

pub(crate) fn delete(net: &Network<'_>, input: DeleteInternetGatewayRequest) -> Result<(), AwsError> {
    let gateway = net.get::<InternetGatewayRecord>(&input.internet_gateway_id)?;
    if gateway.vpc.is_some() {
        return Err(errors::in_use(&format!("internetGateway '{}'", gateway.id)));
    }
    net.remove(&gateway.id)
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeInternetGatewaysRequest,
) -> Result<DescribeInternetGatewaysResult, AwsError> {
    let (gateways, next_token) = describe::<InternetGatewayRecord>(net, question!(input, internet_gateway_ids))?;
    Ok(DescribeInternetGatewaysResult { internet_gateways: Some(gateways), next_token })
}

pub(crate) fn attach(net: &Network<'_>, input: AttachInternetGatewayRequest) -> Result<(), AwsError> {
    let mut gateway = net.get::<InternetGatewayRecord>(&input.internet_gateway_id)?;
    let vpc = net.get::<VpcRecord>(&input.vpc_id)?.id;
    if let Some(other) = &gateway.vpc {
        return Err(errors::refused(
            "Resource.AlreadyAssociated",
            format!("resource {} is already attached to network {other}", gateway.id),
        ));
    }
    if of_vpc(net, &vpc)?.is_some() {
        return Err(errors::invalid_value(format!("Network {vpc} already has an internet gateway attached")));
    }
    gateway.vpc = Some(vpc);
    net.put(&gateway)
}

/// The gateway that is attached to a VPC.
pub(crate) fn of_vpc(net: &Network<'_>, vpc: &str) -> Result<Option<InternetGatewayRecord>, AwsError> {
    Ok(net.select::<InternetGatewayRecord>(|gateway| gateway.vpc.as_deref() == Some(vpc))?.pop())
}

pub(crate) fn detach(net: &Network<'_>, input: DetachInternetGatewayRequest) -> Result<(), AwsError> {
    let mut gateway = net.get::<InternetGatewayRecord>(&input.internet_gateway_id)?;
    let vpc = net.get::<VpcRecord>(&input.vpc_id)?.id;
    if gateway.vpc.as_ref() != Some(&vpc) {
        return Err(errors::refused(
            "Gateway.NotAttached",
            format!("resource {} is not attached to network {vpc}", gateway.id),
        ));
    }
    let interfaces = net.select::<InterfaceRecord>(|interface| interface.vpc == vpc)?;
    let gateways = net.select::<NatRecord>(|nat| nat.vpc == vpc)?;
    let mapped = |address: &AddressRecord| {
        let used = address.association.as_ref().and_then(|used| used.interface.as_ref());
        used.is_some_and(|used| interfaces.iter().any(|interface| interface.id == *used))
            || gateways.iter().any(|nat| nat.has(address))
    };
    if net.list::<AddressRecord>()?.iter().any(mapped) {
        return Err(errors::refused(
            "DependencyViolation",
            format!(
                "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before \
                 detaching the gateway."
            ),
        ));
    }
    gateway.vpc = None;
    net.put(&gateway)
}
