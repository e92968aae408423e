//! Rules of security groups: one record for each protocol, port range and peer.

use crate::cidr::Cidr;
use crate::describe::{Described, describe, question, show};
use crate::errors;
use crate::filters::{Field, text};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::security_groups::GroupRecord;
use crate::tags;
use crate::vpcs::VpcRecord;
use barge_core::AwsError;
use barge_wire::ec2::{
    DescribeSecurityGroupRulesRequest, DescribeSecurityGroupRulesResult, IpPermission, IpRange, Ipv6Range,
    PrefixListId, ReferencedSecurityGroup, RevokedSecurityGroupRule, SecurityGroupRule, Tag, UserIdGroupPair,
};
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;

/// Most rules of a group in one direction (VPC User Guide, "Amazon VPC quotas").
const MOST: usize = 60;

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Direction {
    Ingress,
    Egress,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Peer {
    Ipv4(Cidr),
    Ipv6(String),
    PrefixList(String),
    Group(String),
}

impl Peer {
    pub(crate) const fn anywhere() -> Self {
        Self::Ipv4(Cidr::ANYWHERE)
    }

    fn describe(&self) -> String {
        match self {
            Self::Ipv4(cidr) => cidr.to_string(),
            Self::Ipv6(text) | Self::PrefixList(text) | Self::Group(text) => text.clone(),
        }
    }
}

/// What packets a rule is about. Two rules of a group with the same traffic and direction are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, another protocol's number, or `-1` for all.
    pub(crate) protocol: String,
    /// For ICMP the type; -1 for all.
    pub(crate) from: i64,
    /// For ICMP the code; -1 for all.
    pub(crate) to: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RuleRecord {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) direction: Direction,
    pub(crate) traffic: Traffic,
    pub(crate) peer: Peer,
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) origin: Origin,
}

/// How a rule came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// Somebody asked for it.
    #[default]
    Written,
    /// It came with its group.
    Default,
}

impl Record for RuleRecord {
    const KIND: Kind = Kind::SecurityGroupRule;

    fn id(&self) -> &str {
        &self.id
    }
}

impl RuleRecord {
    /// The rule that a new group has: it lets everything out.
    pub(crate) fn default_egress(net: &Network<'_>, group: &str) -> Self {
        Self { origin: Origin::Default, ..Self::everything(net, group, Direction::Egress, Peer::anywhere()) }
    }

    /// A rule that lets everything through from or to `peer`.
    pub(crate) fn everything(net: &Network<'_>, group: &str, direction: Direction, peer: Peer) -> Self {
        Self {
            id: net.mint(Kind::SecurityGroupRule),
            group: group.to_owned(),
            direction,
            traffic: Traffic { protocol: "-1".to_owned(), from: -1, to: -1 },
            peer,
            description: None,
            origin: Origin::Written,
        }
    }

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.direction == other.direction && self.traffic == other.traffic && self.peer == other.peer
    }
}

impl Described for RuleRecord {
    type Shown = SecurityGroupRule;

