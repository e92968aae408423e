//! What refers to what, and resources that wait for each other.

use super::Template;
use super::expression::{Expression, Predicate};
use super::problem::Path;
use super::sub::Part;
use std::collections::{BTreeMap, BTreeSet};

/// Which branches of `Fn::If` to look into.
#[derive(Clone, Copy, Debug)]
pub enum Branches<'a> {
    /// Both.
    All,
    /// Neither.
    Neither,
    /// The one that counts; neither where the condition is not known.
    Decided(&'a BTreeMap<String, bool>),
}

/// Calls `visit` with every expression in `expression`, itself first, and its place.
pub(super) fn walk<'e>(
    expression: &'e Expression,
    path: &Path,
    branches: Branches<'_>,
    visit: &mut dyn FnMut(&'e Expression, &Path),
) {
    visit(expression, path);
    let mut into = |inner: &'e Expression, path: Path| walk(inner, &path, branches, visit);
    match expression {
        Expression::Literal(_) | Expression::Ref(_) => {}
        Expression::List(list) => list.iter().enumerate().for_each(|(i, inner)| into(inner, path.at(i))),
        Expression::Map(map) => map.iter().for_each(|(key, inner)| into(inner, path.at(key))),
        Expression::GetAtt { attribute, .. } => into(attribute, path.at("Fn::GetAtt").at(1)),
        Expression::Sub { variables, .. } => {
            let path = path.at("Fn::Sub").at(1);
            variables.iter().for_each(|(name, inner)| into(inner, path.at(name)));
        }
        Expression::Join { values, .. } => into(values, path.at("Fn::Join").at(1)),
        Expression::Select { index, list } => {
            let path = path.at("Fn::Select");
            into(index, path.at(0));
            into(list, path.at(1));
        }
        Expression::Split { text, .. } => into(text, path.at("Fn::Split").at(1)),
        Expression::If { condition, then, otherwise } => {
            let path = path.at("Fn::If");
            let (first, second) = match branches {
                Branches::All => (true, true),
                Branches::Neither => (false, false),
                Branches::Decided(conditions) => match conditions.get(condition) {
                    Some(holds) => (*holds, !*holds),
                    None => (false, false),
                },
            };
            if first {
                into(then, path.at(1));
            }
            if second {
                into(otherwise, path.at(2));
            }
        }
        Expression::FindInMap { map, top, second, default } => {
            let path = path.at("Fn::FindInMap");
            for (i, inner) in [map, top, second].into_iter().chain(default).enumerate() {
                into(inner, path.at(i));
            }
        }
        Expression::ImportValue(inner) => into(inner, path.at("Fn::ImportValue")),
        Expression::Length(inner) => into(inner, path.at("Fn::Length")),
        Expression::ToJson(inner) => into(inner, path.at("Fn::ToJsonString")),
        Expression::Base64(inner) => into(inner, path.at("Fn::Base64")),
        Expression::GetAzs(inner) => into(inner, path.at("Fn::GetAZs")),
        Expression::Cidr { block, count, bits } => {
            let path = path.at("Fn::Cidr");
            for (i, inner) in [Some(block), Some(count), bits.as_ref()].into_iter().flatten().enumerate() {
                into(inner, path.at(i));
            }
        }
    }
}

