//! The policies that a template gives a role, user or group: `ManagedPolicyArns` and `Policies`.

use super::properties::{document, text, texts};
use crate::account::Account;
use crate::records::{Grants, Holder};
use crate::{errors, grants, managed_policies, policy_document};
use barge_core::resource::{Properties, PropertyType, Structure, property};
use barge_core::{AwsError, Document};

/// Each of `Policies`.
pub(super) const INLINE_POLICY: &Structure = &Structure(&[
    property("PolicyDocument", PropertyType::Json).required(),
    property("PolicyName", PropertyType::String).required(),
]);

/// Adds the policies that a template gives.
pub(super) fn grant<H: Holder>(account: &Account<'_>, holder: &mut H, properties: &Properties) -> Result<(), AwsError> {
    for arn in texts(properties, "ManagedPolicyArns")? {
        managed_policies::check_attachable(account, &arn)?;
        holder.grants().attached.insert(arn);
    }
    for policy in properties.get("Policies").and_then(Document::as_list).unwrap_or_default() {
        let document = document(policy, "PolicyDocument")?;
        policy_document::check(&document, policy_document::Purpose::Identity)?;
        holder.grants().inline.insert(policy_name(policy)?, document);
    }
    grants::check_sizes(holder)
}

/// Takes away the policies that a template gave.
pub(super) fn revoke<H: Holder>(holder: &mut H, properties: &Properties) -> Result<(), AwsError> {
    for arn in texts(properties, "ManagedPolicyArns")? {
        holder.grants().attached.remove(&arn);
    }
    for policy in properties.get("Policies").and_then(Document::as_list).unwrap_or_default() {
        holder.grants().inline.remove(&policy_name(policy)?);
    }
    Ok(())
}

/// The policies that a role, user or group has, as a template gives them.
pub(super) fn held(grants: &Grants) -> [(&'static str, Document); 2] {
    let policy = |(name, document): (&String, &String)| {
        Document::map([("PolicyName", name.as_str().into()), ("PolicyDocument", Document::from(document.as_str()))])
    };
    [
        ("ManagedPolicyArns", grants.attached.iter().map(String::as_str).collect()),
        ("Policies", grants.inline.iter().map(policy).collect()),
    ]
}

fn policy_name(policy: &Document) -> Result<String, AwsError> {
    text(policy, "PolicyName").ok_or_else(|| errors::validation("Each of Policies must have a PolicyName"))
}
