//! The network as other services ask for it.

use crate::Ec2Service;
use crate::security_groups::GroupRecord;
use crate::subnets::SubnetRecord;
use async_trait::async_trait;
use barge_core::ports::NetworkDirectory;
use barge_core::{AwsError, Scope};

#[async_trait]
impl NetworkDirectory for Ec2Service {
    async fn vpc_of_subnet(&self, scope: &Scope, subnet: &str) -> Result<String, AwsError> {
        let subnet = subnet.to_owned();
        self.read(&self.inside(scope), move |net| Ok(net.get::<SubnetRecord>(&subnet)?.vpc)).await
    }

    async fn vpc_of_security_group(&self, scope: &Scope, group: &str) -> Result<String, AwsError> {
        let group = group.to_owned();
        self.read(&self.inside(scope), move |net| Ok(net.get::<GroupRecord>(&group)?.vpc)).await
    }
}
