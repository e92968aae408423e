//! Change sets: what would make a stack or change it, as `aws cloudformation deploy` uses them.

use super::capabilities::Transforms;
use super::changes::{self, Values};
use super::proposal::{self, Proposal, Wanted};
use super::request::{self, refuse, some, watches};
use super::stacks::{self, Settings, capability_list, tag_list};
use super::{CloudFormation, deployment, imports, invalid, lacking, nested_sets, pages, roles};
use crate::engine::{
    self, Action, ChangeSetKind, ChangeSetRecord, OnFailure, Phase, ResourceDifference, StackRecord, UpdateOrder,
    updatable,
};
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{
    self as wire, ChangeSetStatus, ChangeSetSummary, ChangeSetType, CreateChangeSetInput, CreateChangeSetOutput,
    DeleteChangeSetInput, DeleteChangeSetOutput, DescribeChangeSetInput, DescribeChangeSetOutput,
    ExecuteChangeSetInput, ExecuteChangeSetOutput, ExecutionStatus, ListChangeSetsInput, ListChangeSetsOutput,
    OnStackFailure, StackStatus, error,
};

const NO_CHANGES: &str = "The submitted information didn't contain changes. Submit different information to create a \
                          change set.";

/// What kind of change set a request asks for, given the stack that has the name.
fn kind(input: &CreateChangeSetInput, existing: Option<&StackRecord>) -> Result<ChangeSetKind, AwsError> {
    let review = existing.is_none_or(|stack| stack.status == StackStatus::ReviewInProgress);
    match (input.change_set_type.unwrap_or(ChangeSetType::Update), existing) {
        (ChangeSetType::Create, _) if review => Ok(ChangeSetKind::Create),
        (ChangeSetType::Create, _) => Err(invalid(format!(
            "Stack [{}] already exists and cannot be created again with the changeSet [{}].",
            input.stack_name, input.change_set_name
        ))),
        (ChangeSetType::Update, None) => Err(invalid(format!("Stack [{}] does not exist", input.stack_name))),
        (ChangeSetType::Update, Some(stack)) if updatable(stack.status) => Ok(ChangeSetKind::Update),
        (ChangeSetType::Update, Some(stack)) => {
            Err(invalid(format!("Stack:{} is in {} state and can not be updated.", stack.id, stack.status)))
        }
        (ChangeSetType::Import, _) => Err(lacking("ChangeSetType IMPORT of CreateChangeSet")),
    }
}

fn on_failure(choice: OnStackFailure) -> OnFailure {
    match choice {
        OnStackFailure::DoNothing => OnFailure::DoNothing,
        OnStackFailure::Rollback => OnFailure::Rollback,
        OnStackFailure::Delete => OnFailure::Delete,
    }
}

