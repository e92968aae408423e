//! Change sets that make a stack, as `aws cloudformation deploy` uses them. Those that would change one are refused.

use super::request::{self, refuse, some, watches};
use super::stacks::{self, Settings, capability_list, tag_list};
use super::{CloudFormation, capabilities, invalid, lacking, pages};
use crate::engine::{self, ChangeSetRecord, HIDDEN, OnFailure, Phase, StackRecord};
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{
    self as wire, Change, ChangeAction, ChangeSetStatus, ChangeSetSummary, ChangeSetType, ChangeType,
    CreateChangeSetInput, CreateChangeSetOutput, DeleteChangeSetInput, DeleteChangeSetOutput, DescribeChangeSetInput,
    DescribeChangeSetOutput, ExecuteChangeSetInput, ExecuteChangeSetOutput, ExecutionStatus, ListChangeSetsInput,
    ListChangeSetsOutput, OnStackFailure, ResourceChange, StackStatus, error,
};

pub(super) async fn create(
    service: &CloudFormation,
    cx: &Context,
    input: CreateChangeSetInput,
) -> Result<CreateChangeSetOutput, AwsError> {
    let existing = service.find(&cx.scope, &input.stack_name).await?.filter(StackRecord::live);
    let review = existing.as_ref().is_none_or(|stack| stack.status == StackStatus::ReviewInProgress);
    match (input.change_set_type.unwrap_or(ChangeSetType::Update), &existing) {
        (ChangeSetType::Create, _) if review => {}
        (ChangeSetType::Create, _) => {
            let text = format!(
                "Stack [{}] already exists and cannot be created again with the changeSet [{}].",
                input.stack_name, input.change_set_name
            );
            return Err(invalid(text));
        }
        (ChangeSetType::Update, None) => return Err(invalid(format!("Stack [{}] does not exist", input.stack_name))),
        (ChangeSetType::Update, Some(_)) => return Err(lacking("ChangeSetType UPDATE of CreateChangeSet")),
        (ChangeSetType::Import, _) => return Err(lacking("ChangeSetType IMPORT of CreateChangeSet")),
    }
    refuse(
        "CreateChangeSet",
        &[
            ("UsePreviousTemplate", input.use_previous_template == Some(true)),
            ("ResourceTypes", some(input.resource_types.as_ref())),
            ("RoleARN", input.role_arn.is_some()),
            ("RollbackConfiguration", watches(input.rollback_configuration.as_ref())),
            ("NotificationARNs", some(input.notification_ar_ns.as_ref())),
            ("ResourcesToImport", some(input.resources_to_import.as_ref())),
            ("IncludeNestedStacks", input.include_nested_stacks == Some(true)),
            ("ImportExistingResources", input.import_existing_resources == Some(true)),
            ("DeploymentMode", input.deployment_mode.is_some()),
            ("DeploymentConfig", input.deployment_config.is_some()),
            ("DisableValidation", input.disable_validation == Some(true)),
        ],
    )?;
    let settings = Settings {
        name: existing.as_ref().map_or_else(|| input.stack_name.clone(), |stack| stack.name.clone()),
        tags: request::tags(input.tags)?,
        capabilities: input.capabilities.unwrap_or_default(),
        on_failure: OnFailure::Rollback,
        token: input.client_token,
    };
    request::stack_name(&settings.name)?;
    let (given, tags) = (settings.capabilities.clone(), settings.tags.clone());
    let token = settings.token.clone();
    let stack =
        existing.unwrap_or_else(|| StackRecord { phase: Phase::Settled, ..stacks::blank(service, cx, settings) });
    let body = request::template(service, cx, input.template_body, input.template_url).await?;
    let parameters = request::parameters(input.parameters)?;
    let plan = stacks::plan(service, &stack, &body, &parameters)?;
    capabilities::check(&plan.template, &given)?;
    let ambient = service.engine.ambient();
    let name = input.change_set_name;
    let set = ChangeSetRecord {
        id: cx.scope.arn("cloudformation", format!("changeSet/{name}/{}", ambient.ids.uuid())).to_string(),
        name,
        stack_id: stack.id.clone(),
        stack_name: stack.name.clone(),
        description: input.description,
        template: body,
        hidden: plan.template.parameters.iter().filter(|(_, p)| p.no_echo).map(|(name, _)| name.clone()).collect(),
        parameters: plan.parameters.iter().map(|(name, bound)| (name.clone(), bound.text.clone())).collect(),
        capabilities: given.iter().map(|capability| capability.as_str().to_owned()).collect(),
        tags,
        on_failure: input.on_stack_failure.map(|choice| match choice {
            OnStackFailure::DoNothing => OnFailure::DoNothing,
            OnStackFailure::Rollback => OnFailure::Rollback,
            OnStackFailure::Delete => OnFailure::Delete,
        }),
        token,
        created: ambient.clock.now(),
        executed: false,
        adds: plan.resources.iter().map(|r| (r.logical_id.clone(), r.type_name.clone())).collect(),
    };
    let (id, stack_id) = store(service, stack, set).await?;
    Ok(CreateChangeSetOutput { id: Some(id), stack_id: Some(stack_id) })
}

