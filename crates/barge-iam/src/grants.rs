//! Inline policies and attachments of managed ones: the same for roles and users.

use crate::account::Account;
use crate::errors;
use crate::managed_policies::{self, PolicyName};
use crate::paging::{Page, page};
use crate::policy_document::{self, Purpose};
use crate::records::{Grants, Holder, RoleRecord};
use barge_core::AwsError;
use barge_wire::iam::{AttachedPolicy, error};

/// Most managed policies on one role or user (IAM User Guide, "IAM and AWS STS quotas").
const MOST_ATTACHED: usize = 10;

/// A document's size as IAM counts it: bytes without white space.
pub(crate) fn size(document: &str) -> usize {
    document.bytes().filter(|b| !b.is_ascii_whitespace()).count()
}

pub(crate) fn put<H: Holder>(
    account: &Account<'_>,
    holder: &str,
    policy: String,
    document: String,
) -> Result<(), AwsError> {
    policy_document::check(&document, Purpose::Identity)?;
    account
        .change::<H>(holder, |record| {
            record.grants().inline.insert(policy, document);
            check_sizes(record)
        })
        .map(drop)
}

/// LimitExceeded where a holder's policies are too many or too long.
pub(crate) fn check_sizes<H: Holder>(record: &mut H) -> Result<(), AwsError> {
    let grants = record.grants();
    if grants.attached.len() > MOST_ATTACHED {
        return Err(errors::quota(&format!("PoliciesPer{}", H::TITLE), MOST_ATTACHED));
    }
    if grants.inline.values().map(|document| size(document)).sum::<usize>() > H::INLINE_BYTES {
        return Err(error::limit_exceeded_exception(format!(
            "Maximum policy size of {} bytes exceeded for {} {}",
            H::INLINE_BYTES,
            H::KIND,
            record.name()
        )));
    }
    Ok(())
}

pub(crate) fn get<H: Holder>(account: &Account<'_>, holder: &str, policy: &str) -> Result<String, AwsError> {
    account.get::<H>(holder)?.grants().inline.remove(policy).ok_or_else(|| missing::<H>(policy))
}

pub(crate) fn delete<H: Holder>(account: &Account<'_>, holder: &str, policy: &str) -> Result<(), AwsError> {
    account
        .change::<H>(holder, |record| {
            record.grants().inline.remove(policy).map(drop).ok_or_else(|| missing::<H>(policy))
        })
        .map(drop)
}

fn missing<H: Holder>(policy: &str) -> AwsError {
    error::no_such_entity_exception(format!("The {} policy with name {policy} cannot be found.", H::KIND))
}

pub(crate) fn list<H: Holder>(
    account: &Account<'_>,
    holder: &str,
    marker: Option<&str>,
    max_items: Option<i64>,
) -> Result<Page<String>, AwsError> {
    let names = account.get::<H>(holder)?.grants().inline.keys().cloned().collect();
    page(names, Clone::clone, marker, max_items)
}

/// Attaches a managed policy; one that is attached stays so.
pub(crate) fn attach<H: Holder>(account: &Account<'_>, holder: &str, arn: String) -> Result<(), AwsError> {
    let mut record = account.get::<H>(holder)?;
    managed_policies::check_attachable(account, &arn)?;
    record.grants().attached.insert(arn);
    check_sizes(&mut record)?;
    account.put(&record)
}

pub(crate) fn detach<H: Holder>(account: &Account<'_>, holder: &str, arn: &str) -> Result<(), AwsError> {
    account
        .change::<H>(holder, |record| {
            if record.grants().attached.remove(arn) { Ok(()) } else { Err(errors::no_such_policy(arn)) }
        })
        .map(drop)
}

pub(crate) fn list_attached<H: Holder>(
    account: &Account<'_>,
    holder: &str,
    path_prefix: Option<&str>,
    marker: Option<&str>,
    max_items: Option<i64>,
) -> Result<Page<AttachedPolicy>, AwsError> {
    let mut policies = Vec::new();
    for arn in &account.get::<H>(holder)?.grants().attached {
        let policy = PolicyName::parse(arn)?;
        if policy.path.starts_with(path_prefix.unwrap_or("/")) {
            policies.push((policy.key(), arn.clone(), policy.name));
        }
    }
    let page = page(policies, |(key, ..)| key.clone(), marker, max_items)?;
    let items = page
        .items
        .into_iter()
        .map(|(_, arn, name)| AttachedPolicy { policy_name: Some(name), policy_arn: Some(arn) })
        .collect();
    Ok(Page { items, is_truncated: page.is_truncated, marker: page.marker })
}

/// DeleteConflict where a holder still has policies.
pub(crate) fn check_none(grants: &Grants) -> Result<(), AwsError> {
    if !grants.attached.is_empty() {
        return Err(errors::delete_conflict("detach all policies"));
    }
    if !grants.inline.is_empty() {
        return Err(errors::delete_conflict("delete policies"));
    }
    Ok(())
}

/// The role's trust policy, checked for form and size.
pub(crate) fn checked_trust(document: String) -> Result<String, AwsError> {
    /// IAM User Guide, "IAM and AWS STS quotas", "Role trust policy length".
    const MOST_TRUST: usize = 2048;
    policy_document::check(&document, Purpose::Trust)?;
    if size(&document) > MOST_TRUST {
        return Err(errors::quota(&format!("ACLSizePer{}", RoleRecord::TITLE), MOST_TRUST));
    }
    Ok(document)
}
