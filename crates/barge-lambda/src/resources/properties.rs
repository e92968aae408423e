//! Reading a resource's properties.

use crate::names::{FunctionKey, resolve};
use barge_core::resource::Properties;
use barge_core::{AwsError, Context, Document};
use barge_wire::{Typed, from_properties};

/// The scalar at `name`, as text.
pub(super) fn text(properties: &Properties, name: &str) -> Option<String> {
    properties.get(name).and_then(Document::scalar_text)
}

/// The name of the function `key` as the template writes it, which may be in several ways.
pub(super) fn function_name(cx: &Context, properties: &Properties, key: &FunctionKey) -> Document {
    let names_it = |text: &String| resolve(&cx.scope, text, None).is_ok_and(|target| target.key.name == key.name);
    text(properties, "FunctionName").filter(names_it).unwrap_or_else(|| key.name.clone()).into()
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
