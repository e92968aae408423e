//! Changing stacks: UpdateStack, CancelUpdateStack, ContinueUpdateRollback, RollbackStack.

use super::capabilities::Transforms;
use super::proposal::{self, Wanted};
use super::request::{refuse, some, watches};
use super::{CloudFormation, deployment, invalid, policies, roles, template_url};
use crate::engine::{StackRecord, UpdateOrder, updatable};
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{
    CancelUpdateStackInput, ContinueUpdateRollbackInput, ContinueUpdateRollbackOutput, RollbackStackInput,
    RollbackStackOutput, UpdateStackInput, UpdateStackOutput, error,
};

/// The stack that an operation is about to change.
pub(super) async fn live(service: &CloudFormation, cx: &Context, name: &str) -> Result<StackRecord, AwsError> {
    let stack = service.find(&cx.scope, name).await?.filter(StackRecord::live);
    stack.ok_or_else(|| invalid(format!("Stack [{name}] does not exist")))
}

/// Whether the operation with this token is the one that the stack is in or was in last. `TokenAlreadyExistsException`
/// is for a token that belongs to another kind of operation, which the stack's own state tells: it is not needed here.
pub(super) fn repeated(stack: &StackRecord, token: Option<&String>) -> bool {
    token.is_some() && stack.token.as_ref() == token
}

pub(super) async fn update(
    service: &CloudFormation,
    cx: &Context,
    input: UpdateStackInput,
) -> Result<UpdateStackOutput, AwsError> {
    refuse(
        "UpdateStack",
        &[
            ("NotificationARNs", some(input.notification_ar_ns.as_ref())),
            ("RollbackConfiguration", watches(input.rollback_configuration.as_ref())),
            ("ResourceTypes", some(input.resource_types.as_ref())),
            ("DisableValidation", input.disable_validation == Some(true)),
        ],
    )?;
    let stack = live(service, cx, &input.stack_name).await?;
    let output = UpdateStackOutput { stack_id: Some(stack.id.clone()), ..UpdateStackOutput::default() };
    if repeated(&stack, input.client_request_token.as_ref()) {
        if stack.updated.is_some() {
            return Ok(output);
        }
        let text = format!("Token [{}] already exists", stack.token.unwrap_or_default());
        return Err(error::token_already_exists_exception(text));
    }
    if !updatable(stack.status) {
        return Err(invalid(format!("Stack:{} is in {} state and can not be updated.", stack.id, stack.status)));
    }
    let deployment = deployment::read(input.deployment_config, input.disable_rollback)?;
    let policy = policies::body(service, cx, input.stack_policy_body, input.stack_policy_url).await?;
    let policy_during_update =
        policies::body(service, cx, input.stack_policy_during_update_body, input.stack_policy_during_update_url)
            .await?;
    let wanted = Wanted {
        body: input.template_body,
        url: input.template_url,
        previous_template: input.use_previous_template,
        parameters: input.parameters,
        tags: input.tags,
        capabilities: input.capabilities.unwrap_or_default(),
        transforms: Transforms::Unseen,
    };
    let proposal = proposal::read(service, cx, &stack, wanted).await?;
    if proposal::compare(service, &stack, &proposal).await?.none() && policy.is_none() {
        return Err(invalid("No updates are to be performed."));
    }
    let (principal, role_arn) = roles::acting(service, cx, roles::of(input.role_arn, &stack)).await?;
    let order = UpdateOrder {
        plan: proposal.plan,
        body: proposal.body,
        tags: proposal.tags,
        capabilities: proposal.capabilities,
        on_failure: deployment.on_failure(),
        deployment,
        retain_except_on_create: input.retain_except_on_create == Some(true),
        token: input.client_request_token,
        principal,
        role_arn,
        executed: None,
        policy,
        policy_during_update,
        base: stack.operation,
    };
    service.engine.update(&stack.id, order).await?;
    Ok(output)
}

pub(super) async fn cancel(
    service: &CloudFormation,
    cx: &Context,
    input: CancelUpdateStackInput,
) -> Result<(), AwsError> {
    let stack = live(service, cx, &input.stack_name).await?;
    if repeated(&stack, input.client_request_token.as_ref()) && !updatable(stack.status) {
        return Ok(());
    }
    service.engine.cancel_update(&stack.id, input.client_request_token).await
}

pub(super) async fn continue_rollback(
    service: &CloudFormation,
    cx: &Context,
    input: ContinueUpdateRollbackInput,
) -> Result<ContinueUpdateRollbackOutput, AwsError> {
    refuse("ContinueUpdateRollback", &[("ForceRollback", input.force_rollback == Some(true))])?;
    let stack = live(service, cx, &input.stack_name).await?;
    if !repeated(&stack, input.client_request_token.as_ref()) {
        roles::hand_over(service, cx, &stack, input.role_arn).await?;
        let skip = input.resources_to_skip.into_iter().flatten().collect();
        service.engine.continue_rollback(&stack.id, skip, input.client_request_token).await?;
    }
    Ok(ContinueUpdateRollbackOutput {})
}

pub(super) async fn roll_back(
    service: &CloudFormation,
    cx: &Context,
    input: RollbackStackInput,
) -> Result<RollbackStackOutput, AwsError> {
    let stack = live(service, cx, &input.stack_name).await?;
    let output = RollbackStackOutput { stack_id: Some(stack.id.clone()), ..RollbackStackOutput::default() };
    if !repeated(&stack, input.client_request_token.as_ref()) {
        roles::hand_over(service, cx, &stack, input.role_arn).await?;
        let retain = input.retain_except_on_create == Some(true);
        service.engine.roll_back(&stack.id, input.client_request_token, retain).await?;
    }
    Ok(output)
}

/// The text behind a URL of a policy.
pub(super) async fn at_url(service: &CloudFormation, cx: &Context, url: &str) -> Result<String, AwsError> {
    template_url::read(service, cx, url).await
}
