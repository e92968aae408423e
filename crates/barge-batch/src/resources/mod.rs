//! Batch's resource types as CloudFormation templates declare them, one file each.

mod compute_environment;
mod consumable_resource;
mod disposal;
mod job_definition;
mod job_queue;
mod scheduling_policy;

use crate::BatchService;
use barge_core::resource::{Creation, Properties, Resource, ResourceProvider};
use barge_core::{AwsError, Context, Document};
use barge_wire::{Typed, to_properties};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A provider for each of Batch's resource types.
pub fn resources(service: &Arc<BatchService>) -> Vec<Arc<dyn ResourceProvider>> {
    vec![
        Arc::new(compute_environment::ComputeEnvironmentProvider(Arc::clone(service))),
        Arc::new(job_queue::JobQueueProvider(Arc::clone(service))),
        Arc::new(job_definition::JobDefinitionProvider(Arc::clone(service))),
        Arc::new(scheduling_policy::SchedulingPolicyProvider(Arc::clone(service))),
        Arc::new(consumable_resource::ConsumableResourceProvider(Arc::clone(service))),
    ]
}

/// The creation's properties with a name where the template gives none, and the stack's tags under the resource's own.
fn completed(creation: &Creation, name: &str) -> Document {
    let mut properties = creation.properties.as_map().cloned().unwrap_or_default();
    properties.entry(name.to_owned()).or_insert_with(|| creation.physical_name(128).into());
    let tags = wanted_tags(creation);
    if !tags.is_empty() {
        let tags = tags.into_iter().map(|(key, value)| (key, value.into()));
        properties.insert("Tags".to_owned(), Document::map(tags));
    }
    Document::Map(properties)
}

/// A resource whose `Ref` is its ARN, which it has as an attribute too.
fn resource(attribute: &str, arn: String) -> Resource {
    let attributes = BTreeMap::from([(attribute.to_owned(), Document::from(arn.as_str()))]);
    Resource { physical_id: arn, attributes }
}

/// The stack's tags, under the resource's own.
fn wanted_tags(creation: &Creation) -> BTreeMap<String, String> {
    let own = creation.properties.get("Tags").and_then(Document::as_map).into_iter().flatten();
    let own = own.filter_map(|(key, value)| Some((key.clone(), value.scalar_text()?)));
    creation.tags.clone().into_iter().chain(own).collect()
}

/// Gives a resource the tags that an update says, and takes the others away.
async fn update_tags(service: &BatchService, cx: &Context, arn: &str, new: &Creation) -> Result<(), AwsError> {
    let (have, want) = (service.tags(cx, arn).await?, wanted_tags(new));
    let gone: Vec<String> = have.keys().filter(|key| !want.contains_key(*key)).cloned().collect();
    if !gone.is_empty() {
        service.remove_tags(cx, arn, gone).await?;
    }
    if want.iter().any(|(key, value)| have.get(key) != Some(value)) {
        service.add_tags(cx, arn, want).await?;
    }
    Ok(())
}

/// Members whose words Batch keeps in capitals, whatever case they are written in.
const CAPITALS: [&str; 4] = ["Action", "ResourceType", "State", "Type"];

/// What a resource's description tells, as the template writes it.
fn kept<T: Typed>(found: T, properties: &Properties) -> Properties {
    let mut kept = to_properties(found);
    as_written(&mut kept, properties);
    kept
}

/// Gives words that differ from the template's only in case the template's.
fn as_written(now: &mut Document, written: &Document) {
    match (now, written) {
        (Document::Map(now), Document::Map(written)) => {
            for (name, value) in now {
                match (value, written.get(name)) {
                    (Document::String(word), Some(Document::String(written)))
                        if CAPITALS.contains(&name.as_str()) && word.eq_ignore_ascii_case(written) =>
                    {
                        word.clone_from(written);
                    }
                    (value, Some(written)) => as_written(value, written),
                    (_, None) => {}
                }
            }
        }
        (Document::List(now), Document::List(written)) => {
            now.iter_mut().zip(written).for_each(|(now, written)| as_written(now, written));
        }
        _ => {}
    }
}

/// The map's entry in capitals: templates may write enumerations of Batch in small letters (`managed`).
fn in_capitals(properties: &mut IndexMap<String, Document>, name: &str) {
    if let Some(Document::String(text)) = properties.get_mut(name) {
        text.make_ascii_uppercase();
    }
}
