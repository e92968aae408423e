//! The kinds of records: their ids' prefixes, their names in tags, and the words in which EC2 misses them.

use barge_core::AwsError;

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Address,
    InternetGateway,
    LaunchTemplate,
    NatGateway,
    NetworkAcl,
    NetworkInterface,
    RouteTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
    VpcEndpoint,
}

impl Kind {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Address,
        Self::InternetGateway,
        Self::LaunchTemplate,
        Self::NatGateway,
        Self::NetworkAcl,
        Self::NetworkInterface,
        Self::RouteTable,
        Self::SecurityGroup,
        Self::SecurityGroupRule,
        Self::Subnet,
        Self::Vpc,
        Self::VpcEndpoint,
    ];

    /// What ids begin with, before the hyphen.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Address => "eipalloc",
            Self::InternetGateway => "igw",
            Self::LaunchTemplate => "lt",
            Self::NatGateway => "nat",
            Self::NetworkAcl => "acl",
            Self::NetworkInterface => "eni",
            Self::RouteTable => "rtb",
            Self::SecurityGroup => "sg",
            Self::SecurityGroupRule => "sgr",
            Self::Subnet => "subnet",
            Self::Vpc => "vpc",
            Self::VpcEndpoint => "vpce",
        }
    }

    /// The name in tag specifications and DescribeTags (EC2 API Reference, "TagSpecification").
    pub(crate) const fn resource_type(self) -> &'static str {
        match self {
            Self::Address => "elastic-ip",
            Self::InternetGateway => "internet-gateway",
            Self::LaunchTemplate => "launch-template",
            Self::NatGateway => "natgateway",
            Self::NetworkAcl => "network-acl",
            Self::NetworkInterface => "network-interface",
            Self::RouteTable => "route-table",
            Self::SecurityGroup => "security-group",
            Self::SecurityGroupRule => "security-group-rule",
            Self::Subnet => "subnet",
            Self::Vpc => "vpc",
            Self::VpcEndpoint => "vpc-endpoint",
        }
    }

    /// The kind that an id's prefix says.
    pub(crate) fn of_id(id: &str) -> Option<Self> {
        let (prefix, _) = id.split_once('-')?;
        Self::ALL.iter().copied().find(|kind| kind.prefix() == prefix)
    }

    /// The error for an id that names nothing (EC2 User Guide, "Error codes for the Amazon EC2 API").
    pub(crate) fn missing(self, id: &str) -> AwsError {
        let (code, message) = match self {
            Self::Address => ("InvalidAllocationID.NotFound", format!("The allocation ID '{id}' does not exist")),
            Self::InternetGateway => {
                ("InvalidInternetGatewayID.NotFound", format!("The internetGateway ID '{id}' does not exist"))
            }
            Self::LaunchTemplate => (
                "InvalidLaunchTemplateId.NotFound",
                format!("The specified launch template, with template ID {id}, does not exist."),
            ),
            Self::NatGateway => ("NatGatewayNotFound", format!("The Nat Gateway {id} was not found")),
            Self::NetworkAcl => ("InvalidNetworkAclID.NotFound", format!("The networkAcl ID '{id}' does not exist")),
            Self::NetworkInterface => {
                ("InvalidNetworkInterfaceID.NotFound", format!("The networkInterface ID '{id}' does not exist"))
            }
            Self::RouteTable => ("InvalidRouteTableID.NotFound", format!("The routeTable ID '{id}' does not exist")),
            Self::SecurityGroup => ("InvalidGroup.NotFound", format!("The security group '{id}' does not exist")),
            Self::SecurityGroupRule => {
                ("InvalidSecurityGroupRuleId.NotFound", format!("The security group rule ID '{id}' does not exist"))
            }
            Self::Subnet => ("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist")),
            Self::Vpc => ("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist")),
            Self::VpcEndpoint => {
                ("InvalidVpcEndpointId.NotFound", format!("The Vpc Endpoint Id '{id}' does not exist"))
            }
        };
        AwsError::new(code, 400, message)
    }
}

/// Whether an error says that something named in a request is not there.
pub(crate) fn is_missing(error: &AwsError) -> bool {
    error.code.ends_with("NotFound")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_kind() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_id(&format!("{}-0123", kind.prefix())), Some(*kind));
            assert!(is_missing(&kind.missing("x")));
        }
        assert_eq!(Kind::of_id("i-0123"), None);
        assert_eq!(Kind::of_id("vpc"), None);
    }
}
