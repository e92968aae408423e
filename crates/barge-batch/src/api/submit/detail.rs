//! Containers and tasks as they will run: overrides and parameters applied.

use super::{overrides, parameters};
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    ContainerOverrides, ContainerProperties, EcsPropertiesOverride, EcsTaskProperties, TaskContainerOverrides,
    TaskContainerProperties,
};
use std::collections::BTreeMap;

/// A container with overrides and parameters applied.
pub(super) fn overridden(
    mut properties: ContainerProperties,
    given: ContainerOverrides,
    values: &BTreeMap<String, String>,
) -> ContainerProperties {
    let command = overrides::command(properties.command.take(), given.command);
    properties.command = Some(parameters::command(&command, values));
    properties.vcpus = given.vcpus.or(properties.vcpus);
    properties.memory = given.memory.or(properties.memory);
    properties.environment = Some(overrides::environment(properties.environment.take(), given.environment));
    let requirements = overrides::requirements(properties.resource_requirements.take(), given.resource_requirements);
    properties.resource_requirements = Some(requirements);
    properties
}

/// A task with overrides and parameters applied; overrides name the containers that they are for.
pub(super) fn overridden_task(
    mut task: EcsTaskProperties,
    given: Option<EcsPropertiesOverride>,
    values: &BTreeMap<String, String>,
) -> Result<EcsTaskProperties, AwsError> {
    for given in task_overrides(given)? {
        overrides::check_task("ecsPropertiesOverride.taskProperties.containers", &given)?;
        let name = given.name.clone();
        let only = task.containers.len() == 1 && name.is_none();
        let target = task.containers.iter_mut().find(|container| only || (name.is_some() && container.name == name));
        let target = target.ok_or_else(|| {
            client_exception(format!(
                "ecsPropertiesOverride names no container of the task: {:?}.",
                name.unwrap_or_default()
            ))
        })?;
        apply(target, given);
    }
    for container in &mut task.containers {
        let command = container.command.take().unwrap_or_default();
        container.command = Some(parameters::command(&command, values));
    }
    Ok(task)
}

fn task_overrides(given: Option<EcsPropertiesOverride>) -> Result<Vec<TaskContainerOverrides>, AwsError> {
    let mut tasks = given.and_then(|given| given.task_properties).unwrap_or_default();
    if tasks.len() > 1 {
        return Err(client_exception("ecsPropertiesOverride.taskProperties can have at most 1 element."));
    }
    Ok(tasks.pop().and_then(|task| task.containers).unwrap_or_default())
}

fn apply(container: &mut TaskContainerProperties, given: TaskContainerOverrides) {
    container.command = Some(overrides::command(container.command.take(), given.command));
    container.environment = Some(overrides::environment(container.environment.take(), given.environment));
    let own = container.resource_requirements.take();
    container.resource_requirements = Some(overrides::requirements(own, given.resource_requirements));
}
