//! The four operations that change rules. Their requests differ in members, not in meaning.

use crate::kind::Kind;
use crate::network::Network;
use crate::security_group_rules::{Direction, authorize, requested, revoke, revoke_by_id};
use crate::security_groups;
use crate::tags;
use barge_core::AwsError;
use barge_wire::ec2::{
    AuthorizeSecurityGroupEgressRequest, AuthorizeSecurityGroupEgressResult, AuthorizeSecurityGroupIngressRequest,
    AuthorizeSecurityGroupIngressResult, RevokeSecurityGroupEgressRequest, RevokeSecurityGroupEgressResult,
    RevokeSecurityGroupIngressRequest, RevokeSecurityGroupIngressResult,
};

pub(crate) fn authorize_ingress(
    net: &Network<'_>,
    input: AuthorizeSecurityGroupIngressRequest,
) -> Result<AuthorizeSecurityGroupIngressResult, AwsError> {
    let group = security_groups::resolve(net, input.group_id.as_deref(), input.group_name.as_deref())?;
    let ports = (input.from_port, input.to_port);
    let permissions = requested(input.ip_permissions, input.ip_protocol, ports, input.cidr_ip)?;
    let tags = tags::specified(input.tag_specifications, Kind::SecurityGroupRule)?;
    let rules = authorize(net, &group, Direction::Ingress, &permissions, &tags)?;
    Ok(AuthorizeSecurityGroupIngressResult { r#return: Some(true), security_group_rules: Some(rules) })
}

pub(crate) fn authorize_egress(
    net: &Network<'_>,
    input: AuthorizeSecurityGroupEgressRequest,
) -> Result<AuthorizeSecurityGroupEgressResult, AwsError> {
    let group = net.get(&input.group_id)?;
    let ports = (input.from_port, input.to_port);
    let permissions = requested(input.ip_permissions, input.ip_protocol, ports, input.cidr_ip)?;
    let tags = tags::specified(input.tag_specifications, Kind::SecurityGroupRule)?;
    let rules = authorize(net, &group, Direction::Egress, &permissions, &tags)?;
    Ok(AuthorizeSecurityGroupEgressResult { r#return: Some(true), security_group_rules: Some(rules) })
}

pub(crate) fn revoke_ingress(
    net: &Network<'_>,
    input: RevokeSecurityGroupIngressRequest,
) -> Result<RevokeSecurityGroupIngressResult, AwsError> {
    let group = security_groups::resolve(net, input.group_id.as_deref(), input.group_name.as_deref())?;
    let revoked = if let Some(ids) = input.security_group_rule_ids.filter(|ids| !ids.is_empty()) {
        revoke_by_id(net, &group, Direction::Ingress, &ids)?
    } else {
        let ports = (input.from_port, input.to_port);
        let permissions = requested(input.ip_permissions, input.ip_protocol, ports, input.cidr_ip)?;
        revoke(net, &group, Direction::Ingress, &permissions)?
    };
    Ok(RevokeSecurityGroupIngressResult {
        r#return: Some(true),
        unknown_ip_permissions: Some(revoked.unknown),
        revoked_security_group_rules: Some(revoked.rules),
    })
}

pub(crate) fn revoke_egress(
    net: &Network<'_>,
    input: RevokeSecurityGroupEgressRequest,
) -> Result<RevokeSecurityGroupEgressResult, AwsError> {
    let group = net.get(&input.group_id)?;
    let revoked = if let Some(ids) = input.security_group_rule_ids.filter(|ids| !ids.is_empty()) {
        revoke_by_id(net, &group, Direction::Egress, &ids)?
    } else {
        let ports = (input.from_port, input.to_port);
        let permissions = requested(input.ip_permissions, input.ip_protocol, ports, input.cidr_ip)?;
        revoke(net, &group, Direction::Egress, &permissions)?
    };
    Ok(RevokeSecurityGroupEgressResult {
        r#return: Some(true),
        unknown_ip_permissions: Some(revoked.unknown),
        revoked_security_group_rules: Some(revoked.rules),
    })
}
