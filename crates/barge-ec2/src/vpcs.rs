//! VPCs. With each come a main route table, a default security group and a default network ACL.

use crate::cidr::Cidr;
use crate::describe::{Described, describe, question, show};
use crate::filters::{Field, text, truth};
use crate::internet_gateways::InternetGatewayRecord;
use crate::kind::Kind;
use crate::nat_gateways::NatRecord;
use crate::network::{Network, Record};
use crate::network_acls::NetworkAclRecord;
use crate::route_tables::RouteTableRecord;
use crate::security_groups::{self, GroupRecord};
use crate::subnets::SubnetRecord;
use crate::vpc_endpoints::EndpointRecord;
use crate::{errors, tags};
use barge_core::AwsError;
use barge_wire::ec2::{
    AttributeBooleanValue, CreateVpcRequest, CreateVpcResult, DeleteVpcRequest, DescribeVpcAttributeRequest,
    DescribeVpcAttributeResult, DescribeVpcsRequest, DescribeVpcsResult, ModifyVpcAttributeRequest, Tag, Tenancy, Vpc,
    VpcAttributeName, VpcCidrBlockAssociation, VpcCidrBlockState, VpcCidrBlockStateCode, VpcState,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VpcRecord {
    pub(crate) id: String,
    pub(crate) cidr: Cidr,
    /// Id of the block's association.
    pub(crate) association: String,
    pub(crate) tenancy: Tenancy,
    pub(crate) origin: Origin,
    pub(crate) dns_support: bool,
    pub(crate) dns_hostnames: bool,
    pub(crate) usage_metrics: bool,
}

impl Record for VpcRecord {
    const KIND: Kind = Kind::Vpc;

    fn id(&self) -> &str {
        &self.id
    }
}

impl VpcRecord {
    pub(crate) fn is_default(&self) -> bool {
        self.origin == Origin::Default
    }
}

impl Described for VpcRecord {
    type Shown = Vpc;

    const FILTERS: &'static [Field<Vpc>] = &[
        ("cidr", |vpc| text(vpc.cidr_block.as_ref())),
        ("cidrBlock", |vpc| text(vpc.cidr_block.as_ref())),
        ("cidr-block", |vpc| text(vpc.cidr_block.as_ref())),
        ("cidr-block-association.association-id", |vpc| {
            vpc.cidr_block_association_set.iter().flatten().filter_map(|entry| entry.association_id.clone()).collect()
        }),
        ("cidr-block-association.cidr-block", |vpc| text(vpc.cidr_block.as_ref())),
        ("cidr-block-association.state", |_| vec!["associated".to_owned()]),
        ("dhcp-options-id", |vpc| text(vpc.dhcp_options_id.as_ref())),
        ("is-default", |vpc| truth(vpc.is_default)),
        ("isDefault", |vpc| truth(vpc.is_default)),
        ("owner-id", |vpc| text(vpc.owner_id.as_ref())),
        ("state", |vpc| vpc.state.map(|state| state.to_string()).into_iter().collect()),
        ("vpc-id", |vpc| text(vpc.vpc_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<Vpc, AwsError> {
        let association = VpcCidrBlockAssociation {
            association_id: Some(self.association.clone()),
            cidr_block: Some(self.cidr.to_string()),
            cidr_block_state: Some(VpcCidrBlockState {
                state: Some(VpcCidrBlockStateCode::Associated),
                status_message: None,
            }),
        };
        Ok(Vpc {
            vpc_id: Some(self.id.clone()),
            owner_id: Some(net.account()),
            cidr_block: Some(self.cidr.to_string()),
            cidr_block_association_set: Some(vec![association]),
            instance_tenancy: Some(self.tenancy),
            is_default: Some(self.is_default()),
            state: Some(VpcState::Available),
            // The word for the set that every VPC has until it gets another (EC2 API Reference, "Vpc").
            dhcp_options_id: Some("default".to_owned()),
            tags: Some(tags),
            ..Vpc::default()
        })
    }

    fn tags(shown: &Vpc) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

/// What differs between a VPC that someone makes and the one that each region has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    Made,
    Default,
}

/// Makes a VPC, or gives the one that an earlier try with the same ids made.
pub(crate) fn make(
    net: &Network<'_>,
    cidr: Cidr,
    tenancy: Tenancy,
    origin: Origin,
    tags: &[Tag],
) -> Result<VpcRecord, AwsError> {
    if !(16..=28).contains(&cidr.length()) {
        return Err(errors::refused("InvalidVpc.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let id = net.mint(Kind::Vpc);
    if let Some(found) = net.find::<VpcRecord>(&id)? {
        return Ok(found);
    }
    let vpc = VpcRecord {
        association: net.mint_with("vpc-cidr-assoc"),
        cidr,
        tenancy,
        origin,
        dns_support: true,
        dns_hostnames: origin == Origin::Default,
        usage_metrics: false,
        id,
    };
    net.put(&vpc)?;
    net.put(&RouteTableRecord::main_of(net, &vpc.id))?;
    net.put(&NetworkAclRecord::default_of(net, &vpc.id))?;
    security_groups::make_default(net, &vpc.id)?;
    tags::put(net, &vpc.id, tags)?;
    Ok(vpc)
}

pub(crate) fn create(net: &Network<'_>, input: CreateVpcRequest) -> Result<CreateVpcResult, AwsError> {
    let cidr = Cidr::parse(&input.cidr_block.ok_or_else(|| errors::missing_parameter("CidrBlock"))?)?;
    let tenancy = input.instance_tenancy.unwrap_or(Tenancy::Default);
    if tenancy == Tenancy::Host {
        return Err(errors::invalid_value("Value (host) for parameter instanceTenancy is invalid."));
    }
    let vpc = make(net, cidr, tenancy, Origin::Made, &tags::specified(input.tag_specifications, Kind::Vpc)?)?;
    Ok(CreateVpcResult { vpc: Some(show(net, &vpc)?) })
}

pub(crate) fn delete(net: &Network<'_>, input: DeleteVpcRequest) -> Result<(), AwsError> {
    let id = net.get::<VpcRecord>(&input.vpc_id)?.id;
    let groups = net.select::<GroupRecord>(|group| group.vpc == id)?;
    let tables = net.select::<RouteTableRecord>(|table| table.vpc == id)?;
    let needed = net.list::<SubnetRecord>()?.iter().any(|subnet| subnet.vpc == id)
        || net.list::<InternetGatewayRecord>()?.iter().any(|gateway| gateway.vpc.as_ref() == Some(&id))
        || net.list::<EndpointRecord>()?.iter().any(|endpoint| endpoint.vpc == id)
        || net.list::<NatRecord>()?.iter().any(|nat| nat.vpc == id && nat.deleted.is_none())
        || groups.iter().any(|group| !group.is_default())
        || tables.iter().any(|table| table.main_association.is_none())
        || net.list::<NetworkAclRecord>()?.iter().any(|acl| acl.vpc == id && !acl.is_default());
    if needed {
        return Err(errors::in_use(&format!("vpc '{id}'")));
    }
    for group in groups {
        security_groups::erase(net, &group.id)?;
    }
    for table in tables {
        net.remove(&table.id)?;
    }
    for acl in net.select::<NetworkAclRecord>(|acl| acl.vpc == id)? {
        net.remove(&acl.id)?;
    }
    net.remove(&id)
}

pub(crate) fn describe_all(net: &Network<'_>, input: DescribeVpcsRequest) -> Result<DescribeVpcsResult, AwsError> {
    let (vpcs, next_token) = describe::<VpcRecord>(net, question!(input, vpc_ids))?;
    Ok(DescribeVpcsResult { vpcs: Some(vpcs), next_token })
}

pub(crate) fn modify_attribute(net: &Network<'_>, input: ModifyVpcAttributeRequest) -> Result<(), AwsError> {
    let mut vpc = net.get::<VpcRecord>(&input.vpc_id)?;
    let asked = |attribute: Option<AttributeBooleanValue>| attribute.and_then(|attribute| attribute.value);
    let changes = [
        (asked(input.enable_dns_support), &mut vpc.dns_support),
        (asked(input.enable_dns_hostnames), &mut vpc.dns_hostnames),
        (asked(input.enable_network_address_usage_metrics), &mut vpc.usage_metrics),
    ];
    let asked_for = changes.iter().filter(|(value, _)| value.is_some()).count();
    if asked_for != 1 {
        return Err(errors::refused("InvalidParameterCombination", "Exactly one attribute must be specified."));
    }
    for (value, attribute) in changes {
        *attribute = value.unwrap_or(*attribute);
    }
    net.put(&vpc)
}

pub(crate) fn describe_attribute(
    net: &Network<'_>,
    input: DescribeVpcAttributeRequest,
) -> Result<DescribeVpcAttributeResult, AwsError> {
    let vpc = net.get::<VpcRecord>(&input.vpc_id)?;
    let mut result = DescribeVpcAttributeResult { vpc_id: Some(vpc.id), ..DescribeVpcAttributeResult::default() };
    let (value, slot) = match input.attribute {
        VpcAttributeName::EnableDnsSupport => (vpc.dns_support, &mut result.enable_dns_support),
        VpcAttributeName::EnableDnsHostnames => (vpc.dns_hostnames, &mut result.enable_dns_hostnames),
        VpcAttributeName::EnableNetworkAddressUsageMetrics => {
            (vpc.usage_metrics, &mut result.enable_network_address_usage_metrics)
        }
    };
    *slot = Some(AttributeBooleanValue { value: Some(value) });
    Ok(result)
}

/// The region's default VPC, where it still has one.
pub(crate) fn default(net: &Network<'_>) -> Result<Option<VpcRecord>, AwsError> {
    Ok(net.select::<VpcRecord>(VpcRecord::is_default)?.pop())
}
