//! A resource before and after a change, as a change set shows it whole: `BeforeContext` and `AfterContext` (API reference,
//! ResourceChange). Pure.

use super::record::{HIDDEN, NO_ECHO, ResourceRecord};
use crate::template::{Environment, RemovalPolicy, ResourceDeclaration};
use barge_core::Document;
use barge_core::resource::Resource;
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// The resource as it is.
pub(super) fn before(record: &ResourceRecord) -> String {
    let parse = |json: &String| Document::from_json(json.as_bytes()).ok();
    let properties = record.shown.as_ref().and_then(parse);
    let metadata = record.metadata.as_ref().and_then(parse);
    context(properties, metadata, record.policy, record.replace_policy)
}

/// The resource as its template wants it. What is not known before the change set is executed has a mark in its place.
pub(super) fn after(declared: &ResourceDeclaration, environment: &Environment<'_>) -> String {
    let masked = masked(environment.resources);
    let resources = masked.as_ref().unwrap_or(environment.resources);
    let properties = Environment { resources, ..*environment }.preview(&declared.properties);
    context(Some(properties), declared.metadata.clone(), declared.deletion_policy, declared.update_replace_policy)
}

/// The resources with attributes that may not be shown hidden; `None` where all may be.
pub(crate) fn masked(resources: &BTreeMap<String, Resource>) -> Option<BTreeMap<String, Resource>> {
    let hidden = |resource: &Resource| resource.attributes.contains_key(NO_ECHO);
    if !resources.values().any(hidden) {
        return None;
    }
    let mut masked = resources.clone();
    for resource in masked.values_mut().filter(|resource| hidden(resource)) {
        resource.attributes.values_mut().for_each(|value| *value = HIDDEN.into());
    }
    Some(masked)
}

fn context(
    properties: Option<Document>,
    metadata: Option<Document>,
    policy: RemovalPolicy,
    replace_policy: RemovalPolicy,
) -> String {
    let mut members = IndexMap::new();
    members.insert("Properties".to_owned(), properties.unwrap_or_else(|| Document::Map(IndexMap::new())));
    members.extend(metadata.map(|metadata| ("Metadata".to_owned(), metadata)));
    for (name, policy) in [("DeletionPolicy", policy), ("UpdateReplacePolicy", replace_policy)] {
        if policy != RemovalPolicy::Delete {
            members.insert(name.to_owned(), policy.as_str().into());
        }
    }
    Document::Map(members).to_json()
}
