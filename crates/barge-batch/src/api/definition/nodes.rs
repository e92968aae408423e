//! What is checked of multi-node parallel jobs (API Reference, "NodeProperties", "NodeRangeProperty"; Batch User Guide,
//! "Multi-node parallel jobs").

use super::{Place, check_container, consumables, ecs};
use crate::api::{filled, refuse};
use crate::core::Platform;
use crate::ranges::{MOST_NODES, Range, count, range_of};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{NodeProperties, NodeRangeProperty};

/// Ranges in a definition.
const MOST_RANGES: usize = 5;

/// Checks the numbers of nodes and their ranges, of a definition or after overrides.
pub(in crate::api) fn check_ranges(properties: &NodeProperties) -> Result<u16, AwsError> {
    let nodes = count(properties).ok_or_else(|| {
        client_exception(format!("numNodes must be between 1 and {MOST_NODES}, not {}.", properties.num_nodes))
    })?;
    if !(0..properties.num_nodes).contains(&properties.main_node) {
        return Err(client_exception(format!(
            "mainNode must be between 0 and {}, not {}.",
            nodes - 1,
            properties.main_node
        )));
    }
    if !(1..=MOST_RANGES).contains(&properties.node_range_properties.len()) {
        return Err(client_exception(format!("nodeRangeProperties must have between 1 and {MOST_RANGES} elements.")));
    }
    for range in &properties.node_range_properties {
        if Range::parse(&range.target_nodes, nodes).is_none() {
            return Err(client_exception(format!(
                "targetNodes {:?} is no range of the nodes 0 to {}.",
                range.target_nodes,
                nodes - 1
            )));
        }
    }
    match (0..nodes).find(|node| range_of(properties, *node).is_none()) {
        Some(node) => Err(client_exception(format!("Node ranges must account for all nodes: none names node {node}."))),
        None => Ok(nodes),
    }
}

/// Checks a definition's node properties.
pub(super) fn check(cx: &Context, properties: &NodeProperties, platform: Platform) -> Result<(), AwsError> {
    if platform == Platform::Fargate {
        return Err(client_exception("Multi-node parallel jobs are not supported on Fargate resources."));
    }
    check_ranges(properties)?;
    for (index, range) in properties.node_range_properties.iter().enumerate() {
        let at = format!("nodeProperties.nodeRangeProperties[{index}]");
        let NodeRangeProperty {
            target_nodes: _,
            container,
            instance_types,
            ecs_properties,
            eks_properties,
            consumable_resource_properties,
        } = range;
        refuse(&[
            (&format!("{at}.instanceTypes"), filled(instance_types.as_ref())),
            (&format!("{at}.eksProperties"), eks_properties.is_some()),
        ])?;
        match (container, ecs_properties) {
            (Some(container), None) => {
                check_container(cx, &format!("{at}.container"), container, platform, Place::Node)?;
            }
            (None, Some(properties)) => ecs::check(cx, &format!("{at}.ecsProperties"), properties, platform)?,
            _ => return Err(client_exception(format!("{at} must have either container or ecsProperties."))),
        }
        consumables::check(consumable_resource_properties.as_ref())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(nodes: i64, main: i64, ranges: &[&str]) -> NodeProperties {
        let range =
            |text: &&str| NodeRangeProperty { target_nodes: (*text).to_owned(), ..NodeRangeProperty::default() };
        NodeProperties { num_nodes: nodes, main_node: main, node_range_properties: ranges.iter().map(range).collect() }
    }

    #[test]
    fn ranges_must_name_every_node() {
        for (nodes, main, ranges, expected) in [
            (4, 0, &["0:3"][..], ""),
            (4, 3, &["0:1", "2:"], ""),
            (4, 0, &["0:3", "1:2"], ""),
            (4, 4, &["0:3"], "mainNode must be between 0 and 3, not 4."),
            (0, 0, &["0:"], "numNodes must be"),
            (4, 0, &["0:1", "3"], "Node ranges must account for all nodes: none names node 2."),
            (4, 0, &["0:4"], "targetNodes \"0:4\" is no range"),
            (4, 0, &[], "nodeRangeProperties must have"),
        ] {
            let checked = check_ranges(&properties(nodes, main, ranges));
            let message = checked.err().map(|error| error.message).unwrap_or_default();
            assert!(
                message.starts_with(expected) && message.is_empty() == expected.is_empty(),
                "{ranges:?}: {message}"
            );
        }
    }
}
