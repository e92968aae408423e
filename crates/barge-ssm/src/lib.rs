//! AWS Systems Manager, its Parameter Store: named texts with versions and tags.
//!
//! `SecureString` is refused by name, because nothing here encrypts. Everything of Systems Manager that the list of
//! operations has not answers NotImplemented by name.

mod filters;
mod names;
mod put;
mod read;
pub mod resources;
mod rows;
mod tags;
#[cfg(test)]
mod tests;

use barge_core::ports::ParameterStore;
use barge_core::{Ambient, AwsError, Context, Scope};
use barge_store::{Store, StoreError};
use barge_wire::ssm::{
    AddTagsToResourceRequest, AddTagsToResourceResult, DeleteParameterRequest, DeleteParameterResult,
    DeleteParametersRequest, DeleteParametersResult, DescribeParametersRequest, DescribeParametersResult,
    GetParameterHistoryRequest, GetParameterHistoryResult, GetParameterRequest, GetParameterResult,
    GetParametersByPathRequest, GetParametersByPathResult, GetParametersRequest, GetParametersResult,
    ListTagsForResourceRequest, ListTagsForResourceResult, PutParameterRequest, PutParameterResult,
    RemoveTagsFromResourceRequest, RemoveTagsFromResourceResult, SSM,
};
use std::collections::{BTreeMap, BTreeSet};

/// The Parameter Store.
pub struct SsmService {
    store: Store,
    ambient: Ambient,
}

impl SsmService {
    /// The service over `store`, whose tables it makes.
    ///
    /// # Errors
    /// [`StoreError`] where the tables can't be made.
    pub fn open(store: Store, ambient: Ambient) -> Result<Self, StoreError> {
        store.migrate("ssm", rows::STEPS)?;
        Ok(Self { store, ambient })
    }
}

#[async_trait::async_trait]
impl ParameterStore for SsmService {
    async fn values(&self, scope: &Scope, names: &BTreeSet<String>) -> Result<BTreeMap<String, String>, AwsError> {
        let cx = self.ambient.context(scope.clone(), "ssm.amazonaws.com");
        let mut values = BTreeMap::new();
        for name in names {
            match self.one(&cx, name).await {
                Ok(found) => {
                    values.insert(name.clone(), found.version.value);
                }
                Err(error) if error.status < 500 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(values)
    }
}

impl SSM for SsmService {
    async fn put_parameter(&self, cx: &Context, input: PutParameterRequest) -> Result<PutParameterResult, AwsError> {
        self.put(cx, input, None).await
    }

    async fn get_parameter(&self, cx: &Context, input: GetParameterRequest) -> Result<GetParameterResult, AwsError> {
        self.get(cx, &input.name).await
    }

    async fn get_parameters(&self, cx: &Context, input: GetParametersRequest) -> Result<GetParametersResult, AwsError> {
        self.get_many(cx, &input.names).await
    }

    async fn get_parameters_by_path(
        &self,
        cx: &Context,
        input: GetParametersByPathRequest,
    ) -> Result<GetParametersByPathResult, AwsError> {
        self.by_path(cx, input).await
    }

    async fn get_parameter_history(
        &self,
        cx: &Context,
        input: GetParameterHistoryRequest,
    ) -> Result<GetParameterHistoryResult, AwsError> {
        self.history(cx, input).await
    }

    async fn describe_parameters(
        &self,
        cx: &Context,
        input: DescribeParametersRequest,
    ) -> Result<DescribeParametersResult, AwsError> {
        self.describe(cx, input).await
    }

    async fn delete_parameter(
        &self,
        cx: &Context,
        input: DeleteParameterRequest,
    ) -> Result<DeleteParameterResult, AwsError> {
        self.delete(cx, &input.name).await.map(|()| DeleteParameterResult::default())
    }

    async fn delete_parameters(
        &self,
        cx: &Context,
        input: DeleteParametersRequest,
    ) -> Result<DeleteParametersResult, AwsError> {
        self.delete_many(cx, &input.names).await
    }

    async fn add_tags_to_resource(
        &self,
        cx: &Context,
        input: AddTagsToResourceRequest,
    ) -> Result<AddTagsToResourceResult, AwsError> {
        self.tag(cx, input).await.map(|()| AddTagsToResourceResult::default())
    }

    async fn remove_tags_from_resource(
        &self,
        cx: &Context,
        input: RemoveTagsFromResourceRequest,
    ) -> Result<RemoveTagsFromResourceResult, AwsError> {
        self.untag(cx, input).await.map(|()| RemoveTagsFromResourceResult::default())
    }

    async fn list_tags_for_resource(
        &self,
        cx: &Context,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResult, AwsError> {
        self.tags_of(cx, input).await
    }
}
