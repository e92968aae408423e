//! On whose behalf a stack's resources are made: the caller's, or a role's that the request or the stack names.

use super::{CloudFormation, invalid};
use crate::engine::{Setting, StackRecord};
use barge_core::{Arn, AwsError, Context, Principal};
use std::time::Duration;

/// How long a session of CloudFormation's lasts; only who it stands for matters here.
const SESSION: Duration = Duration::from_hours(1);

/// Whom an operation acts for, and the role's ARN where it is one. `ValidationError` where the role can't be assumed.
pub(super) async fn acting(
    service: &CloudFormation,
    cx: &Context,
    role: Option<String>,
) -> Result<(Principal, Option<String>), AwsError> {
    let Some(role) = role else { return Ok((cx.principal.clone(), None)) };
    let wrong = || invalid(format!("Role {role} is invalid or cannot be assumed"));
    let arn: Arn = role.parse().map_err(|_| wrong())?;
    if arn.account != cx.scope.account.as_str() {
        return Err(invalid("Cross-account pass role is not allowed."));
    }
    let credentials = service.ports.credentials.issue(&arn, "AWSCloudFormation", SESSION).await.map_err(|_| wrong())?;
    let key = service.ports.keys.access_key(&credentials.access_key_id).ok_or_else(wrong)?;
    Ok((key.principal, Some(role)))
}

/// The role for an operation on a stack: the request's, or the one that the stack had last.
pub(super) fn of(given: Option<String>, stack: &StackRecord) -> Option<String> {
    given.or_else(|| stack.role_arn.clone())
}

/// Has a stack act for the role that a request names from now on.
pub(super) async fn hand_over(
    service: &CloudFormation,
    cx: &Context,
    stack: &StackRecord,
    given: Option<String>,
) -> Result<(), AwsError> {
    if given.is_none() {
        return Ok(());
    }
    let (principal, role) = acting(service, cx, given).await?;
    service.engine.set(&stack.id, Setting::Role(principal, role)).await
}
