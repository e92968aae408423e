//! Managed policies: the account's own, and AWS's by name. Of AWS's only the ARN is known: any well-formed one may be
//! attached, none has a document here.

use crate::account::{Account, Record as _};
use crate::records::{GroupRecord, Holder, PolicyRecord, RoleRecord, UserRecord, Version};
use crate::{errors, grants, tags};
use barge_core::{Arn, AwsError};
use barge_wire::iam::{
    CreatePolicyRequest, EntityType, ListEntitiesForPolicyRequest, ListEntitiesForPolicyResponse, ListPoliciesRequest,
    ListPoliciesResponse, Policy, PolicyGroup, PolicyRole, PolicyScopeType, PolicyUsageType, PolicyUser, error,
};
use std::collections::BTreeSet;

use crate::paging::page;
use crate::policy_document::{self, Purpose};

/// Most bytes of a managed policy, white space not counted (IAM User Guide, "IAM and AWS STS quotas").
const MOST_BYTES: usize = 6144;

/// A managed policy's ARN, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyName {
    /// An account id, or `aws`.
    pub(crate) owner: String,
    /// Begins and ends with a slash.
    pub(crate) path: String,
    pub(crate) name: String,
}

impl PolicyName {
    pub(crate) fn parse(text: &str) -> Result<Self, AwsError> {
        let invalid = || errors::validation(format!("ARN {text} is not valid."));
        let arn: Arn = text.parse().map_err(|_| invalid())?;
        let rest = arn.resource.strip_prefix("policy/").ok_or_else(invalid)?;
        let (folders, name) = rest.rsplit_once('/').unwrap_or(("", rest));
        let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        let well_formed = arn.partition == Arn::PARTITION
            && arn.service == "iam"
            && arn.region.is_empty()
            && (1..=128).contains(&name.len())
            && name.chars().all(legal)
            && folders.chars().all(|c| legal(c) || c == '/');
        if !well_formed {
            return Err(invalid());
        }
        let path = if folders.is_empty() { "/".to_owned() } else { format!("/{folders}/") };
        Ok(Self { owner: arn.account, path, name: name.to_owned() })
    }

    pub(crate) fn is_aws(&self) -> bool {
        self.owner == "aws"
    }

    /// What lists are sorted by: no two policies share it.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.name, self.owner)
    }
}

/// How many roles, users and groups use a policy.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) attached: i64,
    pub(crate) boundaries: i64,
}

pub(crate) fn usage(account: &Account<'_>, arn: &str) -> Result<Usage, AwsError> {
    fn count<H: Holder>(usage: &mut Usage, mut holder: H, arn: &str) {
        usage.attached += i64::from(holder.grants().attached.contains(arn));
        usage.boundaries += i64::from(holder.boundary() == Some(arn));
    }
    let mut usage = Usage::default();
    account.list::<RoleRecord>()?.into_iter().for_each(|role| count(&mut usage, role, arn));
    account.list::<UserRecord>()?.into_iter().for_each(|user| count(&mut usage, user, arn));
    account.list::<GroupRecord>()?.into_iter().for_each(|group| count(&mut usage, group, arn));
    Ok(usage)
}

/// The account's own policy with this ARN.
pub(crate) fn local(account: &Account<'_>, arn: &str) -> Result<PolicyRecord, AwsError> {
    let name = PolicyName::parse(arn)?;
    if name.is_aws() {
        return Err(AwsError::not_implemented(
            "AWS IAM",
            "reading the documents of AWS managed policies or changing them,",
        ));
    }
    let record = account.find::<PolicyRecord>(&name.name)?;
    record.filter(|record| record.arn(account) == arn).ok_or_else(|| errors::no_such_policy(arn))
}

/// NoSuchEntity where no policy with this ARN can be attached.
pub(crate) fn check_attachable(account: &Account<'_>, arn: &str) -> Result<(), AwsError> {
    if PolicyName::parse(arn)?.is_aws() {
        return Ok(());
    }
    local(account, arn)
        .map(drop)
        .map_err(|_| error::no_such_entity_exception(format!("Policy {arn} does not exist or is not attachable.")))
}

pub(crate) fn checked_document(document: String) -> Result<String, AwsError> {
    policy_document::check(&document, Purpose::Identity)?;
    if grants::size(&document) > MOST_BYTES {
        return Err(errors::quota("PolicySize", MOST_BYTES));
    }
    Ok(document)
}

pub(crate) fn create(account: &Account<'_>, input: CreatePolicyRequest) -> Result<PolicyRecord, AwsError> {
    let record = PolicyRecord {
        id: account.unique_id("ANPA"),
        path: input.path.unwrap_or_else(|| "/".to_owned()),
        created: account.now,
        updated: account.now,
        description: input.description,
        tags: tags::checked(input.tags)?,
        versions: vec![Version { number: 1, document: checked_document(input.policy_document)?, created: account.now }],
        default_version: 1,
        next_version: 2,
        name: input.policy_name,
    };
    account.insert(&record)?;
    Ok(record)
}

pub(crate) fn get(account: &Account<'_>, arn: &str) -> Result<Policy, AwsError> {
    let name = PolicyName::parse(arn)?;
    if name.is_aws() { show_aws(account, arn, name) } else { local(account, arn)?.show(account) }
}

/// What is known of one of AWS's policies.
fn show_aws(account: &Account<'_>, arn: &str, name: PolicyName) -> Result<Policy, AwsError> {
    let usage = usage(account, arn)?;
    Ok(Policy {
        policy_name: Some(name.name),
        arn: Some(arn.to_owned()),
        path: Some(name.path),
        attachment_count: Some(usage.attached),
        permissions_boundary_usage_count: Some(usage.boundaries),
        is_attachable: Some(true),
        ..Policy::default()
    })
}

