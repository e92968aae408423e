//! Subnets: blocks of a VPC's addresses, each in one availability zone.

use crate::cidr::Cidr;
use crate::describe::{Described, describe, question, show};
use crate::filters::{Field, text, truth};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::network_interfaces::InterfaceRecord;
use crate::route_tables::RouteTableRecord;
use crate::vpcs::VpcRecord;
use crate::{errors, regions, tags};
use barge_core::AwsError;
use barge_wire::ec2::{
    CreateSubnetRequest, CreateSubnetResult, DeleteSubnetRequest, DescribeSubnetsRequest, DescribeSubnetsResult,
    HostnameType, ModifySubnetAttributeRequest, PrivateDnsNameOptionsOnLaunch, Subnet, SubnetState, Tag,
};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// AWS keeps the first four addresses of a subnet and the last (VPC User Guide, "Subnet sizing for IPv4").
const KEPT_FIRST: u32 = 4;
const KEPT: u64 = 5;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SubnetRecord {
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) cidr: Cidr,
    pub(crate) zone: String,
    pub(crate) default_for_zone: bool,
    pub(crate) public_ip_on_launch: bool,
    pub(crate) hostnames: HostnameType,
    pub(crate) resource_name_a_record: bool,
    pub(crate) acl_association: String,
    /// The network ACL, where it is not the VPC's default one.
    #[serde(default)]
    pub(crate) acl: Option<String>,
}

impl Record for SubnetRecord {
    const KIND: Kind = Kind::Subnet;

    fn id(&self) -> &str {
        &self.id
    }
}

impl SubnetRecord {
    /// The lowest address that AWS doesn't keep and no interface has; `None` where all are taken.
    pub(crate) fn free_address(&self, net: &Network<'_>) -> Result<Option<Ipv4Addr>, AwsError> {
        let taken: Vec<Ipv4Addr> = self.interfaces(net)?.into_iter().map(|interface| interface.private_ip).collect();
        let last = u32::try_from(self.cidr.size() - 1).unwrap_or(u32::MAX);
        Ok((KEPT_FIRST..last).filter_map(|offset| self.cidr.address(offset)).find(|address| !taken.contains(address)))
    }

    fn interfaces(&self, net: &Network<'_>) -> Result<Vec<InterfaceRecord>, AwsError> {
        net.select::<InterfaceRecord>(|interface| interface.subnet == self.id)
    }
}

impl Described for SubnetRecord {
    type Shown = Subnet;

