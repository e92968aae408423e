//! Node ranges of multi-node parallel jobs: which of them counts for a node (API Reference, "NodeRangeProperty").
//!
//! Ranges together name every node. Where one lies within another, the smaller one counts for its nodes.

use barge_wire::batch::{NodeProperties, NodeRangeProperty};

/// Nodes in a job.
pub(crate) const MOST_NODES: u16 = 1000;

/// Nodes from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl Range {
    /// Reads `n`, `n:m`, `n:`, `:m` or `:`, for a job of so many nodes.
    pub(crate) fn parse(text: &str, nodes: u16) -> Option<Self> {
        let number = |text: &str, default: u16| match text {
            "" => Some(default),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
            _ => None,
        };
        let highest = nodes.checked_sub(1)?;
        let range = match text.split_once(':') {
            Some((first, last)) => Self { first: number(first, 0)?, last: number(last, highest)? },
            None if text.is_empty() => return None,
            None => number(text, 0).map(|node| Self { first: node, last: node })?,
        };
        (range.first <= range.last && range.last <= highest).then_some(range)
    }

    pub(crate) const fn contains(self, node: u16) -> bool {
        self.first <= node && node <= self.last
    }
}

/// How many nodes a job has, where that is a possible number.
pub(crate) fn count(properties: &NodeProperties) -> Option<u16> {
    u16::try_from(properties.num_nodes).ok().filter(|nodes| (1..=MOST_NODES).contains(nodes))
}

/// The range that counts for a node: the smallest that names it, of equal ones the last.
pub(crate) fn range_of(properties: &NodeProperties, node: u16) -> Option<&NodeRangeProperty> {
    let nodes = count(properties)?;
    let ranges = properties.node_range_properties.iter().filter_map(|property| {
        let range = Range::parse(&property.target_nodes, nodes).filter(|range| range.contains(node))?;
        Some((range, property))
    });
    let smallest_last = ranges.rev().min_by_key(|(range, _)| range.last - range.first);
    smallest_last.map(|(_, property)| property)
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
    fn ranges_as_they_may_be_written() {
        for (text, expected) in [
            ("0:3", Some((0, 3))),
            ("2", Some((2, 2))),
            ("1:", Some((1, 3))),
            (":1", Some((0, 1))),
            (":", Some((0, 3))),
            ("", None),
            ("0:4", None),
            ("3:2", None),
            ("-1:2", None),
            ("+1", None),
            ("a", None),
        ] {
            let range = Range::parse(text, 4).map(|range| (range.first, range.last));
            assert_eq!(range, expected, "{text}");
        }
    }

    #[test]
    fn the_smaller_range_counts() {
        let properties = properties(12, 0, &["0:10", "4:5", "11", "0:10"]);
        let named = |node| range_of(&properties, node).map(|range| range.target_nodes.as_str());
        assert_eq!((named(3), named(4), named(11), named(12)), (Some("0:10"), Some("4:5"), Some("11"), None));
        let last = range_of(&properties, 3).unwrap();
        assert!(std::ptr::eq(last, &raw const properties.node_range_properties[3]));
    }
}
