//! A resource's properties against its type's schema.

use super::evaluate::{Environment, EvalError};
use super::expression::Expression;
use super::problem::{Fault, Path, Problems};
use barge_core::Document;
use barge_core::resource::{PropertyType, ResourceSchema};

/// Checks the properties of `resource` as far as their values are known.
pub(super) fn check(environment: &Environment<'_>, resource: &str, schema: &ResourceSchema, problems: &mut Problems) {
    let Some(declaration) = environment.template.resources.get(resource) else {
        return;
    };
    let path = Path::of(&["Resources", resource, "Properties"]);
    let mut wrong = |path: &Path, message: String| {
        problems.add(path.clone(), Fault::Property { resource: resource.to_owned(), message });
    };
    let mut given = Vec::new();
    for (name, expression) in &declaration.properties {
        let listed = schema.properties.iter().find(|property| property.name == name);
        if listed.is_none() && schema.properties.iter().any(|property| property.name == "*") {
            // The type takes properties of any name and kind.
            continue;
        }
        let value = environment.value(expression);
        // What comes to AWS::NoValue was never said.
        if value == Ok(None) {
            continue;
        }
        let Some(property) = listed else {
            wrong(&path.at(name), format!("#: extraneous key [{name}] is not permitted"));
            continue;
        };
        match value {
            Ok(Some(value)) if !fits(&value, property.kind) => {
                let message = format!("#/{name}: expected type: {}, found: {}", expected(property.kind), found(&value));
                wrong(&path.at(name), message);
            }
            // The kind of a literal list or map is known where its entries are not.
            Err(EvalError::Unknown) => {
                let outline = match expression {
                    Expression::List(_) => Some(Document::List(Vec::new())),
                    Expression::Map(_) => Some(Document::map::<String>([])),
                    _ => None,
                };
                if let Some(value) = outline.filter(|value| !fits(value, property.kind)) {
                    let message =
                        format!("#/{name}: expected type: {}, found: {}", expected(property.kind), found(&value));
                    wrong(&path.at(name), message);
                }
            }
            Ok(_) | Err(EvalError::Template(_) | EvalError::NoExport(_)) => {}
        }
        given.push(name.as_str());
    }
    for property in schema.properties.iter().filter(|property| property.required && !given.contains(&property.name)) {
        wrong(&path, format!("#: required key [{}] not found", property.name));
    }
    for (name, expression) in &declaration.properties {
        values(environment, expression, &path.at(name), problems);
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

fn fits(value: &Document, kind: PropertyType) -> bool {
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
        PropertyType::List => value.as_list().is_some(),
        PropertyType::Map => value.as_map().is_some(),
        PropertyType::Json => value.as_map().is_some() || value.as_str().is_some(),
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

fn found(value: &Document) -> &'static str {
    match value {
        Document::Bool(_) => "Boolean",
        Document::Integer(_) => "Integer",
        Document::Float(_) => "Number",
        Document::List(_) => "JSONArray",
        Document::Map(_) => "JSONObject",
        _ => "String",
    }
}
