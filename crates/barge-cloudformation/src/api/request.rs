//! What requests about what stacks are to be have in common.

use super::{CloudFormation, invalid, lacking, template_url};
use crate::engine::ParameterRecord;
use crate::template::Template;
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{Parameter, RollbackConfiguration, Tag};
use std::collections::BTreeMap;

/// The template's text from `TemplateBody` or `TemplateURL`.
pub(super) async fn template(
    service: &CloudFormation,
    cx: &Context,
    body: Option<String>,
    url: Option<String>,
) -> Result<String, AwsError> {
    match (body, url) {
        (Some(body), None) if body.len() > Template::LONGEST_BODY => Err(invalid(format!(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length \
             less than or equal to {}",
            Template::LONGEST_BODY
        ))),
        (Some(body), None) => Ok(body),
        (None, Some(url)) => template_url::read(service, cx, &url).await,
        _ => Err(invalid("Either Template URL or Template Body must be specified.")),
    }
}

/// Refuses what is no stack name (API reference, CreateStack, "StackName").
pub(super) fn stack_name(name: &str) -> Result<(), AwsError> {
    let legal = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let constraint = if !legal {
        "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
    } else if name.len() > 128 {
        "Member must have length less than or equal to 128"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(200).collect();
    Err(invalid(format!(
        "1 validation error detected: Value '{shown}' at 'stackName' failed to satisfy constraint: {constraint}"
    )))
}

/// Values by parameter name; `previous` are the stack's.
pub(super) fn parameters(
    list: Option<Vec<Parameter>>,
    previous: &BTreeMap<String, ParameterRecord>,
) -> Result<BTreeMap<String, String>, AwsError> {
    let mut values = BTreeMap::new();
    for parameter in list.into_iter().flatten() {
        let key = parameter.parameter_key.ok_or_else(|| invalid("Every parameter must have a ParameterKey"))?;
        let value = match (parameter.use_previous_value, parameter.parameter_value) {
            (Some(true), Some(_)) => {
                return Err(invalid(format!(
                    "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true and a value for a \
                     parameter key"
                )));
            }
            (Some(true), None) => previous.get(&key).map(|record| record.text.clone()).ok_or_else(|| {
                invalid(format!(
                    "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true for a parameter \
                     key not in the previous template"
                ))
            })?,
            (_, Some(value)) => value,
            (_, None) => {
                return Err(invalid(format!("Invalid input for parameter key {key}. ParameterValue must be given")));
            }
        };
        if values.insert(key.clone(), value).is_some() {
            return Err(invalid(format!("Parameter {key} is given more than once")));
        }
    }
    Ok(values)
}

/// Values by tag key.
pub(super) fn tags(list: Option<Vec<Tag>>) -> Result<BTreeMap<String, String>, AwsError> {
    let mut values = BTreeMap::new();
    for tag in list.into_iter().flatten() {
        if tag.key.starts_with("aws:") {
            return Err(invalid(format!("aws: prefixed tag key names are not allowed for external use ({})", tag.key)));
        }
        if values.insert(tag.key.clone(), tag.value).is_some() {
            return Err(invalid(format!("Duplicate Tag Key: {}", tag.key)));
        }
    }
    Ok(values)
}

/// Members that ask for something that Barge does not do, by name: `given` says whether the request has one.
pub(super) fn refuse(operation: &str, members: &[(&str, bool)]) -> Result<(), AwsError> {
    match members.iter().find(|(_, given)| *given) {
        Some((member, _)) => Err(lacking(&format!("{member} of {operation}"))),
        None => Ok(()),
    }
}

/// Whether a rollback configuration asks for anything.
pub(super) fn watches(configuration: Option<&RollbackConfiguration>) -> bool {
    configuration.is_some_and(|configuration| {
        configuration.rollback_triggers.as_ref().is_some_and(|triggers| !triggers.is_empty())
            || configuration.monitoring_time_in_minutes.unwrap_or(0) > 0
    })
}

/// Whether a list has entries.
pub(super) fn some<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}
