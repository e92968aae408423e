//! Nested stacks: what CreateStack and UpdateStack do, for a stack that is a resource of another.

use super::capabilities::Transforms;
use super::proposal::{self, Proposal};
use super::stacks::{self, Settings};
use super::{CloudFormation, capabilities, template_url};
use crate::engine::{self, OnFailure, Parent, StackRecord, UpdateOrder};
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::Capability;
use std::collections::BTreeMap;

/// What a nested stack is to be.
pub(crate) struct Wanted {
    pub(crate) url: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) timeout_minutes: Option<i64>,
}

/// Who a new nested stack is.
pub(crate) struct Identity {
    pub(crate) name: String,
    /// ARN.
    pub(crate) id: String,
    pub(crate) above: Parent,
}

/// The stack with an ARN, deleted or not.
pub(crate) async fn find(service: &CloudFormation, id: &str) -> Result<Option<StackRecord>, AwsError> {
    let id = id.to_owned();
    service.engine.store().read(move |db| engine::stack_with_id(db, &id)).await
}

fn capabilities_of(parent: &StackRecord) -> Vec<Capability> {
    parent.capabilities.iter().filter_map(|name| Capability::parse(name)).collect()
}

/// Begins to make a nested stack, with what its parent's creator acknowledged and chose.
pub(crate) async fn create(
    service: &CloudFormation,
    cx: &Context,
    parent: &StackRecord,
    identity: Identity,
    wanted: Wanted,
) -> Result<(), AwsError> {
    let given = capabilities_of(parent);
    let settings = Settings {
        name: identity.name,
        tags: wanted.tags,
        capabilities: given.clone(),
        // The parent removes what failed, or keeps it as it keeps the rest.
        on_failure: OnFailure::DoNothing,
        token: Some(cx.request_id.clone()),
    };
    let mut stack = stacks::blank(service, cx, settings);
    stack.id = identity.id;
    stack.parent = Some(identity.above);
    stack.timeout_minutes = wanted.timeout_minutes;
    stack.role_arn.clone_from(&parent.role_arn);
    let body = template_url::read(service, cx, &wanted.url).await?;
    let plan = proposal::plan(service, &stack, &body, wanted.parameters).await?;
    capabilities::check(&plan.template, &given, Transforms::Unseen)?;
    stack.description.clone_from(&plan.template.description);
    service.engine.create(stack, plan, body, None).await
}

/// Begins to update a nested stack; false where nothing changes.
pub(crate) async fn update(
    service: &CloudFormation,
    cx: &Context,
    parent: &StackRecord,
    stack: &StackRecord,
    wanted: Wanted,
) -> Result<bool, AwsError> {
    let given = capabilities_of(parent);
    let body = template_url::read(service, cx, &wanted.url).await?;
    let plan = proposal::plan(service, stack, &body, wanted.parameters).await?;
    capabilities::check(&plan.template, &given, Transforms::Unseen)?;
    let proposal = Proposal { body, plan, tags: wanted.tags, capabilities: parent.capabilities.clone() };
    if proposal::compare(service, stack, &proposal).await?.none() {
        return Ok(false);
    }
    let order = UpdateOrder {
        plan: proposal.plan,
        body: proposal.body,
        tags: proposal.tags,
        capabilities: proposal.capabilities,
        on_failure: OnFailure::Rollback,
        deployment: parent.deployment,
        retain_except_on_create: false,
        token: Some(cx.request_id.clone()),
        principal: cx.principal.clone(),
        role_arn: parent.role_arn.clone(),
        executed: None,
        policy: None,
        policy_during_update: None,
        base: stack.operation,
    };
    service.engine.update(&stack.id, order).await?;
    Ok(true)
}