pub(super) async fn create(
    service: &CloudFormation,
    cx: &Context,
    input: CreateChangeSetInput,
) -> Result<CreateChangeSetOutput, AwsError> {
    let existing = service.find(&cx.scope, &input.stack_name).await?.filter(StackRecord::live);
    let kind = kind(&input, existing.as_ref())?;
    refuse(
        "CreateChangeSet",
        &[
            ("ResourceTypes", some(input.resource_types.as_ref())),
            ("RollbackConfiguration", watches(input.rollback_configuration.as_ref())),
            ("NotificationARNs", some(input.notification_ar_ns.as_ref())),
            ("ResourcesToImport", some(input.resources_to_import.as_ref())),
            ("DeploymentMode", input.deployment_mode.is_some()),
            ("DisableValidation", input.disable_validation == Some(true)),
        ],
    )?;
    let choice = input.on_stack_failure.map(on_failure);
    let deployment = deployment::read(input.deployment_config, None)?;
    if kind == ChangeSetKind::Update && choice == Some(OnFailure::Delete) {
        return Err(invalid("OnStackFailure cannot be set to DELETE for a change set of type UPDATE"));
    }
    let wanted = Wanted {
        body: input.template_body,
        url: input.template_url,
        previous_template: input.use_previous_template,
        parameters: input.parameters,
        tags: input.tags,
        capabilities: input.capabilities.unwrap_or_default(),
        transforms: Transforms::Shown,
    };
    let settings = Settings {
        name: existing.as_ref().map_or_else(|| input.stack_name.clone(), |stack| stack.name.clone()),
        tags: std::collections::BTreeMap::new(),
        capabilities: wanted.capabilities.clone(),
        on_failure: OnFailure::Rollback,
        token: input.client_token.clone(),
    };
    request::stack_name(&settings.name)?;
    let stack =
        existing.unwrap_or_else(|| StackRecord { phase: Phase::Settled, ..stacks::blank(service, cx, settings) });
    let proposal = proposal::read(service, cx, &stack, wanted).await?;
    let (_, role_arn) = roles::acting(service, cx, roles::of(input.role_arn, &stack)).await?;
    let ambient = service.engine.ambient();
    let name = input.change_set_name;
    let mut set = ChangeSetRecord {
        id: cx.scope.arn("cloudformation", format!("changeSet/{name}/{}", ambient.ids.uuid())).to_string(),
        name,
        stack_id: stack.id.clone(),
        stack_name: stack.name.clone(),
        description: input.description,
        hidden: hidden(&proposal),
        parameters: proposal.plan.parameters.iter().map(|(name, bound)| (name.clone(), bound.text.clone())).collect(),
        template: proposal.body.clone(),
        capabilities: proposal.capabilities.clone(),
        tags: proposal.tags.clone(),
        on_failure: choice,
        deployment,
        token: input.client_token,
        created: ambient.clock.now(),
        executed: false,
        adds: Vec::new(),
        import_existing: input.import_existing_resources == Some(true),
        include_nested: input.include_nested_stacks == Some(true),
        parent: None,
        root: None,
        failure: None,
        changes: Vec::new(),
        kind,
        base: stack.operation,
        role_arn,
    };
    let mut changed = if set.include_nested {
        nested_sets::compare(service, cx, &stack, &set, &proposal).await?
    } else {
        proposal::compare(service, &stack, &proposal).await?
    };
    if set.import_existing {
        set.failure = imports::find(service, cx, &proposal.plan, &mut changed.resources).await?.err();
    }
    set.changes = changed.resources;
    let mut below = Vec::new();
    if set.include_nested && set.failure.is_none() {
        below = nested_sets::propose(service, cx, &stack, &mut set, &changed.nested).await?;
    }
    if set.changes.is_empty() && !changed.beside {
        set.failure.get_or_insert_with(|| NO_CHANGES.to_owned());
    }
    let (id, stack_id) = store(service, stack, set, below).await?;
    Ok(CreateChangeSetOutput { id: Some(id), stack_id: Some(stack_id) })
}

pub(super) fn hidden(proposal: &Proposal) -> Vec<String> {
    let declared = proposal.plan.template.parameters.iter();
    declared.filter(|(_, parameter)| parameter.no_echo).map(|(name, _)| name.clone()).collect()
}

fn addition(logical_id: String, type_name: String) -> ResourceDifference {
    ResourceDifference {
        logical_id,
        type_name,
        physical_id: None,
        action: Action::Add,
        replacement: None,
        policy: None,
        details: Vec::new(),
        change_set: None,
        before: None,
        after: None,
    }
}

