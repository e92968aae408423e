//! What is kept of each role, user, group, managed policy and instance profile, and how the API shows it.

use crate::account::{Account, Record};
use barge_core::{AwsError, Timestamp};
use barge_wire::iam::{
    AttachedPermissionsBoundary, Group, InstanceProfile, PermissionsBoundaryAttachmentType, Policy, PolicyVersion,
    Role, Tag, User, error,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A session of a role lasts an hour at most where the role does not say otherwise, in seconds.
pub(crate) const DEFAULT_SESSION_SECONDS: i64 = 3600;

/// The policies of a role, user or group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Grants {
    /// Documents by policy name.
    pub(crate) inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub(crate) attached: BTreeSet<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RoleRecord {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) created: Timestamp,
    pub(crate) trust: String,
    pub(crate) description: Option<String>,
    pub(crate) max_session_seconds: i64,
    pub(crate) boundary: Option<String>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) grants: Grants,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) created: Timestamp,
    pub(crate) boundary: Option<String>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) grants: Grants,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) created: Timestamp,
    pub(crate) grants: Grants,
    /// Names of users.
    pub(crate) members: BTreeSet<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) document: String,
    pub(crate) created: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<Tag>,
    /// In the order in which they were made.
    pub(crate) versions: Vec<Version>,
    pub(crate) default_version: u32,
    /// The next version's number; numbers are never given twice.
    pub(crate) next_version: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProfileRecord {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) created: Timestamp,
    pub(crate) role: Option<String>,
    pub(crate) tags: Vec<Tag>,
}

/// A record that can be tagged.
pub(crate) trait Tagged: Record {
    fn tags(&mut self) -> &mut Vec<Tag>;
}

/// A record that holds policies.
pub(crate) trait Holder: Record {
    /// The word for it in names of quotas, e.g. `Role`.
    const TITLE: &'static str;
    /// Most bytes of inline documents together, whitespace not counted (IAM User Guide, "IAM and AWS STS quotas").
    const INLINE_BYTES: usize;
    fn grants(&mut self) -> &mut Grants;
    fn path(&self) -> &str;
    fn boundary(&self) -> Option<&str>;
}

macro_rules! record {
    ($type:ty, $kind:literal, $missing:literal, $exists:literal) => {
        impl Record for $type {
            const KIND: &'static str = $kind;

            fn name(&self) -> &str {
                &self.name
            }

            fn missing(name: &str) -> AwsError {
                error::no_such_entity_exception(format!($missing, name))
            }

            fn exists(name: &str) -> AwsError {
                error::entity_already_exists_exception(format!($exists, name))
            }
        }

        impl Tagged for $type {
            fn tags(&mut self) -> &mut Vec<Tag> {
                &mut self.tags
            }
        }
    };
}

record!(RoleRecord, "role", "The role with name {} cannot be found.", "Role with name {} already exists.");
record!(UserRecord, "user", "The user with name {} cannot be found.", "User with name {} already exists.");
record!(
    PolicyRecord,
    "policy",
    "Policy {} was not found.",
    "A policy called {} already exists. Duplicate names are not allowed."
);
record!(ProfileRecord, "profile", "Instance Profile {} cannot be found.", "Instance Profile {} already exists.");

macro_rules! holder {
    ($type:ty, $title:literal, $bytes:literal) => {
        impl Holder for $type {
            const TITLE: &'static str = $title;
            const INLINE_BYTES: usize = $bytes;

            fn grants(&mut self) -> &mut Grants {
                &mut self.grants
            }

            fn path(&self) -> &str {
                &self.path
            }

            fn boundary(&self) -> Option<&str> {
                self.boundary.as_deref()
            }
        }
    };
}

holder!(RoleRecord, "Role", 10_240);
holder!(UserRecord, "User", 2_048);

impl Record for GroupRecord {
    const KIND: &'static str = "group";

    fn name(&self) -> &str {
        &self.name
    }

    fn missing(name: &str) -> AwsError {
        error::no_such_entity_exception(format!("The group with name {name} cannot be found."))
    }

    fn exists(name: &str) -> AwsError {
        error::entity_already_exists_exception(format!("Group with name {name} already exists."))
    }
}

impl Holder for GroupRecord {
    const TITLE: &'static str = "Group";
    const INLINE_BYTES: usize = 5_120;

    fn grants(&mut self) -> &mut Grants {
        &mut self.grants
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn boundary(&self) -> Option<&str> {
        None
    }
}

impl GroupRecord {
    pub(crate) fn arn(&self, account: &Account<'_>) -> String {
        account.arn(&format!("group{}{}", self.path, self.name))
    }