/// The account's policies, and those of AWS that are attached to something.
pub(crate) fn list(account: &Account<'_>, input: &ListPoliciesRequest) -> Result<ListPoliciesResponse, AwsError> {
    let scope = input.scope.unwrap_or(PolicyScopeType::All);
    let mut policies = Vec::new();
    if scope != PolicyScopeType::Aws {
        for record in account.list::<PolicyRecord>()? {
            policies.push(Policy { tags: None, description: None, ..record.show(account)? });
        }
    }
    if scope != PolicyScopeType::Local {
        for arn in attached_of_aws(account)? {
            let name = PolicyName::parse(&arn)?;
            policies.push(show_aws(account, &arn, name)?);
        }
    }
    policies.retain(|policy| {
        let used_as = |count: Option<i64>| count.unwrap_or(0) > 0;
        let path = policy.path.as_deref().unwrap_or("/");
        path.starts_with(input.path_prefix.as_deref().unwrap_or("/"))
            && (input.only_attached != Some(true) || used_as(policy.attachment_count))
            && match input.policy_usage_filter {
                None => true,
                Some(PolicyUsageType::PermissionsPolicy) => used_as(policy.attachment_count),
                Some(PolicyUsageType::PermissionsBoundary) => used_as(policy.permissions_boundary_usage_count),
            }
    });
    let key = |policy: &Policy| {
        let arn = policy.arn.clone().unwrap_or_default();
        PolicyName::parse(&arn).map_or(arn, |name| name.key())
    };
    let page = page(policies, key, input.marker.as_deref(), input.max_items)?;
    Ok(ListPoliciesResponse { policies: Some(page.items), is_truncated: page.is_truncated, marker: page.marker })
}

fn attached_of_aws(account: &Account<'_>) -> Result<BTreeSet<String>, AwsError> {
    let mut arns = BTreeSet::new();
    for role in account.list::<RoleRecord>()? {
        arns.extend(role.grants.attached);
        arns.extend(role.boundary);
    }
    for user in account.list::<UserRecord>()? {
        arns.extend(user.grants.attached);
        arns.extend(user.boundary);
    }
    for group in account.list::<GroupRecord>()? {
        arns.extend(group.grants.attached);
    }
    arns.retain(|arn| PolicyName::parse(arn).is_ok_and(|name| name.is_aws()));
    Ok(arns)
}

pub(crate) fn delete(account: &Account<'_>, arn: &str) -> Result<(), AwsError> {
    let record = local(account, arn)?;
    let usage = usage(account, arn)?;
    if usage.attached + usage.boundaries > 0 {
        return Err(error::delete_conflict_exception("Cannot delete a policy attached to entities."));
    }
    if record.versions.len() > 1 {
        return Err(error::delete_conflict_exception(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
             The default version is deleted with the policy.",
        ));
    }
    account.remove::<PolicyRecord>(record.name())
}

/// A role, user or group that uses a policy.
enum Entity {
    Role(PolicyRole),
    User(PolicyUser),
    Group(PolicyGroup),
}

pub(crate) fn list_entities(
    account: &Account<'_>,
    input: &ListEntitiesForPolicyRequest,
) -> Result<ListEntitiesForPolicyResponse, AwsError> {
    if !PolicyName::parse(&input.policy_arn)?.is_aws() {
        local(account, &input.policy_arn)?;
    }
    let wanted = |kind: EntityType| match input.entity_filter {
        None => Ok(true),
        Some(EntityType::LocalManagedPolicy | EntityType::AWSManagedPolicy) => {
            Err(errors::validation("EntityFilter must be User, Role or Group"))
        }
        Some(filter) => Ok(filter == kind),
    };
    let mut entities = Vec::new();
    if wanted(EntityType::Role)? {
        for mut role in account.list::<RoleRecord>()? {
            if uses(&mut role, input) {
                let shown = PolicyRole { role_name: Some(role.name.clone()), role_id: Some(role.id) };
                entities.push((format!("{}/role", role.name), Entity::Role(shown)));
            }
        }
    }
    if wanted(EntityType::User)? {
        for mut user in account.list::<UserRecord>()? {
            if uses(&mut user, input) {
                let shown = PolicyUser { user_name: Some(user.name.clone()), user_id: Some(user.id) };
                entities.push((format!("{}/user", user.name), Entity::User(shown)));
            }
        }
    }
    if wanted(EntityType::Group)? {
        for mut group in account.list::<GroupRecord>()? {
            if uses(&mut group, input) {
                let shown = PolicyGroup { group_name: Some(group.name.clone()), group_id: Some(group.id) };
                entities.push((format!("{}/group", group.name), Entity::Group(shown)));
            }
        }
    }
    let page = page(entities, |(key, _)| key.clone(), input.marker.as_deref(), input.max_items)?;
    let (mut roles, mut users, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for (_, entity) in page.items {
        match entity {
            Entity::Role(role) => roles.push(role),
            Entity::User(user) => users.push(user),
            Entity::Group(group) => groups.push(group),
        }
    }
    Ok(ListEntitiesForPolicyResponse {
        policy_groups: Some(groups),
        policy_users: Some(users),
        policy_roles: Some(roles),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

fn uses<H: Holder>(holder: &mut H, input: &ListEntitiesForPolicyRequest) -> bool {
    let attached = holder.grants().attached.contains(&input.policy_arn);
    let boundary = holder.boundary() == Some(input.policy_arn.as_str());
    holder.path().starts_with(input.path_prefix.as_deref().unwrap_or("/"))
        && match input.policy_usage_filter {
            None => attached || boundary,
            Some(PolicyUsageType::PermissionsPolicy) => attached,
            Some(PolicyUsageType::PermissionsBoundary) => boundary,
        }
}
