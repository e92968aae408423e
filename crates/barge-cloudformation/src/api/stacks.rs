//! Stacks: CreateStack, DescribeStacks, ListStacks, DeleteStack, UpdateTerminationProtection.

use super::capabilities::Transforms;
use super::request::{self, refuse, some, watches};
use super::{CloudFormation, capabilities, deployment, drift, invalid, pages, policies, proposal, roles};
use crate::engine::{self, Deployment, Detection, OnFailure, Setting, StackRecord};
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{
    self as wire, Capability, CreateStackInput, CreateStackOutput, DeleteStackInput, DescribeStacksInput,
    DescribeStacksOutput, ListStacksInput, ListStacksOutput, StackStatus, StackSummary,
    UpdateTerminationProtectionInput, UpdateTerminationProtectionOutput,
};
use std::collections::{BTreeMap, BTreeSet};

/// A stack's settings, before there is anything of it.
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) capabilities: Vec<Capability>,
    pub(super) on_failure: OnFailure,
    pub(super) token: Option<String>,
}

/// The record of a stack that nothing was done about yet.
pub(super) fn blank(service: &CloudFormation, cx: &Context, settings: Settings) -> StackRecord {
    let ambient = service.engine.ambient();
    let Settings { name, tags, capabilities, on_failure, token } = settings;
    let now = ambient.clock.now();
    StackRecord {
        id: cx.scope.arn("cloudformation", format!("stack/{name}/{}", ambient.ids.uuid())).to_string(),
        capabilities: capabilities.iter().map(|capability| capability.as_str().to_owned()).collect(),
        tags,
        on_failure,
        creation_token: token.clone(),
        token,
        created: now,
        started: now,
        ..StackRecord::blank(name, cx.scope.clone(), cx.principal.clone())
    }
}

/// What a failed creation leads to, from the members that say it.
fn on_failure(deployment: Deployment, chosen: Option<wire::OnFailure>) -> Result<OnFailure, AwsError> {
    match (deployment.rollback_disabled, chosen) {
        (Some(_), Some(_)) => Err(invalid("You can specify either DisableRollback or OnFailure, but not both")),
        (_, None) => Ok(deployment.on_failure()),
        (None, Some(wire::OnFailure::DoNothing)) => Ok(OnFailure::DoNothing),
        (None, Some(wire::OnFailure::Delete)) => Ok(OnFailure::Delete),
        (None, Some(wire::OnFailure::Rollback)) => Ok(OnFailure::Rollback),
    }
}

pub(super) async fn create(
    service: &CloudFormation,
    cx: &Context,
    input: CreateStackInput,
) -> Result<CreateStackOutput, AwsError> {
    request::stack_name(&input.stack_name)?;
    refuse(
        "CreateStack",
        &[
            ("NotificationARNs", some(input.notification_ar_ns.as_ref())),
            ("RollbackConfiguration", watches(input.rollback_configuration.as_ref())),
            ("ResourceTypes", some(input.resource_types.as_ref())),
            ("DisableValidation", input.disable_validation == Some(true)),
        ],
    )?;
    let deployment = deployment::read(input.deployment_config, input.disable_rollback)?;
    let on_failure = on_failure(deployment, input.on_failure)?;
    if let Some(existing) = service.find(&cx.scope, &input.stack_name).await? {
        if input.client_request_token.is_some() && existing.creation_token == input.client_request_token {
            return Ok(CreateStackOutput { stack_id: Some(existing.id), ..CreateStackOutput::default() });
        }
        let text = format!("Stack [{}] already exists", input.stack_name);
        return Err(wire::error::already_exists_exception(text));
    }
    let settings = Settings {
        name: input.stack_name,
        tags: request::tags(input.tags)?,
        capabilities: input.capabilities.unwrap_or_default(),
        on_failure,
        token: input.client_request_token,
    };
    let given = settings.capabilities.clone();
    let mut stack = blank(service, cx, settings);
    stack.deployment = deployment;
    stack.timeout_minutes = input.timeout_in_minutes;
    stack.retain_except_on_create = input.retain_except_on_create == Some(true);
    stack.termination_protection = input.enable_termination_protection == Some(true);
    (stack.principal, stack.role_arn) = roles::acting(service, cx, input.role_arn).await?;
    stack.policy = policies::body(service, cx, input.stack_policy_body, input.stack_policy_url).await?;
    let body = request::template(service, cx, input.template_body, input.template_url).await?;
    let parameters = request::parameters(input.parameters, &BTreeMap::new())?;
    let plan = proposal::plan(service, &stack, &body, parameters).await?;
    capabilities::check(&plan.template, &given, Transforms::Unseen)?;
    stack.description.clone_from(&plan.template.description);
    let id = stack.id.clone();
    service.engine.create(stack, plan, body, None).await?;
    Ok(CreateStackOutput { stack_id: Some(id), ..CreateStackOutput::default() })
}

pub(super) async fn describe(
    service: &CloudFormation,
    cx: &Context,
    input: DescribeStacksInput,
) -> Result<DescribeStacksOutput, AwsError> {
    let (stacks, next_token) = if let Some(name) = input.stack_name.filter(|name| !name.is_empty()) {
        (vec![service.settling(&cx.scope, &name).await?], None)
    } else {
        let scope = cx.scope.clone();
        let mut stacks = service.engine.store().read(move |db| engine::stacks(db, &scope)).await?;
        stacks.retain(StackRecord::live);
        pages::page(stacks, input.next_token.as_deref())?
    };
    let mut answer = Vec::with_capacity(stacks.len());
    for stack in stacks {
        let detection = drift::of_stack(service, &stack.id).await?;
        answer.push(described(stack, detection.as_ref()));
    }
    Ok(DescribeStacksOutput { stacks: Some(answer), next_token })
}

