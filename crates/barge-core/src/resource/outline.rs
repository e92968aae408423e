//! What values within a property look like, as far as that can be told before anything is made: from a table beside the
//! provider, or from the API's own model.

use super::{Property, PropertyType, property};
use std::borrow::Cow;

/// What a value looks like in a template.
pub trait Outline: std::fmt::Debug + Send + Sync {
    /// Its type.
    fn kind(&'static self) -> PropertyType;

    /// What each entry of a list, or each value of a map whose keys are the template's own, looks like; `None` where that is
    /// not known.
    fn entries(&'static self) -> Option<&'static dyn Outline> {
        None
    }

    /// A structure's members, beside which there may be no others; `None` of what is no structure.
    fn members(&'static self) -> Option<Vec<Member>> {
        None
    }
}

/// A member of a structure.
#[derive(Clone, Debug)]
pub struct Member {
    /// As in templates, e.g. `JobRoleArn`.
    pub name: Cow<'static, str>,
    /// Whether the structure must have it.
    pub required: bool,
    /// What it looks like.
    pub value: &'static dyn Outline,
}

impl Outline for Property {
    fn kind(&'static self) -> PropertyType {
        self.kind
    }

    fn entries(&'static self) -> Option<&'static dyn Outline> {
        self.structure.filter(|_| self.kind == PropertyType::List)
    }

    fn members(&'static self) -> Option<Vec<Member>> {
        self.structure.filter(|_| self.kind == PropertyType::Map)?.members()
    }
}

/// A structure with these members.
#[derive(Clone, Copy, Debug)]
pub struct Structure(pub &'static [Property]);

impl Outline for Structure {
    fn kind(&'static self) -> PropertyType {
        PropertyType::Map
    }

    fn members(&'static self) -> Option<Vec<Member>> {
        Some(members(self.0))
    }
}

/// That structure, with these members besides.
#[derive(Clone, Copy, Debug)]
pub struct With(pub &'static dyn Outline, pub &'static [Property]);

impl Outline for With {
    fn kind(&'static self) -> PropertyType {
        PropertyType::Map
    }

    fn members(&'static self) -> Option<Vec<Member>> {
        let mut all = self.0.members()?;
        all.extend(members(self.1));
        Some(all)
    }
}

pub(super) fn members(properties: &'static [Property]) -> Vec<Member> {
    let member = |property: &'static Property| Member {
        name: property.name.into(),
        required: property.required,
        value: property,
    };
    properties.iter().map(member).collect()
}

/// A tag, of types whose tags are a list.
pub const TAG: &Structure =
    &Structure(&[property("Key", PropertyType::String).required(), property("Value", PropertyType::String).required()]);
