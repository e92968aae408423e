//! Security groups. Their rules are records of their own, in `security_group_rules`.

use crate::describe::{Described, Question, describe};
use crate::filters::{Field, text};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::network_interfaces::InterfaceRecord;
use crate::security_group_rules::{self as rules, Direction, Peer, RuleRecord};
use crate::vpc_endpoints::EndpointRecord;
use crate::vpcs::{self, VpcRecord};
use crate::{errors, tags};
use barge_core::AwsError;
use barge_wire::ec2::{
    CreateSecurityGroupRequest, CreateSecurityGroupResult, DeleteSecurityGroupRequest, DeleteSecurityGroupResult,
    DescribeSecurityGroupsRequest, DescribeSecurityGroupsResult, IpPermission, SecurityGroup, Tag,
};
use serde::{Deserialize, Serialize};

/// The name of the group that comes with each VPC.
const DEFAULT: &str = "default";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) name: String,
    pub(crate) description: String,
}

impl Record for GroupRecord {
    const KIND: Kind = Kind::SecurityGroup;

    fn id(&self) -> &str {
        &self.id
    }
}

impl GroupRecord {
    pub(crate) fn is_default(&self) -> bool {
        self.name == DEFAULT
    }
}

impl Described for GroupRecord {
    type Shown = SecurityGroup;

