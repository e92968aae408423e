//! Reading a resource's properties.

use crate::errors;
use barge_core::ids::SeededIds;
use barge_core::resource::{Creation, Properties};
use barge_core::{AwsError, Document, IdSource as _};
use barge_wire::iam::Tag;
use indexmap::IndexMap;

/// The scalar at `name`, as text.
pub(super) fn text(properties: &Properties, name: &str) -> Option<String> {
    properties.get(name).and_then(Document::scalar_text)
}

/// The list of texts at `name`; empty where there is none.
pub(super) fn texts(properties: &Properties, name: &str) -> Result<Vec<String>, AwsError> {
    match properties.get(name) {
        None | Some(Document::Null) => Ok(Vec::new()),
        Some(Document::List(list)) => list
            .iter()
            .map(|entry| {
                entry.scalar_text().ok_or_else(|| errors::validation(format!("{name} must be a list of strings")))
            })
            .collect(),
        Some(_) => Err(errors::validation(format!("{name} must be a list of strings"))),
    }
}

/// The policy document at `name`: written as a map or as text with JSON in it.
pub(super) fn document(properties: &Properties, name: &str) -> Result<String, AwsError> {
    match properties.get(name) {
        Some(Document::String(text)) => Ok(text.clone()),
        Some(document @ Document::Map(_)) => Ok(document.to_json()),
        _ => Err(errors::validation(format!("{name} must be a policy document"))),
    }
}

/// The properties called `names` that are there, as members of a request.
pub(super) fn pick(properties: &Properties, names: &[&str]) -> IndexMap<String, Document> {
    let found = names.iter().filter_map(|name| Some(((*name).to_owned(), properties.get(name)?.clone())));
    found.filter(|(_, value)| *value != Document::Null).collect()
}

/// The name that the template gives at `property`, or one that follows from the token.
pub(super) fn name(creation: &Creation, property: &str, longest: usize) -> String {
    text(&creation.properties, property).unwrap_or_else(|| creation.physical_name(longest))
}

/// The first id that a seeded creation makes.
pub(super) fn first_id(creation: &Creation, prefix: &str) -> String {
    format!("{prefix}{}", SeededIds::new(creation.token.as_bytes()).upper_alphanumeric(17))
}

/// The stack's tags and, over them, those of the resource.
pub(super) fn tags(creation: &Creation) -> Result<Vec<Tag>, AwsError> {
    let mut tags = creation.tags.clone();
    if let Some(list) = creation.properties.get("Tags").and_then(Document::as_list) {
        for tag in list {
            let (Some(key), Some(value)) = (text(tag, "Key"), text(tag, "Value")) else {
                return Err(errors::validation("Tags must be a list of Key and Value"));
            };
            tags.insert(key, value);
        }
    }
    Ok(tags.into_iter().map(|(key, value)| Tag { key, value }).collect())
}
