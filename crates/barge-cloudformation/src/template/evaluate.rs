//! What an expression comes to, given parameters, conditions and the resources made so far.

use super::expression::{Expression, Predicate};
use super::graph::conditions_in;
use super::sub::Part;
use super::{Template, cidr};
use barge_core::resource::Resource;
use barge_core::{AccountId, Document, Region};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use std::cell::Cell;
use std::collections::BTreeMap;

/// The availability zones that every region has here, as letters after the region's name.
const ZONES: [char; 3] = ['a', 'b', 'c'];

/// What the pseudo parameters stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pseudo {
    /// `AWS::AccountId`.
    pub account: AccountId,
    /// `AWS::Region`.
    pub region: Region,
    /// `AWS::StackId`; `None` before there is a stack.
    pub stack_id: Option<String>,
    /// `AWS::StackName`; `None` before there is a stack.
    pub stack_name: Option<String>,
}

/// A value as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// Not at all.
    Later,
    /// The whole of a scalar.
    Scalar(Document),
    /// A list; of its entries some may be known later.
    List(Vec<Known>),
    /// A map; of its values some may be known later.
    Map(IndexMap<String, Known>),
}

impl From<Document> for Known {
    fn from(document: Document) -> Self {
        match document {
            Document::Null => Self::Later,
            Document::List(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Document::Map(map) => Self::Map(map.into_iter().map(|(key, value)| (key, value.into())).collect()),
            scalar => Self::Scalar(scalar),
        }
    }
}

/// What stands in a preview for a value that is known only once resources are made.
pub const KNOWN_LATER: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// How much text evaluations may make, in bytes: functions within functions could otherwise double theirs without end.
#[derive(Debug)]
pub struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(64 << 20))
    }
}

impl Budget {
    fn spend(&self, bytes: usize) -> Result<(), EvalError> {
        match self.0.get().checked_sub(bytes) {
            Some(left) => self.0.set(left),
            None => return wrong("the template's values are too large"),
        }
        Ok(())
    }
}

/// Everything that values depend on.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// Declares what there is.
    pub template: &'a Template,
    /// Values of parameters; those not in it are not known yet.
    pub parameters: &'a BTreeMap<String, Document>,
    /// Conditions; those not in it are not known yet.
    pub conditions: &'a BTreeMap<String, bool>,
    /// Pseudo parameters.
    pub pseudo: &'a Pseudo,
    /// Resources made so far, by logical id.
    pub resources: &'a BTreeMap<String, Resource>,
    /// Values of the account's exports in the region by name, for `Fn::ImportValue`; `None` where they are not known yet.
    pub exports: Option<&'a BTreeMap<String, String>>,
    /// Bounds what all evaluations together may make.
    pub budget: &'a Budget,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// It depends on what is not known yet.
    #[error("the value depends on a resource that does not exist")]
    Unknown,
    /// No stack exports a value of this name.
    #[error("No export named {0} found.")]
    NoExport(String),
    /// It will never have one.
    #[error("Template error: {0}")]
    Template(String),
}

fn wrong<T>(text: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError::Template(text.into()))
}

