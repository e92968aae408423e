//! A model as published: reading, and which shapes an operation reaches.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Model {
    pub(crate) metadata: Value,
    pub(crate) operations: BTreeMap<String, Value>,
    pub(crate) shapes: BTreeMap<String, Value>,
}

impl Model {
    pub(crate) fn read(text: &str) -> Self {
        let mut root: Value = serde_json::from_str(text).expect("a model is JSON");
        let mut take = |key: &str| match root[key].take() {
            Value::Object(map) => map.into_iter().collect::<BTreeMap<_, _>>(),
            _ => panic!("a model has {key}"),
        };
        let (operations, shapes) = (take("operations"), take("shapes"));
        Self { metadata: root["metadata"].take(), operations, shapes }
    }

    pub(crate) fn shape(&self, name: &str) -> &Value {
        self.shapes.get(name).unwrap_or_else(|| panic!("the model has no shape {name}"))
    }

    /// A string in the metadata; empty where there is none.
    pub(crate) fn metadata(&self, key: &str) -> &str {
        self.metadata[key].as_str().unwrap_or_default()
    }

    /// Every shape that the inputs and outputs of `operations` are made of.
    pub(crate) fn reachable(&self, operations: &[String]) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<String> = operations
            .iter()
            .flat_map(|name| {
                let operation =
                    self.operations.get(name).unwrap_or_else(|| panic!("the model has no operation {name}"));
                ["input", "output"].into_iter().filter_map(|side| operation[side]["shape"].as_str().map(String::from))
            })
            .collect();
        while let Some(name) = open.pop() {
            if seen.insert(name.clone()) {
                open.extend(self.parts(&name));
            }
        }
        seen
    }

    /// The shapes that a shape is made of.
    fn parts(&self, name: &str) -> Vec<String> {
        let shape = self.shape(name);
        let named = |value: &Value| value["shape"].as_str().map(String::from);
        match shape["type"].as_str() {
            Some("structure") => members(shape).filter_map(|(_, member)| named(member)).collect(),
            Some("list") => named(&shape["member"]).into_iter().collect(),
            Some("map") => named(&shape["key"]).into_iter().chain(named(&shape["value"])).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a structure holds itself without a list or map between.
    pub(crate) fn recursive(&self, outer: &str, member: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![member.to_owned()];
        while let Some(name) = open.pop() {
            if name == outer {
                return true;
            }
            if self.shape(&name)["type"] == "structure" && seen.insert(name.clone()) {
                open.extend(self.parts(&name).into_iter().filter(|part| self.shape(part)["type"] == "structure"));
            }
        }
        false
    }
}

pub(crate) fn members(shape: &Value) -> impl Iterator<Item = (&String, &Value)> {
    shape["members"].as_object().into_iter().flatten()
}
