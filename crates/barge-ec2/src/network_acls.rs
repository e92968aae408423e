//! Network ACLs: the one that comes with each VPC and lets everything through, and others with entries of their own, which
//! are kept and shown (no packet flows here).

use crate::cidr::Cidr;
use crate::describe::{Described, describe, question, show};
use crate::filters::{Field, text, truth};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::subnets::SubnetRecord;
use crate::vpcs::VpcRecord;
use crate::{errors, tags};
use barge_core::AwsError;
use barge_wire::ec2::{
    CreateNetworkAclEntryRequest, CreateNetworkAclRequest, CreateNetworkAclResult, DeleteNetworkAclEntryRequest,
    DeleteNetworkAclRequest, DescribeNetworkAclsRequest, DescribeNetworkAclsResult, IcmpTypeCode, NetworkAcl,
    NetworkAclAssociation, NetworkAclEntry, PortRange, ReplaceNetworkAclAssociationRequest,
    ReplaceNetworkAclAssociationResult, ReplaceNetworkAclEntryRequest, RuleAction, Tag,
};
use serde::{Deserialize, Serialize};

/// The numbers that an entry may have (VPC User Guide, "Network ACL rules"); after them comes AWS's own, which denies.
const NUMBERS: std::ops::RangeInclusive<i64> = 1..=32_766;
const LAST: i64 = 32_767;
/// Entries in one direction, at most (VPC User Guide, "Amazon VPC quotas").
const MOST_ENTRIES: usize = 20;

/// How an ACL came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// With its VPC.
    #[default]
    Vpc,
    /// By a request.
    Made,
}

/// Which traffic an entry looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    pub(crate) const fn of(egress: bool) -> Self {
        if egress { Self::Egress } else { Self::Ingress }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryRecord {
    pub(crate) direction: Direction,
    pub(crate) number: i64,
    /// A protocol's number, or `-1` for all.
    pub(crate) protocol: String,
    pub(crate) allows: bool,
    pub(crate) cidr: Cidr,
    /// First and last port, of TCP and UDP.
    pub(crate) ports: Option<(i64, i64)>,
    /// Type and code, of ICMP.
    pub(crate) icmp: Option<(i64, i64)>,
}

impl EntryRecord {
    fn open(direction: Direction) -> Self {
        let (ports, icmp) = (None, None);
        Self { direction, number: 100, protocol: "-1".to_owned(), allows: true, cidr: Cidr::ANYWHERE, ports, icmp }
    }