/// Stores a change set with those `below` it and with its stack, which may be new. A repeated call with one token gives
/// the first one's set.
async fn store(
    service: &CloudFormation,
    stack: StackRecord,
    set: ChangeSetRecord,
    below: Vec<ChangeSetRecord>,
) -> Result<(String, String), AwsError> {
    let ambient = service.engine.ambient();
    let reviewed = Some("User Initiated".to_owned());
    let event =
        engine::stack_event(&stack, StackStatus::ReviewInProgress, reviewed, ambient.clock.now(), ambient.ids.as_ref());
    service
        .engine
        .store()
        .write(move |tx| {
            let holder = engine::stack_by_name(tx, &stack.scope, &stack.name)?;
            let (new, other) = match &holder {
                None => (true, set.kind == ChangeSetKind::Update),
                Some(holder) => (false, holder.id != stack.id || holder.status != stack.status),
            };
            if other {
                return Err(error::already_exists_exception(format!("Stack [{}] already exists", stack.name)));
            }
            if let Some(same) = engine::change_sets(tx, &stack.id)?.into_iter().find(|other| other.name == set.name) {
                if set.token.is_some() && same.token == set.token {
                    return Ok((same.id, same.stack_id));
                }
                let text = format!("ChangeSet {} already exists", set.name);
                return Err(error::already_exists_exception(text));
            }
            if new {
                engine::save_stack(tx, &stack, true)?;
                if let Some(event) = &event {
                    engine::add_event(tx, &stack.id, event)?;
                }
            }
            for set in below.iter().chain([&set]) {
                engine::save_change_set(tx, set)?;
            }
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

/// A change set's template after its transforms.
pub(super) async fn processed(
    service: &CloudFormation,
    cx: &Context,
    set: &ChangeSetRecord,
) -> Result<String, AwsError> {
    // A nested stack that is to be made is not there yet.
    let stack = service.find(&cx.scope, &set.stack_id).await?;
    let stack = stack.unwrap_or_else(|| StackRecord {
        id: set.stack_id.clone(),
        ..StackRecord::blank(set.stack_name.clone(), cx.scope.clone(), cx.principal.clone())
    });
    let plan = proposal::plan(service, &stack, &set.template, set.parameters.clone()).await?;
    Ok(plan.processed.unwrap_or_else(|| set.template.clone()))
}

/// Whether a change set can be executed, given its stack.
fn execution_status(set: &ChangeSetRecord, stack: Option<&StackRecord>) -> ExecutionStatus {
    let executed = stack.filter(|stack| stack.change_set.as_ref() == Some(&set.id));
    match (set.executed, executed) {
        (true, Some(stack)) if !stack.settled() => ExecutionStatus::ExecuteInProgress,
        (true, Some(stack)) if failed(stack.status) => ExecutionStatus::ExecuteFailed,
        (true, _) => ExecutionStatus::ExecuteComplete,
        _ if set.failure.is_some() => ExecutionStatus::Unavailable,
        // A nested stack that is to be made is not there yet.
        (false, _) if set.parent.is_some() && set.kind == ChangeSetKind::Create && stack.is_none() => {
            ExecutionStatus::Available
        }
        _ if stack.is_none_or(|stack| stack.operation != set.base || !stack.live()) => ExecutionStatus::Obsolete,
        _ if stack.is_some_and(|stack| {
            set.kind == ChangeSetKind::Create && stack.status != StackStatus::ReviewInProgress
        }) =>
        {
            ExecutionStatus::Obsolete
        }
        _ => ExecutionStatus::Available,
    }
}

fn failed(status: StackStatus) -> bool {
    use StackStatus as S;
    matches!(
        status,
        S::CreateFailed
            | S::RollbackComplete
            | S::RollbackFailed
            | S::UpdateFailed
            | S::UpdateRollbackComplete
            | S::UpdateRollbackFailed
    )
}

fn status(set: &ChangeSetRecord) -> ChangeSetStatus {
    if set.failure.is_some() { ChangeSetStatus::Failed } else { ChangeSetStatus::CreateComplete }
}

pub(super) async fn describe(
    service: &CloudFormation,
    cx: &Context,
    input: DescribeChangeSetInput,
) -> Result<DescribeChangeSetOutput, AwsError> {
    let set = find(service, cx, &input.change_set_name, input.stack_name.as_deref()).await?;
    let stack = service.find(&cx.scope, &set.stack_id).await?;
    let values = if input.include_property_values == Some(true) { Values::Shown } else { Values::LeftOut };
    let (execution_status, status) = (execution_status(&set, stack.as_ref()), status(&set));
    let parameters = set
        .parameters
        .iter()
        .map(|(key, value)| proposal::shown_parameter(key.clone(), value.clone(), None, set.hidden.contains(key)));
    let parameters: Vec<_> = parameters.collect();
    let old = set.adds.into_iter().map(|(logical_id, type_name)| addition(logical_id, type_name));
    let changes: Vec<_> = old.chain(set.changes).map(|difference| changes::change(difference, values)).collect();
    let (changes, next_token) = pages::page(changes, input.next_token.as_deref())?;
    Ok(DescribeChangeSetOutput {
        change_set_name: Some(set.name),
        change_set_id: Some(set.id),
        stack_id: Some(set.stack_id),
        stack_name: Some(set.stack_name),
        description: set.description,
        parameters: Some(parameters).filter(|list| !list.is_empty()),
        creation_time: Some(set.created),
        execution_status: Some(execution_status),
        status: Some(status),
        status_reason: set.failure,
        notification_ar_ns: Some(Vec::new()),
        rollback_configuration: Some(wire::RollbackConfiguration::default()),
        capabilities: Some(capability_list(&set.capabilities)).filter(|list| !list.is_empty()),
        tags: Some(tag_list(set.tags)).filter(|list| !list.is_empty()),
        changes: Some(changes),
        next_token,
        include_nested_stacks: Some(set.include_nested),
        parent_change_set_id: set.parent,
        root_change_set_id: set.root,
        import_existing_resources: set.import_existing.then_some(true),
        deployment_config: deployment::shown(set.deployment),
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
    nested_sets::refuse_below(&set)?;
    let stack = service.existing(&cx.scope, &set.stack_id).await?;
    if set.executed && input.client_request_token.is_some() && stack.token == input.client_request_token {
        return Ok(ExecuteChangeSetOutput {});
    }
    let status = execution_status(&set, Some(&stack));
    if status != ExecutionStatus::Available {
        return Err(error::invalid_change_set_status_exception(format!(
            "ChangeSet [{}] cannot be executed in its current execution status of [{status}]",
            set.id
        )));
    }
    set.deployment.rollback_disabled = input.disable_rollback.or(set.deployment.rollback_disabled);
    let choice = match (set.on_failure, input.disable_rollback) {
        (Some(_), Some(true)) => {
            return Err(invalid("You can specify either DisableRollback or OnStackFailure, but not both"));
        }
        (Some(choice), _) => choice,
        (None, _) => set.deployment.on_failure(),
    };
    let root = set.id.clone();
    match set.kind {
        ChangeSetKind::Create => make(service, cx, input, stack, set, choice).await?,
        ChangeSetKind::Update => change(service, cx, input, &stack, set, choice).await?,
    }
    nested_sets::executed(service, root).await?;
    Ok(ExecuteChangeSetOutput {})
}

/// Makes the stack that the change set is for.
async fn make(
    service: &CloudFormation,
    cx: &Context,
    input: ExecuteChangeSetInput,
    mut stack: StackRecord,
    mut set: ChangeSetRecord,
    choice: OnFailure,
) -> Result<(), AwsError> {
    (stack.on_failure, stack.deployment) = (choice, set.deployment);
    stack.retain_except_on_create = input.retain_except_on_create == Some(true);
    (stack.principal, stack.role_arn) = roles::acting(service, cx, set.role_arn.clone()).await?;
    stack.token = input.client_request_token;
    stack.tags.clone_from(&set.tags);
    stack.capabilities.clone_from(&set.capabilities);
    stack.change_set = Some(set.id.clone());
    stack.started = service.engine.ambient().clock.now();
    stack.phase = Phase::Creating;
    let mut plan = proposal::plan(service, &stack, &set.template, set.parameters.clone()).await?;
    plan.existing = imports::of(&set.changes);
    stack.description.clone_from(&plan.template.description);
    set.executed = true;
    let body = set.template.clone();
    service.engine.create(stack, plan, body, Some(set)).await
}

/// Changes the stack that the change set is for.
async fn change(
    service: &CloudFormation,
    cx: &Context,
    input: ExecuteChangeSetInput,
    stack: &StackRecord,
    mut set: ChangeSetRecord,
    choice: OnFailure,
) -> Result<(), AwsError> {
    let mut plan = proposal::plan(service, stack, &set.template, set.parameters.clone()).await?;
    plan.existing = imports::of(&set.changes);
    set.executed = true;
    let (principal, role_arn) = roles::acting(service, cx, set.role_arn.clone()).await?;
    let order = UpdateOrder {
        plan,
        body: set.template.clone(),
        tags: set.tags.clone(),
        capabilities: set.capabilities.clone(),
        on_failure: choice,
        deployment: set.deployment,
        retain_except_on_create: input.retain_except_on_create == Some(true),
        token: input.client_request_token,
        principal,
        role_arn,
        base: set.base,
        executed: Some(Box::new(set)),
        policy: None,
        policy_during_update: None,
    };
    service.engine.update(&stack.id, order).await
}

pub(super) async fn delete(
    service: &CloudFormation,
    cx: &Context,
    input: DeleteChangeSetInput,
) -> Result<DeleteChangeSetOutput, AwsError> {
    match find(service, cx, &input.change_set_name, input.stack_name.as_deref()).await {
        Ok(set) => {
            let stack = service.find(&cx.scope, &set.stack_id).await?;
            if execution_status(&set, stack.as_ref()) == ExecutionStatus::ExecuteInProgress {
                return Err(error::invalid_change_set_status_exception(format!(
                    "An operation cannot be performed on this change set [{}]: it is being executed",
                    set.id
                )));
            }
            nested_sets::refuse_below(&set)?;
            nested_sets::remove(service, set.id).await?;
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
    let id = stack.id.clone();
    let sets = service.engine.store().read(move |db| engine::change_sets(db, &id)).await?;
    let (sets, next_token) = pages::page(sets, input.next_token.as_deref())?;
    let summaries = sets
        .into_iter()
        .map(|set| ChangeSetSummary {
            execution_status: Some(execution_status(&set, Some(&stack))),
            status: Some(status(&set)),
            status_reason: set.failure,
            stack_id: Some(set.stack_id),
            stack_name: Some(set.stack_name),
            change_set_id: Some(set.id),
            change_set_name: Some(set.name),
            creation_time: Some(set.created),
            description: set.description,
            include_nested_stacks: Some(set.include_nested),
            parent_change_set_id: set.parent,
            root_change_set_id: set.root,
            import_existing_resources: set.import_existing.then_some(true),
        })
        .collect();
    Ok(ListChangeSetsOutput { summaries: Some(summaries), next_token })
}
