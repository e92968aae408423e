//! A resource's properties as its stack set them, against those that it has: where they differ, and what of them may be
//! shown. Pure.
//!
//! Only what the stack set is compared. A structure's other members are the service's to fill in, but an entry more in a
//! list, or in a map whose keys are the template's own, is a difference (CloudFormation API Reference,
//! "PropertyDifference").

use super::record::HIDDEN;
use barge_core::Document;
use barge_core::resource::{PropertyType, Readback, ResourceSchema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a value differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DifferenceKind {
    /// It is there and was not set.
    Add,
    /// It was set and is not there.
    Remove,
    NotEqual,
}

/// One difference. Values are text, or JSON where they are lists or maps; `null` stands for none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub(crate) struct Difference {
    /// e.g. `/Tags/0/Value`. An added entry comes after those of the template.
    pub(crate) path: String,
    pub(crate) expected: String,
    pub(crate) actual: String,
    pub(crate) kind: DifferenceKind,
}

/// A difference as it is stored, also of the time when only attributes were compared.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Attribute(String, String, String),
    Property { path: String, expected: String, actual: String, kind: DifferenceKind },
}

impl From<Stored> for Difference {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Property { path, expected, actual, kind } => Self { path, expected, actual, kind },
            Stored::Attribute(name, expected, actual) => {
                Self { path: format!("/{name}"), expected, actual, kind: DifferenceKind::NotEqual }
            }
        }
    }
}

/// What a comparison finds.
#[derive(Debug, PartialEq)]
pub(crate) struct Compared {
    pub(crate) differences: Vec<Difference>,
    /// Present values of what was compared, in the order of the template, with hidden ones hidden.
    pub(crate) actual: Document,
}

/// What a stack puts on a resource beside the resource's own properties.
#[derive(Default)]
pub(crate) struct Company<'a> {
    /// The stack's tags when the resource was made or changed last.
    pub(crate) tags: BTreeMap<String, String>,
    /// Other resources of the stack that name this one, as what attaches a rule or a policy to it does: physical id and
    /// properties.
    pub(crate) attached: Vec<(&'a str, &'a Document)>,
}

/// Compares the properties that a resource of a type has, `actual`, with the `expected`. `shown` are the expected ones with
/// hidden values hidden.
pub(crate) fn compare(
    schema: &ResourceSchema,
    expected: &Document,
    shown: &Document,
    actual: &Document,
    company: &Company<'_>,
) -> Compared {
    let mut differences = Vec::new();
    let mut now = Vec::new();
    let set = expected.as_map().into_iter().flatten().filter(|(_, value)| **value != Document::Null);
    for (name, value) in set {
        let Some(property) = schema.properties.iter().find(|property| property.name == name) else { continue };
        let Readback::Value { open } = property.readback else { continue };
        let mut walk = Walk { open, company, differences: Vec::new(), path: String::new() };
        let keys = if property.kind == PropertyType::Json { Keys::Document } else { Keys::Type };
        let pair = Pair { expected: value, shown: shown.get(property.name), actual: actual.get(property.name) };
        now.extend(walk.member(property.name, pair, keys).map(|value| (property.name, value)));
        differences.append(&mut walk.differences);
    }
    Compared { differences, actual: Document::map(now) }
}

/// Whose the keys of a map are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// The type's: members that the template does not set are filled in.
    Type,
    /// The template's.
    Own,
    /// The template's, in a tree that may also be written as text with JSON in it.
    Document,
}

/// A value that was set, the same as it may be shown (`None` where nothing of it may), and what is there now.
#[derive(Clone, Copy)]
struct Pair<'a> {
    expected: &'a Document,
    shown: Option<&'a Document>,
    actual: Option<&'a Document>,
}

struct Walk<'a> {
    open: &'static [&'static str],
    company: &'a Company<'a>,
    differences: Vec<Difference>,
    path: String,
}

