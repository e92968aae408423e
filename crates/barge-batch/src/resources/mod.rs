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
    let mut tags: IndexMap<String, Document> =
        creation.tags.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    if let Some(own) = properties.get("Tags").and_then(Document::as_map) {
        tags.extend(own.clone());
    }
    if !tags.is_empty() {
        properties.insert("Tags".to_owned(), tags.into());
    }
    Document::Map(properties)
}

/// A resource whose `Ref` is its ARN, which it has as an attribute too.
fn resource(attribute: &str, arn: String) -> Resource {
    let attributes = BTreeMap::from([(attribute.to_owned(), Document::from(arn.as_str()))]);
    Resource { physical_id: arn, attributes }
}

/// Gives a resource the tags that an update says, and takes those away that it no longer says.
async fn update_tags(
    service: &BatchService,
    cx: &Context,
    arn: &str,
    old: &Properties,
    new: &Creation,
) -> Result<(), AwsError> {
    let tags = |properties: &Properties| -> BTreeMap<String, String> {
        let own = properties.get("Tags").and_then(Document::as_map);
        let own = own.into_iter().flatten();
        own.filter_map(|(key, value)| Some((key.clone(), value.scalar_text()?))).collect()
    };
    let (before, after) = (tags(old), tags(&new.properties));
    let gone: Vec<String> = before.keys().filter(|key| !after.contains_key(*key)).cloned().collect();
    if !gone.is_empty() {
        service.remove_tags(cx, arn, gone).await?;
    }
    if after != before {
        service.add_tags(cx, arn, after).await?;
    }
    Ok(())
}
