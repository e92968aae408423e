//! Templates without stacks, and the templates of stacks: ValidateTemplate, GetTemplateSummary, GetTemplate.

use super::capabilities::Needed;
use super::{CloudFormation, change_sets, invalid, pseudo, request};
use crate::engine::{self, Plan};
use crate::template::{Parameter, Schemas as _, Template};
use barge_core::{AwsError, Context, Document};
use barge_wire::cloudformation::{
    GetTemplateInput, GetTemplateOutput, GetTemplateSummaryInput, GetTemplateSummaryOutput, ParameterConstraints,
    ParameterDeclaration, TemplateParameter, TemplateStage, ValidateTemplateInput, ValidateTemplateOutput, Warnings,
};

pub(super) async fn validate(
    service: &CloudFormation,
    cx: &Context,
    input: ValidateTemplateInput,
) -> Result<ValidateTemplateOutput, AwsError> {
    let body = request::template(service, cx, input.template_body, input.template_url).await?;
    let template = Plan::validate(&body, &pseudo(&cx.scope), service.engine.registry())?;
    let needed = Needed::by(&template);
    let reason = remarks(needed.as_ref(), &template);
    let transforms = Some(template.transforms).filter(|names| !names.is_empty());
    let parameters = template
        .parameters
        .into_iter()
        .map(|(name, parameter)| TemplateParameter {
            parameter_key: Some(name),
            default_value: parameter.default,
            no_echo: Some(parameter.no_echo),
            description: parameter.description,
        })
        .collect();
    Ok(ValidateTemplateOutput {
        parameters: Some(parameters),
        description: template.description,
        capabilities: needed.as_ref().map(|needed| vec![needed.capability]),
        capabilities_reason: reason,
        declared_transforms: transforms,
    })
}

/// What people should know of a template: what it needs acknowledged, and what was accepted with a doubt. AWS's answer has
/// one text for people.
fn remarks(needed: Option<&Needed>, template: &Template) -> Option<String> {
    let reason = needed.map(Needed::reason);
    let warnings = template.warnings.iter().map(|warning| format!("Warning: {warning}"));
    let remarks: Vec<String> = reason.into_iter().chain(warnings).collect();
    (!remarks.is_empty()).then(|| remarks.join("\n"))
}

pub(super) async fn summary(
    service: &CloudFormation,
    cx: &Context,
    input: GetTemplateSummaryInput,
) -> Result<GetTemplateSummaryOutput, AwsError> {
    request::refuse(
        "GetTemplateSummary",
        &[("StackSetName", input.stack_set_name.is_some()), ("CallAs", input.call_as.is_some())],
    )?;
    let body = match (input.stack_name, input.template_body, input.template_url) {
        (Some(name), None, None) => stored(service, cx, &name).await?,
        (None, body, url) => request::template(service, cx, body, url).await?,
        _ => return Err(invalid("Only one of StackName, TemplateBody and TemplateURL may be specified")),
    };
    let lenient = input.template_summary_config.and_then(|c| c.treat_unrecognized_resource_types_as_warnings);
    let registry = service.engine.registry();
    let template = match lenient {
        Some(true) => Template::parse(&body)?,
        _ => Plan::validate(&body, &pseudo(&cx.scope), registry)?,
    };
    let needed = Needed::by(&template);
    let reason = remarks(needed.as_ref(), &template);
    let transforms = Some(template.transforms.clone()).filter(|names| !names.is_empty());
    let mut types: Vec<String> = template.resources.values().map(|resource| resource.type_name.clone()).collect();
    types.sort();
    types.dedup();
    let unknown: Vec<String> = types.iter().filter(|name| registry.schema(name).is_none()).cloned().collect();
    Ok(GetTemplateSummaryOutput {
        parameters: Some(template.parameters.into_iter().map(declared).collect()),
        description: template.description,
        capabilities: needed.as_ref().map(|needed| vec![needed.capability]),
        capabilities_reason: reason,
        declared_transforms: transforms,
        resource_types: Some(types),
        version: template.version,
        metadata: template.metadata.as_ref().map(Document::to_json),
        warnings: (!unknown.is_empty()).then_some(Warnings { unrecognized_resource_types: Some(unknown) }),
        ..GetTemplateSummaryOutput::default()
    })
}

fn declared((name, parameter): (String, Parameter)) -> ParameterDeclaration {
    let allowed = Some(parameter.allowed_values).filter(|values| !values.is_empty());
    ParameterDeclaration {
        parameter_key: Some(name),
        default_value: parameter.default,
        parameter_type: Some(parameter.type_name),
        no_echo: Some(parameter.no_echo),
        description: parameter.description,
        parameter_constraints: Some(ParameterConstraints { allowed_values: allowed }),
    }
}

/// The template of a stack, as it was given.
async fn stored(service: &CloudFormation, cx: &Context, stack: &str) -> Result<String, AwsError> {
    let texts = both(service, cx, stack).await?;
    Ok(texts.ok_or_else(|| invalid(format!("Stack with id {stack} has no template yet")))?.0)
}

/// The template of a stack, as it was given and after its transforms; `None` for a stack that is reviewed before it is
/// made.
async fn both(service: &CloudFormation, cx: &Context, stack: &str) -> Result<Option<(String, String)>, AwsError> {
    let id = service.existing(&cx.scope, stack).await?.id;
    let texts = service
        .engine
        .store()
        .read(move |db| Ok::<_, AwsError>((engine::template(db, &id)?, engine::processed_template(db, &id)?)))
        .await?;
    Ok(texts.0.zip(texts.1))
}

pub(super) async fn get(
    service: &CloudFormation,
    cx: &Context,
    input: GetTemplateInput,
) -> Result<GetTemplateOutput, AwsError> {
    let (original, processed) = match (input.change_set_name, input.stack_name) {
        (Some(set), stack) => {
            let set = change_sets::find(service, cx, &set, stack.as_deref()).await?;
            let processed = change_sets::processed(service, cx, &set).await?;
            (set.template, processed)
        }
        (None, Some(stack)) => match both(service, cx, &stack).await? {
            Some(texts) => texts,
            // The CDK asks while its first change set is reviewed, and takes no text for no template.
            None => return Ok(GetTemplateOutput { template_body: Some(String::new()), stages_available: None }),
        },
        (None, None) => return Err(invalid("Either StackName or ChangeSetName must be specified")),
    };
    let stages = vec![TemplateStage::Original, TemplateStage::Processed];
    let body = if input.template_stage == Some(TemplateStage::Processed) { processed } else { original };
    Ok(GetTemplateOutput { template_body: Some(body), stages_available: Some(stages) })
}