impl Walk<'_> {
    /// The member or entry called `name`; gives what may be shown of its present value.
    fn member(&mut self, name: &str, pair: Pair<'_>, keys: Keys) -> Option<Document> {
        let length = self.path.len();
        self.path.push('/');
        self.path.push_str(name);
        let keys = if keys == Keys::Type && self.open.contains(&name) { Keys::Document } else { keys };
        let emptied = pair.actual.is_some_and(|actual| actual.as_str().is_some());
        let now = match pair.actual.filter(|actual| emptied || !is_nothing(actual)) {
            None if is_nothing(pair.expected) => None,
            None => {
                self.differ(DifferenceKind::Remove, pair.shown.map_or_else(hidden, text), none());
                None
            }
            Some(_) if keys == Keys::Document => {
                let [expected, shown, actual] = [Some(pair.expected), pair.shown, pair.actual].map(|it| it.map(tree));
                let expected = expected.unwrap_or_default();
                let pair = Pair { expected: &expected, shown: shown.as_ref(), actual: actual.as_ref() };
                Some(self.value(pair, Keys::Own))
            }
            Some(_) => Some(self.value(pair, keys)),
        };
        self.path.truncate(length);
        now
    }

    fn value(&mut self, pair: Pair<'_>, keys: Keys) -> Document {
        let Pair { expected, shown, actual } = pair;
        let actual = actual.unwrap_or(&Document::Null);
        match (expected, actual) {
            (Document::Map(expected), Document::Map(actual)) => {
                let mut now = Vec::new();
                for (name, value) in expected {
                    let shown = shown.and_then(|shown| shown.get(name));
                    let pair = Pair { expected: value, shown, actual: actual.get(name) };
                    now.extend(self.member(name, pair, keys).map(|value| (name.clone(), value)));
                }
                let more = actual.iter().filter(|(name, value)| !expected.contains_key(*name) && !is_nothing(value));
                for (name, value) in more.filter(|_| keys != Keys::Type) {
                    if !self.path.ends_with("/Tags") || !self.company.has_tag(name, value) {
                        self.added(name, value);
                        now.push((name.clone(), value.clone()));
                    }
                }
                Document::map(now)
            }
            (Document::List(expected), Document::List(actual)) => {
                let shown = shown.and_then(Document::as_list);
                Document::List(self.list(expected, shown, actual, keys))
            }
            // A list of one may be written as what is in it.
            (Document::List(expected), actual) => {
                let shown = shown.and_then(Document::as_list);
                let now = self.list(expected, shown, std::slice::from_ref(actual), keys);
                Document::List(now)
            }
            (expected, Document::List(actual)) => {
                let shown = shown.map(std::slice::from_ref);
                Document::List(self.list(std::slice::from_ref(expected), shown, actual, keys))
            }
            (expected, actual) => {
                let whole = shown == Some(expected);
                if !same(expected, actual, keys) {
                    let actual = if whole { text(actual) } else { hidden() };
                    self.differ(DifferenceKind::NotEqual, shown.map_or_else(hidden, text), actual);
                }
                if whole { actual.clone() } else { HIDDEN.into() }
            }
        }
    }

    /// Entries that agree belong together, wherever they stand; the others are taken for changed ones, as like each other as
    /// can be.
    fn list(
        &mut self,
        expected: &[Document],
        shown: Option<&[Document]>,
        actual: &[Document],
        keys: Keys,
    ) -> Vec<Document> {
        let (partners, left) = self.paired(expected, actual, keys);
        let mut now = Vec::new();
        for (index, (value, partner)) in expected.iter().zip(partners).enumerate() {
            let shown = shown.and_then(|shown| shown.get(index));
            let pair = Pair { expected: value, shown, actual: partner.map(|partner| &actual[partner]) };
            now.extend(self.member(&index.to_string(), pair, keys));
        }
        let more = left.into_iter().map(|index| &actual[index]);
        let more: Vec<_> = more.filter(|entry| !self.is_ours(entry)).collect();
        for (index, entry) in more.into_iter().enumerate() {
            self.added(&(expected.len() + index).to_string(), entry);
            now.push(entry.clone());
        }
        now
    }

    /// For each expected entry the position of its actual one, and the positions that are left.
    fn paired(&self, expected: &[Document], actual: &[Document], keys: Keys) -> (Vec<Option<usize>>, Vec<usize>) {
        let mut left: Vec<usize> = (0..actual.len()).collect();
        let mut partners = vec![None; expected.len()];
        for alike in [true, false] {
            for (index, value) in expected.iter().enumerate().filter(|(_, value)| !is_nothing(value)) {
                if partners[index].is_some() {
                    continue;
                }
                let distance = |&&position: &&usize| self.distance(value, &actual[position], keys);
                let nearest = if alike {
                    left.iter().find(|position| distance(position) == 0)
                } else {
                    left.iter().filter(|position| !self.is_ours(&actual[**position])).min_by_key(distance)
                };
                // What a template lists twice may be kept once.
                let before = || (0..index).find(|before| expected[*before] == *value && value.scalar_text().is_some());
                partners[index] = nearest.copied().or_else(|| before().and_then(|before| partners[before]));
                left.retain(|position| Some(*position) != partners[index]);
            }
        }
        (partners, left)
    }

    /// How many differences there are between two values.
    fn distance(&self, expected: &Document, actual: &Document, keys: Keys) -> usize {
        let mut walk = Walk { differences: Vec::new(), path: self.path.clone(), ..*self };
        walk.value(Pair { expected, shown: Some(expected), actual: Some(actual) }, keys);
        walk.differences.len()
    }

    /// Whether an entry that the template does not list is the stack's own.
    fn is_ours(&self, entry: &Document) -> bool {
        let tag =
            |(key, value): (&Document, &Document)| key.as_str().is_some_and(|key| self.company.has_tag(key, value));
        if self.path.ends_with("/Tags") {
            return entry.get("Key").zip(entry.get("Value")).is_some_and(tag);
        }
        self.company.attached.iter().any(|(physical_id, properties)| match entry {
            // The entry's members are among what attaches it.
            Document::Map(_) => self.distance(entry, properties, Keys::Type) == 0,
            scalar => {
                let values = properties.as_map().into_iter().flatten().map(|(_, value)| value);
                scalar.as_str() == Some(physical_id) || values.into_iter().any(|value| value == scalar)
            }
        })
    }

    fn added(&mut self, name: &str, value: &Document) {
        let length = self.path.len();
        self.path.push('/');
        self.path.push_str(name);
        self.differ(DifferenceKind::Add, none(), text(value));
        self.path.truncate(length);
    }

    fn differ(&mut self, kind: DifferenceKind, expected: String, actual: String) {
        self.differences.push(Difference { path: self.path.clone(), expected, actual, kind });
    }
}