fn described(stack: StackRecord, detection: Option<&Detection>) -> wire::Stack {
    let parameters: Vec<wire::Parameter> = stack
        .parameters
        .into_iter()
        .map(|(key, parameter)| proposal::shown_parameter(key, parameter.text, parameter.resolved, parameter.no_echo))
        .collect();
    let outputs: Vec<wire::Output> = stack
        .outputs
        .into_iter()
        .map(|output| wire::Output {
            output_key: Some(output.key),
            output_value: Some(output.value),
            description: output.description,
            export_name: output.export,
        })
        .collect();
    wire::Stack {
        stack_id: Some(stack.id),
        stack_name: stack.name,
        change_set_id: stack.change_set,
        description: stack.description,
        parameters: Some(parameters).filter(|list| !list.is_empty()),
        creation_time: stack.created,
        deletion_time: stack.deleted,
        last_updated_time: stack.updated,
        parent_id: stack.parent.as_ref().map(|parent| parent.id.clone()),
        root_id: stack.parent.map(|parent| parent.root),
        rollback_configuration: Some(wire::RollbackConfiguration::default()),
        role_arn: stack.role_arn,
        stack_status: stack.status,
        stack_status_reason: stack.status_reason,
        deployment_config: deployment::shown(stack.deployment),
        disable_rollback: Some(stack.on_failure == OnFailure::DoNothing),
        notification_ar_ns: Some(Vec::new()),
        timeout_in_minutes: stack.timeout_minutes,
        capabilities: Some(capability_list(&stack.capabilities)).filter(|list| !list.is_empty()),
        outputs: Some(outputs).filter(|list| !list.is_empty()),
        tags: Some(tag_list(stack.tags)),
        enable_termination_protection: Some(stack.termination_protection),
        drift_information: Some(drift::information(detection)),
        retain_except_on_create: stack.retain_except_on_create.then_some(true),
        ..wire::Stack::default()
    }
}

pub(super) fn capability_list(names: &[String]) -> Vec<Capability> {
    names.iter().filter_map(|name| Capability::parse(name)).collect()
}

pub(super) fn tag_list(tags: BTreeMap<String, String>) -> Vec<wire::Tag> {
    tags.into_iter().map(|(key, value)| wire::Tag { key, value }).collect()
}

pub(super) async fn list(
    service: &CloudFormation,
    cx: &Context,
    input: ListStacksInput,
) -> Result<ListStacksOutput, AwsError> {
    let scope = cx.scope.clone();
    let mut stacks = service.engine.store().read(move |db| engine::stacks(db, &scope)).await?;
    if let Some(wanted) = input.stack_status_filter.filter(|wanted| !wanted.is_empty()) {
        stacks.retain(|stack| wanted.contains(&stack.status));
    }
    let (stacks, next_token) = pages::page(stacks, input.next_token.as_deref())?;
    let mut summaries = Vec::with_capacity(stacks.len());
    for stack in stacks {
        let detection = drift::of_stack(service, &stack.id).await?;
        summaries.push(StackSummary {
            stack_id: Some(stack.id),
            stack_name: stack.name,
            template_description: stack.description,
            creation_time: stack.created,
            deletion_time: stack.deleted,
            last_updated_time: stack.updated,
            parent_id: stack.parent.as_ref().map(|parent| parent.id.clone()),
            root_id: stack.parent.map(|parent| parent.root),
            stack_status: stack.status,
            stack_status_reason: stack.status_reason,
            drift_information: Some(drift::summary(detection.as_ref())),
            ..StackSummary::default()
        });
    }
    Ok(ListStacksOutput { stack_summaries: Some(summaries), next_token })
}

pub(super) async fn delete(service: &CloudFormation, cx: &Context, input: DeleteStackInput) -> Result<(), AwsError> {
    refuse(
        "DeleteStack",
        &[("DeletionMode FORCE_DELETE_STACK", input.deletion_mode == Some(wire::DeletionMode::ForceDeleteStack))],
    )?;
    // Deleting what isn't there succeeds, as on AWS.
    let Some(stack) = service.find(&cx.scope, &input.stack_name).await?.filter(StackRecord::live) else {
        return Ok(());
    };
    if stack.termination_protection {
        return Err(invalid(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled",
            stack.name
        )));
    }
    let keep: BTreeSet<String> = input.retain_resources.into_iter().flatten().collect();
    if !keep.is_empty() {
        if stack.status != StackStatus::DeleteFailed {
            return Err(invalid(format!(
                "Invalid operation on stack [{}]. When you delete a stack, specify which resources to retain only when \
                 the stack is in the DELETE_FAILED state.",
                stack.id
            )));
        }
        let id = stack.id.clone();
        let resources = service.engine.store().read(move |db| engine::resources(db, &id)).await?;
        if let Some(unknown) = keep.iter().find(|name| !resources.iter().any(|record| record.logical_id == **name)) {
            return Err(invalid(format!("Resource {unknown} does not exist for stack {}", stack.name)));
        }
    }
    roles::hand_over(service, cx, &stack, input.role_arn).await?;
    service.engine.delete(&stack.id, keep, input.client_request_token).await
}

pub(super) async fn protect(
    service: &CloudFormation,
    cx: &Context,
    input: UpdateTerminationProtectionInput,
) -> Result<UpdateTerminationProtectionOutput, AwsError> {
    let stack = service.existing(&cx.scope, &input.stack_name).await?;
    if !stack.live() {
        return Err(invalid(format!("Stack [{}] does not exist", input.stack_name)));
    }
    let setting = Setting::TerminationProtection(input.enable_termination_protection);
    service.engine.set(&stack.id, setting).await?;
    Ok(UpdateTerminationProtectionOutput { stack_id: Some(stack.id) })
}