    const FILTERS: &'static [Field<SecurityGroup>] = &[
        ("description", |group| text(group.description.as_ref())),
        ("egress.ip-permission.cidr", |group| cidrs(group.ip_permissions_egress.as_ref())),
        ("egress.ip-permission.from-port", |group| {
            permissions(group.ip_permissions_egress.as_ref(), |one| one.from_port.map(|port| port.to_string()))
        }),
        ("egress.ip-permission.group-id", |group| peers(group.ip_permissions_egress.as_ref())),
        ("egress.ip-permission.protocol", |group| {
            permissions(group.ip_permissions_egress.as_ref(), |one| one.ip_protocol.clone())
        }),
        ("egress.ip-permission.to-port", |group| {
            permissions(group.ip_permissions_egress.as_ref(), |one| one.to_port.map(|port| port.to_string()))
        }),
        ("group-id", |group| text(group.group_id.as_ref())),
        ("group-name", |group| text(group.group_name.as_ref())),
        ("ip-permission.cidr", |group| cidrs(group.ip_permissions.as_ref())),
        ("ip-permission.from-port", |group| {
            permissions(group.ip_permissions.as_ref(), |one| one.from_port.map(|port| port.to_string()))
        }),
        ("ip-permission.group-id", |group| peers(group.ip_permissions.as_ref())),
        ("ip-permission.protocol", |group| permissions(group.ip_permissions.as_ref(), |one| one.ip_protocol.clone())),
        ("ip-permission.to-port", |group| {
            permissions(group.ip_permissions.as_ref(), |one| one.to_port.map(|port| port.to_string()))
        }),
        ("owner-id", |group| text(group.owner_id.as_ref())),
        ("vpc-id", |group| text(group.vpc_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<SecurityGroup, AwsError> {
        Ok(SecurityGroup {
            group_id: Some(self.id.clone()),
            security_group_arn: Some(arn(net, &self.id)),
            group_name: Some(self.name.clone()),
            description: Some(self.description.clone()),
            vpc_id: Some(self.vpc.clone()),
            owner_id: Some(net.account()),
            ip_permissions: Some(rules::permissions(net, &self.id, Direction::Ingress)?),
            ip_permissions_egress: Some(rules::permissions(net, &self.id, Direction::Egress)?),
            tags: Some(tags),
        })
    }

    fn tags(shown: &SecurityGroup) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

fn arn(net: &Network<'_>, id: &str) -> String {
    net.arn(&format!("security-group/{id}")).to_string()
}

fn permissions(list: Option<&Vec<IpPermission>>, of: fn(&IpPermission) -> Option<String>) -> Vec<String> {
    list.into_iter().flatten().filter_map(of).collect()
}

fn cidrs(list: Option<&Vec<IpPermission>>) -> Vec<String> {
    let ranges = list.into_iter().flatten().flat_map(|one| one.ip_ranges.iter().flatten());
    ranges.filter_map(|range| range.cidr_ip.clone()).collect()
}

fn peers(list: Option<&Vec<IpPermission>>) -> Vec<String> {
    let pairs = list.into_iter().flatten().flat_map(|one| one.user_id_group_pairs.iter().flatten());
    pairs.filter_map(|pair| pair.group_id.clone()).collect()
}

/// What a new group is.
pub(crate) struct Plan {
    pub(crate) vpc: Option<String>,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<Tag>,
}

/// Makes a group that lets everything out, or gives the one that an earlier try with the same ids made.
pub(crate) fn make(net: &Network<'_>, plan: Plan) -> Result<GroupRecord, AwsError> {
    let id = net.mint(Kind::SecurityGroup);
    if let Some(found) = net.find(&id)? {
        return Ok(found);
    }
    check_text("GroupName", &plan.name)?;
    check_text("GroupDescription", &plan.description)?;
    if plan.name.starts_with("sg-") {
        return Err(errors::invalid_value(format!(
            "Value ({}) for parameter GroupName is invalid. Group names may not be in the format sg-*",
            plan.name
        )));
    }
    let vpc = match plan.vpc {
        Some(vpc) => net.get::<VpcRecord>(&vpc)?.id,
        None => default_vpc(net)?.id,
    };
    let group = GroupRecord { id, vpc, name: plan.name, description: plan.description };
    insert(net, &group)?;
    tags::put(net, &group.id, &plan.tags)?;
    Ok(group)
}

/// The group that comes with a VPC: its members may speak to each other.
pub(crate) fn make_default(net: &Network<'_>, vpc: &str) -> Result<(), AwsError> {
    let group = GroupRecord {
        id: net.mint(Kind::SecurityGroup),
        vpc: vpc.to_owned(),
        name: DEFAULT.to_owned(),
        description: "default VPC security group".to_owned(),
    };
    insert(net, &group)?;
    net.put(&RuleRecord::everything(net, &group.id, Direction::Ingress, Peer::Group(group.id.clone())))
}

fn insert(net: &Network<'_>, group: &GroupRecord) -> Result<(), AwsError> {
    if net.list::<GroupRecord>()?.iter().any(|other| other.vpc == group.vpc && other.name == group.name) {
        return Err(errors::refused(
            "InvalidGroup.Duplicate",
            format!("The security group '{}' already exists for VPC '{}'", group.name, group.vpc),
        ));
    }
    net.put(group)?;
    net.put(&RuleRecord::default_egress(net, &group.id))
}

fn default_vpc(net: &Network<'_>) -> Result<VpcRecord, AwsError> {
    vpcs::default(net)?.ok_or_else(|| errors::refused("VPCIdNotSpecified", "No default VPC for this user"))
}

/// EC2 API Reference, "CreateSecurityGroup": up to 255 of these characters.
fn check_text(parameter: &str, value: &str) -> Result<(), AwsError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    if (1..=255).contains(&value.len()) && value.chars().all(legal) {
        return Ok(());
    }
    Err(errors::invalid_value(format!(
        "Value ({value}) for parameter {parameter} is invalid. Character sets beyond ASCII are not supported, and the \
         length must be between 1 and 255."
    )))
}

pub(crate) fn create(
    net: &Network<'_>,
    input: CreateSecurityGroupRequest,
) -> Result<CreateSecurityGroupResult, AwsError> {
    let tags = tags::specified(input.tag_specifications, Kind::SecurityGroup)?;
    let plan = Plan { vpc: input.vpc_id, name: input.group_name, description: input.description, tags: tags.clone() };
    let group = make(net, plan)?;
    Ok(CreateSecurityGroupResult {
        security_group_arn: Some(arn(net, &group.id)),
        group_id: Some(group.id),
        tags: Some(tags),
    })
}

/// The group with this id or, where there is no id, with this name in the default VPC.
pub(crate) fn resolve(net: &Network<'_>, id: Option<&str>, name: Option<&str>) -> Result<GroupRecord, AwsError> {
    match (id, name) {
        (Some(id), _) => net.get(id),
        (None, Some(name)) => by_name(net, &default_vpc(net)?, name),
        (None, None) => Err(errors::missing_parameter("GroupName or GroupId")),
    }
}

fn by_name(net: &Network<'_>, vpc: &VpcRecord, name: &str) -> Result<GroupRecord, AwsError> {
    let found = net.select::<GroupRecord>(|group| group.vpc == vpc.id && group.name == name)?.pop();
    found.ok_or_else(|| {
        errors::refused(
            "InvalidGroup.NotFound",
            format!("The security group '{name}' does not exist in default VPC '{}'", vpc.id),
        )
    })
}

pub(crate) fn delete(
    net: &Network<'_>,
    input: DeleteSecurityGroupRequest,
) -> Result<DeleteSecurityGroupResult, AwsError> {
    let group = resolve(net, input.group_id.as_deref(), input.group_name.as_deref())?;
    if group.is_default() {
        return Err(errors::refused(
            "CannotDelete",
            format!("the specified group: \"{}\" name: \"{DEFAULT}\" cannot be deleted by a user", group.id),
        ));
    }
    let named_by_rule = |rule: &RuleRecord| rule.group != group.id && rule.peer == Peer::Group(group.id.clone());
    let needed = net.list::<RuleRecord>()?.iter().any(named_by_rule)
        || net.list::<InterfaceRecord>()?.iter().any(|interface| interface.groups.contains(&group.id))
        || net.list::<EndpointRecord>()?.iter().any(|endpoint| endpoint.groups.contains(&group.id));
    if needed {
        return Err(errors::refused("DependencyViolation", format!("resource {} has a dependent object", group.id)));
    }
    erase(net, &group.id)?;
    Ok(DeleteSecurityGroupResult { r#return: Some(true), group_id: Some(group.id) })
}

/// Removes a group and its rules.
pub(crate) fn erase(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
    for rule in net.select::<RuleRecord>(|rule| rule.group == id)? {
        net.remove(&rule.id)?;
    }
    net.remove(id)
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeSecurityGroupsRequest,
) -> Result<DescribeSecurityGroupsResult, AwsError> {
    let mut ids = input.group_ids.unwrap_or_default();
    for name in input.group_names.iter().flatten() {
        ids.push(by_name(net, &default_vpc(net)?, name)?.id);
    }
    let question = Question {
        ids: Some(ids),
        filters: input.filters,
        max_results: input.max_results,
        next_token: input.next_token,
    };
    let (groups, next_token) = describe::<GroupRecord>(net, question)?;
    Ok(DescribeSecurityGroupsResult { security_groups: Some(groups), next_token })
}
