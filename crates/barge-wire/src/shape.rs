//! Shapes as data: what the model says of each value that crosses the wire.

use barge_core::resource::{self, Outline, PropertyType};

/// A named shape of a model.
#[derive(Debug)]
pub struct Shape {
    /// As in the model, e.g. `SubmitJobRequest`.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a shape holds, with its constraints. Bounds are inclusive.
#[derive(Debug)]
pub enum Kind {
    /// Text.
    String(Text),
    /// A 32- or 64-bit whole number.
    Integer {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// A floating-point number.
    Float {
        /// Least value.
        min: f64,
        /// Greatest value.
        max: f64,
    },
    /// True or false.
    Boolean,
    /// Bytes.
    Blob {
        /// Most bytes.
        max: u64,
    },
    /// A moment.
    Timestamp,
    /// A list.
    List {
        /// Shape of its entries.
        entry: &'static Shape,
        /// The entries' name in XML and in query parameters, where the model gives one.
        entry_name: Option<&'static str>,
        /// Whether XML and query parameters leave the enclosing element out.
        flattened: bool,
        /// Fewest entries.
        min: u64,
        /// Most entries.
        max: u64,
    },
    /// A map with text for keys.
    Map {
        /// Shape of its keys.
        key: &'static Shape,
        /// Shape of its values.
        value: &'static Shape,
        /// Whether XML and query parameters leave the enclosing element out.
        flattened: bool,
        /// Most entries.
        max: u64,
    },
    /// A structure: members by name.
    Structure(&'static [Member]),
}

/// Constraints on text.
#[derive(Debug)]
pub struct Text {
    /// Fewest characters.
    pub min: u64,
    /// Most characters.
    pub max: u64,
    /// A regular expression that the whole text matches.
    pub pattern: Option<&'static str>,
    /// The values of an enumeration; empty where any text goes.
    pub values: &'static [&'static str],
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// As in the model, e.g. `jobName`.
    pub name: &'static str,
    /// Its name on the wire, where it differs.
    pub wire: Option<&'static str>,
    /// Its name in EC2's query parameters, where the model gives one.
    pub query: Option<&'static str>,
    /// Where in the HTTP message it goes.
    pub location: crate::Location,
    /// Whether a request must have it.
    pub required: bool,
    /// Whether a moment is written in ISO 8601 where the protocol would write seconds.
    pub iso8601: bool,
    /// Its shape.
    pub shape: &'static Shape,
}

impl Member {
    /// The name that the member goes by in bodies of REST and XML protocols.
    pub fn wire_name(&self) -> &'static str {
        self.wire.unwrap_or(self.name)
    }
}

impl Shape {
    /// The members of a structure; none of any other shape.
    pub fn members(&self) -> &'static [Member] {
        match &self.kind {
            Kind::Structure(members) => members,
            _ => &[],
        }
    }

    /// A structure without members, for operations that take or give nothing.
    pub const EMPTY: &'static Self = &Self { name: "Unit", kind: Kind::Structure(&[]) };
}

/// What the shape looks like in a template, where [`crate::from_properties`] reads it.
impl Outline for Shape {
    fn kind(&'static self) -> PropertyType {
        match self.kind {
            Kind::String(_) | Kind::Blob { .. } | Kind::Timestamp => PropertyType::String,
            Kind::Integer { .. } => PropertyType::Integer,
            Kind::Float { .. } => PropertyType::Number,
            Kind::Boolean => PropertyType::Boolean,
            Kind::List { .. } => PropertyType::List,
            Kind::Map { .. } | Kind::Structure(_) => PropertyType::Map,
        }
    }

    fn entries(&'static self) -> Option<&'static dyn Outline> {
        match self.kind {
            Kind::List { entry, .. } | Kind::Map { value: entry, .. } => Some(entry),
            _ => None,
        }
    }

    fn members(&'static self) -> Option<Vec<resource::Member>> {
        let Kind::Structure(members) = self.kind else { return None };
        let member = |member: &'static Member| resource::Member {
            name: crate::coerce::capitalized(member.name).into(),
            required: member.required,
            value: member.shape,
        };
        Some(members.iter().map(member).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::Typed;
    use crate::batch::RegisterJobDefinitionRequest;
    use barge_core::resource::{Outline, PropertyType};

    fn within(outline: &'static dyn Outline, name: &str) -> &'static dyn Outline {
        let found = outline.members().into_iter().flatten().find(|member| member.name == name);
        found.unwrap_or_else(|| panic!("no {name}")).value
    }

    #[test]
    fn a_shape_outlines_what_templates_write() {
        let container = within(RegisterJobDefinitionRequest::SHAPE, "ContainerProperties");
        let requirements = within(container, "ResourceRequirements");
        assert_eq!(
            (requirements.kind(), within(container, "Vcpus").kind()),
            (PropertyType::List, PropertyType::Integer)
        );
        let requirement = requirements.entries().and_then(Outline::members).unwrap_or_default();
        let names: Vec<_> = requirement.iter().map(|member| (member.name.as_ref(), member.required)).collect();
        assert_eq!(names, [("Value", true), ("Type", true)]);
        let options = within(within(container, "LogConfiguration"), "Options");
        assert_eq!(options.entries().map(Outline::kind), Some(PropertyType::String), "keys are the template's own");
        assert!(options.members().is_none());
    }
}