impl Environment<'_> {
    /// The value of `expression`; `None` where it is `AWS::NoValue`.
    pub fn value(&self, expression: &Expression) -> Result<Option<Document>, EvalError> {
        let value = self.evaluate(expression)?;
        match (&value, expression) {
            // The entries paid for themselves.
            (_, Expression::List(_) | Expression::Map(_)) => {}
            (Some(Document::String(text)), _) => self.budget.spend(text.len())?,
            (Some(Document::List(list)), _) => {
                self.budget.spend(list.iter().map(|entry| 32 + entry.as_str().map_or(0, str::len)).sum())?;
            }
            _ => {}
        }
        Ok(value)
    }

    fn evaluate(&self, expression: &Expression) -> Result<Option<Document>, EvalError> {
        match expression {
            Expression::Literal(value) => Ok(Some(value.clone())),
            Expression::List(list) => {
                let mut values = Vec::with_capacity(list.len());
                for inner in list {
                    values.extend(self.value(inner)?);
                }
                Ok(Some(Document::List(values)))
            }
            Expression::Map(map) => self.map(map).map(Some),
            Expression::Ref(name) => self.reference(name),
            Expression::GetAtt { resource, attribute } => {
                let attribute = self.text(attribute, "the attribute of Fn::GetAtt")?;
                self.attribute(resource, &attribute).map(Some)
            }
            Expression::Sub { parts, variables } => self.sub(parts, variables).map(Some),
            Expression::Join { delimiter, values } => {
                let values = self.texts(values, "Fn::Join")?;
                // Before the text is made, because it may be far larger than its parts.
                self.budget.spend(values.len().saturating_mul(delimiter.len()))?;
                Ok(Some(values.join(delimiter).into()))
            }
            Expression::Select { index, list } => self.select(index, list).map(Some),
            Expression::Split { delimiter, text } => {
                let text = self.text(text, "Fn::Split")?;
                Ok(Some(Document::List(text.split(delimiter.as_str()).map(Document::from).collect())))
            }
            Expression::If { condition, then, otherwise } => {
                if self.condition(condition)? {
                    self.value(then)
                } else {
                    self.value(otherwise)
                }
            }
            Expression::FindInMap { map, top, second, default } => {
                self.find_in_map(map, top, second, default.as_deref())
            }
            Expression::ImportValue(name) => self.import(name).map(Some),
            Expression::Length(list) => match self.value(list)? {
                Some(Document::List(entries)) => {
                    Ok(Some(Document::Integer(i64::try_from(entries.len()).unwrap_or(i64::MAX))))
                }
                _ => wrong("Fn::Length expects a list"),
            },
            Expression::ToJson(inner) => match self.value(inner)? {
                Some(value @ (Document::Map(_) | Document::List(_))) => Ok(Some(value.to_json().into())),
                _ => wrong("Fn::ToJsonString requires an object or an array"),
            },
            Expression::Base64(inner) => {
                let text = self.text(inner, "Fn::Base64")?;
                Ok(Some(STANDARD.encode(text).into()))
            }
            Expression::GetAzs(region) => {
                let given = self.text(region, "Fn::GetAZs")?;
                let region = if given.is_empty() { self.pseudo.region.as_str() } else { &given };
                Ok(Some(Document::List(ZONES.iter().map(|zone| format!("{region}{zone}").into()).collect())))
            }
            Expression::Cidr { block, count, bits } => {
                let block = self.text(block, "Fn::Cidr")?;
                let count = self.number(count, "Fn::Cidr")?;
                let bits = bits.as_ref().map_or(Ok(8), |bits| self.number(bits, "Fn::Cidr"))?;
                let blocks = cidr::blocks(&block, count, bits).map_err(EvalError::Template)?;
                Ok(Some(Document::List(blocks.into_iter().map(Document::from).collect())))
            }
        }
    }

    /// The values of a map's entries, always a map; entries without a value are left out.
    pub fn map(&self, map: &IndexMap<String, Expression>) -> Result<Document, EvalError> {
        let mut values = IndexMap::with_capacity(map.len());
        for (key, inner) in map {
            if let Some(value) = self.value(inner)? {
                values.insert(key.clone(), value);
            }
        }
        Ok(Document::Map(values))
    }

    /// The value of `expression` as far as it is known; `None` where it is `AWS::NoValue`.
    pub fn known(&self, expression: &Expression) -> Option<Known> {
        match expression {
            Expression::List(list) => Some(Known::List(list.iter().filter_map(|inner| self.known(inner)).collect())),
            Expression::Map(map) => Some(Known::Map(self.known_entries(map))),
            Expression::If { condition, then, otherwise } => match self.condition(condition) {
                Ok(true) => self.known(then),
                Ok(false) => self.known(otherwise),
                Err(_) => Some(Known::Later),
            },
            function => self.value(function).map_or(Some(Known::Later), |value| value.map(Known::from)),
        }
    }

    /// The same of each of a map's entries.
    pub fn known_entries(&self, map: &IndexMap<String, Expression>) -> IndexMap<String, Known> {
        map.iter().filter_map(|(key, inner)| Some((key.clone(), self.known(inner)?))).collect()
    }

    /// The values of a map's entries as far as they are known, with a mark in the place of those that are not.
    pub fn preview(&self, map: &IndexMap<String, Expression>) -> Document {
        let entries = map.iter().filter_map(|(key, inner)| Some((key.clone(), self.foreseen(inner)?)));
        Document::Map(entries.collect())
    }

    fn foreseen(&self, expression: &Expression) -> Option<Document> {
        match expression {
            Expression::List(list) => Some(Document::List(list.iter().filter_map(|e| self.foreseen(e)).collect())),
            Expression::Map(map) => Some(self.preview(map)),
            other => self.value(other).unwrap_or_else(|_| Some(KNOWN_LATER.into())),
        }
    }

    /// The value of `expression` as text.
    pub fn text(&self, expression: &Expression, of: &str) -> Result<String, EvalError> {
        match self.value(expression)? {
            Some(value) => match value.scalar_text() {
                Some(text) => Ok(text),
                None => wrong(format!("{of} must be a string, found a {}", value.kind())),
            },
            None => wrong(format!("{of} must be a string, found AWS::NoValue")),
        }
    }

    fn texts(&self, expression: &Expression, of: &str) -> Result<Vec<String>, EvalError> {
        match self.value(expression)? {
            Some(Document::List(list)) => list
                .iter()
                .map(|value| match value.scalar_text() {
                    Some(text) => Ok(text),
                    None => wrong(format!("{of} takes a list of strings, found a {} in it", value.kind())),
                })
                .collect(),
            Some(value) => wrong(format!("{of} takes a list of strings, found a {}", value.kind())),
            None => wrong(format!("{of} takes a list of strings, found AWS::NoValue")),
        }
    }

    fn number(&self, expression: &Expression, of: &str) -> Result<u32, EvalError> {
        let text = self.text(expression, of)?;
        text.trim().parse().or_else(|_| wrong(format!("{of} takes a whole number, found '{text}'")))
    }

    fn reference(&self, name: &str) -> Result<Option<Document>, EvalError> {
        let known = |value: &Option<String>| value.clone().map(|text| Some(text.into())).ok_or(EvalError::Unknown);
        match name {
            "AWS::NoValue" => Ok(None),
            "AWS::AccountId" => Ok(Some(self.pseudo.account.as_str().into())),
            "AWS::Region" => Ok(Some(self.pseudo.region.as_str().into())),
            "AWS::Partition" => Ok(Some("aws".into())),
            "AWS::URLSuffix" => Ok(Some("amazonaws.com".into())),
            "AWS::NotificationARNs" => Ok(Some(Document::List(Vec::new()))),
            "AWS::StackId" => known(&self.pseudo.stack_id),
            "AWS::StackName" => known(&self.pseudo.stack_name),
            _ if self.template.parameters.contains_key(name) => {
                self.parameters.get(name).cloned().map(Some).ok_or(EvalError::Unknown)
            }
            _ => match self.resources.get(name) {
                Some(resource) => Ok(Some(resource.physical_id.as_str().into())),
                None => Err(EvalError::Unknown),
            },
        }
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<Document, EvalError> {
        let made = self.resources.get(resource).ok_or(EvalError::Unknown)?;
        match made.attributes.get(attribute) {
            // The resource is about to change.
            Some(Document::Null) => Err(EvalError::Unknown),
            Some(value) => Ok(value.clone()),
            None => wrong(format!("resource {resource} does not support attribute type {attribute} in Fn::GetAtt")),
        }
    }

    fn condition(&self, name: &str) -> Result<bool, EvalError> {
        self.conditions.get(name).copied().ok_or(EvalError::Unknown)
    }

    fn sub(&self, parts: &[Part], variables: &IndexMap<String, Expression>) -> Result<Document, EvalError> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(name) => {
                    let value = self.variable(name, variables)?;
                    self.budget.spend(value.len())?;
                    text.push_str(&value);
                }
            }
        }
        Ok(text.into())
    }

    fn variable(&self, name: &str, variables: &IndexMap<String, Expression>) -> Result<String, EvalError> {
        let of = || format!("the variable {name} of Fn::Sub");
        if let Some(expression) = variables.get(name) {
            return self.text(expression, &of());
        }
        let value = match name.split_once('.') {
            Some((resource, attribute)) => Some(self.attribute(resource, attribute)?),
            None => self.reference(name)?,
        };
        match value.as_ref().map(|value| (value, value.scalar_text())) {
            Some((_, Some(text))) => Ok(text),
            // A list parameter stands for its texts, parted as they were given.
            Some((Document::List(list), None)) => {
                Ok(list.iter().filter_map(Document::scalar_text).collect::<Vec<_>>().join(","))
            }
            _ => wrong(format!("{} must be a string", of())),
        }
    }

    fn select(&self, index: &Expression, list: &Expression) -> Result<Document, EvalError> {
        let index = self.text(index, "the index of Fn::Select")?;
        let Ok(position) = index.trim().parse::<usize>() else {
            return Err(EvalError::Template(nonexistent(&index)));
        };
        // One entry at a time, so that the others need not be known.
        if let Expression::List(entries) = list
            && !entries.iter().any(|entry| matches!(entry, Expression::If { .. } | Expression::Ref(_)))
            && let Some(entry) = entries.get(position)
        {
            return self.value(entry)?.ok_or_else(|| EvalError::Template(nonexistent(&index)));
        }
        match self.value(list)? {
            Some(Document::List(values)) => {
                values.into_iter().nth(position).ok_or_else(|| EvalError::Template(nonexistent(&index)))
            }
            _ => wrong("Fn::Select requires a list argument with two elements: an integer index and a list"),
        }
    }

    fn import(&self, name: &Expression) -> Result<Document, EvalError> {
        let name = self.text(name, "Fn::ImportValue")?;
        let exports = self.exports.ok_or(EvalError::Unknown)?;
        match exports.get(&name) {
            Some(value) => Ok(value.as_str().into()),
            None => Err(EvalError::NoExport(name)),
        }
    }

    fn find_in_map(
        &self,
        map: &Expression,
        top: &Expression,
        second: &Expression,
        default: Option<&Expression>,
    ) -> Result<Option<Document>, EvalError> {
        let map = self.text(map, "Fn::FindInMap")?;
        let top = self.text(top, "Fn::FindInMap")?;
        let second = self.text(second, "Fn::FindInMap")?;
        let Some(mapping) = self.template.mappings.get(&map) else {
            return wrong(format!("Mapping named '{map}' is not present in the 'Mappings' section of template."));
        };
        match mapping.get(&top).and_then(|values| values.get(&second)) {
            Some(value) => Ok(Some(value.clone())),
            None => match default {
                Some(default) => self.value(default),
                None => wrong(format!("Unable to get mapping for {map}::{top}::{second}")),
            },
        }
    }

    /// Whether a condition holds.
    pub fn holds(&self, predicate: &Predicate) -> Result<bool, EvalError> {
        match predicate {
            Predicate::Condition(name) => self.condition(name),
            Predicate::Not(inner) => self.holds(inner).map(|holds| !holds),
            Predicate::Equals(left, right) => {
                let side = |expression| {
                    self.value(expression).map(|value| match value {
                        Some(Document::List(_) | Document::Map(_)) | None => value.map(|value| value.to_json()),
                        Some(scalar) => scalar.scalar_text(),
                    })
                };
                Ok(side(left)? == side(right)?)
            }
            Predicate::And(list) => {
                let mut all = true;
                for inner in list {
                    all &= self.holds(inner)?;
                }
                Ok(all)
            }
            Predicate::Or(list) => {
                let mut any = false;
                for inner in list {
                    any |= self.holds(inner)?;
                }
                Ok(any)
            }
        }
    }

    /// The values of the template's conditions; those that depend on what is not known are left out. The error names the
    /// first that has none. This environment's own conditions are not looked at.
    pub fn conditions(&self) -> Result<BTreeMap<String, bool>, (String, EvalError)> {
        let mut known = BTreeMap::new();
        for (name, predicate) in in_order(&self.template.conditions) {
            match (Environment { conditions: &known, ..*self }).holds(predicate) {
                Ok(holds) => {
                    known.insert(name.to_owned(), holds);
                }
                Err(EvalError::Unknown) => {}
                Err(error) => return Err((name.to_owned(), error)),
            }
        }
        Ok(known)
    }
}

/// The conditions, each after those that it names; those in a circle are left out.
fn in_order(conditions: &IndexMap<String, Predicate>) -> Vec<(&str, &Predicate)> {
    let mut waits_for = vec![0_usize; conditions.len()];
    let mut waiting = vec![Vec::new(); conditions.len()];
    for (index, predicate) in conditions.values().enumerate() {
        for other in conditions_in(predicate).into_iter().filter_map(|name| conditions.get_index_of(name)) {
            waits_for[index] += 1;
            waiting[other].push(index);
        }
    }
    let mut ready: Vec<usize> = (0..conditions.len()).filter(|index| waits_for[*index] == 0).collect();
    let mut order = Vec::with_capacity(conditions.len());
    while let Some(index) = ready.pop() {
        order.extend(conditions.get_index(index).map(|(name, predicate)| (name.as_str(), predicate)));
        for &next in &waiting[index] {
            waits_for[next] -= 1;
            if waits_for[next] == 0 {
                ready.push(next);
            }
        }
    }
    order
}

fn nonexistent(index: &str) -> String {
    format!("Fn::Select cannot select nonexistent value at index {index}")
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