/// Calls `visit` with every expression in a condition and its place.
pub(super) fn walk_predicate<'e>(
    predicate: &'e Predicate,
    path: &Path,
    visit: &mut dyn FnMut(&'e Expression, &Path),
    conditions: &mut dyn FnMut(&'e str, &Path),
) {
    match predicate {
        Predicate::Condition(name) => conditions(name, path),
        Predicate::Equals(left, right) => {
            let path = path.at("Fn::Equals");
            walk(left, &path.at(0), Branches::All, visit);
            walk(right, &path.at(1), Branches::All, visit);
        }
        Predicate::Not(inner) => walk_predicate(inner, &path.at("Fn::Not").at(0), visit, conditions),
        Predicate::And(list) | Predicate::Or(list) => {
            let path = path.at(if matches!(predicate, Predicate::And(_)) { "Fn::And" } else { "Fn::Or" });
            for (i, inner) in list.iter().enumerate() {
                walk_predicate(inner, &path.at(i), visit, conditions);
            }
        }
    }
}

/// Every condition that a condition names, in `Condition` or in an `Fn::If`.
pub(super) fn conditions_in(predicate: &Predicate) -> BTreeSet<&str> {
    let (mut named, mut tested) = (BTreeSet::new(), BTreeSet::new());
    walk_predicate(
        predicate,
        &Path::default(),
        &mut |inner, _| {
            if let Expression::If { condition, .. } = inner {
                tested.insert(condition.as_str());
            }
        },
        &mut |name, _| {
            named.insert(name);
        },
    );
    named.extend(tested);
    named
}

/// The names that one expression itself refers to, not those within it: `Ref`, `GetAtt` (with its attribute, where it
/// is a literal) and the variables of `Sub` that are not its own.
pub(super) fn targets(expression: &Expression) -> Vec<(&str, Option<&str>)> {
    match expression {
        Expression::Ref(name) => vec![(name, None)],
        Expression::GetAtt { resource, attribute } => match attribute.as_ref() {
            Expression::Literal(name) => vec![(resource, Some(name.as_str().unwrap_or_default()))],
            _ => vec![(resource, Some(""))],
        },
        Expression::Sub { parts, variables } => parts
            .iter()
            .filter_map(|part| match part {
                Part::Variable(name) if !variables.contains_key(name) => Some(match name.split_once('.') {
                    Some((resource, attribute)) => (resource, Some(attribute)),
                    None => (name.as_str(), None),
                }),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Every name that `expression` refers to: parameters, pseudo parameters and resources.
pub fn references<'e>(expression: &'e Expression, branches: Branches<'_>) -> BTreeSet<&'e str> {
    let mut names = BTreeSet::new();
    walk(expression, &Path::default(), branches, &mut |inner, _| {
        names.extend(targets(inner).into_iter().map(|(name, _)| name));
    });
    names
}

/// The attributes of `resource` that `expression` takes.
pub fn attributes<'e>(expression: &'e Expression, resource: &str) -> BTreeSet<&'e str> {
    let mut names = BTreeSet::new();
    walk(expression, &Path::default(), Branches::All, &mut |inner, _| {
        names.extend(targets(inner).into_iter().filter(|(name, _)| *name == resource).filter_map(|(_, name)| name));
    });
    names
}

impl Template {
    /// The resources that must be made before `logical_id`, in the order of their names.
    pub fn dependencies(&self, logical_id: &str, branches: Branches<'_>) -> BTreeSet<&str> {
        let Some(resource) = self.resources.get(logical_id) else {
            return BTreeSet::new();
        };
        let implied = resource.properties.values().flat_map(|value| references(value, branches));
        implied
            .chain(resource.depends_on.iter().map(String::as_str))
            .filter(|name| self.resources.contains_key(*name))
            .collect()
    }
}

/// Groups of nodes that reach each other, each group in the order of its indices: strongly connected components with an
/// edge inside. `edges[n]` are the nodes that `n` points to.
pub fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut search = Search {
        edges,
        next: 0,
        index: vec![None; edges.len()],
        low: vec![0; edges.len()],
        on_stack: vec![false; edges.len()],
        stack: Vec::new(),
        found: Vec::new(),
    };
    for node in 0..edges.len() {
        if search.index[node].is_none() {
            search.visit(node);
        }
    }
    search.found.sort();
    search.found
}

/// Tarjan's algorithm with a stack of its own: a template's longest chain is bounded, the thread's stack unknown.
struct Search<'a> {
    edges: &'a [Vec<usize>],
    next: usize,
    index: Vec<Option<usize>>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    found: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn enter(&mut self, node: usize) {
        self.index[node] = Some(self.next);
        self.low[node] = self.next;
        self.next += 1;
        self.stack.push(node);
        self.on_stack[node] = true;
    }

    fn visit(&mut self, root: usize) {
        let mut calls = vec![(root, 0)];
        self.enter(root);
        while let Some((node, edge)) = calls.last_mut() {
            let node = *node;
            if let Some(&target) = self.edges[node].get(*edge) {
                *edge += 1;
                match self.index[target] {
                    None => {
                        self.enter(target);
                        calls.push((target, 0));
                    }
                    Some(index) if self.on_stack[target] => self.low[node] = self.low[node].min(index),
                    Some(_) => {}
                }
                continue;
            }
            calls.pop();
            if let Some((parent, _)) = calls.last() {
                self.low[*parent] = self.low[*parent].min(self.low[node]);
            }
            if Some(self.low[node]) == self.index[node] {
                self.leave(node);
            }
        }
    }

    fn leave(&mut self, root: usize) {
        let mut group = Vec::new();
        while let Some(node) = self.stack.pop() {
            self.on_stack[node] = false;
            group.push(node);
            if node == root {
                break;
            }
        }
        if group.len() > 1 || self.edges[root].contains(&root) {
            group.sort_unstable();
            self.found.push(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn groups_that_reach_each_other_are_found() {
        assert_eq!(cycles(&[vec![1], vec![2], vec![0], vec![0]]), [vec![0, 1, 2]]);
        assert_eq!(cycles(&[vec![0], vec![0]]), [vec![0]]);
        assert_eq!(cycles(&[vec![1], vec![0], vec![3], vec![2]]), [vec![0, 1], vec![2, 3]]);
        assert!(cycles(&[vec![1, 2], vec![2], vec![]]).is_empty());
        let chain: Vec<Vec<usize>> = (0..100_000).map(|n| if n == 99_999 { vec![] } else { vec![n + 1] }).collect();
        assert!(cycles(&chain).is_empty());
    }

    fn reaches(edges: &[Vec<usize>], from: usize, to: usize) -> bool {
        let mut seen = vec![false; edges.len()];
        let mut open = edges[from].clone();
        while let Some(node) = open.pop() {
            if node == to {
                return true;
            }
            if !std::mem::replace(&mut seen[node], true) {
                open.extend(&edges[node]);
            }
        }
        false
    }

    proptest! {
        #[test]
        fn a_node_is_in_a_group_where_it_reaches_itself(
            edges in proptest::collection::vec(proptest::collection::vec(0_usize..12, 0..4), 12)
        ) {
            let grouped: Vec<usize> = cycles(&edges).concat();
            for node in 0..edges.len() {
                prop_assert_eq!(grouped.contains(&node), reaches(&edges, node, node));
            }
        }
    }
}
