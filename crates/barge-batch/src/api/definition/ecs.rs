//! Jobs of several containers: `ecsProperties` (API Reference, "EcsTaskProperties", "TaskContainerProperties").
//!
//! One task of up to ten containers. What waits for an essential container's end would never start, so AWS refuses that; what waits in a
//! circle would not either.

use super::container::{Container, check_execution_role, check_role};
use super::{fargate, requirements, storage};
use crate::api::{absent, refuse};
use crate::core::{Needs, Platform};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{EcsProperties, EcsTaskProperties, TaskContainerDependency, TaskContainerProperties};
use std::collections::{BTreeMap, BTreeSet};

/// Containers in a task.
const MOST: usize = 10;
/// The longest `stopTimeout`, in seconds.
const LONGEST_STOP: i64 = 120;

/// The one task of a definition.
pub(in crate::api) fn task(properties: &EcsProperties) -> Result<&EcsTaskProperties, AwsError> {
    match properties.task_properties.as_slice() {
        [task] => Ok(task),
        all => Err(client_exception(format!(
            "ecsProperties.taskProperties must have exactly 1 element, not {}.",
            all.len()
        ))),
    }
}

/// Checks a task; `at` is where it is in the request.
pub(super) fn check(cx: &Context, at: &str, properties: &EcsProperties, platform: Platform) -> Result<(), AwsError> {
    let task = task(properties)?;
    let at = format!("{at}.taskProperties");
    // Every member by name, so that one that AWS adds is not overlooked.
    let EcsTaskProperties {
        containers,
        ephemeral_storage,
        execution_role_arn,
        platform_version,
        ipc_mode,
        task_role_arn,
        pid_mode,
        network_configuration,
        runtime_platform,
        volumes,
        enable_execute_command,
        network_mode,
    } = task;
    refuse(&[
        // Containers share neither: that is `none`.
        (&format!("{at}.ipcMode"), ipc_mode.as_deref().is_some_and(|mode| mode != "none")),
        (&format!("{at}.pidMode"), pid_mode.is_some()),
        // They share the machine's network: that is `host`.
        (&format!("{at}.networkMode"), network_mode.as_deref().is_some_and(|mode| mode != "host")),
        (&format!("{at}.enableExecuteCommand"), *enable_execute_command == Some(true)),
    ])?;
    check_role("taskRoleArn", task_role_arn.as_deref())?;
    check_execution_role(execution_role_arn.as_deref(), platform)?;
    storage::check_volumes(&at, volumes.as_ref(), platform)?;
    storage::check_ephemeral(&at, ephemeral_storage.as_ref(), platform)?;
    fargate::check_version(&format!("{at}.platformVersion"), platform_version.as_deref(), platform)?;
    fargate::check_network(&at, network_configuration.as_ref(), platform)?;
    fargate::check_runtime(runtime_platform.as_ref())?;
    if !(1..=MOST).contains(&containers.len()) {
        return Err(client_exception(format!("A task must have between 1 and {MOST} containers.")));
    }
    for (index, container) in containers.iter().enumerate() {
        let at = format!("{at}.containers[{index}]");
        check_container(&at, container)?;
        let role = execution_role_arn.as_deref();
        Container::of_task(&at, container).check(platform, volumes.as_ref(), role)?;
        asked(container).check(platform)?;
    }
    check_dependencies(containers)?;
    requirements::check_task(needs(cx, containers)?, platform)
}

/// What the containers of a task need together.
pub(in crate::api) fn needs(cx: &Context, containers: &[TaskContainerProperties]) -> Result<Needs, AwsError> {
    let each =
        containers.iter().map(|container| requirements::needs(cx, asked(container), requirements::Asked::default()));
    requirements::sum(&each.collect::<Result<Vec<_>, _>>()?)
}

fn asked(container: &TaskContainerProperties) -> requirements::Asked<'_> {
    requirements::Asked { requirements: container.resource_requirements.as_ref(), vcpus: None, memory: None }
}

