//! The Lambda API: one file per kind of operation, and here the trait that the wire calls.

mod aliases;
mod concurrency;
pub(crate) mod event_configs;
pub(crate) mod functions;
mod invoke;
mod layers;
mod permissions;
mod runtime_management;
mod tags;
pub(crate) mod versions;

use crate::LambdaService;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{
    AddPermissionRequest, AddPermissionResponse, AliasConfiguration, Concurrency, CreateAliasRequest,
    CreateFunctionRequest, DeleteAliasRequest, DeleteFunctionConcurrencyRequest,
    DeleteFunctionEventInvokeConfigRequest, DeleteFunctionRequest, DeleteFunctionResponse, DeleteLayerVersionRequest,
    FunctionConfiguration, FunctionEventInvokeConfig, GetAccountSettingsRequest, GetAccountSettingsResponse,
    GetAliasRequest, GetFunctionConcurrencyRequest, GetFunctionConcurrencyResponse, GetFunctionConfigurationRequest,
    GetFunctionEventInvokeConfigRequest, GetFunctionRequest, GetFunctionResponse, GetLayerVersionByArnRequest,
    GetLayerVersionRequest, GetLayerVersionResponse, GetPolicyRequest, GetPolicyResponse,
    GetRuntimeManagementConfigRequest, GetRuntimeManagementConfigResponse, InvocationRequest, InvocationResponse,
    Lambda, ListAliasesRequest, ListAliasesResponse, ListFunctionEventInvokeConfigsRequest,
    ListFunctionEventInvokeConfigsResponse, ListFunctionsRequest, ListFunctionsResponse, ListLayerVersionsRequest,
    ListLayerVersionsResponse, ListLayersRequest, ListLayersResponse, ListTagsRequest, ListTagsResponse,
    ListVersionsByFunctionRequest, ListVersionsByFunctionResponse, PublishLayerVersionRequest,
    PublishLayerVersionResponse, PublishVersionRequest, PutFunctionConcurrencyRequest,
    PutFunctionEventInvokeConfigRequest, PutRuntimeManagementConfigRequest, PutRuntimeManagementConfigResponse,
    RemovePermissionRequest, TagResourceRequest, UntagResourceRequest, UpdateAliasRequest, UpdateFunctionCodeRequest,
    UpdateFunctionConfigurationRequest, UpdateFunctionEventInvokeConfigRequest, error,
};