/// Stores a change set with its stack, which may be new. A repeated call with one token gives the first one's set.
async fn store(
    service: &CloudFormation,
    stack: StackRecord,
    set: ChangeSetRecord,
) -> Result<(String, String), AwsError> {
    service
        .engine
        .store()
        .write(move |tx| {
            let holder = engine::stack_by_name(tx, &stack.scope, &stack.name)?;
            if holder.is_some_and(|holder| holder.id != stack.id || holder.status != StackStatus::ReviewInProgress) {
                return Err(error::already_exists_exception(format!("Stack [{}] already exists", stack.name)));
            }
            if let Some(same) = engine::change_sets(tx, &stack.id)?.into_iter().find(|other| other.name == set.name) {
                if set.token.is_some() && same.token == set.token {
                    return Ok((same.id, same.stack_id));
                }
                let text = format!("ChangeSet {} already exists", set.name);
                return Err(error::already_exists_exception(text));
            }
            engine::save_stack(tx, &stack, true)?;
            engine::save_change_set(tx, &set)?;
            Ok((set.id, stack.id))
        })
        .await
}

/// The change set that a client names, by ARN or by name and stack.
pub(super) async fn find(
    service: &CloudFormation,
    cx: &Context,
    name_or_id: &str,
    stack: Option<&str>,
) -> Result<ChangeSetRecord, AwsError> {
    let missing = || error::change_set_not_found_exception(format!("ChangeSet [{name_or_id}] does not exist"));
    let key = name_or_id.to_owned();
    let found = if name_or_id.starts_with("arn:") {
        let set = service.engine.store().read(move |db| engine::change_set(db, &key)).await?;
        let ours = |set: &ChangeSetRecord| {
            set.id.parse().ok().and_then(|arn: barge_core::Arn| arn.scope()).as_ref() == Some(&cx.scope)
        };
        set.filter(ours)
    } else {
        let stack =
            stack.ok_or_else(|| invalid("StackName must be specified if ChangeSetName is not specified as an ARN."))?;
        let stack =
            service.find(&cx.scope, stack).await?.ok_or_else(|| invalid(format!("Stack [{stack}] does not exist")))?;
        let sets = service.engine.store().read(move |db| engine::change_sets(db, &stack.id)).await?;
        sets.into_iter().find(|set| set.name == key)
    };
    found.ok_or_else(missing)
}

fn execution_status(set: &ChangeSetRecord) -> ExecutionStatus {
    if set.executed { ExecutionStatus::ExecuteComplete } else { ExecutionStatus::Available }
}

pub(super) async fn describe(
    service: &CloudFormation,
    cx: &Context,
    input: DescribeChangeSetInput,
) -> Result<DescribeChangeSetOutput, AwsError> {
    refuse("DescribeChangeSet", &[("IncludePropertyValues", input.include_property_values == Some(true))])?;
    let set = find(service, cx, &input.change_set_name, input.stack_name.as_deref()).await?;
    let execution_status = execution_status(&set);
    let parameters = set.parameters.iter().map(|(key, value)| wire::Parameter {
        parameter_key: Some(key.clone()),
        parameter_value: Some(if set.hidden.contains(key) { HIDDEN.to_owned() } else { value.clone() }),
        ..wire::Parameter::default()
    });
    let parameters: Vec<_> = parameters.collect();
    let changes = set.adds.into_iter().map(|(logical_id, type_name)| Change {
        r#type: Some(ChangeType::Resource),
        resource_change: Some(ResourceChange {
            action: Some(ChangeAction::Add),
            logical_resource_id: Some(logical_id),
            resource_type: Some(type_name),
            scope: Some(Vec::new()),
            details: Some(Vec::new()),
            ..ResourceChange::default()
        }),
        ..Change::default()
    });
    let (changes, next_token) = pages::page(changes.collect(), input.next_token.as_deref())?;
    Ok(DescribeChangeSetOutput {
        change_set_name: Some(set.name),
        change_set_id: Some(set.id),
        stack_id: Some(set.stack_id),
        stack_name: Some(set.stack_name),
        description: set.description,
        parameters: Some(parameters).filter(|list| !list.is_empty()),
        creation_time: Some(set.created),
        execution_status: Some(execution_status),
        status: Some(ChangeSetStatus::CreateComplete),
        notification_ar_ns: Some(Vec::new()),
        rollback_configuration: Some(wire::RollbackConfiguration::default()),
        capabilities: Some(capability_list(&set.capabilities)).filter(|list| !list.is_empty()),
        tags: Some(tag_list(set.tags)).filter(|list| !list.is_empty()),
        changes: Some(changes),
        next_token,
        include_nested_stacks: Some(false),
        on_stack_failure: set.on_failure.map(|choice| match choice {
            OnFailure::DoNothing => OnStackFailure::DoNothing,
            OnFailure::Rollback => OnStackFailure::Rollback,
            OnFailure::Delete => OnStackFailure::Delete,
        }),
        ..DescribeChangeSetOutput::default()
    })
}