    const FILTERS: &'static [Field<Subnet>] = &[
        ("availability-zone", |subnet| text(subnet.availability_zone.as_ref())),
        ("availabilityZone", |subnet| text(subnet.availability_zone.as_ref())),
        ("availability-zone-id", |subnet| text(subnet.availability_zone_id.as_ref())),
        ("availabilityZoneId", |subnet| text(subnet.availability_zone_id.as_ref())),
        ("available-ip-address-count", |subnet| {
            subnet.available_ip_address_count.map(|count| count.to_string()).into_iter().collect()
        }),
        ("cidr", |subnet| text(subnet.cidr_block.as_ref())),
        ("cidr-block", |subnet| text(subnet.cidr_block.as_ref())),
        ("cidrBlock", |subnet| text(subnet.cidr_block.as_ref())),
        ("default-for-az", |subnet| truth(subnet.default_for_az)),
        ("defaultForAz", |subnet| truth(subnet.default_for_az)),
        ("map-public-ip-on-launch", |subnet| truth(subnet.map_public_ip_on_launch)),
        ("owner-id", |subnet| text(subnet.owner_id.as_ref())),
        ("state", |subnet| subnet.state.map(|state| state.to_string()).into_iter().collect()),
        ("subnet-arn", |subnet| text(subnet.subnet_arn.as_ref())),
        ("subnet-id", |subnet| text(subnet.subnet_id.as_ref())),
        ("vpc-id", |subnet| text(subnet.vpc_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<Subnet, AwsError> {
        let taken = KEPT + self.interfaces(net)?.len() as u64;
        Ok(Subnet {
            subnet_id: Some(self.id.clone()),
            subnet_arn: Some(net.arn(&format!("subnet/{}", self.id)).to_string()),
            vpc_id: Some(self.vpc.clone()),
            owner_id: Some(net.account()),
            cidr_block: Some(self.cidr.to_string()),
            availability_zone: Some(self.zone.clone()),
            availability_zone_id: Some(regions::zone_id(&self.zone)),
            available_ip_address_count: i64::try_from(self.cidr.size().saturating_sub(taken)).ok(),
            default_for_az: Some(self.default_for_zone),
            map_public_ip_on_launch: Some(self.public_ip_on_launch),
            map_customer_owned_ip_on_launch: Some(false),
            assign_ipv6_address_on_creation: Some(false),
            ipv6_cidr_block_association_set: Some(Vec::new()),
            enable_dns64: Some(false),
            ipv6_native: Some(false),
            private_dns_name_options_on_launch: Some(PrivateDnsNameOptionsOnLaunch {
                hostname_type: Some(self.hostnames),
                enable_resource_name_dns_a_record: Some(self.resource_name_a_record),
                enable_resource_name_dns_aaaa_record: Some(false),
            }),
            state: Some(SubnetState::Available),
            tags: Some(tags),
            ..Subnet::default()
        })
    }

    fn tags(shown: &Subnet) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

/// What a new subnet is.
pub(crate) struct Plan {
    pub(crate) cidr: Cidr,
    pub(crate) zone: String,
    pub(crate) default_for_zone: bool,
    pub(crate) tags: Vec<Tag>,
}

/// Makes a subnet, or gives the one that an earlier try with the same ids made.
pub(crate) fn make(net: &Network<'_>, vpc: &VpcRecord, plan: Plan) -> Result<SubnetRecord, AwsError> {
    let id = net.mint(Kind::Subnet);
    if let Some(found) = net.find::<SubnetRecord>(&id)? {
        return Ok(found);
    }
    let cidr = plan.cidr;
    if !(16..=28).contains(&cidr.length()) || !vpc.cidr.contains(cidr) {
        return Err(errors::refused("InvalidSubnet.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    if net.list::<SubnetRecord>()?.iter().any(|other| other.vpc == vpc.id && other.cidr.overlaps(cidr)) {
        return Err(errors::refused(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{cidr}' conflicts with another subnet"),
        ));
    }
    let subnet = SubnetRecord {
        vpc: vpc.id.clone(),
        cidr,
        zone: plan.zone,
        default_for_zone: plan.default_for_zone,
        public_ip_on_launch: plan.default_for_zone,
        hostnames: HostnameType::IpName,
        resource_name_a_record: false,
        acl_association: net.mint_with("aclassoc"),
        acl: None,
        id,
    };
    net.put(&subnet)?;
    tags::put(net, &subnet.id, &plan.tags)?;
    Ok(subnet)
}

pub(crate) fn create(net: &Network<'_>, input: CreateSubnetRequest) -> Result<CreateSubnetResult, AwsError> {
    let plan = Plan {
        cidr: Cidr::parse(&input.cidr_block.ok_or_else(|| errors::missing_parameter("CidrBlock"))?)?,
        zone: zone(net, input.availability_zone, input.availability_zone_id)?,
        default_for_zone: false,
        tags: tags::specified(input.tag_specifications, Kind::Subnet)?,
    };
    let subnet = make(net, &net.get(&input.vpc_id)?, plan)?;
    Ok(CreateSubnetResult { subnet: Some(show(net, &subnet)?) })
}

/// The zone that a request names, by name or id; the region's first where it names none.
fn zone(net: &Network<'_>, name: Option<String>, id: Option<String>) -> Result<String, AwsError> {
    let zones = regions::zones(net.region());
    let refused = |value: &str| {
        errors::invalid_value(format!(
            "Value ({value}) for parameter availabilityZone is invalid. Subnets can currently only be created in the \
             following availability zones: {}.",
            zones.join(", ")
        ))
    };
    match (name, id) {
        (Some(_), Some(_)) => Err(errors::refused(
            "InvalidParameterCombination",
            "The parameters AvailabilityZone and AvailabilityZoneId cannot be used together",
        )),
        (Some(name), None) if zones.contains(&name) => Ok(name),
        (Some(name), None) => Err(refused(&name)),
        (None, Some(id)) => zones.iter().find(|zone| regions::zone_id(zone) == id).cloned().ok_or_else(|| refused(&id)),
        (None, None) => Ok(zones[0].clone()),
    }
}

pub(crate) fn delete(net: &Network<'_>, input: DeleteSubnetRequest) -> Result<(), AwsError> {
    let subnet = net.get::<SubnetRecord>(&input.subnet_id)?;
    if !subnet.interfaces(net)?.is_empty() {
        return Err(errors::in_use(&format!("subnet '{}'", subnet.id)));
    }
    for mut table in net.select::<RouteTableRecord>(|table| table.vpc == subnet.vpc)? {
        table.associations.retain(|association| association.subnet != subnet.id);
        net.put(&table)?;
    }
    net.remove(&subnet.id)
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeSubnetsRequest,
) -> Result<DescribeSubnetsResult, AwsError> {
    let (subnets, next_token) = describe::<SubnetRecord>(net, question!(input, subnet_ids))?;
    Ok(DescribeSubnetsResult { subnets: Some(subnets), next_token })
}

pub(crate) fn modify_attribute(net: &Network<'_>, input: ModifySubnetAttributeRequest) -> Result<(), AwsError> {
    let mut subnet = net.get::<SubnetRecord>(&input.subnet_id)?;
    let public = input.map_public_ip_on_launch.and_then(|attribute| attribute.value);
    subnet.public_ip_on_launch = public.unwrap_or(subnet.public_ip_on_launch);
    subnet.hostnames = input.private_dns_hostname_type_on_launch.unwrap_or(subnet.hostnames);
    let record = input.enable_resource_name_dns_a_record_on_launch.and_then(|attribute| attribute.value);
    subnet.resource_name_a_record = record.unwrap_or(subnet.resource_name_a_record);
    net.put(&subnet)
}
