//! `AWS::Batch::JobQueue`.

use super::{completed, in_capitals, resource, update_tags};
use crate::BatchService;
use async_trait::async_trait;
use barge_core::resource::PropertyType::{Integer, List, Map, String as Text};
use barge_core::resource::{Creation, Properties, Resource, ResourceProvider, ResourceSchema, property};
use barge_core::{AwsError, Context, Document};
use barge_wire::batch::{Batch, CreateJobQueueRequest, DescribeJobQueuesRequest, JQState, UpdateJobQueueRequest};
use barge_wire::from_properties;
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Batch::JobQueue",
    properties: &[
        property("JobQueueName", Text).replaces(),
        property("JobQueueType", Text).replaces(),
        property("Priority", Integer).required(),
        property("State", Text),
        property("ComputeEnvironmentOrder", List),
        property("Tags", Map),
    ],
    attributes: &["JobQueueArn"],
};

/// Between looks at a queue whose jobs are ending.
const LOOK: Duration = Duration::from_millis(50);
/// Looks: five minutes, ten times an attempt's grace.
const LOOKS: usize = 6000;

pub(super) struct JobQueueProvider(pub(super) Arc<BatchService>);

fn normalized(properties: &Document) -> IndexMap<String, Document> {
    let mut properties = properties.as_map().cloned().unwrap_or_default();
    in_capitals(&mut properties, "State");
    properties
}

#[async_trait]
impl ResourceProvider for JobQueueProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = Document::Map(normalized(&completed(creation, "JobQueueName")));
        let input: CreateJobQueueRequest = from_properties(&properties)?;
        let made = self.0.create_queue(cx, input, Some(creation.token.clone())).await?;
        Ok(resource("JobQueueArn", made.job_queue_arn))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let mut change = normalized(&new.properties);
        for kept in ["JobQueueName", "JobQueueType", "Tags"] {
            change.shift_remove(kept);
        }
        change.insert("JobQueue".to_owned(), physical_id.into());
        let change: UpdateJobQueueRequest = from_properties(&Document::Map(change))?;
        self.0.update_queue(cx, change).await?;
        update_tags(&self.0, cx, physical_id, old, new).await?;
        Ok(resource("JobQueueArn", physical_id.to_owned()))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Properties) -> Result<(), AwsError> {
        if self.read(cx, physical_id, properties).await?.is_none() {
            return Ok(());
        }
        let disable = UpdateJobQueueRequest {
            job_queue: physical_id.to_owned(),
            state: Some(JQState::Disabled),
            ..UpdateJobQueueRequest::default()
        };
        // Refused where the queue is being deleted already: then only its end is to be awaited.
        let disabled = self.0.update_queue(cx, disable).await;
        if disabled.is_ok() {
            self.0.delete_queue(cx, physical_id).await?;
        }
        for _ in 0..LOOKS {
            if self.read(cx, physical_id, properties).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(AwsError::internal(format!("Jobs of {physical_id} have not ended")))
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        _properties: &Properties,
    ) -> Result<Option<Resource>, AwsError> {
        let input = DescribeJobQueuesRequest {
            job_queues: Some(vec![physical_id.to_owned()]),
            ..DescribeJobQueuesRequest::default()
        };
        let found = self.0.describe_job_queues(cx, input).await?.job_queues;
        let found = found.into_iter().flatten().next();
        Ok(found.map(|found| resource("JobQueueArn", found.job_queue_arn)))
    }
}
