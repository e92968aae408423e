//! The parameter store as other services need it.

use crate::{AwsError, Scope};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};

/// Reads named values.
#[async_trait]
pub trait ParameterStore: Send + Sync {
    /// The values of those of `names` that there are; lists are texts parted by commas. A name may have a version after
    /// it (`/a/b:3`).
    async fn values(&self, scope: &Scope, names: &BTreeSet<String>) -> Result<BTreeMap<String, String>, AwsError>;
}