    pub(crate) fn show(&self) -> NetworkAclEntry {
        NetworkAclEntry {
            cidr_block: Some(self.cidr.to_string()),
            egress: Some(self.direction == Direction::Egress),
            protocol: Some(self.protocol.clone()),
            rule_action: Some(if self.allows { RuleAction::Allow } else { RuleAction::Deny }),
            rule_number: Some(self.number),
            port_range: self.ports.map(|(from, to)| PortRange { from: Some(from), to: Some(to) }),
            icmp_type_code: self.icmp.map(|(kind, code)| IcmpTypeCode { code: Some(code), r#type: Some(kind) }),
            ..NetworkAclEntry::default()
        }
    }
}

/// The entries of the ACL that comes with a VPC.
fn open() -> Vec<EntryRecord> {
    vec![EntryRecord::open(Direction::Egress), EntryRecord::open(Direction::Ingress)]
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkAclRecord {
    pub(crate) id: String,
    pub(crate) vpc: String,
    #[serde(default)]
    pub(crate) origin: Origin,
    #[serde(default = "open")]
    pub(crate) entries: Vec<EntryRecord>,
}

impl NetworkAclRecord {
    pub(crate) fn default_of(net: &Network<'_>, vpc: &str) -> Self {
        Self { id: net.mint(Kind::NetworkAcl), vpc: vpc.to_owned(), origin: Origin::Vpc, entries: open() }
    }

    /// The ACL that came with a VPC.
    pub(crate) fn of_vpc(net: &Network<'_>, vpc: &str) -> Result<Self, AwsError> {
        let found = net.select::<Self>(|acl| acl.vpc == vpc && acl.is_default())?.pop();
        found.ok_or_else(|| AwsError::internal(format!("{vpc} has lost its network ACL")))
    }

    pub(crate) fn is_default(&self) -> bool {
        self.origin == Origin::Vpc
    }

    /// The subnets that it is for.
    fn subnets(&self, net: &Network<'_>) -> Result<Vec<SubnetRecord>, AwsError> {
        net.select::<SubnetRecord>(|subnet| match &subnet.acl {
            Some(acl) => *acl == self.id,
            None => self.is_default() && subnet.vpc == self.vpc,
        })
    }

    pub(crate) fn entry(&self, direction: Direction, number: i64) -> Option<&EntryRecord> {
        self.entries.iter().find(|entry| entry.direction == direction && entry.number == number)
    }
}

impl Record for NetworkAclRecord {
    const KIND: Kind = Kind::NetworkAcl;

    fn id(&self) -> &str {
        &self.id
    }
}

impl Described for NetworkAclRecord {
    type Shown = NetworkAcl;

    const FILTERS: &'static [Field<NetworkAcl>] = &[
        ("association.association-id", |acl| {
            associations(acl, |association| association.network_acl_association_id.clone())
        }),
        ("association.network-acl-id", |acl| text(acl.network_acl_id.as_ref())),
        ("association.subnet-id", |acl| associations(acl, |association| association.subnet_id.clone())),
        ("default", |acl| truth(acl.is_default)),
        ("entry.cidr", |acl| entries(acl, |entry| entry.cidr_block.clone())),
        ("entry.protocol", |acl| entries(acl, |entry| entry.protocol.clone())),
        ("entry.rule-number", |acl| entries(acl, |entry| entry.rule_number.map(|number| number.to_string()))),
        ("network-acl-id", |acl| text(acl.network_acl_id.as_ref())),
        ("owner-id", |acl| text(acl.owner_id.as_ref())),
        ("vpc-id", |acl| text(acl.vpc_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<NetworkAcl, AwsError> {
        let association = |subnet: SubnetRecord| NetworkAclAssociation {
            network_acl_association_id: Some(subnet.acl_association),
            network_acl_id: Some(self.id.clone()),
            subnet_id: Some(subnet.id),
        };
        let last = |direction| EntryRecord { number: LAST, allows: false, ..EntryRecord::open(direction) };
        let mut all: Vec<EntryRecord> =
            self.entries.iter().cloned().chain([last(Direction::Egress), last(Direction::Ingress)]).collect();
        all.sort_by_key(|entry| (entry.direction == Direction::Ingress, entry.number));
        Ok(NetworkAcl {
            associations: Some(self.subnets(net)?.into_iter().map(association).collect()),
            entries: Some(all.iter().map(EntryRecord::show).collect()),
            is_default: Some(self.is_default()),
            network_acl_id: Some(self.id.clone()),
            tags: Some(tags),
            vpc_id: Some(self.vpc.clone()),
            owner_id: Some(net.account()),
        })
    }

    fn tags(shown: &NetworkAcl) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

fn associations(acl: &NetworkAcl, of: fn(&NetworkAclAssociation) -> Option<String>) -> Vec<String> {
    acl.associations.iter().flatten().filter_map(of).collect()
}

fn entries(acl: &NetworkAcl, of: fn(&NetworkAclEntry) -> Option<String>) -> Vec<String> {
    acl.entries.iter().flatten().filter_map(of).collect()
}

/// Makes an ACL that denies everything, or gives the one that an earlier try with the same ids made.
pub(crate) fn make(net: &Network<'_>, vpc: &str, tags: &[Tag]) -> Result<NetworkAclRecord, AwsError> {
    let id = net.mint(Kind::NetworkAcl);
    if let Some(found) = net.find(&id)? {
        return Ok(found);
    }
    let vpc = net.get::<VpcRecord>(vpc)?.id;
    let acl = NetworkAclRecord { id, vpc, origin: Origin::Made, entries: Vec::new() };
    net.put(&acl)?;
    tags::put(net, &acl.id, tags)?;
    Ok(acl)
}

pub(crate) fn create(net: &Network<'_>, input: CreateNetworkAclRequest) -> Result<CreateNetworkAclResult, AwsError> {
    let acl = make(net, &input.vpc_id, &tags::specified(input.tag_specifications, Kind::NetworkAcl)?)?;
    Ok(CreateNetworkAclResult { network_acl: Some(show(net, &acl)?), client_token: input.client_token })
}

pub(crate) fn delete(net: &Network<'_>, input: DeleteNetworkAclRequest) -> Result<(), AwsError> {
    let acl = net.get::<NetworkAclRecord>(&input.network_acl_id)?;
    if acl.is_default() {
        return Err(errors::invalid_value(format!("cannot delete default network ACL {}", acl.id)));
    }
    if !acl.subnets(net)?.is_empty() {
        return Err(errors::in_use(&format!("networkAcl '{}'", acl.id)));
    }
    net.remove(&acl.id)
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeNetworkAclsRequest,
) -> Result<DescribeNetworkAclsResult, AwsError> {
    let (acls, next_token) = describe::<NetworkAclRecord>(net, question!(input, network_acl_ids))?;
    Ok(DescribeNetworkAclsResult { network_acls: Some(acls), next_token })
}

/// The entry that a request describes.
pub(crate) fn wanted(input: &CreateNetworkAclEntryRequest) -> Result<EntryRecord, AwsError> {
    if !NUMBERS.contains(&input.rule_number) {
        let text =
            format!("Value ({}) for parameter ruleNumber is invalid. It must be from 1 to 32766.", input.rule_number);
        return Err(errors::invalid_value(text));
    }
    let protocol = match input.protocol.to_ascii_lowercase().as_str() {
        "tcp" => "6".to_owned(),
        "udp" => "17".to_owned(),
        "icmp" => "1".to_owned(),
        "all" | "-1" => "-1".to_owned(),
        number if number.parse::<u8>().is_ok() => number.to_owned(),
        other => return Err(errors::invalid_value(format!("Invalid value '{other}' for protocol."))),
    };
    let ports = input.port_range.as_ref().and_then(|range| Some((range.from?, range.to?)));
    let icmp = input.icmp_type_code.as_ref().and_then(|icmp| Some((icmp.r#type?, icmp.code?)));
    if ["6", "17"].contains(&protocol.as_str()) && ports.is_none() {
        return Err(errors::missing_parameter("portRange"));
    }
    if protocol == "1" && icmp.is_none() {
        return Err(errors::missing_parameter("icmpTypeCode"));
    }
    if let Some((from, to)) = ports.filter(|(from, to)| from > to || *from < 0 || *to > 65_535) {
        return Err(errors::invalid_value(format!("Invalid port range {from} to {to}.")));
    }
    let cidr = input.cidr_block.as_deref().ok_or_else(|| errors::missing_parameter("cidrBlock"))?;
    Ok(EntryRecord {
        direction: Direction::of(input.egress),
        number: input.rule_number,
        protocol,
        allows: input.rule_action == RuleAction::Allow,
        cidr: Cidr::parse(cidr)?,
        ports,
        icmp,
    })
}

pub(crate) fn create_entry(net: &Network<'_>, input: CreateNetworkAclEntryRequest) -> Result<(), AwsError> {
    let mut acl = net.get::<NetworkAclRecord>(&input.network_acl_id)?;
    let entry = wanted(&input)?;
    if acl.entry(entry.direction, entry.number).is_some() {
        let text = format!("The network acl entry identified by {} already exists.", entry.number);
        return Err(errors::refused("NetworkAclEntryAlreadyExists", text));
    }
    if acl.entries.iter().filter(|other| other.direction == entry.direction).count() >= MOST_ENTRIES {
        let text = format!("The maximum number of network ACL entries ({MOST_ENTRIES}) has been reached.");
        return Err(errors::refused("NetworkAclEntryLimitExceeded", text));
    }
    acl.entries.push(entry);
    net.put(&acl)
}

fn missing(acl: &str, number: i64) -> AwsError {
    let text = format!("The specified network acl entry {number} does not exist in {acl}.");
    errors::refused("InvalidNetworkAclEntry.NotFound", text)
}

pub(crate) fn replace_entry(net: &Network<'_>, input: ReplaceNetworkAclEntryRequest) -> Result<(), AwsError> {
    let mut acl = net.get::<NetworkAclRecord>(&input.network_acl_id)?;
    let entry = wanted(&CreateNetworkAclEntryRequest {
        network_acl_id: input.network_acl_id,
        rule_number: input.rule_number,
        protocol: input.protocol,
        rule_action: input.rule_action,
        egress: input.egress,
        cidr_block: input.cidr_block,
        icmp_type_code: input.icmp_type_code,
        port_range: input.port_range,
        ..CreateNetworkAclEntryRequest::default()
    })?;
    let same = |other: &&mut EntryRecord| other.direction == entry.direction && other.number == entry.number;
    match acl.entries.iter_mut().find(same) {
        Some(old) => *old = entry,
        None => return Err(missing(&acl.id, entry.number)),
    }
    net.put(&acl)
}

pub(crate) fn delete_entry(net: &Network<'_>, input: DeleteNetworkAclEntryRequest) -> Result<(), AwsError> {
    let mut acl = net.get::<NetworkAclRecord>(&input.network_acl_id)?;
    let before = acl.entries.len();
    let direction = Direction::of(input.egress);
    acl.entries.retain(|entry| entry.direction != direction || entry.number != input.rule_number);
    if acl.entries.len() == before {
        return Err(missing(&acl.id, input.rule_number));
    }
    net.put(&acl)
}

/// Gives the subnet of an association another ACL, under another association.
pub(crate) fn replace_association(
    net: &Network<'_>,
    input: ReplaceNetworkAclAssociationRequest,
) -> Result<ReplaceNetworkAclAssociationResult, AwsError> {
    let subnet = net.select::<SubnetRecord>(|subnet| subnet.acl_association == input.association_id)?.pop();
    let subnet = subnet.ok_or_else(|| {
        let text = format!("The association ID '{}' does not exist", input.association_id);
        errors::refused("InvalidAssociationID.NotFound", text)
    })?;
    let new_association_id = Some(associate(net, subnet, &input.network_acl_id)?);
    Ok(ReplaceNetworkAclAssociationResult { new_association_id })
}

/// Puts a subnet under an ACL of its VPC: the new association's id.
pub(crate) fn associate(net: &Network<'_>, mut subnet: SubnetRecord, acl: &str) -> Result<String, AwsError> {
    let acl = net.get::<NetworkAclRecord>(acl)?;
    if acl.vpc != subnet.vpc {
        let text = format!("The network acl '{}' and the subnet '{}' belong to different networks", acl.id, subnet.id);
        return Err(errors::refused("InvalidParameterValue", text));
    }
    subnet.acl = (!acl.is_default()).then_some(acl.id);
    subnet.acl_association = net.mint_with("aclassoc");
    net.put(&subnet)?;
    Ok(subnet.acl_association)
}
