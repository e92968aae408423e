//! Reading a resource's properties.

use barge_core::resource::Properties;
use barge_core::{AwsError, Document};
use barge_wire::{Typed, from_properties};

/// The scalar at `name`, as text.
pub(super) fn text(properties: &Properties, name: &str) -> Option<String> {
    properties.get(name).and_then(Document::scalar_text)
}

/// The properties as a request, `extra` members with them or in their place.
pub(super) fn request<T: Typed>(properties: &Properties, extra: &[(&str, Document)]) -> Result<T, AwsError> {
    let mut members = properties.as_map().cloned().unwrap_or_default();
    for (name, value) in extra {
        members.insert((*name).to_owned(), value.clone());
    }
    members.retain(|_, value| *value != Document::Null);
    from_properties(&Document::Map(members))
}
