//! EC2's network as other services need it.

use crate::{AwsError, Scope};
use async_trait::async_trait;

/// Tells where things of the network are.
#[async_trait]
pub trait NetworkDirectory: Send + Sync {
    /// The id of the VPC that a subnet is in, or `InvalidSubnetID.NotFound`.
    async fn vpc_of_subnet(&self, scope: &Scope, subnet: &str) -> Result<String, AwsError>;

    /// The id of the VPC that a security group is in, or `InvalidGroup.NotFound`.
    async fn vpc_of_security_group(&self, scope: &Scope, group: &str) -> Result<String, AwsError>;
}
