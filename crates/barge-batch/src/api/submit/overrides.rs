//! What a submission changes of a container: of the command all, of variables and requirements those that it names.

use crate::api::{definition, refuse};
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{ContainerOverrides, KeyValuePair, ResourceRequirement, TaskContainerOverrides};

/// Checks overrides of a definition's, or a node's, only container.
pub(super) fn check(at: &str, overrides: &ContainerOverrides) -> Result<(), AwsError> {
    let ContainerOverrides { vcpus: _, memory: _, resource_requirements: _, command, instance_type, environment } =
        overrides;
    refuse(&[(&format!("{at}.instanceType"), instance_type.is_some())])?;
    check_command(at, command.as_ref())?;
    definition::check_environment(environment.as_ref())
}

/// Checks overrides of one of a task's containers.
pub(super) fn check_task(at: &str, overrides: &TaskContainerOverrides) -> Result<(), AwsError> {
    let TaskContainerOverrides { command, environment, name: _, resource_requirements: _ } = overrides;
    check_command(at, command.as_ref())?;
    definition::check_environment(environment.as_ref())
}

fn check_command(at: &str, command: Option<&Vec<String>>) -> Result<(), AwsError> {
    if command.into_iter().flatten().any(String::is_empty) {
        return Err(client_exception(format!("{at}.command can't contain an empty string.")));
    }
    Ok(())
}

/// What overrides ask for.
pub(super) fn asked(overrides: &ContainerOverrides) -> definition::Asked<'_> {
    definition::Asked {
        requirements: overrides.resource_requirements.as_ref(),
        vcpus: overrides.vcpus,
        memory: overrides.memory,
    }
}

/// The command, without empty overrides.
pub(super) fn command(own: Option<Vec<String>>, overrides: Option<Vec<String>>) -> Vec<String> {
    overrides.filter(|command| !command.is_empty()).or(own).unwrap_or_default()
}

/// Variables, later ones of a name instead of earlier ones.
pub(super) fn environment(own: Option<Vec<KeyValuePair>>, overrides: Option<Vec<KeyValuePair>>) -> Vec<KeyValuePair> {
    let mut all = own.unwrap_or_default();
    for pair in overrides.into_iter().flatten() {
        all.retain(|other| other.name != pair.name);
        all.push(pair);
    }
    all
}

/// Requirements, later ones of a type instead of earlier ones.
pub(super) fn requirements(
    own: Option<Vec<ResourceRequirement>>,
    overrides: Option<Vec<ResourceRequirement>>,
) -> Vec<ResourceRequirement> {
    let mut all = own.unwrap_or_default();
    for requirement in overrides.into_iter().flatten() {
        all.retain(|other| other.r#type != requirement.r#type);
        all.push(requirement);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_replace_variables_by_name() {
        let pair = |name: &str, value: &str| KeyValuePair { name: Some(name.into()), value: Some(value.into()) };
        let all = environment(Some(vec![pair("A", "1"), pair("B", "2")]), Some(vec![pair("A", "3"), pair("C", "4")]));
        assert_eq!(all, [pair("B", "2"), pair("A", "3"), pair("C", "4")]);
    }
}
