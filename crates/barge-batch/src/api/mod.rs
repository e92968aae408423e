//! Batch's operations as AWS words them: names, checks, messages, paging. Decisions about jobs are the core's.

mod container;
mod definitions;
mod environments;
mod fargate;
mod jobs;
mod names;
mod paging;
mod queues;
mod requirements;
mod submit;
mod tags;

use crate::service::BatchService;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    Batch, CancelJobRequest, CancelJobResponse, CreateComputeEnvironmentRequest, CreateComputeEnvironmentResponse,
    CreateJobQueueRequest, CreateJobQueueResponse, DeleteComputeEnvironmentRequest, DeleteComputeEnvironmentResponse,
    DeleteJobQueueRequest, DeleteJobQueueResponse, DeregisterJobDefinitionRequest, DeregisterJobDefinitionResponse,
    DescribeComputeEnvironmentsRequest, DescribeComputeEnvironmentsResponse, DescribeJobDefinitionsRequest,
    DescribeJobDefinitionsResponse, DescribeJobQueuesRequest, DescribeJobQueuesResponse, DescribeJobsRequest,
    DescribeJobsResponse, ListJobsRequest, ListJobsResponse, ListTagsForResourceRequest, ListTagsForResourceResponse,
    RegisterJobDefinitionRequest, RegisterJobDefinitionResponse, SubmitJobRequest, SubmitJobResponse,
    TagResourceRequest, TagResourceResponse, TerminateJobRequest, TerminateJobResponse, UntagResourceRequest,
    UntagResourceResponse, UpdateComputeEnvironmentRequest, UpdateComputeEnvironmentResponse, UpdateJobQueueRequest,
    UpdateJobQueueResponse,
};

/// Refuses the first of `members` that is present and that Barge does not honour.
fn refuse(members: &[(&str, bool)]) -> Result<(), AwsError> {
    match members.iter().find(|(_, present)| *present) {
        Some((name, _)) => Err(client_exception(format!("{name} is not available in Barge yet."))),
        None => Ok(()),
    }
}

/// Whether a list was given and has something in it: clients send empty ones for absent ones.
fn filled<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

/// An error in the form that AWS's Batch gives most of its checks.
fn executing(cx: &Context, message: &str) -> AwsError {
    client_exception(format!("Error executing request, Exception : {message}, RequestId: {}", cx.request_id))
}

impl Batch for BatchService {
    async fn create_compute_environment(
        &self,
        cx: &Context,
        input: CreateComputeEnvironmentRequest,
    ) -> Result<CreateComputeEnvironmentResponse, AwsError> {
        self.create_environment(cx, input, None).await
    }

    async fn describe_compute_environments(
        &self,
        cx: &Context,
        input: DescribeComputeEnvironmentsRequest,
    ) -> Result<DescribeComputeEnvironmentsResponse, AwsError> {
        self.describe_environments(cx, input).await
    }

    async fn update_compute_environment(
        &self,
        cx: &Context,
        input: UpdateComputeEnvironmentRequest,
    ) -> Result<UpdateComputeEnvironmentResponse, AwsError> {
        self.update_environment(cx, input).await
    }

    async fn delete_compute_environment(
        &self,
        cx: &Context,
        input: DeleteComputeEnvironmentRequest,
    ) -> Result<DeleteComputeEnvironmentResponse, AwsError> {
        self.delete_environment(cx, &input.compute_environment).await?;
        Ok(DeleteComputeEnvironmentResponse::default())
    }

    async fn create_job_queue(
        &self,
        cx: &Context,
        input: CreateJobQueueRequest,
    ) -> Result<CreateJobQueueResponse, AwsError> {
        self.create_queue(cx, input, None).await
    }

    async fn describe_job_queues(
        &self,
        cx: &Context,
        input: DescribeJobQueuesRequest,
    ) -> Result<DescribeJobQueuesResponse, AwsError> {
        self.describe_queues(cx, input).await
    }

    async fn update_job_queue(
        &self,
        cx: &Context,
        input: UpdateJobQueueRequest,
    ) -> Result<UpdateJobQueueResponse, AwsError> {
        self.update_queue(cx, input).await
    }

    async fn delete_job_queue(
        &self,
        cx: &Context,
        input: DeleteJobQueueRequest,
    ) -> Result<DeleteJobQueueResponse, AwsError> {
        self.delete_queue(cx, &input.job_queue).await?;
        Ok(DeleteJobQueueResponse::default())
    }

    async fn register_job_definition(
        &self,
        cx: &Context,
        input: RegisterJobDefinitionRequest,
    ) -> Result<RegisterJobDefinitionResponse, AwsError> {
        self.register_definition(cx, input, None).await
    }

    async fn describe_job_definitions(
        &self,
        cx: &Context,
        input: DescribeJobDefinitionsRequest,
    ) -> Result<DescribeJobDefinitionsResponse, AwsError> {
        self.describe_definitions(cx, input).await
    }

    async fn deregister_job_definition(
        &self,
        cx: &Context,
        input: DeregisterJobDefinitionRequest,
    ) -> Result<DeregisterJobDefinitionResponse, AwsError> {
        self.deregister_definition(cx, &input.job_definition).await?;
        Ok(DeregisterJobDefinitionResponse::default())
    }

    async fn submit_job(&self, cx: &Context, input: SubmitJobRequest) -> Result<SubmitJobResponse, AwsError> {
        self.submit(cx, input).await
    }

    async fn describe_jobs(&self, cx: &Context, input: DescribeJobsRequest) -> Result<DescribeJobsResponse, AwsError> {
        self.jobs_by_id(cx, &input.jobs).await
    }

    async fn list_jobs(&self, cx: &Context, input: ListJobsRequest) -> Result<ListJobsResponse, AwsError> {
        self.jobs_of_queue(cx, input).await
    }

    async fn cancel_job(&self, cx: &Context, input: CancelJobRequest) -> Result<CancelJobResponse, AwsError> {
        self.cancel(cx, &input.job_id, &input.reason).await?;
        Ok(CancelJobResponse::default())
    }

    async fn terminate_job(&self, cx: &Context, input: TerminateJobRequest) -> Result<TerminateJobResponse, AwsError> {
        self.terminate(cx, &input.job_id, &input.reason).await?;
        Ok(TerminateJobResponse::default())
    }

    async fn tag_resource(&self, cx: &Context, input: TagResourceRequest) -> Result<TagResourceResponse, AwsError> {
        self.add_tags(cx, &input.resource_arn, input.tags).await?;
        Ok(TagResourceResponse::default())
    }

    async fn untag_resource(
        &self,
        cx: &Context,
        input: UntagResourceRequest,
    ) -> Result<UntagResourceResponse, AwsError> {
        self.remove_tags(cx, &input.resource_arn, input.tag_keys).await?;
        Ok(UntagResourceResponse::default())
    }

    async fn list_tags_for_resource(
        &self,
        cx: &Context,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse, AwsError> {
        let tags = self.tags(cx, &input.resource_arn).await?;
        Ok(ListTagsForResourceResponse { tags: Some(tags) })
    }
}
