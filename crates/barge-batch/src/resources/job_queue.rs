//! `AWS::Batch::JobQueue`.

use super::disposal::{Disposable, dispose};
use super::spelling::{Case, Spelling, spelled};
use super::{completed, kept, resource, update_tags};
use crate::BatchService;
use async_trait::async_trait;
use barge_core::resource::PropertyType::{Integer, List, Map, String as Text};
use barge_core::resource::{Creation, Properties, Reading, Resource, ResourceProvider, ResourceSchema, property};
use barge_core::{AwsError, Context, Document};
use barge_wire::batch::{
    Batch, ComputeEnvironmentOrder, CreateJobQueueRequest, DescribeJobQueuesRequest, JQState, JobStateTimeLimitAction,
    UpdateJobQueueRequest,
};
use barge_wire::{Typed, from_properties};
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::Batch::JobQueue",
    properties: &[
        property("JobQueueName", Text).replaces(),
        property("JobQueueType", Text).replaces(),
        property("Priority", Integer).required(),
        property("State", Text),
        property("ComputeEnvironmentOrder", List).of(ComputeEnvironmentOrder::SHAPE),
        property("SchedulingPolicyArn", Text),
        property("JobStateTimeLimitActions", List).of(JobStateTimeLimitAction::SHAPE),
        property("Tags", Map).open(&["Tags"]),
    ],
    attributes: &["JobQueueArn"],
};

pub(super) struct JobQueueProvider(pub(super) Arc<BatchService>);

const SPELLINGS: [Spelling; 4] = [
    (&["State"], Case::Upper),
    (&["JobQueueType"], Case::Upper),
    (&["JobStateTimeLimitActions", "Action"], Case::Upper),
    (&["JobStateTimeLimitActions", "State"], Case::Upper),
];

#[async_trait]
impl ResourceProvider for JobQueueProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = spelled(&completed(creation, "JobQueueName"), &SPELLINGS);
        let input: CreateJobQueueRequest = from_properties(&properties)?;
        let made = self.0.create_queue(cx, input, Some(creation.token.clone())).await?;
        Ok(resource("JobQueueArn", made.job_queue_arn))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        _old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let mut change = spelled(&new.properties, &SPELLINGS).as_map().cloned().unwrap_or_default();
        for kept in ["JobQueueName", "JobQueueType", "Tags"] {
            change.shift_remove(kept);
        }
        // What a template says no more of is none.
        change.entry("JobStateTimeLimitActions".to_owned()).or_insert_with(|| Document::List(Vec::new()));
        change.insert("JobQueue".to_owned(), physical_id.into());
        let change: UpdateJobQueueRequest = from_properties(&Document::Map(change))?;
        self.0.update_queue(cx, change).await?;
        update_tags(&self.0, cx, physical_id, new).await?;
        Ok(resource("JobQueueArn", physical_id.to_owned()))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Properties) -> Result<(), AwsError> {
        dispose(self, cx, physical_id, properties).await
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let input = DescribeJobQueuesRequest {
            job_queues: Some(vec![physical_id.to_owned()]),
            ..DescribeJobQueuesRequest::default()
        };
        let found = self.0.describe_job_queues(cx, input).await?.job_queues;
        let found = found.into_iter().flatten().next();
        Ok(found.map(|found| {
            let resource = resource("JobQueueArn", found.job_queue_arn.clone());
            Reading::new(&SCHEMA, resource, kept(found, properties, &SPELLINGS))
        }))
    }
}

#[async_trait]
impl Disposable for JobQueueProvider {
    async fn disable(&self, cx: &Context, arn: &str) -> Result<(), AwsError> {
        let disable = UpdateJobQueueRequest {
            job_queue: arn.to_owned(),
            state: Some(JQState::Disabled),
            ..UpdateJobQueueRequest::default()
        };
        self.0.update_queue(cx, disable).await.map(drop)
    }

    async fn start_deletion(&self, cx: &Context, arn: &str) -> Result<(), AwsError> {
        self.0.delete_queue(cx, arn).await
    }
}
