//! Batch's resource types as CloudFormation templates declare them, one file each.

mod compute_environment;
mod consumable_resource;
mod disposal;
mod job_definition;
mod job_queue;
mod scheduling_policy;
mod spelling;

use crate::BatchService;
use barge_core::resource::{Creation, Properties, Resource, ResourceProvider};
use barge_core::{AwsError, Context, Document};
use barge_wire::{Typed, to_properties};
use spelling::{Spelling, spelled};
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

/// What a resource's description tells, with enumerations spelled as the template spells them.
fn kept<T: Typed>(found: T, properties: &Properties, spellings: &[Spelling]) -> Properties {
    let mut kept = to_properties(found);
    spelling::as_written(&mut kept, &spelled(properties, spellings), properties);
    kept
}
