//! What a job runs, by the kind of its definition: one container, a task of several, or nodes.

use super::{check_kind_of_overrides, detail, nodes, overrides};
use crate::api::definition;
use crate::core::{ConsumableId, Needs, Platform};
use crate::view::{container_detail, ecs_detail};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    ConsumableResourceProperties, ContainerDetail, ContainerProperties, EcsProperties, EcsPropertiesDetail,
    JobDefinition, NodeProperties, SubmitJobRequest,
};
use std::collections::BTreeMap;

/// What a job runs, as the core and as the API take it.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) tasks: Vec<Needs>,
    /// The main node, of a multi-node job.
    pub(super) main: Option<u16>,
    pub(super) consumables: Vec<(ConsumableId, u64)>,
    pub(super) container: Option<ContainerDetail>,
    pub(super) ecs: Option<EcsPropertiesDetail>,
    pub(super) nodes: Option<NodeProperties>,
    /// Consumable resources as the job shows them.
    pub(super) listed: Option<ConsumableResourceProperties>,
}

/// What a job of `definition` runs.
pub(super) fn work(
    cx: &Context,
    platform: Platform,
    definition: &JobDefinition,
    input: &SubmitJobRequest,
    parameters: &BTreeMap<String, String>,
) -> Result<Work, AwsError> {
    let JobDefinition { container_properties, ecs_properties, node_properties, .. } = definition;
    if let Some(properties) = node_properties {
        check_kind_of_overrides(input, "nodeOverrides")?;
        if input.consumable_resource_properties_override.is_some() {
            return Err(client_exception(
                "consumableResourcePropertiesOverride of a multi-node parallel job must be given in nodeOverrides.",
            ));
        }
        return nodes::work(cx, properties.clone(), input.node_overrides.clone(), parameters);
    }
    let own = definition.consumable_resource_properties.clone();
    let listed = definition::overridden(own, input.consumable_resource_properties_override.clone());
    let consumables = definition::needed(cx, std::iter::once(listed.as_ref()))?;
    let one = match ecs_properties {
        Some(properties) => task(cx, platform, properties, input, parameters)?,
        None => container(cx, platform, container_properties.clone().unwrap_or_default(), input, parameters)?,
    };
    Ok(Work { consumables, listed, ..one })
}

fn container(
    cx: &Context,
    platform: Platform,
    properties: ContainerProperties,
    input: &SubmitJobRequest,
    parameters: &BTreeMap<String, String>,
) -> Result<Work, AwsError> {
    check_kind_of_overrides(input, "containerOverrides")?;
    let given = input.container_overrides.clone().unwrap_or_default();
    overrides::check("containerOverrides", &given)?;
    let asked = overrides::asked(&given);
    asked.check(platform)?;
    let needs = definition::needs(cx, definition::asked(&properties), asked)?;
    definition::check_task(needs, platform)?;
    let container = container_detail(detail::overridden(properties, given, parameters));
    Ok(Work { tasks: vec![needs], container: Some(container), ..Work::default() })
}

fn task(
    cx: &Context,
    platform: Platform,
    properties: &EcsProperties,
    input: &SubmitJobRequest,
    parameters: &BTreeMap<String, String>,
) -> Result<Work, AwsError> {
    check_kind_of_overrides(input, "ecsPropertiesOverride")?;
    let given = input.ecs_properties_override.clone();
    let task = detail::overridden_task(definition::task(properties)?.clone(), given, parameters)?;
    let needs = definition::task_needs(cx, &task.containers)?;
    definition::check_task(needs, platform)?;
    Ok(Work { tasks: vec![needs], ecs: Some(ecs_detail(task)), ..Work::default() })
}