pub(super) async fn execute(
    service: &CloudFormation,
    cx: &Context,
    input: ExecuteChangeSetInput,
) -> Result<ExecuteChangeSetOutput, AwsError> {
    let mut set = find(service, cx, &input.change_set_name, input.stack_name.as_deref()).await?;
    let mut stack = service.existing(&cx.scope, &set.stack_id).await?;
    if set.executed && input.client_request_token.is_some() && stack.token == input.client_request_token {
        return Ok(ExecuteChangeSetOutput {});
    }
    if set.executed || stack.status != StackStatus::ReviewInProgress {
        return Err(error::invalid_change_set_status_exception(format!(
            "ChangeSet [{}] cannot be executed in its current execution status of [{}]",
            set.id,
            if set.executed { ExecutionStatus::ExecuteComplete } else { ExecutionStatus::Obsolete }
        )));
    }
    stack.on_failure = match (set.on_failure, input.disable_rollback) {
        (Some(_), Some(true)) => {
            return Err(invalid("You can specify either DisableRollback or OnStackFailure, but not both"));
        }
        (Some(choice), _) => choice,
        (None, Some(true)) => OnFailure::DoNothing,
        (None, _) => OnFailure::Rollback,
    };
    stack.retain_except_on_create = input.retain_except_on_create == Some(true);
    stack.principal = cx.principal.clone();
    stack.token = input.client_request_token;
    stack.tags.clone_from(&set.tags);
    stack.capabilities.clone_from(&set.capabilities);
    stack.change_set = Some(set.id.clone());
    stack.started = service.engine.ambient().clock.now();
    stack.phase = Phase::Creating;
    let plan = stacks::plan(service, &stack, &set.template, &set.parameters)?;
    stack.description.clone_from(&plan.template.description);
    set.executed = true;
    let body = set.template.clone();
    service.engine.create(stack, plan, body, Some(set)).await?;
    Ok(ExecuteChangeSetOutput {})
}

pub(super) async fn delete(
    service: &CloudFormation,
    cx: &Context,
    input: DeleteChangeSetInput,
) -> Result<DeleteChangeSetOutput, AwsError> {
    match find(service, cx, &input.change_set_name, input.stack_name.as_deref()).await {
        Ok(set) if set.executed => Err(error::invalid_change_set_status_exception(format!(
            "An operation cannot be performed on this change set [{}]: it has been executed",
            set.id
        ))),
        Ok(set) => {
            service.engine.store().write(move |tx| engine::remove_change_set(tx, &set.id)).await?;
            Ok(DeleteChangeSetOutput {})
        }
        // Deleting what isn't there succeeds, as on AWS.
        Err(missing) if missing.is("ChangeSetNotFound") => Ok(DeleteChangeSetOutput {}),
        Err(other) => Err(other),
    }
}

pub(super) async fn list(
    service: &CloudFormation,
    cx: &Context,
    input: ListChangeSetsInput,
) -> Result<ListChangeSetsOutput, AwsError> {
    let stack = service.find(&cx.scope, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| invalid(format!("Stack [{}] does not exist", input.stack_name)))?;
    let sets = service.engine.store().read(move |db| engine::change_sets(db, &stack.id)).await?;
    let (sets, next_token) = pages::page(sets, input.next_token.as_deref())?;
    let summaries = sets
        .into_iter()
        .map(|set| ChangeSetSummary {
            execution_status: Some(execution_status(&set)),
            stack_id: Some(set.stack_id),
            stack_name: Some(set.stack_name),
            change_set_id: Some(set.id),
            change_set_name: Some(set.name),
            status: Some(ChangeSetStatus::CreateComplete),
            creation_time: Some(set.created),
            description: set.description,
            include_nested_stacks: Some(false),
            ..ChangeSetSummary::default()
        })
        .collect();
    Ok(ListChangeSetsOutput { summaries: Some(summaries), next_token })
}
