//! Roles.

use crate::account::Account;
use crate::records::{DEFAULT_SESSION_SECONDS, Grants, ProfileRecord, RoleRecord};
use crate::{errors, grants, managed_policies, tags};
use barge_core::AwsError;
use barge_wire::iam::{CreateRoleRequest, ListRolesRequest, ListRolesResponse, UpdateRoleRequest};

use crate::paging::page;

pub(crate) fn create(account: &Account<'_>, input: CreateRoleRequest) -> Result<RoleRecord, AwsError> {
    if let Some(boundary) = &input.permissions_boundary {
        managed_policies::check_attachable(account, boundary)?;
    }
    let record = RoleRecord {
        id: account.unique_id("AROA"),
        path: input.path.unwrap_or_else(|| "/".to_owned()),
        created: account.now,
        trust: grants::checked_trust(input.assume_role_policy_document)?,
        description: input.description,
        max_session_seconds: input.max_session_duration.unwrap_or(DEFAULT_SESSION_SECONDS),
        boundary: input.permissions_boundary,
        tags: tags::checked(input.tags)?,
        grants: Grants::default(),
        name: input.role_name,
    };
    account.insert(&record)?;
    Ok(record)
}

pub(crate) fn list(account: &Account<'_>, input: &ListRolesRequest) -> Result<ListRolesResponse, AwsError> {
    let mut roles = account.list::<RoleRecord>()?;
    roles.retain(|role| role.path.starts_with(input.path_prefix.as_deref().unwrap_or("/")));
    let page = page(roles, |role| role.name.to_lowercase(), input.marker.as_deref(), input.max_items)?;
    Ok(ListRolesResponse {
        roles: page.items.iter().map(|role| role.show_short(account)).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(crate) fn update(account: &Account<'_>, input: UpdateRoleRequest) -> Result<(), AwsError> {
    account
        .change::<RoleRecord>(&input.role_name, |role| {
            role.description = input.description.or(role.description.take());
            role.max_session_seconds = input.max_session_duration.unwrap_or(role.max_session_seconds);
            Ok(())
        })
        .map(drop)
}

pub(crate) fn set_description(account: &Account<'_>, name: &str, description: String) -> Result<RoleRecord, AwsError> {
    account.change::<RoleRecord>(name, |role| {
        role.description = Some(description);
        Ok(())
    })
}

pub(crate) fn set_trust(account: &Account<'_>, name: &str, document: String) -> Result<(), AwsError> {
    account
        .change::<RoleRecord>(name, |role| {
            role.trust = grants::checked_trust(document)?;
            Ok(())
        })
        .map(drop)
}

pub(crate) fn delete(account: &Account<'_>, name: &str) -> Result<(), AwsError> {
    let role = account.get::<RoleRecord>(name)?;
    if account.list::<ProfileRecord>()?.iter().any(|profile| profile.role.as_deref() == Some(name)) {
        return Err(errors::delete_conflict("remove roles from instance profile"));
    }
    grants::check_none(&role.grants)?;
    account.remove::<RoleRecord>(name)
}
