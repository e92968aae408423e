//! Users.

use crate::account::Account;
use crate::paging::page;
use crate::records::{Grants, UserRecord};
use crate::{access_keys, errors, grants, groups, managed_policies, tags};
use barge_core::AwsError;
use barge_wire::iam::{CreateUserRequest, ListUsersRequest, ListUsersResponse};

pub(crate) fn create(account: &Account<'_>, input: CreateUserRequest) -> Result<UserRecord, AwsError> {
    if let Some(boundary) = &input.permissions_boundary {
        managed_policies::check_attachable(account, boundary)?;
    }
    let record = UserRecord {
        id: account.unique_id("AIDA"),
        path: input.path.unwrap_or_else(|| "/".to_owned()),
        created: account.now,
        boundary: input.permissions_boundary,
        tags: tags::checked(input.tags)?,
        grants: Grants::default(),
        name: input.user_name,
    };
    account.insert(&record)?;
    Ok(record)
}

pub(crate) fn list(account: &Account<'_>, input: &ListUsersRequest) -> Result<ListUsersResponse, AwsError> {
    let mut users = account.list::<UserRecord>()?;
    users.retain(|user| user.path.starts_with(input.path_prefix.as_deref().unwrap_or("/")));
    let page = page(users, |user| user.name.to_lowercase(), input.marker.as_deref(), input.max_items)?;
    Ok(ListUsersResponse {
        users: page.items.iter().map(|user| user.show_short(account)).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(crate) fn delete(account: &Account<'_>, name: &str) -> Result<(), AwsError> {
    let user = account.get::<UserRecord>(name)?;
    if !access_keys::of_user(account, name)?.is_empty() {
        return Err(errors::delete_conflict("delete access keys"));
    }
    if !groups::of_user(account, &user.name)?.is_empty() {
        return Err(errors::delete_conflict("remove users from group"));
    }
    grants::check_none(&user.grants)?;
    account.remove::<UserRecord>(name)
}
