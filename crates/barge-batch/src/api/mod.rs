//! Batch's operations as AWS words them: names, checks, messages, paging. Decisions about jobs are the core's.

mod consumable;
mod definition;
mod environment;
mod jobs;
mod names;
mod paging;
mod policy;
mod queue;
mod submit;
mod tags;

use crate::core::{Platform, Refusal};
use crate::dispatcher::Alteration;
use crate::service::BatchService;
use crate::store::Origin;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    Batch, CancelJobRequest, CancelJobResponse, CancelJobsRequest, CancelJobsResponse, CreateComputeEnvironmentRequest,
    CreateComputeEnvironmentResponse, CreateConsumableResourceRequest, CreateConsumableResourceResponse,
    CreateJobQueueRequest, CreateJobQueueResponse, CreateQuotaShareRequest, CreateQuotaShareResponse,
    CreateSchedulingPolicyRequest, CreateSchedulingPolicyResponse, CreateServiceEnvironmentRequest,
    CreateServiceEnvironmentResponse, DeleteComputeEnvironmentRequest, DeleteComputeEnvironmentResponse,
    DeleteConsumableResourceRequest, DeleteConsumableResourceResponse, DeleteJobQueueRequest, DeleteJobQueueResponse,
    DeleteQuotaShareRequest, DeleteQuotaShareResponse, DeleteSchedulingPolicyRequest, DeleteSchedulingPolicyResponse,
    DeleteServiceEnvironmentRequest, DeleteServiceEnvironmentResponse, DeregisterJobDefinitionRequest,
    DeregisterJobDefinitionResponse, DescribeComputeEnvironmentsRequest, DescribeComputeEnvironmentsResponse,
    DescribeConsumableResourceRequest, DescribeConsumableResourceResponse, DescribeJobDefinitionsRequest,
    DescribeJobDefinitionsResponse, DescribeJobQueuesRequest, DescribeJobQueuesResponse, DescribeJobsRequest,
    DescribeJobsResponse, DescribeQuotaShareRequest, DescribeQuotaShareResponse, DescribeSchedulingPoliciesRequest,
    DescribeSchedulingPoliciesResponse, DescribeServiceEnvironmentsRequest, DescribeServiceEnvironmentsResponse,
    DescribeServiceJobRequest, DescribeServiceJobResponse, GetJobQueueSnapshotRequest, GetJobQueueSnapshotResponse,
    ListConsumableResourcesRequest, ListConsumableResourcesResponse, ListJobsByConsumableResourceRequest,
    ListJobsByConsumableResourceResponse, ListJobsRequest, ListJobsResponse, ListQuotaSharesRequest,
    ListQuotaSharesResponse, ListSchedulingPoliciesRequest, ListSchedulingPoliciesResponse, ListServiceJobsRequest,
    ListServiceJobsResponse, ListTagsForResourceRequest, ListTagsForResourceResponse, RegisterJobDefinitionRequest,
    RegisterJobDefinitionResponse, SubmitJobRequest, SubmitJobResponse, SubmitServiceJobRequest,
    SubmitServiceJobResponse, TagResourceRequest, TagResourceResponse, TerminateJobRequest, TerminateJobResponse,
    TerminateJobsRequest, TerminateJobsResponse, TerminateServiceJobRequest, TerminateServiceJobResponse,
    TerminateServiceJobsRequest, TerminateServiceJobsResponse, UntagResourceRequest, UntagResourceResponse,
    UpdateComputeEnvironmentRequest, UpdateComputeEnvironmentResponse, UpdateConsumableResourceRequest,
    UpdateConsumableResourceResponse, UpdateJobQueueRequest, UpdateJobQueueResponse, UpdateQuotaShareRequest,
    UpdateQuotaShareResponse, UpdateSchedulingPolicyRequest, UpdateSchedulingPolicyResponse,
    UpdateServiceEnvironmentRequest, UpdateServiceEnvironmentResponse, UpdateServiceJobRequest,
    UpdateServiceJobResponse,
};
use jobs::How;

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

/// The refusal of a member that a platform does not have.
fn foreign(member: &str, platform: Platform) -> AwsError {
    let resources = match platform {
        Platform::Fargate => "Fargate",
        Platform::Ec2 => "EC2",
    };
    client_exception(format!("{member} is not supported for jobs that run on {resources} resources."))
}

/// Refuses a member that must be there and is not.
fn absent(member: &str, is_absent: bool) -> Result<(), AwsError> {
    if is_absent { Err(client_exception(format!("{member} must be provided."))) } else { Ok(()) }
}

/// The refusal of a resource that is not there, `kind` saying what it should be.
fn no_such(kind: &str, reference: &str) -> AwsError {
    client_exception(format!("{kind} {reference} does not exist."))
}

/// No change.
fn nothing() -> Alteration {
    fn refused(refusal: Refusal) -> AwsError {
        AwsError::internal(refusal)
    }
    Alteration { events: Vec::new(), refused, writes: Vec::new() }
}

