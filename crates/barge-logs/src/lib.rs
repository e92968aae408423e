//! Amazon CloudWatch Logs: groups, streams, events; and the sink that Barge's own functions and containers write to.
//!
//! Insights, Live Tail, subscription filters, and everything else that the model has and the list of
//! operations has not, answers NotImplemented by name.

mod append;
mod batch;
mod errors;
mod filter;
mod groups;
mod merge;
mod metric_filters;
mod names;
mod pattern;
mod read;
pub mod resources;
mod schema;
mod streams;
mod sweep;
mod tags;
#[cfg(test)]
mod tests;
mod tokens;

use barge_core::{Ambient, AwsError, Context};
use barge_store::{Store, StoreError};
use barge_wire::logs::{
    CreateLogGroupRequest, CreateLogStreamRequest, DeleteLogGroupRequest, DeleteLogStreamRequest,
    DeleteMetricFilterRequest, DeleteRetentionPolicyRequest, DescribeLogGroupsRequest, DescribeLogGroupsResponse,
    DescribeLogStreamsRequest, DescribeLogStreamsResponse, DescribeMetricFiltersRequest, DescribeMetricFiltersResponse,
    FilterLogEventsRequest, FilterLogEventsResponse, GetLogEventsRequest, GetLogEventsResponse,
    ListTagsForResourceRequest, ListTagsForResourceResponse, ListTagsLogGroupRequest, ListTagsLogGroupResponse, Logs,
    PutLogEventsRequest, PutLogEventsResponse, PutLogGroupDeletionProtectionRequest, PutMetricFilterRequest,
    PutRetentionPolicyRequest, TagLogGroupRequest, TagResourceRequest, UntagLogGroupRequest, UntagResourceRequest,
};
use std::time::Duration;

/// How often expired events are looked for.
const SWEEP_EVERY: Duration = Duration::from_mins(5);

/// The CloudWatch Logs service.
pub struct CloudWatchLogs {
    store: Store,
    ambient: Ambient,
}

impl CloudWatchLogs {
    /// The service over `store`, whose tables it makes.
    ///
    /// # Errors
    /// [`StoreError`] where the tables can't be made.
    pub fn open(store: Store, ambient: Ambient) -> Result<Self, StoreError> {
        store.migrate("logs", schema::STEPS)?;
        Ok(Self { store, ambient })
    }

    /// Sweeps expired events every five minutes, for ever.
    pub async fn run_sweeps(&self) {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "expired log events could not be swept");
            }
        }
    }
}

impl Logs for CloudWatchLogs {
    async fn create_log_group(&self, cx: &Context, input: CreateLogGroupRequest) -> Result<(), AwsError> {
        self.create_group(cx, input).await
    }

    async fn delete_log_group(&self, cx: &Context, input: DeleteLogGroupRequest) -> Result<(), AwsError> {
        self.delete_group(cx, input.log_group_name).await
    }

    async fn describe_log_groups(
        &self,
        cx: &Context,
        input: DescribeLogGroupsRequest,
    ) -> Result<DescribeLogGroupsResponse, AwsError> {
        self.describe_groups(cx, input).await
    }

    async fn put_retention_policy(&self, cx: &Context, input: PutRetentionPolicyRequest) -> Result<(), AwsError> {
        self.set_retention(cx, input.log_group_name, Some(input.retention_in_days)).await
    }

    async fn delete_retention_policy(&self, cx: &Context, input: DeleteRetentionPolicyRequest) -> Result<(), AwsError> {
        self.set_retention(cx, input.log_group_name, None).await
    }

    async fn put_log_group_deletion_protection(
        &self,
        cx: &Context,
        input: PutLogGroupDeletionProtectionRequest,
    ) -> Result<(), AwsError> {
        self.set_protection(cx, &input.log_group_identifier, input.deletion_protection_enabled).await
    }

    async fn create_log_stream(&self, cx: &Context, input: CreateLogStreamRequest) -> Result<(), AwsError> {
        self.make_stream(cx, input.log_group_name, input.log_stream_name, None).await
    }

    async fn delete_log_stream(&self, cx: &Context, input: DeleteLogStreamRequest) -> Result<(), AwsError> {
        self.delete_stream(cx, input.log_group_name, input.log_stream_name).await
    }

    async fn describe_log_streams(
        &self,
        cx: &Context,
        input: DescribeLogStreamsRequest,
    ) -> Result<DescribeLogStreamsResponse, AwsError> {
        self.describe_streams(cx, input).await
    }

    async fn put_log_events(&self, cx: &Context, input: PutLogEventsRequest) -> Result<PutLogEventsResponse, AwsError> {
        self.put_events(cx, input).await
    }

    async fn get_log_events(&self, cx: &Context, input: GetLogEventsRequest) -> Result<GetLogEventsResponse, AwsError> {
        self.get_events(cx, input).await
    }

    async fn filter_log_events(
        &self,
        cx: &Context,
        input: FilterLogEventsRequest,
    ) -> Result<FilterLogEventsResponse, AwsError> {
        self.filter_events(cx, input).await
    }

    async fn put_metric_filter(&self, cx: &Context, input: PutMetricFilterRequest) -> Result<(), AwsError> {
        self.put_filter(cx, input).await
    }

    async fn describe_metric_filters(
        &self,
        cx: &Context,
        input: DescribeMetricFiltersRequest,
    ) -> Result<DescribeMetricFiltersResponse, AwsError> {
        self.describe_filters(cx, input).await
    }

    async fn delete_metric_filter(&self, cx: &Context, input: DeleteMetricFilterRequest) -> Result<(), AwsError> {
        self.delete_filter(cx, input).await
    }

    async fn tag_resource(&self, cx: &Context, input: TagResourceRequest) -> Result<(), AwsError> {
        let group = names::from_arn(&cx.scope, &input.resource_arn)?;
        self.tag(cx, group, input.tags).await
    }

    async fn untag_resource(&self, cx: &Context, input: UntagResourceRequest) -> Result<(), AwsError> {
        let group = names::from_arn(&cx.scope, &input.resource_arn)?;
        self.untag(cx, group, input.tag_keys).await
    }

    async fn list_tags_for_resource(
        &self,
        cx: &Context,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse, AwsError> {
        let group = names::from_arn(&cx.scope, &input.resource_arn)?;
        Ok(ListTagsForResourceResponse { tags: Some(self.tags_of(cx, group).await?) })
    }

    async fn tag_log_group(&self, cx: &Context, input: TagLogGroupRequest) -> Result<(), AwsError> {
        self.tag(cx, input.log_group_name, input.tags).await
    }

    async fn untag_log_group(&self, cx: &Context, input: UntagLogGroupRequest) -> Result<(), AwsError> {
        self.untag(cx, input.log_group_name, input.tags).await
    }

    async fn list_tags_log_group(
        &self,
        cx: &Context,
        input: ListTagsLogGroupRequest,
    ) -> Result<ListTagsLogGroupResponse, AwsError> {
        Ok(ListTagsLogGroupResponse { tags: Some(self.tags_of(cx, input.log_group_name).await?) })
    }
}