impl Company<'_> {
    fn has_tag(&self, key: &str, value: &Document) -> bool {
        key.starts_with("aws:") || self.tags.get(key).is_some_and(|tag| value.as_str() == Some(tag))
    }
}

/// Whether a value says as much as no value.
fn is_nothing(value: &Document) -> bool {
    match value {
        Document::Null => true,
        Document::String(text) => text.is_empty(),
        Document::List(list) => list.iter().all(is_nothing),
        Document::Map(map) => map.values().all(is_nothing),
        _ => false,
    }
}

/// The tree that a text with JSON in it stands for.
fn tree(value: &Document) -> Document {
    let parsed = value.as_str().and_then(|text| Document::from_json(text.as_bytes()).ok());
    match parsed {
        Some(tree @ (Document::Map(_) | Document::List(_))) => tree,
        _ => value.clone(),
    }
}

/// Whether two scalars are the same, however they are written: `1` and `"1"`, `True` and `true`; and outside of documents
/// an ARN and the name in it.
fn same(expected: &Document, actual: &Document, keys: Keys) -> bool {
    let (Some(a), Some(b)) = (expected.scalar_text(), actual.scalar_text()) else { return expected == actual };
    let either = |is: fn(&Document) -> bool| is(expected) || is(actual);
    let numbers = || a.trim().parse::<f64>().is_ok_and(|a| b.trim().parse() == Ok(a));
    a == b
        || either(|value| matches!(value, Document::Bool(_))) && a.eq_ignore_ascii_case(&b)
        || either(|value| matches!(value, Document::Integer(_) | Document::Float(_))) && numbers()
        || keys == Keys::Type && (names(&a, &b) || names(&b, &a))
}

/// Whether `arn` is an ARN whose resource is called `name`.
fn names(arn: &str, name: &str) -> bool {
    let rest = arn.starts_with("arn:").then(|| arn.strip_suffix(name)).flatten();
    !name.is_empty() && rest.is_some_and(|rest| rest.ends_with(['/', ':']))
}

fn text(value: &Document) -> String {
    value.scalar_text().unwrap_or_else(|| value.to_json())
}

fn hidden() -> String {
    HIDDEN.to_owned()
}

fn none() -> String {
    "null".to_owned()
}

#[cfg(test)]
#[path = "comparison_tests.rs"]
mod tests;
