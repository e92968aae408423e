//! IAM's resource types for templates, one file each. Names and ids follow from the creation's token, and each creation
//! is one transaction: a repeated one finds what the first made.

mod access_key;
mod grants;
mod group;
mod group_members;
mod instance_profile;
mod managed_policy;
mod policy;
mod properties;
mod role;
mod user;

use crate::IamService;
use barge_core::resource::ResourceProvider;
use std::sync::Arc;

/// A provider for each of IAM's resource types.
pub fn resources(service: &Arc<IamService>) -> Vec<Arc<dyn ResourceProvider>> {
    vec![
        Arc::new(role::Role(Arc::clone(service))),
        Arc::new(policy::Policy(Arc::clone(service))),
        Arc::new(managed_policy::ManagedPolicy(Arc::clone(service))),
        Arc::new(instance_profile::InstanceProfile(Arc::clone(service))),
        Arc::new(user::User(Arc::clone(service))),
        Arc::new(group::Group(Arc::clone(service))),
        Arc::new(group_members::GroupMembers(Arc::clone(service))),
        Arc::new(access_key::AccessKey(Arc::clone(service))),
    ]
}

#[cfg(test)]
mod tests;
