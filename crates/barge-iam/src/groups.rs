//! Groups of users.

use crate::account::{Account, Record as _};
use crate::paging::{Page, page};
use crate::records::{Grants, GroupRecord, UserRecord};
use crate::{errors, grants};
use barge_core::AwsError;
use barge_wire::iam::{
    CreateGroupRequest, GetGroupRequest, GetGroupResponse, ListGroupsRequest, ListGroupsResponse, UpdateGroupRequest,
};
use std::collections::BTreeSet;

/// Groups that one user may be in (IAM User Guide, "IAM and AWS STS quotas").
const MOST_GROUPS: usize = 10;

pub(crate) fn create(account: &Account<'_>, input: CreateGroupRequest) -> Result<GroupRecord, AwsError> {
    let record = GroupRecord {
        id: account.unique_id("AGPA"),
        path: input.path.unwrap_or_else(|| "/".to_owned()),
        created: account.now,
        grants: Grants::default(),
        members: BTreeSet::new(),
        name: input.group_name,
    };
    account.insert(&record)?;
    Ok(record)
}

pub(crate) fn get(account: &Account<'_>, input: &GetGroupRequest) -> Result<GetGroupResponse, AwsError> {
    let group = account.get::<GroupRecord>(&input.group_name)?;
    let members: Vec<UserRecord> =
        group.members.iter().map(|name| account.get::<UserRecord>(name)).collect::<Result<_, _>>()?;
    let page = page(members, |user| user.name.to_lowercase(), input.marker.as_deref(), input.max_items)?;
    Ok(GetGroupResponse {
        group: group.show(account),
        users: page.items.iter().map(|user| user.show_short(account)).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(crate) fn list(account: &Account<'_>, input: &ListGroupsRequest) -> Result<ListGroupsResponse, AwsError> {
    let mut groups = account.list::<GroupRecord>()?;
    groups.retain(|group| group.path.starts_with(input.path_prefix.as_deref().unwrap_or("/")));
    let page = page(groups, |group| group.name.to_lowercase(), input.marker.as_deref(), input.max_items)?;
    Ok(ListGroupsResponse {
        groups: page.items.iter().map(|group| group.show(account)).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

/// The groups that a user is in.
pub(crate) fn of_user(account: &Account<'_>, user: &str) -> Result<Vec<GroupRecord>, AwsError> {
    let mut groups = account.list::<GroupRecord>()?;
    groups.retain(|group| group.members.contains(user));
    Ok(groups)
}

pub(crate) fn list_for_user(
    account: &Account<'_>,
    user: &str,
    marker: Option<&str>,
    max_items: Option<i64>,
) -> Result<Page<GroupRecord>, AwsError> {
    let user = account.get::<UserRecord>(user)?.name;
    page(of_user(account, &user)?, |group| group.name.to_lowercase(), marker, max_items)
}

/// Puts a user into a group; one that is in it stays.
pub(crate) fn add_user(account: &Account<'_>, group: &str, user: &str) -> Result<(), AwsError> {
    let mut group = account.get::<GroupRecord>(group)?;
    let user = account.get::<UserRecord>(user)?.name;
    if !group.members.contains(&user) && of_user(account, &user)?.len() >= MOST_GROUPS {
        return Err(errors::quota("GroupsPerUser", MOST_GROUPS));
    }
    group.members.insert(user);
    account.put(&group)
}

pub(crate) fn remove_user(account: &Account<'_>, group: &str, user: &str) -> Result<(), AwsError> {
    let mut group = account.get::<GroupRecord>(group)?;
    group.members.remove(&account.get::<UserRecord>(user)?.name);
    account.put(&group)
}

pub(crate) fn update(account: &Account<'_>, input: UpdateGroupRequest) -> Result<(), AwsError> {
    let mut group = account.get::<GroupRecord>(&input.group_name)?;
    if let Some(path) = input.new_path {
        group.path = path;
    }
    match input.new_group_name.filter(|name| *name != group.name) {
        Some(name) => {
            account.remove::<GroupRecord>(&group.name)?;
            group.name = name;
            account.insert(&group)
        }
        None => account.put(&group),
    }
}

pub(crate) fn delete(account: &Account<'_>, name: &str) -> Result<(), AwsError> {
    let group = account.get::<GroupRecord>(name)?;
    if !group.members.is_empty() {
        return Err(errors::delete_conflict("remove users from group"));
    }
    grants::check_none(&group.grants)?;
    account.remove::<GroupRecord>(group.name())
}
