//! Instance profiles: the envelope in which a role reaches an EC2 instance.

use crate::account::{Account, Record as _};
use crate::paging::page;
use crate::records::{ProfileRecord, RoleRecord};
use crate::{errors, tags};
use barge_core::AwsError;
use barge_wire::iam::{
    CreateInstanceProfileRequest, ListInstanceProfilesForRoleRequest, ListInstanceProfilesForRoleResponse,
    ListInstanceProfilesRequest, ListInstanceProfilesResponse, error,
};

pub(crate) fn create(account: &Account<'_>, input: CreateInstanceProfileRequest) -> Result<ProfileRecord, AwsError> {
    let record = ProfileRecord {
        id: account.unique_id("AIPA"),
        path: input.path.unwrap_or_else(|| "/".to_owned()),
        created: account.now,
        role: None,
        tags: tags::checked(input.tags)?,
        name: input.instance_profile_name,
    };
    account.insert(&record)?;
    Ok(record)
}

pub(crate) fn list(
    account: &Account<'_>,
    input: &ListInstanceProfilesRequest,
) -> Result<ListInstanceProfilesResponse, AwsError> {
    let mut profiles = account.list::<ProfileRecord>()?;
    profiles.retain(|profile| profile.path.starts_with(input.path_prefix.as_deref().unwrap_or("/")));
    let page = page(profiles, |profile| profile.name.to_lowercase(), input.marker.as_deref(), input.max_items)?;
    Ok(ListInstanceProfilesResponse {
        instance_profiles: page.items.iter().map(|profile| profile.show(account)).collect::<Result<_, _>>()?,
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(crate) fn list_for_role(
    account: &Account<'_>,
    input: &ListInstanceProfilesForRoleRequest,
) -> Result<ListInstanceProfilesForRoleResponse, AwsError> {
    account.get::<RoleRecord>(&input.role_name)?;
    let mut profiles = account.list::<ProfileRecord>()?;
    profiles.retain(|profile| profile.role.as_deref() == Some(input.role_name.as_str()));
    let page = page(profiles, |profile| profile.name.to_lowercase(), input.marker.as_deref(), input.max_items)?;
    Ok(ListInstanceProfilesForRoleResponse {
        instance_profiles: page.items.iter().map(|profile| profile.show(account)).collect::<Result<_, _>>()?,
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

/// A profile holds one role at most.
pub(crate) fn add_role(account: &Account<'_>, name: &str, role: &str) -> Result<(), AwsError> {
    let mut profile = account.get::<ProfileRecord>(name)?;
    account.get::<RoleRecord>(role)?;
    if profile.role.is_some() {
        return Err(errors::quota("InstanceSessionsPerInstanceProfile", 1));
    }
    profile.role = Some(role.to_owned());
    account.put(&profile)
}

pub(crate) fn remove_role(account: &Account<'_>, name: &str, role: &str) -> Result<(), AwsError> {
    let mut profile = account.get::<ProfileRecord>(name)?;
    if profile.role.as_deref() != Some(role) {
        return Err(error::no_such_entity_exception(format!("The role with name {role} cannot be found.")));
    }
    profile.role = None;
    account.put(&profile)
}

pub(crate) fn delete(account: &Account<'_>, name: &str) -> Result<(), AwsError> {
    let profile = account.get::<ProfileRecord>(name)?;
    if profile.role.is_some() {
        return Err(errors::delete_conflict("remove roles from instance profile"));
    }
    account.remove::<ProfileRecord>(profile.name())
}
