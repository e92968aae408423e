//! What a multi-node parallel job runs: `nodeOverrides`, and each node's needs (API Reference, "NodeOverrides").

use super::work::Work;
use super::{detail, overrides};
use crate::api::definition::check_ranges;
use crate::api::{definition, filled, refuse};
use crate::core::{Needs, Platform};
use crate::ranges::{Range, count, range_of};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    ContainerOverrides, EcsProperties, EcsTaskProperties, NodeOverrides, NodeProperties, NodePropertyOverride,
    NodeRangeProperty,
};
use std::collections::BTreeMap;

pub(super) fn work(
    cx: &Context,
    mut properties: NodeProperties,
    given: Option<NodeOverrides>,
    parameters: &BTreeMap<String, String>,
) -> Result<Work, AwsError> {
    let NodeOverrides { num_nodes, node_property_overrides } = given.unwrap_or_default();
    if let Some(nodes) = num_nodes {
        // Some range must grow or shrink with the number of nodes.
        let open = |range: &NodeRangeProperty| range.target_nodes.ends_with(':');
        if nodes != properties.num_nodes && !properties.node_range_properties.iter().any(open) {
            return Err(client_exception(
                "nodeOverrides.numNodes needs a node range of the job definition with an open upper boundary.",
            ));
        }
        properties.num_nodes = nodes;
    }
    for change in node_property_overrides.into_iter().flatten() {
        let range = target(&mut properties, &change.target_nodes)?;
        apply(range, change)?;
    }
    for range in &mut properties.node_range_properties {
        prepare(range, parameters)?;
    }
    let nodes = check_ranges(&properties)?;
    let ranges: Vec<&NodeRangeProperty> = (0..nodes).filter_map(|node| range_of(&properties, node)).collect();
    let tasks = ranges.iter().map(|range| needs(cx, range)).collect::<Result<_, _>>()?;
    let lists = ranges.iter().map(|range| range.consumable_resource_properties.as_ref());
    let consumables = definition::needed(cx, lists)?;
    let main = u16::try_from(properties.main_node).map_err(AwsError::internal)?;
    Ok(Work { tasks, main: Some(main), consumables, nodes: Some(properties), ..Work::default() })
}

/// The range of the definition that an override names, in the same or other words.
fn target<'a>(properties: &'a mut NodeProperties, wanted: &str) -> Result<&'a mut NodeRangeProperty, AwsError> {
    let nodes = count(properties).unwrap_or(0);
    let nodes_of = |text: &str| Range::parse(text, nodes);
    let same = |text: &str| text == wanted || (nodes_of(text).is_some() && nodes_of(text) == nodes_of(wanted));
    let range = properties.node_range_properties.iter_mut().find(|range| same(&range.target_nodes));
    range.ok_or_else(|| {
        client_exception(format!("targetNodes {wanted:?} of nodeOverrides is no node range of the job definition."))
    })
}

/// Puts parameters in place.
fn prepare(range: &mut NodeRangeProperty, parameters: &BTreeMap<String, String>) -> Result<(), AwsError> {
    if let Some(container) = range.container.take() {
        range.container = Some(detail::overridden(container, ContainerOverrides::default(), parameters));
    }
    change_task(range, |task| detail::overridden_task(task, None, parameters))
}

fn change_task(
    range: &mut NodeRangeProperty,
    change: impl FnOnce(EcsTaskProperties) -> Result<EcsTaskProperties, AwsError>,
) -> Result<(), AwsError> {
    if let Some(ecs) = range.ecs_properties.take() {
        let task = change(definition::task(&ecs)?.clone())?;
        range.ecs_properties = Some(EcsProperties { task_properties: vec![task] });
    }
    Ok(())
}

fn apply(range: &mut NodeRangeProperty, change: NodePropertyOverride) -> Result<(), AwsError> {
    const AT: &str = "nodeOverrides.nodePropertyOverrides";
    // Parameters are put in place once, when everything is overridden.
    let no_parameters = BTreeMap::new();
    let NodePropertyOverride {
        target_nodes: _,
        container_overrides,
        ecs_properties_override,
        instance_types,
        eks_properties_override,
        consumable_resource_properties_override,
    } = change;
    refuse(&[
        (&format!("{AT}.instanceTypes"), filled(instance_types.as_ref())),
        (&format!("{AT}.eksPropertiesOverride"), eks_properties_override.is_some()),
    ])?;
    if let Some(given) = container_overrides {
        let at = format!("{AT}.containerOverrides");
        overrides::check(&at, &given)?;
        overrides::asked(&given).check(Platform::Ec2)?;
        let container = range.container.take().ok_or_else(|| wrong_kind(&at))?;
        range.container = Some(detail::overridden(container, given, &no_parameters));
    }
    if let Some(given) = ecs_properties_override {
        if range.ecs_properties.is_none() {
            return Err(wrong_kind(&format!("{AT}.ecsPropertiesOverride")));
        }
        change_task(range, |task| detail::overridden_task(task, Some(given), &no_parameters))?;
    }
    definition::check_consumables(consumable_resource_properties_override.as_ref())?;
    let own = range.consumable_resource_properties.take();
    range.consumable_resource_properties = definition::overridden(own, consumable_resource_properties_override);
    Ok(())
}

fn wrong_kind(member: &str) -> AwsError {
    client_exception(format!("{member} is not applicable to the node range."))
}

/// What a node of the range needs.
fn needs(cx: &Context, range: &NodeRangeProperty) -> Result<Needs, AwsError> {
    let needs = match (&range.container, &range.ecs_properties) {
        (Some(container), _) => definition::needs(cx, definition::asked(container), definition::Asked::default())?,
        (None, Some(ecs)) => definition::task_needs(cx, &definition::task(ecs)?.containers)?,
        (None, None) => return Err(AwsError::internal("a node range without containers")),
    };
    definition::check_task(needs, Platform::Ec2)?;
    Ok(needs)
}