    pub(crate) fn show(&self, account: &Account<'_>) -> Group {
        Group {
            path: self.path.clone(),
            group_name: self.name.clone(),
            group_id: self.id.clone(),
            arn: self.arn(account),
            create_date: self.created,
        }
    }
}

impl RoleRecord {
    pub(crate) fn arn(&self, account: &Account<'_>) -> String {
        account.arn(&format!("role{}{}", self.path, self.name))
    }

    /// Everything, as GetRole and CreateRole show it.
    pub(crate) fn show(&self, account: &Account<'_>) -> Role {
        Role {
            permissions_boundary: self.boundary.clone().map(boundary),
            tags: shown_tags(&self.tags),
            description: self.description.clone(),
            ..self.show_short(account)
        }
    }

    /// Without tags and boundary, as lists show it (IAM API Reference, "ListRoles").
    pub(crate) fn show_short(&self, account: &Account<'_>) -> Role {
        Role {
            path: self.path.clone(),
            role_name: self.name.clone(),
            role_id: self.id.clone(),
            arn: self.arn(account),
            create_date: self.created,
            assume_role_policy_document: Some(url_encoded(&self.trust)),
            description: self.description.clone(),
            max_session_duration: Some(self.max_session_seconds),
            ..Role::default()
        }
    }
}

impl UserRecord {
    pub(crate) fn arn(&self, account: &Account<'_>) -> String {
        account.arn(&format!("user{}{}", self.path, self.name))
    }

    pub(crate) fn show(&self, account: &Account<'_>) -> User {
        User {
            permissions_boundary: self.boundary.clone().map(boundary),
            tags: shown_tags(&self.tags),
            ..self.show_short(account)
        }
    }

    pub(crate) fn show_short(&self, account: &Account<'_>) -> User {
        User {
            path: self.path.clone(),
            user_name: self.name.clone(),
            user_id: self.id.clone(),
            arn: self.arn(account),
            create_date: self.created,
            ..User::default()
        }
    }
}

impl PolicyRecord {
    pub(crate) fn arn(&self, account: &Account<'_>) -> String {
        account.arn(&format!("policy{}{}", self.path, self.name))
    }

    pub(crate) fn show(&self, account: &Account<'_>) -> Result<Policy, AwsError> {
        let usage = crate::managed_policies::usage(account, &self.arn(account))?;
        Ok(Policy {
            policy_name: Some(self.name.clone()),
            policy_id: Some(self.id.clone()),
            arn: Some(self.arn(account)),
            path: Some(self.path.clone()),
            default_version_id: Some(format!("v{}", self.default_version)),
            attachment_count: Some(usage.attached),
            permissions_boundary_usage_count: Some(usage.boundaries),
            is_attachable: Some(true),
            description: self.description.clone(),
            create_date: Some(self.created),
            update_date: Some(self.updated),
            tags: shown_tags(&self.tags),
        })
    }

    pub(crate) fn show_version(&self, version: &Version) -> PolicyVersion {
        PolicyVersion {
            document: Some(url_encoded(&version.document)),
            version_id: Some(format!("v{}", version.number)),
            is_default_version: Some(version.number == self.default_version),
            create_date: Some(version.created),
        }
    }
}

impl ProfileRecord {
    pub(crate) fn arn(&self, account: &Account<'_>) -> String {
        account.arn(&format!("instance-profile{}{}", self.path, self.name))
    }

    pub(crate) fn show(&self, account: &Account<'_>) -> Result<InstanceProfile, AwsError> {
        let role = self.role.as_deref().map(|name| account.get::<RoleRecord>(name)).transpose()?;
        Ok(InstanceProfile {
            path: self.path.clone(),
            instance_profile_name: self.name.clone(),
            instance_profile_id: self.id.clone(),
            arn: self.arn(account),
            create_date: self.created,
            roles: role.iter().map(|role| role.show_short(account)).collect(),
            tags: shown_tags(&self.tags),
        })
    }
}

fn boundary(arn: String) -> AttachedPermissionsBoundary {
    AttachedPermissionsBoundary {
        permissions_boundary_type: Some(PermissionsBoundaryAttachmentType::PermissionsBoundaryPolicy),
        permissions_boundary_arn: Some(arn),
    }
}

fn shown_tags(tags: &[Tag]) -> Option<Vec<Tag>> {
    (!tags.is_empty()).then(|| tags.to_vec())
}

/// A document as IAM returns it: percent-encoded as RFC 3986 says.
pub(crate) fn url_encoded(document: &str) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(document, ENCODED).to_string()
}