    const FILTERS: &'static [Field<SecurityGroupRule>] = &[
        ("group-id", |rule| text(rule.group_id.as_ref())),
        ("security-group-rule-id", |rule| text(rule.security_group_rule_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<SecurityGroupRule, AwsError> {
        let mut shown = SecurityGroupRule {
            security_group_rule_id: Some(self.id.clone()),
            security_group_rule_arn: Some(net.arn(&format!("security-group-rule/{}", self.id)).to_string()),
            group_id: Some(self.group.clone()),
            group_owner_id: Some(net.account()),
            is_egress: Some(self.direction == Direction::Egress),
            ip_protocol: Some(self.traffic.protocol.clone()),
            from_port: Some(self.traffic.from),
            to_port: Some(self.traffic.to),
            description: self.description.clone(),
            tags: Some(tags),
            ..SecurityGroupRule::default()
        };
        match &self.peer {
            Peer::Ipv4(cidr) => shown.cidr_ipv4 = Some(cidr.to_string()),
            Peer::Ipv6(cidr) => shown.cidr_ipv6 = Some(cidr.clone()),
            Peer::PrefixList(id) => shown.prefix_list_id = Some(id.clone()),
            Peer::Group(id) => {
                shown.referenced_group_info = Some(ReferencedSecurityGroup {
                    group_id: Some(id.clone()),
                    user_id: Some(net.account()),
                    ..ReferencedSecurityGroup::default()
                });
            }
        }
        Ok(shown)
    }

    fn tags(shown: &SecurityGroupRule) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

/// A group's rules of one direction, put together as permissions.
pub(crate) fn permissions(net: &Network<'_>, group: &str, direction: Direction) -> Result<Vec<IpPermission>, AwsError> {
    let mut grouped: Vec<(Traffic, IpPermission)> = Vec::new();
    for rule in net.select::<RuleRecord>(|rule| rule.group == group && rule.direction == direction)? {
        let at = grouped.iter().position(|(traffic, _)| *traffic == rule.traffic).unwrap_or_else(|| {
            grouped.push((rule.traffic.clone(), empty_permission(&rule.traffic)));
            grouped.len() - 1
        });
        add_peer(net, &mut grouped[at].1, &rule);
    }
    Ok(grouped.into_iter().map(|(_, permission)| permission).collect())
}

fn empty_permission(traffic: &Traffic) -> IpPermission {
    let ports = traffic.protocol != "-1";
    IpPermission {
        ip_protocol: Some(traffic.protocol.clone()),
        from_port: ports.then_some(traffic.from),
        to_port: ports.then_some(traffic.to),
        user_id_group_pairs: Some(Vec::new()),
        ip_ranges: Some(Vec::new()),
        ipv6_ranges: Some(Vec::new()),
        prefix_list_ids: Some(Vec::new()),
    }
}

fn add_peer(net: &Network<'_>, permission: &mut IpPermission, rule: &RuleRecord) {
    let description = rule.description.clone();
    match &rule.peer {
        Peer::Ipv4(cidr) => {
            let range = IpRange { cidr_ip: Some(cidr.to_string()), description };
            permission.ip_ranges.get_or_insert_default().push(range);
        }
        Peer::Ipv6(cidr) => {
            let range = Ipv6Range { cidr_ipv6: Some(cidr.clone()), description };
            permission.ipv6_ranges.get_or_insert_default().push(range);
        }
        Peer::PrefixList(id) => {
            let entry = PrefixListId { prefix_list_id: Some(id.clone()), description };
            permission.prefix_list_ids.get_or_insert_default().push(entry);
        }
        Peer::Group(id) => {
            let pair = UserIdGroupPair {
                group_id: Some(id.clone()),
                user_id: Some(net.account()),
                description,
                ..UserIdGroupPair::default()
            };
            permission.user_id_group_pairs.get_or_insert_default().push(pair);
        }
    }
}

/// A permission taken apart: one rule for each of its peers. Ids are not given yet.
pub(crate) fn rules_of(
    net: &Network<'_>,
    group: &GroupRecord,
    direction: Direction,
    permission: &IpPermission,
) -> Result<Vec<RuleRecord>, AwsError> {
    let traffic = traffic(permission)?;
    let mut peers = Vec::new();
    for range in permission.ip_ranges.iter().flatten() {
        let text = range.cidr_ip.as_deref().ok_or_else(|| errors::missing_parameter("CidrIp"))?;
        let cidr = text.parse().map_err(|_| malformed_cidr(text))?;
        peers.push((Peer::Ipv4(cidr), range.description.clone()));
    }
    for range in permission.ipv6_ranges.iter().flatten() {
        let text = range.cidr_ipv6.as_deref().ok_or_else(|| errors::missing_parameter("CidrIpv6"))?;
        peers.push((Peer::Ipv6(ipv6_block(text)?), range.description.clone()));
    }
    for list in permission.prefix_list_ids.iter().flatten() {
        let id = list.prefix_list_id.clone().ok_or_else(|| errors::missing_parameter("PrefixListId"))?;
        if !id.starts_with("pl-") {
            return Err(errors::refused(
                "InvalidPrefixListID.NotFound",
                format!("The prefix list ID '{id}' does not exist"),
            ));
        }
        peers.push((Peer::PrefixList(id), list.description.clone()));
    }
    for pair in permission.user_id_group_pairs.iter().flatten() {
        peers.push((Peer::Group(paired_group(net, group, pair)?), pair.description.clone()));
    }
    if peers.is_empty() {
        return Err(errors::missing_parameter("IpRanges, Ipv6Ranges, PrefixListIds or UserIdGroupPairs"));
    }
    let rule = |(peer, description)| RuleRecord {
        id: String::new(),
        group: group.id.clone(),
        direction,
        traffic: traffic.clone(),
        peer,
        description,
        origin: Origin::Written,
    };
    Ok(peers.into_iter().map(rule).collect())
}

fn malformed_cidr(text: &str) -> AwsError {
    errors::invalid_value(format!("CIDR block {text} is malformed"))
}

/// An IPv6 block in its short form.
fn ipv6_block(text: &str) -> Result<String, AwsError> {
    let (address, length) = text.split_once('/').ok_or_else(|| malformed_cidr(text))?;
    let address: Ipv6Addr = address.parse().map_err(|_| malformed_cidr(text))?;
    let length = length.parse::<u32>().ok().filter(|length| *length <= 128).ok_or_else(|| malformed_cidr(text))?;
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    Ok(format!("{}/{length}", Ipv6Addr::from_bits(address.to_bits() & mask)))
}

fn paired_group(net: &Network<'_>, group: &GroupRecord, pair: &UserIdGroupPair) -> Result<String, AwsError> {
    if pair.vpc_peering_connection_id.is_some() || pair.peering_status.is_some() {
        return Err(AwsError::not_implemented("Amazon EC2", "groups of peered VPCs in security group rules"));
    }
    let own_account = pair.user_id.as_ref().is_none_or(|user| *user == net.account());
    match (&pair.group_id, &pair.group_name) {
        (Some(id), _) if own_account => Ok(net.get::<GroupRecord>(id)?.id),
        (None, Some(name)) if own_account => {
            let found = net.select::<GroupRecord>(|other| other.vpc == group.vpc && other.name == *name)?.pop();
            found.map(|other| other.id).ok_or_else(|| Kind::SecurityGroup.missing(name))
        }
        (Some(name), _) | (None, Some(name)) => Err(Kind::SecurityGroup.missing(name)),
        (None, None) => Err(errors::missing_parameter("GroupId")),
    }
}

fn traffic(permission: &IpPermission) -> Result<Traffic, AwsError> {
    let given = permission.ip_protocol.as_deref().ok_or_else(|| errors::missing_parameter("IpProtocol"))?;
    let protocol = protocol(given)?;
    let ports = |message: &str| errors::invalid_value(format!("Invalid value '{message}' for portRange."));
    let (from, to) = match (protocol.as_str(), permission.from_port, permission.to_port) {
        ("tcp" | "udp", Some(from), Some(to)) => {
            if !(0..=65535).contains(&from) || !(0..=65535).contains(&to) || from > to {
                return Err(ports(&format!("{from}-{to}")));
            }
            (from, to)
        }
        ("tcp" | "udp", ..) => return Err(ports("Must specify both from and to ports with TCP/UDP.")),
        ("icmp" | "icmpv6", kind, code) => {
            let (kind, code) = (kind.unwrap_or(-1), code.unwrap_or(-1));
            if !(-1..=255).contains(&kind) || !(-1..=255).contains(&code) {
                return Err(ports(&format!("{kind}-{code}")));
            }
            (kind, code)
        }
        // With other protocols all ports are meant, whatever is given (EC2 API Reference, "IpPermission").
        _ => (-1, -1),
    };
    Ok(Traffic { protocol, from, to })
}

/// A protocol as rules show it.
fn protocol(given: &str) -> Result<String, AwsError> {
    let lower = given.to_ascii_lowercase();
    Ok(match lower.as_str() {
        "all" | "-1" => "-1",
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        number if number.parse::<u8>().is_ok() => number,
        _ => return Err(errors::invalid_value(format!("Invalid value '{given}' for IP protocol. Unknown protocol."))),
    }
    .to_owned())
}

/// Adds rules to a group: all of them, or none where one is there already.
pub(crate) fn authorize(
    net: &Network<'_>,
    group: &GroupRecord,
    direction: Direction,
    permissions: &[IpPermission],
    rule_tags: &[Tag],
) -> Result<Vec<SecurityGroupRule>, AwsError> {
    let mut existing = net.select::<RuleRecord>(|rule| rule.group == group.id && rule.direction == direction)?;
    let mut added = Vec::new();
    for permission in permissions {
        for mut rule in rules_of(net, group, direction, permission)? {
            if existing.iter().any(|other| other.same_as(&rule)) {
                return Err(duplicate(&rule));
            }
            rule.id = net.mint(Kind::SecurityGroupRule);
            net.put(&rule)?;
            tags::put(net, &rule.id, rule_tags)?;
            added.push(show(net, &rule)?);
            existing.push(rule);
        }
    }
    if existing.len() > MOST {
        return Err(errors::refused(
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        ));
    }
    Ok(added)
}

fn duplicate(rule: &RuleRecord) -> AwsError {
    let Traffic { protocol, from, to } = &rule.traffic;
    let traffic = match protocol.as_str() {
        "-1" => "ALL".to_owned(),
        "tcp" | "udp" => format!("{}, from port: {from}, to port: {to}", protocol.to_uppercase()),
        other => format!("{}, type: {from}, code: {to}", other.to_uppercase()),
    };
    errors::refused(
        "InvalidPermission.Duplicate",
        format!("the specified rule \"peer: {}, {traffic}, ALLOW\" already exists", rule.peer.describe()),
    )
}

/// What became of a revocation.
#[derive(Debug, Default)]
pub(crate) struct Revoked {
    pub(crate) rules: Vec<RevokedSecurityGroupRule>,
    pub(crate) unknown: Vec<IpPermission>,
}

/// Removes the rules that `permissions` say. In a VPC that isn't the default one, one that isn't there fails the whole
/// request; in the default VPC it is reported (EC2 API Reference, "RevokeSecurityGroupIngress").
pub(crate) fn revoke(
    net: &Network<'_>,
    group: &GroupRecord,
    direction: Direction,
    permissions: &[IpPermission],
) -> Result<Revoked, AwsError> {
    let lenient = net.get::<VpcRecord>(&group.vpc)?.is_default();
    let mut revoked = Revoked::default();
    for permission in permissions {
        for wanted in rules_of(net, group, direction, permission)? {
            let found = net.select::<RuleRecord>(|rule| rule.group == group.id && rule.same_as(&wanted))?.pop();
            match found {
                Some(rule) => revoked.rules.push(remove(net, rule)?),
                None if lenient => {
                    let mut unknown = empty_permission(&wanted.traffic);
                    add_peer(net, &mut unknown, &wanted);
                    revoked.unknown.push(unknown);
                }
                None => {
                    return Err(errors::refused(
                        "InvalidPermission.NotFound",
                        "The specified rule does not exist in this security group.",
                    ));
                }
            }
        }
    }
    Ok(revoked)
}

/// Removes rules by id.
pub(crate) fn revoke_by_id(
    net: &Network<'_>,
    group: &GroupRecord,
    direction: Direction,
    ids: &[String],
) -> Result<Revoked, AwsError> {
    let mut revoked = Revoked::default();
    for id in ids {
        let rule = net.find::<RuleRecord>(id)?.filter(|rule| rule.group == group.id && rule.direction == direction);
        revoked.rules.push(remove(net, rule.ok_or_else(|| Kind::SecurityGroupRule.missing(id))?)?);
    }
    Ok(revoked)
}

fn remove(net: &Network<'_>, rule: RuleRecord) -> Result<RevokedSecurityGroupRule, AwsError> {
    net.remove(&rule.id)?;
    let mut shown = RevokedSecurityGroupRule {
        security_group_rule_id: Some(rule.id),
        group_id: Some(rule.group),
        is_egress: Some(rule.direction == Direction::Egress),
        ip_protocol: Some(rule.traffic.protocol),
        from_port: Some(rule.traffic.from),
        to_port: Some(rule.traffic.to),
        description: rule.description,
        ..RevokedSecurityGroupRule::default()
    };
    match rule.peer {
        Peer::Ipv4(cidr) => shown.cidr_ipv4 = Some(cidr.to_string()),
        Peer::Ipv6(cidr) => shown.cidr_ipv6 = Some(cidr),
        Peer::PrefixList(id) => shown.prefix_list_id = Some(id),
        Peer::Group(id) => shown.referenced_group_id = Some(id),
    }
    Ok(shown)
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeSecurityGroupRulesRequest,
) -> Result<DescribeSecurityGroupRulesResult, AwsError> {
    let (rules, next_token) = describe::<RuleRecord>(net, question!(input, security_group_rule_ids))?;
    Ok(DescribeSecurityGroupRulesResult { security_group_rules: Some(rules), next_token })
}

/// The permissions of a request: those that it lists, or the one that its older members write out.
pub(crate) fn requested(
    list: Option<Vec<IpPermission>>,
    protocol: Option<String>,
    ports: (Option<i64>, Option<i64>),
    cidr: Option<String>,
) -> Result<Vec<IpPermission>, AwsError> {
    let list = list.filter(|list| !list.is_empty());
    match (list, protocol) {
        (Some(list), None) => Ok(list),
        (Some(_), Some(_)) => Err(errors::refused(
            "InvalidParameterCombination",
            "The parameter IpProtocol cannot be used with the parameter IpPermissions",
        )),
        (None, Some(protocol)) => {
            let cidr = cidr.ok_or_else(|| errors::missing_parameter("CidrIp"))?;
            Ok(vec![IpPermission {
                ip_protocol: Some(protocol),
                from_port: ports.0,
                to_port: ports.1,
                ip_ranges: Some(vec![IpRange { cidr_ip: Some(cidr), description: None }]),
                ..IpPermission::default()
            }])
        }
        (None, None) => Err(errors::missing_parameter("IpPermissions")),
    }
}
