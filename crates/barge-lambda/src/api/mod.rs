//! The Lambda API: one file per kind of operation, and here the trait that the wire calls.

mod concurrency;
pub(crate) mod functions;
mod invoke;
mod permissions;
mod tags;

use crate::LambdaService;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{
    AddPermissionRequest, AddPermissionResponse, Concurrency, CreateFunctionRequest, DeleteFunctionConcurrencyRequest,
    DeleteFunctionRequest, DeleteFunctionResponse, FunctionConfiguration, GetAccountSettingsRequest,
    GetAccountSettingsResponse, GetFunctionConcurrencyRequest, GetFunctionConcurrencyResponse,
    GetFunctionConfigurationRequest, GetFunctionRequest, GetFunctionResponse, GetPolicyRequest, GetPolicyResponse,
    InvocationRequest, InvocationResponse, Lambda, ListFunctionsRequest, ListFunctionsResponse, ListTagsRequest,
    ListTagsResponse, PutFunctionConcurrencyRequest, RemovePermissionRequest, TagResourceRequest, UntagResourceRequest,
    UpdateFunctionCodeRequest, UpdateFunctionConfigurationRequest, error,
};

/// Fails where a request names a revision that is not the present one.
fn check_revision(wanted: Option<&String>, present: &str) -> Result<(), AwsError> {
    match wanted {
        Some(wanted) if wanted != present => Err(error::precondition_failed_exception(
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to \
             retrieve the latest RevisionId",
        )),
        _ => Ok(()),
    }
}

impl Lambda for LambdaService {
    async fn create_function(
        &self,
        cx: &Context,
        input: CreateFunctionRequest,
    ) -> Result<FunctionConfiguration, AwsError> {
        self.create(cx, input).await
    }

    async fn update_function_code(
        &self,
        cx: &Context,
        input: UpdateFunctionCodeRequest,
    ) -> Result<FunctionConfiguration, AwsError> {
        self.update_code(cx, input).await
    }

    async fn update_function_configuration(
        &self,
        cx: &Context,
        input: UpdateFunctionConfigurationRequest,
    ) -> Result<FunctionConfiguration, AwsError> {
        self.update_configuration(cx, input).await
    }

    async fn get_function(&self, cx: &Context, input: GetFunctionRequest) -> Result<GetFunctionResponse, AwsError> {
        self.describe(cx, &input)
    }

    async fn get_function_configuration(
        &self,
        cx: &Context,
        input: GetFunctionConfigurationRequest,
    ) -> Result<FunctionConfiguration, AwsError> {
        let (function, naming) = self.find(cx, &input.function_name, input.qualifier.as_deref())?;
        Ok(function.configuration(naming))
    }

    async fn list_functions(
        &self,
        cx: &Context,
        input: ListFunctionsRequest,
    ) -> Result<ListFunctionsResponse, AwsError> {
        self.list(cx, &input)
    }

    async fn delete_function(
        &self,
        cx: &Context,
        input: DeleteFunctionRequest,
    ) -> Result<DeleteFunctionResponse, AwsError> {
        self.delete(cx, &input).await?;
        Ok(DeleteFunctionResponse { status_code: Some(204) })
    }

    async fn invoke(&self, cx: &Context, input: InvocationRequest) -> Result<InvocationResponse, AwsError> {
        self.invoke_function(cx, input).await
    }

    async fn add_permission(
        &self,
        cx: &Context,
        input: AddPermissionRequest,
    ) -> Result<AddPermissionResponse, AwsError> {
        let statement = Some(self.permit(cx, &input).await?);
        Ok(AddPermissionResponse { statement })
    }

    async fn remove_permission(&self, cx: &Context, input: RemovePermissionRequest) -> Result<(), AwsError> {
        self.forbid(cx, &input).await
    }

    async fn get_policy(&self, cx: &Context, input: GetPolicyRequest) -> Result<GetPolicyResponse, AwsError> {
        self.policy(cx, &input)
    }

    async fn tag_resource(&self, cx: &Context, input: TagResourceRequest) -> Result<(), AwsError> {
        self.tag(cx, &input).await
    }

    async fn untag_resource(&self, cx: &Context, input: UntagResourceRequest) -> Result<(), AwsError> {
        self.untag(cx, &input).await
    }

    async fn list_tags(&self, cx: &Context, input: ListTagsRequest) -> Result<ListTagsResponse, AwsError> {
        let (function, _) = self.find(cx, &input.resource, None)?;
        Ok(ListTagsResponse { tags: Some(function.tags.clone()) })
    }

    async fn put_function_concurrency(
        &self,
        cx: &Context,
        input: PutFunctionConcurrencyRequest,
    ) -> Result<Concurrency, AwsError> {
        let wanted = input.reserved_concurrent_executions;
        self.reserve(cx, &input.function_name, Some(wanted)).await?;
        Ok(Concurrency { reserved_concurrent_executions: Some(wanted) })
    }

    async fn get_function_concurrency(
        &self,
        cx: &Context,
        input: GetFunctionConcurrencyRequest,
    ) -> Result<GetFunctionConcurrencyResponse, AwsError> {
        let (function, _) = self.find(cx, &input.function_name, None)?;
        let reserved_concurrent_executions = function.reserved_concurrency.map(i64::from);
        Ok(GetFunctionConcurrencyResponse { reserved_concurrent_executions })
    }

    async fn delete_function_concurrency(
        &self,
        cx: &Context,
        input: DeleteFunctionConcurrencyRequest,
    ) -> Result<(), AwsError> {
        self.reserve(cx, &input.function_name, None).await
    }

    async fn get_account_settings(
        &self,
        cx: &Context,
        _: GetAccountSettingsRequest,
    ) -> Result<GetAccountSettingsResponse, AwsError> {
        Ok(self.account_settings(cx))
    }
}
