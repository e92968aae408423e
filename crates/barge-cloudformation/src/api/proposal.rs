//! What a request says that a stack is to be: its template, parameters, tags and capabilities, planned and compared with
//! what the stack is. Updates and change sets of both kinds begin here.

use super::capabilities::Transforms;
use super::request;
use super::{CloudFormation, capabilities, invalid, pseudo};
use crate::engine::{self, Comparison, Differences, HIDDEN, Plan, ResourceRecord, StackRecord};
use crate::template::{Inputs, Pseudo, Template, stored_names};
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{Capability, Parameter, Tag};
use std::collections::{BTreeMap, BTreeSet};

/// The members that say what a stack is to be.
pub(super) struct Wanted {
    pub(super) body: Option<String>,
    pub(super) url: Option<String>,
    pub(super) previous_template: Option<bool>,
    pub(super) parameters: Option<Vec<Parameter>>,
    /// `None` leaves the tags as they are.
    pub(super) tags: Option<Vec<Tag>>,
    pub(super) capabilities: Vec<Capability>,
    pub(super) transforms: Transforms,
}

/// What a stack is to be.
pub(super) struct Proposal {
    pub(super) body: String,
    pub(super) plan: Plan,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) capabilities: Vec<String>,
}

/// The plan of a stack, with the pseudo parameters that are its own.
pub(super) async fn plan(
    service: &CloudFormation,
    stack: &StackRecord,
    body: &str,
    given: BTreeMap<String, String>,
) -> Result<Plan, AwsError> {
    let scope = stack.scope.clone();
    let exports = service.engine.store().read(move |db| engine::export_values(db, &scope)).await?;
    let pseudo =
        Pseudo { stack_id: Some(stack.id.clone()), stack_name: Some(stack.name.clone()), ..pseudo(&stack.scope) };
    let stored = stored(service, stack, body, &given).await?;
    Ok(Plan::new(body, &Inputs { given, stored, pseudo }, &exports, service.engine.registry())?)
}

/// The parameter store's values that the parameters name.
async fn stored(
    service: &CloudFormation,
    stack: &StackRecord,
    body: &str,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, AwsError> {
    let Some(store) = &service.ports.parameters else { return Ok(BTreeMap::new()) };
    // What is wrong with the template is told when it is planned.
    let names = Template::parse(body).map(|template| stored_names(&template.parameters, given)).unwrap_or_default();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    store.values(&stack.scope, &names).await
}

/// Reads what a request wants `stack` to be.
pub(super) async fn read(
    service: &CloudFormation,
    cx: &Context,
    stack: &StackRecord,
    wanted: Wanted,
) -> Result<Proposal, AwsError> {
    let body = match (wanted.previous_template, wanted.body, wanted.url) {
        (Some(true), None, None) => {
            let id = stack.id.clone();
            let body = service.engine.store().read(move |db| engine::template(db, &id)).await?;
            body.ok_or_else(|| invalid(format!("Stack [{}] has no previous template", stack.name)))?
        }
        (Some(true), ..) => return Err(invalid("You must not specify a template if UsePreviousTemplate is true.")),
        (_, body, url) => request::template(service, cx, body, url).await?,
    };
    let given = request::parameters(wanted.parameters, &stack.parameters)?;
    let tags = match wanted.tags {
        None => stack.tags.clone(),
        tags => request::tags(tags)?,
    };
    let plan = plan(service, stack, &body, given).await?;
    capabilities::check(&plan.template, &wanted.capabilities, wanted.transforms)?;
    let capabilities = wanted.capabilities.iter().map(|capability| capability.as_str().to_owned()).collect();
    Ok(Proposal { body, plan, tags, capabilities })
}

/// Compares a stack with what it is to be. `ValidationError` where that is not allowed at all. Every nested stack counts as
/// changed, because its template may be another now.
pub(super) async fn compare(
    service: &CloudFormation,
    stack: &StackRecord,
    proposal: &Proposal,
) -> Result<Differences, AwsError> {
    compare_knowing(service, stack, proposal, &BTreeSet::new()).await
}

/// The same, where the nested stacks `unchanged`, by logical id, are known to stay as they are.
pub(super) async fn compare_knowing(
    service: &CloudFormation,
    stack: &StackRecord,
    proposal: &Proposal,
    unchanged: &BTreeSet<String>,
) -> Result<Differences, AwsError> {
    let id = stack.id.clone();
    let (resources, template) = service
        .engine
        .store()
        .read(move |db| Ok::<_, AwsError>((engine::resources(db, &id)?, engine::processed_template(db, &id)?)))
        .await?;
    keeps_types(&resources, &proposal.plan)?;
    let template = Template::parse(&template.unwrap_or_default()).unwrap_or_default();
    let pseudo =
        Pseudo { stack_id: Some(stack.id.clone()), stack_name: Some(stack.name.clone()), ..pseudo(&stack.scope) };
    let comparison = Comparison {
        stack,
        resources: &resources,
        template: &template,
        plan: &proposal.plan,
        tags: &proposal.tags,
        pseudo: &pseudo,
        schemas: service.engine.registry(),
        unchanged,
    };
    // What failed half-way may look as the template says and still not be so.
    let differences = comparison.differences();
    Ok(Differences { beside: differences.beside || stack.former.is_some(), ..differences })
}

/// A resource's type stays what it is.
fn keeps_types(resources: &[ResourceRecord], plan: &Plan) -> Result<(), AwsError> {
    let other = |record: &&ResourceRecord| {
        let planned = plan.resources.iter().find(|planned| planned.logical_id == record.logical_id);
        planned.is_some_and(|planned| planned.type_name != record.type_name)
    };
    let changed: Vec<&str> = resources
        .iter()
        .filter(|record| record.listed() && record.physical_id.is_some())
        .filter(other)
        .map(|record| record.logical_id.as_str())
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "Update of resource type is not permitted. The new template modifies resource type of the following resources: \
         [{}]",
        changed.join(", ")
    )))
}

/// A stack's parameters for an answer.
pub(super) fn shown_parameter(key: String, text: String, resolved: Option<String>, no_echo: bool) -> Parameter {
    Parameter {
        parameter_key: Some(key),
        parameter_value: Some(if no_echo { HIDDEN.to_owned() } else { text }),
        resolved_value: resolved.filter(|_| !no_echo),
        ..Parameter::default()
    }
}
