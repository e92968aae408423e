//! Network ACLs: only the one that comes with each VPC and lets everything through.

use crate::cidr::Cidr;
use crate::describe::{Described, describe, question};
use crate::filters::{Field, text, truth};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::subnets::SubnetRecord;
use barge_core::AwsError;
use barge_wire::ec2::{
    DescribeNetworkAclsRequest, DescribeNetworkAclsResult, NetworkAcl, NetworkAclAssociation, NetworkAclEntry,
    RuleAction, Tag,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkAclRecord {
    pub(crate) id: String,
    pub(crate) vpc: String,
}

impl NetworkAclRecord {
    pub(crate) fn default_of(net: &Network<'_>, vpc: &str) -> Self {
        Self { id: net.mint(Kind::NetworkAcl), vpc: vpc.to_owned() }
    }

    /// The ACL that came with a VPC.
    pub(crate) fn of_vpc(net: &Network<'_>, vpc: &str) -> Result<Self, AwsError> {
        let found = net.select::<Self>(|acl| acl.vpc == vpc)?.pop();
        found.ok_or_else(|| AwsError::internal(format!("{vpc} has lost its network ACL")))
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
        ("network-acl-id", |acl| text(acl.network_acl_id.as_ref())),
        ("owner-id", |acl| text(acl.owner_id.as_ref())),
        ("vpc-id", |acl| text(acl.vpc_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<NetworkAcl, AwsError> {
        let subnets = net.select::<SubnetRecord>(|subnet| subnet.vpc == self.vpc)?;
        let association = |subnet: SubnetRecord| NetworkAclAssociation {
            network_acl_association_id: Some(subnet.acl_association),
            network_acl_id: Some(self.id.clone()),
            subnet_id: Some(subnet.id),
        };
        let entries = [true, false]
            .into_iter()
            .flat_map(|egress| [entry(egress, 100, RuleAction::Allow), entry(egress, 32767, RuleAction::Deny)]);
        Ok(NetworkAcl {
            associations: Some(subnets.into_iter().map(association).collect()),
            entries: Some(entries.collect()),
            is_default: Some(true),
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

fn entry(egress: bool, number: i64, action: RuleAction) -> NetworkAclEntry {
    NetworkAclEntry {
        cidr_block: Some(Cidr::ANYWHERE.to_string()),
        egress: Some(egress),
        protocol: Some("-1".to_owned()),
        rule_action: Some(action),
        rule_number: Some(number),
        ..NetworkAclEntry::default()
    }
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeNetworkAclsRequest,
) -> Result<DescribeNetworkAclsResult, AwsError> {
    let (acls, next_token) = describe::<NetworkAclRecord>(net, question!(input, network_acl_ids))?;
    Ok(DescribeNetworkAclsResult { network_acls: Some(acls), next_token })
}
