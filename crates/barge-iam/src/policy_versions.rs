//! Versions of the account's own managed policies (IAM User Guide, "Versioning IAM policies").

use crate::account::Account;
use crate::managed_policies::{checked_document, local};
use crate::paging::page;
use crate::records::{PolicyRecord, Version};
use barge_core::AwsError;
use barge_wire::iam::{
    CreatePolicyVersionRequest, ListPolicyVersionsRequest, ListPolicyVersionsResponse, PolicyVersion, error,
};

const MOST_VERSIONS: usize = 5;

pub(crate) fn create(account: &Account<'_>, input: CreatePolicyVersionRequest) -> Result<PolicyVersion, AwsError> {
    let mut record = local(account, &input.policy_arn)?;
    let document = checked_document(input.policy_document)?;
    if record.versions.len() >= MOST_VERSIONS {
        return Err(error::limit_exceeded_exception(
            "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing \
             version.",
        ));
    }
    let version = add(account, &mut record, document, input.set_as_default == Some(true));
    account.put(&record)?;
    Ok(PolicyVersion { document: None, ..record.show_version(&version) })
}

fn add(account: &Account<'_>, record: &mut PolicyRecord, document: String, default: bool) -> Version {
    let version = Version { number: record.next_version, document, created: account.now };
    record.next_version += 1;
    record.updated = account.now;
    if default {
        record.default_version = version.number;
    }
    record.versions.push(version.clone());
    version
}

/// Makes `document` the policy's default version, and makes room for it as CloudFormation does: the oldest version that
/// isn't the default goes.
pub(crate) fn replace_default(account: &Account<'_>, arn: &str, document: String) -> Result<(), AwsError> {
    let mut record = local(account, arn)?;
    let document = checked_document(document)?;
    let default = record.default_version;
    if record.versions.len() >= MOST_VERSIONS
        && let Some(oldest) = record.versions.iter().position(|version| version.number != default)
    {
        record.versions.remove(oldest);
    }
    add(account, &mut record, document, true);
    account.put(&record)
}

fn position(record: &PolicyRecord, arn: &str, version_id: &str) -> Result<usize, AwsError> {
    let number = version_id.strip_prefix('v').and_then(|digits| digits.parse::<u32>().ok());
    record.versions.iter().position(|version| Some(version.number) == number).ok_or_else(|| {
        error::no_such_entity_exception(format!(
            "Policy {arn} version {version_id} does not exist or is not attachable."
        ))
    })
}

pub(crate) fn get(account: &Account<'_>, arn: &str, version_id: &str) -> Result<PolicyVersion, AwsError> {
    let record = local(account, arn)?;
    let at = position(&record, arn, version_id)?;
    Ok(record.show_version(&record.versions[at]))
}

pub(crate) fn delete(account: &Account<'_>, arn: &str, version_id: &str) -> Result<(), AwsError> {
    let mut record = local(account, arn)?;
    let at = position(&record, arn, version_id)?;
    if record.versions[at].number == record.default_version {
        return Err(error::delete_conflict_exception("Cannot delete the default version of a policy."));
    }
    record.versions.remove(at);
    account.put(&record)
}

pub(crate) fn set_default(account: &Account<'_>, arn: &str, version_id: &str) -> Result<(), AwsError> {
    let mut record = local(account, arn)?;
    let at = position(&record, arn, version_id)?;
    record.default_version = record.versions[at].number;
    record.updated = account.now;
    account.put(&record)
}

pub(crate) fn list(
    account: &Account<'_>,
    input: &ListPolicyVersionsRequest,
) -> Result<ListPolicyVersionsResponse, AwsError> {
    let record = local(account, &input.policy_arn)?;
    // The newest first, as AWS lists them: the key falls as the number rises.
    let key = |version: &Version| format!("{:010}", u32::MAX - version.number);
    let page = page(record.versions.clone(), key, input.marker.as_deref(), input.max_items)?;
    let shown = page.items.iter().map(|version| PolicyVersion { document: None, ..record.show_version(version) });
    Ok(ListPolicyVersionsResponse {
        versions: Some(shown.collect()),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}