/// Operations of service jobs, which run on SageMaker, and of quota shares, which are theirs.
macro_rules! of_sagemaker {
    ($($operation:ident: $input:ident => $output:ident;)*) => {
        $(async fn $operation(&self, _: &Context, _: $input) -> Result<$output, AwsError> {
            let shape = stringify!($input);
            let name = shape.strip_suffix("Request").unwrap_or(shape);
            let reason = "service jobs, their environments and quota shares need SageMaker, which Barge does not have";
            Err(AwsError::new("NotImplemented", 501, format!("Barge does not implement {name} of AWS Batch: {reason}.")))
        })*
    };
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
        self.register_definition(cx, input, Origin::default()).await
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
        self.list(cx, input).await
    }

    async fn cancel_job(&self, cx: &Context, input: CancelJobRequest) -> Result<CancelJobResponse, AwsError> {
        self.end(cx, &input.job_id, &input.reason, How::Cancel).await?;
        Ok(CancelJobResponse::default())
    }

    async fn terminate_job(&self, cx: &Context, input: TerminateJobRequest) -> Result<TerminateJobResponse, AwsError> {
        self.end(cx, &input.job_id, &input.reason, How::Terminate).await?;
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

    async fn cancel_jobs(&self, cx: &Context, input: CancelJobsRequest) -> Result<CancelJobsResponse, AwsError> {
        self.cancel_many(cx, input).await
    }

    async fn terminate_jobs(
        &self,
        cx: &Context,
        input: TerminateJobsRequest,
    ) -> Result<TerminateJobsResponse, AwsError> {
        self.terminate_many(cx, input).await
    }

    async fn get_job_queue_snapshot(
        &self,
        cx: &Context,
        input: GetJobQueueSnapshotRequest,
    ) -> Result<GetJobQueueSnapshotResponse, AwsError> {
        self.snapshot(cx, &input.job_queue).await
    }

    async fn create_scheduling_policy(
        &self,
        cx: &Context,
        input: CreateSchedulingPolicyRequest,
    ) -> Result<CreateSchedulingPolicyResponse, AwsError> {
        self.create_policy(cx, input, None).await
    }

    async fn describe_scheduling_policies(
        &self,
        cx: &Context,
        input: DescribeSchedulingPoliciesRequest,
    ) -> Result<DescribeSchedulingPoliciesResponse, AwsError> {
        self.describe_policies(cx, input).await
    }

    async fn list_scheduling_policies(
        &self,
        cx: &Context,
        input: ListSchedulingPoliciesRequest,
    ) -> Result<ListSchedulingPoliciesResponse, AwsError> {
        self.list_policies(cx, input).await
    }

    async fn update_scheduling_policy(
        &self,
        cx: &Context,
        input: UpdateSchedulingPolicyRequest,
    ) -> Result<UpdateSchedulingPolicyResponse, AwsError> {
        self.update_policy(cx, input).await?;
        Ok(UpdateSchedulingPolicyResponse::default())
    }

    async fn delete_scheduling_policy(
        &self,
        cx: &Context,
        input: DeleteSchedulingPolicyRequest,
    ) -> Result<DeleteSchedulingPolicyResponse, AwsError> {
        self.delete_policy(cx, &input.arn).await?;
        Ok(DeleteSchedulingPolicyResponse::default())
    }

    async fn create_consumable_resource(
        &self,
        cx: &Context,
        input: CreateConsumableResourceRequest,
    ) -> Result<CreateConsumableResourceResponse, AwsError> {
        self.create_consumable(cx, input, None).await
    }

    async fn describe_consumable_resource(
        &self,
        cx: &Context,
        input: DescribeConsumableResourceRequest,
    ) -> Result<DescribeConsumableResourceResponse, AwsError> {
        self.describe_consumable(cx, &input.consumable_resource).await
    }

    async fn list_consumable_resources(
        &self,
        cx: &Context,
        input: ListConsumableResourcesRequest,
    ) -> Result<ListConsumableResourcesResponse, AwsError> {
        self.list_consumables(cx, input).await
    }

    async fn update_consumable_resource(
        &self,
        cx: &Context,
        input: UpdateConsumableResourceRequest,
    ) -> Result<UpdateConsumableResourceResponse, AwsError> {
        self.update_consumable(cx, input).await
    }

    async fn delete_consumable_resource(
        &self,
        cx: &Context,
        input: DeleteConsumableResourceRequest,
    ) -> Result<DeleteConsumableResourceResponse, AwsError> {
        self.delete_consumable(cx, &input.consumable_resource).await?;
        Ok(DeleteConsumableResourceResponse::default())
    }

    async fn list_jobs_by_consumable_resource(
        &self,
        cx: &Context,
        input: ListJobsByConsumableResourceRequest,
    ) -> Result<ListJobsByConsumableResourceResponse, AwsError> {
        self.jobs_by_consumable(cx, input).await
    }

    of_sagemaker! {
        create_quota_share: CreateQuotaShareRequest => CreateQuotaShareResponse;
        create_service_environment: CreateServiceEnvironmentRequest => CreateServiceEnvironmentResponse;
        delete_quota_share: DeleteQuotaShareRequest => DeleteQuotaShareResponse;
        delete_service_environment: DeleteServiceEnvironmentRequest => DeleteServiceEnvironmentResponse;
        describe_quota_share: DescribeQuotaShareRequest => DescribeQuotaShareResponse;
        describe_service_environments: DescribeServiceEnvironmentsRequest => DescribeServiceEnvironmentsResponse;
        describe_service_job: DescribeServiceJobRequest => DescribeServiceJobResponse;
        list_quota_shares: ListQuotaSharesRequest => ListQuotaSharesResponse;
        list_service_jobs: ListServiceJobsRequest => ListServiceJobsResponse;
        submit_service_job: SubmitServiceJobRequest => SubmitServiceJobResponse;
        terminate_service_job: TerminateServiceJobRequest => TerminateServiceJobResponse;
        terminate_service_jobs: TerminateServiceJobsRequest => TerminateServiceJobsResponse;
        update_quota_share: UpdateQuotaShareRequest => UpdateQuotaShareResponse;
        update_service_environment: UpdateServiceEnvironmentRequest => UpdateServiceEnvironmentResponse;
        update_service_job: UpdateServiceJobRequest => UpdateServiceJobResponse;
    }
}