fn check_container(at: &str, container: &TaskContainerProperties) -> Result<(), AwsError> {
    let TaskContainerProperties {
        firelens_configuration,
        start_timeout,
        stop_timeout,
        name,
        // The rest is looked at with every container, with dependencies or with sizes, or can't be wrong.
        command: _,
        depends_on: _,
        environment: _,
        essential: _,
        image: _,
        linux_parameters: _,
        log_configuration: _,
        mount_points: _,
        privileged: _,
        readonly_root_filesystem: _,
        repository_credentials: _,
        resource_requirements: _,
        secrets: _,
        ulimits: _,
        user: _,
    } = container;
    refuse(&[
        (&format!("{at}.firelensConfiguration"), firelens_configuration.is_some()),
        (&format!("{at}.startTimeout"), start_timeout.is_some()),
    ])?;
    if stop_timeout.is_some_and(|seconds| !(0..=LONGEST_STOP).contains(&seconds)) {
        return Err(client_exception(format!("stopTimeout must be between 0 and {LONGEST_STOP}.")));
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    match name.as_deref() {
        Some(name) if name.is_empty() || name.len() > 255 || !name.bytes().all(legal) => {
            Err(client_exception(format!("Container name {name:?} is not valid.")))
        }
        _ => Ok(()),
    }
}

fn check_dependencies(containers: &[TaskContainerProperties]) -> Result<(), AwsError> {
    let mut essential = BTreeMap::new();
    for container in containers {
        let name = container.name.as_deref().unwrap_or_default();
        absent("The name of each of a task's containers", name.is_empty() && containers.len() > 1)?;
        if essential.insert(name, container.essential != Some(false)).is_some() {
            return Err(client_exception(format!("Container name {name} is used twice.")));
        }
    }
    if !essential.values().any(|essential| *essential) {
        return Err(client_exception("At least one container of a task must be essential."));
    }
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for container in containers {
        let name = container.name.as_deref().unwrap_or_default();
        for TaskContainerDependency { container_name, condition } in container.depends_on.iter().flatten() {
            let other = container_name.as_deref().unwrap_or_default();
            let condition = condition.as_deref().unwrap_or_default();
            let Some(is_essential) = essential.get(other) else {
                return Err(client_exception(format!(
                    "Container {name} depends on {other:?}, which is no container of the task."
                )));
            };
            match condition {
                "START" => {}
                "COMPLETE" | "SUCCESS" if !is_essential => {}
                "COMPLETE" | "SUCCESS" => {
                    return Err(client_exception(format!(
                        "The condition {condition} can't be set on the essential container {other}."
                    )));
                }
                _ => {
                    return Err(client_exception(format!(
                        "The condition {condition:?} of a container dependency must be START, COMPLETE or SUCCESS."
                    )));
                }
            }
            edges.entry(name).or_default().push(other);
        }
    }
    match circle(&edges) {
        Some(name) => Err(client_exception(format!("Container {name} depends on itself, through dependsOn."))),
        None => Ok(()),
    }
}

/// A name from which its edges lead back to itself.
fn circle<'a>(edges: &BTreeMap<&'a str, Vec<&'a str>>) -> Option<&'a str> {
    edges.keys().copied().find(|start| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&str> = edges[start].clone();
        while let Some(name) = next.pop() {
            if name == *start {
                return true;
            }
            if seen.insert(name) {
                next.extend(edges.get(name).into_iter().flatten());
            }
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, essential: Option<bool>, depends_on: &[(&str, &str)]) -> TaskContainerProperties {
        let depends_on = depends_on.iter().map(|(other, condition)| TaskContainerDependency {
            container_name: Some((*other).to_owned()),
            condition: Some((*condition).to_owned()),
        });
        TaskContainerProperties {
            name: Some(name.to_owned()),
            essential,
            depends_on: Some(depends_on.collect()),
            ..TaskContainerProperties::default()
        }
    }

    #[test]
    fn dependencies_that_could_never_be_met_are_refused() {
        let (no, yes) = (Some(false), None);
        for (containers, expected) in [
            (vec![container("a", yes, &[("b", "START")]), container("b", no, &[])], ""),
            (vec![container("a", yes, &[("b", "SUCCESS")]), container("b", no, &[])], ""),
            (vec![container("a", yes, &[]), container("b", no, &[("a", "COMPLETE")])], "The condition COMPLETE can't"),
            (vec![container("a", yes, &[("c", "START")])], "Container a depends on \"c\""),
            (vec![container("a", yes, &[("a", "START")])], "Container a depends on itself"),
            (
                vec![
                    container("a", yes, &[("b", "START")]),
                    container("b", no, &[("c", "START")]),
                    container("c", no, &[("b", "START")]),
                ],
                "Container b depends on itself",
            ),
            (vec![container("a", no, &[])], "At least one container"),
            (vec![container("a", yes, &[]), container("a", no, &[])], "Container name a is used twice."),
            (vec![container("a", yes, &[("b", "HEALTHY")]), container("b", no, &[])], "The condition \"HEALTHY\""),
            (vec![container("", yes, &[])], ""),
        ] {
            let message = check_dependencies(&containers).err().map(|error| error.message).unwrap_or_default();
            assert!(
                message.starts_with(expected) && message.is_empty() == expected.is_empty(),
                "{expected}: {message}"
            );
        }
    }
}
