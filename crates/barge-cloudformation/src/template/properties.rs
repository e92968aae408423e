//! A resource's properties against its type's schema, and what is within them against the outline that the schema gives.

use super::evaluate::{Environment, EvalError, Known};
use super::expression::Expression;
use super::problem::{Fault, Path, Problems};
use barge_core::Document;
use barge_core::resource::{Member, Outline, PropertyType, ResourceSchema};
use indexmap::IndexMap;

/// Checks the properties of `resource` as far as their values are known.
pub(super) fn check(environment: &Environment<'_>, resource: &str, schema: &ResourceSchema, problems: &mut Problems) {
    let Some(declaration) = environment.template.resources.get(resource) else {
        return;
    };
    let root = Path::of(&["Resources", resource, "Properties"]);
    let given = environment.known_entries(&declaration.properties);
    let mut walk = Walk { resource, prefix: root.to_string().len(), problems: &mut *problems };
    walk.structure(&given, &schema.members(), &root);
    for (name, expression) in &declaration.properties {
        values(environment, expression, &root.at(name), problems);
    }
}

struct Walk<'a> {
    resource: &'a str,
    /// How much of a path leads to the properties.
    prefix: usize,
    problems: &'a mut Problems,
}

impl Walk<'_> {
    fn structure(&mut self, given: &IndexMap<String, Known>, members: &[Member], path: &Path) {
        // The type takes properties of any other name and kind.
        let open = members.iter().any(|member| member.name == "*");
        for (name, value) in given {
            match members.iter().find(|member| member.name == *name) {
                Some(member) => self.value(value, member.value, &path.at(name)),
                None if open => {}
                None => self.wrong(path, &path.at(name), &format!("extraneous key [{name}] is not permitted")),
            }
        }
        for member in members.iter().filter(|member| member.required && !given.contains_key(member.name.as_ref())) {
            self.wrong(path, path, &format!("required key [{}] not found", member.name));
        }
    }

    fn value(&mut self, value: &Known, outline: &'static dyn Outline, path: &Path) {
        if !fits(value, outline.kind()) {
            let message = format!("expected type: {}, found: {}", expected(outline.kind()), found(value));
            return self.wrong(path, path, &message);
        }
        match value {
            Known::Later | Known::Scalar(_) => {}
            Known::List(list) => {
                let Some(outline) = outline.entries() else { return };
                for (index, inner) in list.iter().enumerate() {
                    self.value(inner, outline, &path.at(index));
                }
            }
            Known::Map(map) => match (outline.members(), outline.entries()) {
                (Some(members), _) => self.structure(map, &members, path),
                (None, Some(outline)) => {
                    for (key, inner) in map {
                        self.value(inner, outline, &path.at(key));
                    }
                }
                (None, None) => {}
            },
        }
    }

    /// Adds what is wrong about the value at `value`, said at `path`.
    fn wrong(&mut self, value: &Path, path: &Path, message: &str) {
        let place = value.to_string();
        let message = format!("#{}: {message}", place.get(self.prefix..).unwrap_or_default());
        self.problems.add(path.clone(), Fault::Property { resource: self.resource.to_owned(), message });
    }
}

/// Adds what is wrong with the values within `expression`: each function's own error, at its place.
pub(super) fn values(environment: &Environment<'_>, expression: &Expression, path: &Path, problems: &mut Problems) {
    match expression {
        Expression::List(list) => {
            for (index, inner) in list.iter().enumerate() {
                values(environment, inner, &path.at(index), problems);
            }
        }
        Expression::Map(map) => {
            for (key, inner) in map {
                values(environment, inner, &path.at(key), problems);
            }
        }
        function => match environment.value(function) {
            Err(EvalError::Template(text)) => problems.add(path.clone(), Fault::Function(text)),
            Err(error @ EvalError::NoExport(_)) => {
                problems.add(path.clone(), Fault::Parameter(format!("{error} (at {path})")));
            }
            Ok(_) | Err(EvalError::Unknown) => {}
        },
    }
}

fn fits(value: &Known, kind: PropertyType) -> bool {
    match value {
        Known::Later => true,
        Known::Scalar(scalar) => scalar_fits(scalar, kind),
        Known::List(_) => kind == PropertyType::List,
        Known::Map(_) => matches!(kind, PropertyType::Map | PropertyType::Json),
    }
}

fn scalar_fits(value: &Document, kind: PropertyType) -> bool {
    let text = value.scalar_text();
    match kind {
        PropertyType::String => text.is_some(),
        PropertyType::Integer => match value {
            Document::Float(number) => number.fract() == 0.0,
            _ => text.is_some_and(|text| text.trim().parse::<i64>().is_ok()),
        },
        PropertyType::Number => {
            !matches!(value, Document::Bool(_)) && text.is_some_and(|text| text.trim().parse::<f64>().is_ok())
        }
        PropertyType::Boolean => {
            text.is_some_and(|text| text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"))
        }
        PropertyType::Json => value.as_str().is_some(),
        PropertyType::List | PropertyType::Map => false,
    }
}

fn expected(kind: PropertyType) -> &'static str {
    match kind {
        PropertyType::String => "String",
        PropertyType::Integer => "Integer",
        PropertyType::Number => "Number",
        PropertyType::Boolean => "Boolean",
        PropertyType::List => "JSONArray",
        PropertyType::Map | PropertyType::Json => "JSONObject",
    }
}

fn found(value: &Known) -> &'static str {
    match value {
        Known::Scalar(Document::Bool(_)) => "Boolean",
        Known::Scalar(Document::Integer(_)) => "Integer",
        Known::Scalar(Document::Float(_)) => "Number",
        Known::List(_) => "JSONArray",
        Known::Map(_) => "JSONObject",
        Known::Scalar(_) | Known::Later => "String",
    }
}
