//! DescribeStackResource, DescribeStackResources, ListStackResources.

use super::{CloudFormation, drift, invalid, pages};
use crate::engine::{self, ResourceRecord, StackRecord};
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{
    DescribeStackResourceInput, DescribeStackResourceOutput, DescribeStackResourcesInput, DescribeStackResourcesOutput,
    ListStackResourcesInput, ListStackResourcesOutput, ResourceStatus, StackResource, StackResourceDetail,
    StackResourceSummary,
};

/// The resources that something was done about, each with its status.
async fn begun(service: &CloudFormation, stack_id: &str) -> Result<Vec<(ResourceRecord, ResourceStatus)>, AwsError> {
    let id = stack_id.to_owned();
    let records = service.engine.store().read(move |db| engine::resources(db, &id)).await?;
    let listed = records.into_iter().filter(ResourceRecord::listed);
    Ok(listed.filter_map(|record| record.status.map(|status| (record, status))).collect())
}

pub(super) async fn describe_one(
    service: &CloudFormation,
    cx: &Context,
    input: DescribeStackResourceInput,
) -> Result<DescribeStackResourceOutput, AwsError> {
    let stack = service.find(&cx.scope, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| invalid(format!("Stack '{}' does not exist", input.stack_name)))?;
    let drifts = drift::of_resources(service, &stack.id).await?;
    let found = begun(service, &stack.id).await?.into_iter().find(|(r, _)| r.logical_id == input.logical_resource_id);
    let (record, status) = found.ok_or_else(|| {
        invalid(format!("Resource {} does not exist for stack {}", input.logical_resource_id, stack.name))
    })?;
    let drift = drift::resource_information(drifts.get(&record.logical_id));
    let detail = StackResourceDetail {
        stack_name: Some(stack.name),
        stack_id: Some(stack.id),
        logical_resource_id: record.logical_id,
        physical_resource_id: record.physical_id,
        resource_type: record.type_name,
        last_updated_timestamp: record.changed,
        resource_status: status,
        resource_status_reason: record.status_reason,
        metadata: Some(record.metadata.unwrap_or_else(|| "{}".to_owned())),
        drift_information: Some(drift),
        ..StackResourceDetail::default()
    };
    Ok(DescribeStackResourceOutput { stack_resource_detail: Some(detail) })
}

pub(super) async fn describe(
    service: &CloudFormation,
    cx: &Context,
    input: DescribeStackResourcesInput,
) -> Result<DescribeStackResourcesOutput, AwsError> {
    let stack = match (&input.stack_name, &input.physical_resource_id) {
        (Some(name), None) => service.existing(&cx.scope, name).await?,
        (None, Some(physical_id)) => holder(service, cx, physical_id).await?,
        _ => return Err(invalid("You must specify either StackName or PhysicalResourceId, but not both")),
    };
    let drifts = drift::of_resources(service, &stack.id).await?;
    let resources = begun(service, &stack.id)
        .await?
        .into_iter()
        .filter(|(record, _)| input.logical_resource_id.as_ref().is_none_or(|id| record.logical_id == *id))
        .map(|(record, status)| StackResource {
            stack_name: Some(stack.name.clone()),
            stack_id: Some(stack.id.clone()),
            physical_resource_id: record.physical_id,
            resource_type: record.type_name,
            timestamp: record.changed,
            resource_status: status,
            resource_status_reason: record.status_reason,
            drift_information: Some(drift::resource_information(drifts.get(&record.logical_id))),
            logical_resource_id: record.logical_id,
            ..StackResource::default()
        })
        // AWS's limit for this operation; ListStackResources pages.
        .take(pages::PAGE)
        .collect();
    Ok(DescribeStackResourcesOutput { stack_resources: Some(resources) })
}

async fn holder(service: &CloudFormation, cx: &Context, physical_id: &str) -> Result<StackRecord, AwsError> {
    let (scope, id) = (cx.scope.clone(), physical_id.to_owned());
    let stack = service.engine.store().read(move |db| engine::stack_of(db, &scope, &id)).await?;
    stack.ok_or_else(|| invalid(format!("Stack for {physical_id} does not exist")))
}

pub(super) async fn list(
    service: &CloudFormation,
    cx: &Context,
    input: ListStackResourcesInput,
) -> Result<ListStackResourcesOutput, AwsError> {
    let stack = service.existing(&cx.scope, &input.stack_name).await?;
    let drifts = drift::of_resources(service, &stack.id).await?;
    let (records, next_token) = pages::page(begun(service, &stack.id).await?, input.next_token.as_deref())?;
    let summaries = records
        .into_iter()
        .map(|(record, status)| StackResourceSummary {
            physical_resource_id: record.physical_id,
            resource_type: record.type_name,
            last_updated_timestamp: record.changed,
            resource_status: status,
            resource_status_reason: record.status_reason,
            drift_information: Some(drift::resource_summary(drifts.get(&record.logical_id))),
            logical_resource_id: record.logical_id,
            ..StackResourceSummary::default()
        })
        .collect();
    Ok(ListStackResourcesOutput { stack_resource_summaries: Some(summaries), next_token })
}
