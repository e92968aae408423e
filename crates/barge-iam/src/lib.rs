//! IAM and STS: roles, users, policies, instance profiles, access keys, temporary credentials.
//!
//! IAM knows accounts and no regions. Policies are checked for their form and stored; nothing here decides what a
//! principal may do. Each operation is a function from an `account::Account` (one account's tables inside one
//! transaction) and an input to an output; `service` runs them in the store and `sts` issues credentials.

mod access_keys;
mod account;
mod errors;
mod grants;
mod groups;
mod key_ring;
mod managed_policies;
mod paging;
mod policy_document;
mod policy_versions;
mod profiles;
mod records;
mod resources;
mod roles;
mod root_key;
mod service;
mod sessions;
mod sts;
mod tags;
#[cfg(test)]
mod testing;
mod users;

pub use resources::resources;
pub use root_key::{RootKey, RootKeyError};
pub use service::IamService;