use event_configs::Rest;

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
        Ok(function.configuration(&naming))
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
        let (function, _) = self.whole(cx, &input.resource)?;
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
        let (function, _) = self.whole(cx, &input.function_name)?;
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

    async fn publish_version(
        &self,
        cx: &Context,
        input: PublishVersionRequest,
    ) -> Result<FunctionConfiguration, AwsError> {
        self.publish_answer(cx, &input).await
    }

    async fn list_versions_by_function(
        &self,
        cx: &Context,
        input: ListVersionsByFunctionRequest,
    ) -> Result<ListVersionsByFunctionResponse, AwsError> {
        self.list_versions(cx, &input)
    }

    async fn create_alias(&self, cx: &Context, input: CreateAliasRequest) -> Result<AliasConfiguration, AwsError> {
        self.make_alias(cx, input, None).await
    }

    async fn update_alias(&self, cx: &Context, input: UpdateAliasRequest) -> Result<AliasConfiguration, AwsError> {
        self.change_alias(cx, input).await
    }

    async fn get_alias(&self, cx: &Context, input: GetAliasRequest) -> Result<AliasConfiguration, AwsError> {
        self.alias(cx, &input)
    }

    async fn list_aliases(&self, cx: &Context, input: ListAliasesRequest) -> Result<ListAliasesResponse, AwsError> {
        self.aliases(cx, &input)
    }

    async fn delete_alias(&self, cx: &Context, input: DeleteAliasRequest) -> Result<(), AwsError> {
        self.remove_alias(cx, &input).await
    }

    async fn put_function_event_invoke_config(
        &self,
        cx: &Context,
        input: PutFunctionEventInvokeConfigRequest,
    ) -> Result<FunctionEventInvokeConfig, AwsError> {
        self.put_event_config(cx, &input, Rest::Cleared).await
    }

    async fn update_function_event_invoke_config(
        &self,
        cx: &Context,
        input: UpdateFunctionEventInvokeConfigRequest,
    ) -> Result<FunctionEventInvokeConfig, AwsError> {
        self.event_config(cx, &input.function_name, input.qualifier.as_deref())?;
        let request = PutFunctionEventInvokeConfigRequest {
            function_name: input.function_name,
            qualifier: input.qualifier,
            maximum_retry_attempts: input.maximum_retry_attempts,
            maximum_event_age_in_seconds: input.maximum_event_age_in_seconds,
            destination_config: input.destination_config,
        };
        self.put_event_config(cx, &request, Rest::Kept).await
    }

    async fn get_function_event_invoke_config(
        &self,
        cx: &Context,
        input: GetFunctionEventInvokeConfigRequest,
    ) -> Result<FunctionEventInvokeConfig, AwsError> {
        self.event_config(cx, &input.function_name, input.qualifier.as_deref())
    }

    async fn delete_function_event_invoke_config(
        &self,
        cx: &Context,
        input: DeleteFunctionEventInvokeConfigRequest,
    ) -> Result<(), AwsError> {
        self.remove_event_config(cx, &input.function_name, input.qualifier.as_deref()).await
    }

    async fn list_function_event_invoke_configs(
        &self,
        cx: &Context,
        input: ListFunctionEventInvokeConfigsRequest,
    ) -> Result<ListFunctionEventInvokeConfigsResponse, AwsError> {
        self.event_configs(cx, &input)
    }

    async fn put_runtime_management_config(
        &self,
        cx: &Context,
        input: PutRuntimeManagementConfigRequest,
    ) -> Result<PutRuntimeManagementConfigResponse, AwsError> {
        self.manage_runtime(cx, &input).await
    }

    async fn get_runtime_management_config(
        &self,
        cx: &Context,
        input: GetRuntimeManagementConfigRequest,
    ) -> Result<GetRuntimeManagementConfigResponse, AwsError> {
        self.runtime_management(cx, &input)
    }

    async fn publish_layer_version(
        &self,
        cx: &Context,
        input: PublishLayerVersionRequest,
    ) -> Result<PublishLayerVersionResponse, AwsError> {
        self.publish_layer_answer(cx, input).await
    }

    async fn get_layer_version(
        &self,
        cx: &Context,
        input: GetLayerVersionRequest,
    ) -> Result<GetLayerVersionResponse, AwsError> {
        self.layer_version(cx, &input)
    }

    async fn get_layer_version_by_arn(
        &self,
        cx: &Context,
        input: GetLayerVersionByArnRequest,
    ) -> Result<GetLayerVersionResponse, AwsError> {
        self.layer_version_by_arn(cx, &input)
    }

    async fn list_layers(&self, cx: &Context, input: ListLayersRequest) -> Result<ListLayersResponse, AwsError> {
        Ok(self.list_all_layers(cx, &input))
    }

    async fn list_layer_versions(
        &self,
        cx: &Context,
        input: ListLayerVersionsRequest,
    ) -> Result<ListLayerVersionsResponse, AwsError> {
        Ok(self.versions_of_layer(cx, &input))
    }

    async fn delete_layer_version(&self, cx: &Context, input: DeleteLayerVersionRequest) -> Result<(), AwsError> {
        self.remove_layer_version(cx, &input).await
    }

    async fn get_account_settings(
        &self,
        cx: &Context,
        _: GetAccountSettingsRequest,
    ) -> Result<GetAccountSettingsResponse, AwsError> {
        Ok(self.account_settings(cx))
    }
}
