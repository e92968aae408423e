//! Reading a resource's properties.

use crate::cidr::Cidr;
use crate::errors;
use crate::kind::is_missing;
use barge_core::resource::{Creation, Properties};
use barge_core::{AwsError, Document};
use barge_wire::ec2::Tag;
use barge_wire::{Typed, from_properties};

/// The scalar at `name`, as text.
pub(super) fn text(properties: &Properties, name: &str) -> Option<String> {
    properties.get(name).and_then(Document::scalar_text)
}

/// The scalar at `name`, which must be there.
pub(super) fn required(properties: &Properties, name: &str) -> Result<String, AwsError> {
    text(properties, name).ok_or_else(|| errors::missing_parameter(name))
}

/// The boolean at `name`, also written as text.
pub(super) fn boolean(properties: &Properties, name: &str) -> Result<Option<bool>, AwsError> {
    match text(properties, name).map(|text| text.to_ascii_lowercase()).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(errors::invalid_value(format!("Value ({other}) for property {name} must be a boolean"))),
    }
}

/// The list of texts at `name`; empty where there is none.
pub(super) fn texts(properties: &Properties, name: &str) -> Result<Vec<String>, AwsError> {
    let wrong = || errors::invalid_value(format!("Property {name} must be a list of strings"));
    match properties.get(name) {
        None | Some(Document::Null) => Ok(Vec::new()),
        Some(Document::List(list)) => list.iter().map(|entry| entry.scalar_text().ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

/// A request with the properties called `names` as its members.
pub(super) fn request<T: Typed>(properties: &Properties, names: &[&str]) -> Result<T, AwsError> {
    let given = names.iter().filter_map(|name| Some((*name, properties.get(name)?.clone())));
    from_properties(&Document::map(given.filter(|(_, value)| *value != Document::Null)))
}

/// A map, or text with JSON in it, as text.
pub(super) fn json(properties: &Properties, name: &str) -> Result<Option<String>, AwsError> {
    match properties.get(name) {
        None | Some(Document::Null) => Ok(None),
        Some(Document::String(text)) => Ok(Some(text.clone())),
        Some(document @ Document::Map(_)) => Ok(Some(document.to_json())),
        Some(_) => Err(errors::invalid_value(format!("Property {name} must be JSON"))),
    }
}

/// A CIDR block as the template wrote it at `name`, or as it is where that is another.
pub(super) fn cidr(given: &Properties, name: &str, now: Cidr) -> Document {
    let written = text(given, name).filter(|text| text.parse() == Ok(now));
    written.unwrap_or_else(|| now.to_string()).into()
}

/// The stack's tags and, over them, those of the resource.
pub(super) fn tags(creation: &Creation) -> Result<Vec<Tag>, AwsError> {
    let mut tags = creation.tags.clone();
    for tag in creation.properties.get("Tags").and_then(Document::as_list).unwrap_or_default() {
        tags.insert(required(tag, "Key")?, required(tag, "Value")?);
    }
    Ok(tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect())
}

/// `None` for what isn't there.
pub(super) fn present<T>(found: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What isn't there is as good as deleted.
pub(super) fn gone(deleted: Result<(), AwsError>) -> Result<(), AwsError> {
    present(deleted).map(drop)
}
