//! Stack policies: SetStackPolicy, GetStackPolicy, and reading policies out of other requests.

use super::{CloudFormation, invalid, updates};
use crate::engine::{Setting, StackPolicy};
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{GetStackPolicyInput, GetStackPolicyOutput, SetStackPolicyInput};

/// A policy from its two members, checked.
pub(super) async fn body(
    service: &CloudFormation,
    cx: &Context,
    body: Option<String>,
    url: Option<String>,
) -> Result<Option<String>, AwsError> {
    let text = match (body, url) {
        (Some(_), Some(_)) => {
            return Err(invalid("You cannot specify both StackPolicyURL and StackPolicyBody"));
        }
        (body, None) => body,
        (None, Some(url)) => Some(updates::at_url(service, cx, &url).await?),
    };
    if let Some(text) = &text {
        StackPolicy::parse(text).map_err(invalid)?;
    }
    Ok(text)
}

pub(super) async fn set(service: &CloudFormation, cx: &Context, input: SetStackPolicyInput) -> Result<(), AwsError> {
    let stack = updates::live(service, cx, &input.stack_name).await?;
    let policy = body(service, cx, input.stack_policy_body, input.stack_policy_url).await?;
    let policy = policy.ok_or_else(|| invalid("You must specify either StackPolicyURL or StackPolicyBody"))?;
    service.engine.set(&stack.id, Setting::Policy(policy)).await
}

pub(super) async fn get(
    service: &CloudFormation,
    cx: &Context,
    input: GetStackPolicyInput,
) -> Result<GetStackPolicyOutput, AwsError> {
    let stack = updates::live(service, cx, &input.stack_name).await?;
    Ok(GetStackPolicyOutput { stack_policy_body: stack.policy })
}
