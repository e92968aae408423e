//! The subnets and security groups that a function names (Lambda Developer Guide, "Giving Lambda functions access to resources in
//! an Amazon VPC"). They are checked and shown; a function's network is the host's.

use barge_core::ports::NetworkDirectory;
use barge_core::{AwsError, Scope};
use barge_wire::lambda::{VpcConfig, VpcConfigResponse, error};
use serde::{Deserialize, Serialize};

/// Where a function is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    vpc: String,
    subnets: Vec<String>,
    security_groups: Vec<String>,
    ipv6_allowed: bool,
}

impl Place {
    /// Whether a request names anything of a network.
    pub(crate) fn is_asked_for(config: &VpcConfig) -> bool {
        [&config.subnet_ids, &config.security_group_ids].into_iter().flatten().any(|ids| !ids.is_empty())
    }

    /// The place that a request asks for; `None` where it asks for none.
    ///
    /// # Errors
    /// `InvalidParameterValueException` where something of it is not there, or is elsewhere than the rest.
    pub(crate) async fn of(
        config: &VpcConfig,
        scope: &Scope,
        network: &dyn NetworkDirectory,
    ) -> Result<Option<Self>, AwsError> {
        let subnets = config.subnet_ids.clone().unwrap_or_default();
        let security_groups = config.security_group_ids.clone().unwrap_or_default();
        if subnets.is_empty() != security_groups.is_empty() {
            return Err(invalid("SubnetIds and SecurityIds must coexist or be both empty list."));
        }
        let mut vpcs = Vec::new();
        for subnet in &subnets {
            let found = network.vpc_of_subnet(scope, subnet).await;
            vpcs.push(found.map_err(|refused| relayed("DescribeSubnets", &refused))?);
        }
        for group in &security_groups {
            let found = network.vpc_of_security_group(scope, group).await;
            vpcs.push(found.map_err(|refused| relayed("DescribeSecurityGroups", &refused))?);
        }
        vpcs.dedup();
        match vpcs.pop() {
            None => Ok(None),
            Some(vpc) if vpcs.is_empty() => {
                let ipv6_allowed = config.ipv6_allowed_for_dual_stack.unwrap_or(false);
                Ok(Some(Self { vpc, subnets, security_groups, ipv6_allowed }))
            }
            Some(_) => Err(invalid("Subnets and security groups must be in the same VPC.")),
        }
    }

    /// The place as the API shows it.
    pub(crate) fn shown(&self) -> VpcConfigResponse {
        VpcConfigResponse {
            vpc_id: Some(self.vpc.clone()),
            subnet_ids: Some(self.subnets.clone()),
            security_group_ids: Some(self.security_groups.clone()),
            ipv6_allowed_for_dual_stack: Some(self.ipv6_allowed),
        }
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    error::invalid_parameter_value_exception(message.into())
}

fn relayed(operation: &str, refused: &AwsError) -> AwsError {
    let AwsError { code, message, .. } = refused;
    invalid(format!("Error occurred while {operation}. EC2 Error Code: {code}. EC2 Error Message: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;

    /// Ids are `KIND-VPC`; those of the VPC `gone` are not there.
    struct Named;

    impl Named {
        fn vpc(id: &str) -> Result<String, AwsError> {
            match id.split_once('-') {
                Some((_, "gone")) | None => Err(AwsError::new("NotFound", 400, format!("no {id}"))),
                Some((_, vpc)) => Ok(format!("vpc-{vpc}")),
            }
        }
    }

    #[async_trait]
    impl NetworkDirectory for Named {
        async fn vpc_of_subnet(&self, _: &Scope, subnet: &str) -> Result<String, AwsError> {
            Self::vpc(subnet)
        }

        async fn vpc_of_security_group(&self, _: &Scope, group: &str) -> Result<String, AwsError> {
            Self::vpc(group)
        }
    }

    async fn place(subnets: &[&str], groups: &[&str]) -> Result<Option<Place>, AwsError> {
        let owned = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect());
        let config =
            VpcConfig { subnet_ids: owned(subnets), security_group_ids: owned(groups), ..VpcConfig::default() };
        Place::of(&config, &Scope::default(), &Named).await
    }

    #[tokio::test]
    async fn a_place_is_in_one_vpc() {
        assert_eq!(place(&[], &[]).await.unwrap(), None);
        let shown = place(&["subnet-1", "subnet-1"], &["sg-1"]).await.unwrap().unwrap().shown();
        assert_eq!(shown.vpc_id.as_deref(), Some("vpc-1"));
        for (subnets, groups, word) in [
            (&["subnet-1"][..], &[][..], "must coexist"),
            (&["subnet-1"], &["sg-2"], "same VPC"),
            (
                &["subnet-gone"],
                &["sg-1"],
                "DescribeSubnets. EC2 Error Code: NotFound. EC2 Error Message: no subnet-gone",
            ),
            (&["subnet-1"], &["sg-gone"], "DescribeSecurityGroups"),
        ] {
            let error = place(subnets, groups).await.unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
    }
}
