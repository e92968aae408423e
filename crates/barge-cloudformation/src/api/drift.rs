//! Drift: DetectStackDrift, DetectStackResourceDrift, DescribeStackDriftDetectionStatus, DescribeStackResourceDrifts. A
//! resource is compared by what its type's provider reads: whether it is there, and its attributes. Detection ends before
//! it is answered.

use super::{CloudFormation, invalid, pages, updates};
use crate::engine::{self, Detection, Drift, ResourceDrift, ResourceRecord, StackRecord};
use barge_core::resource::Reading;
use barge_core::{AwsError, Context, Document, Principal};
use barge_wire::cloudformation::{
    DescribeStackDriftDetectionStatusInput, DescribeStackDriftDetectionStatusOutput, DescribeStackResourceDriftsInput,
    DescribeStackResourceDriftsOutput, DetectStackDriftInput, DetectStackDriftOutput, DetectStackResourceDriftInput,
    DetectStackResourceDriftOutput, DifferenceType, PropertyDifference, StackDriftDetectionStatus,
    StackDriftInformation, StackDriftInformationSummary, StackDriftStatus, StackResourceDrift,
    StackResourceDriftInformation, StackResourceDriftInformationSummary, StackResourceDriftStatus,
};
use std::collections::BTreeMap;

/// The stack, where its resources can be compared now.
async fn comparable(service: &CloudFormation, cx: &Context, name: &str) -> Result<StackRecord, AwsError> {
    let stack = updates::live(service, cx, name).await?;
    if !stack.settled() {
        return Err(invalid(format!(
            "Drift detection cannot be performed on stack [{}] while it is in {} state.",
            stack.id, stack.status
        )));
    }
    Ok(stack)
}

/// Looks at a resource.
async fn look(service: &CloudFormation, cx: &Context, stack: &StackRecord, record: &ResourceRecord) -> ResourceDrift {
    let cx = Context { scope: stack.scope.clone(), principal: principal(stack), ..cx.clone() };
    let properties = record.properties.clone().unwrap_or_default();
    let physical_id = record.physical_id.clone().unwrap_or_default();
    let found = match service.engine.registry().provider(&record.type_name) {
        Some(provider) => provider.read(&cx, &physical_id, &properties).await,
        None => Err(AwsError::not_implemented("AWS CloudFormation", &record.type_name)),
    };
    let mut differences = Vec::new();
    let (drift, reason) = match found {
        Ok(None) => (Drift::Deleted, None),
        Ok(Some(Reading { resource, .. })) => {
            for (name, expected) in &record.attributes {
                let text = |value: &Document| value.scalar_text().unwrap_or_else(|| value.to_json());
                if let Some(actual) = resource.attributes.get(name).filter(|actual| *actual != expected) {
                    differences.push((name.clone(), text(expected), text(actual)));
                }
            }
            (if differences.is_empty() { Drift::InSync } else { Drift::Modified }, None)
        }
        Err(error) => (Drift::Unknown, Some(error.message)),
    };
    ResourceDrift {
        logical_id: record.logical_id.clone(),
        physical_id: record.physical_id.clone(),
        type_name: record.type_name.clone(),
        drift,
        at: service.engine.ambient().clock.now(),
        expected: record.shown.clone(),
        differences,
        reason,
    }
}

fn principal(stack: &StackRecord) -> Principal {
    stack.principal.clone()
}

async fn resources(service: &CloudFormation, stack: &StackRecord) -> Result<Vec<ResourceRecord>, AwsError> {
    let id = stack.id.clone();
    let mut records = service.engine.store().read(move |db| engine::resources(db, &id)).await?;
    records.retain(|record| record.listed() && record.physical_id.is_some());
    Ok(records)
}

fn missing(stack: &StackRecord, logical_id: &str) -> AwsError {
    invalid(format!("Resource {logical_id} does not exist for stack {}", stack.name))
}

pub(super) async fn detect(
    service: &CloudFormation,
    cx: &Context,
    input: DetectStackDriftInput,
) -> Result<DetectStackDriftOutput, AwsError> {
    let stack = comparable(service, cx, &input.stack_name).await?;
    let records = resources(service, &stack).await?;
    let wanted = input.logical_resource_ids.unwrap_or_default();
    if let Some(unknown) = wanted.iter().find(|name| !records.iter().any(|record| record.logical_id == **name)) {
        return Err(missing(&stack, unknown));
    }
    let mut found = Vec::new();
    for record in records.iter().filter(|record| wanted.is_empty() || wanted.contains(&record.logical_id)) {
        found.push(look(service, cx, &stack, record).await);
    }
    let count = |wanted: &[Drift]| found.iter().filter(|found| wanted.contains(&found.drift)).count();
    let ambient = service.engine.ambient();
    let detection = Detection {
        id: ambient.ids.uuid(),
        stack_id: stack.id.clone(),
        at: ambient.clock.now(),
        drifted: count(&[Drift::Modified, Drift::Deleted]),
        unknown: count(&[Drift::Unknown]),
    };
    let id = detection.id.clone();
    service
        .engine
        .store()
        .write(move |tx| {
            engine::save_detection(tx, &detection)?;
            found.iter().try_for_each(|found| engine::save_drift(tx, &stack.id, found))
        })
        .await?;
    Ok(DetectStackDriftOutput { stack_drift_detection_id: id })
}

pub(super) async fn detect_one(
    service: &CloudFormation,
    cx: &Context,
    input: DetectStackResourceDriftInput,
) -> Result<DetectStackResourceDriftOutput, AwsError> {
    let stack = comparable(service, cx, &input.stack_name).await?;
    let records = resources(service, &stack).await?;
    let record = records.iter().find(|record| record.logical_id == input.logical_resource_id);
    let record = record.ok_or_else(|| missing(&stack, &input.logical_resource_id))?;
    let found = look(service, cx, &stack, record).await;
    let (id, saved) = (stack.id.clone(), found.clone());
    service.engine.store().write(move |tx| engine::save_drift(tx, &id, &saved)).await?;
    Ok(DetectStackResourceDriftOutput { stack_resource_drift: described(found, &stack.id) })
}

fn status(drift: Drift) -> StackResourceDriftStatus {
    match drift {
        Drift::InSync => StackResourceDriftStatus::InSync,
        Drift::Modified => StackResourceDriftStatus::Modified,
        Drift::Deleted => StackResourceDriftStatus::Deleted,
        Drift::Unknown => StackResourceDriftStatus::Unknown,
    }
}

fn described(found: ResourceDrift, stack_id: &str) -> StackResourceDrift {
    let differences = found.differences.into_iter().map(|(name, expected, actual)| PropertyDifference {
        property_path: format!("/{name}"),
        expected_value: expected,
        actual_value: actual,
        difference_type: DifferenceType::NotEqual,
    });
    StackResourceDrift {
        stack_id: stack_id.to_owned(),
        logical_resource_id: found.logical_id,
        physical_resource_id: found.physical_id,
        resource_type: found.type_name,
        expected_properties: found.expected,
        property_differences: Some(differences.collect()),
        stack_resource_drift_status: status(found.drift),
        timestamp: found.at,
        drift_status_reason: found.reason,
        ..StackResourceDrift::default()
    }
}

fn stack_status(detection: &Detection) -> StackDriftStatus {
    match (detection.drifted, detection.unknown) {
        (0, 0) => StackDriftStatus::InSync,
        (0, _) => StackDriftStatus::Unknown,
        _ => StackDriftStatus::Drifted,
    }
}

pub(super) async fn describe_detection(
    service: &CloudFormation,
    cx: &Context,
    input: DescribeStackDriftDetectionStatusInput,
) -> Result<DescribeStackDriftDetectionStatusOutput, AwsError> {
    let id = input.stack_drift_detection_id.clone();
    let found = service.engine.store().read(move |db| engine::detection(db, &id)).await?;
    let ours = |detection: &Detection| {
        let arn = detection.stack_id.parse().ok();
        arn.and_then(|arn: barge_core::Arn| arn.scope()).as_ref() == Some(&cx.scope)
    };
    let detection = found.filter(ours).ok_or_else(|| {
        invalid(format!("Drift detection status for id {} does not exist", input.stack_drift_detection_id))
    })?;
    let failed = detection.unknown > 0;
    Ok(DescribeStackDriftDetectionStatusOutput {
        stack_drift_status: Some(stack_status(&detection)),
        detection_status: if failed {
            StackDriftDetectionStatus::DetectionFailed
        } else {
            StackDriftDetectionStatus::DetectionComplete
        },
        detection_status_reason: failed.then(|| format!("Failed to detect drift on {} resource(s)", detection.unknown)),
        drifted_stack_resource_count: Some(i64::try_from(detection.drifted).unwrap_or(i64::MAX)),
        timestamp: detection.at,
        stack_id: detection.stack_id,
        stack_drift_detection_id: detection.id,
    })
}

pub(super) async fn describe_resources(
    service: &CloudFormation,
    cx: &Context,
    input: DescribeStackResourceDriftsInput,
) -> Result<DescribeStackResourceDriftsOutput, AwsError> {
    let stack = service.existing(&cx.scope, &input.stack_name).await?;
    let id = stack.id.clone();
    let mut found = service.engine.store().read(move |db| engine::drifts(db, &id)).await?;
    if let Some(wanted) = input.stack_resource_drift_status_filters.filter(|wanted| !wanted.is_empty()) {
        found.retain(|found| wanted.contains(&status(found.drift)));
    }
    let most = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(pages::PAGE);
    let (found, next_token) = pages::page_of(found, input.next_token.as_deref(), most)?;
    let drifts = found.into_iter().map(|found| described(found, &stack.id)).collect();
    Ok(DescribeStackResourceDriftsOutput { stack_resource_drifts: drifts, next_token })
}

/// What the latest detection says of a stack, for DescribeStacks and ListStacks.
pub(super) async fn of_stack(service: &CloudFormation, stack_id: &str) -> Result<Option<Detection>, AwsError> {
    let id = stack_id.to_owned();
    service.engine.store().read(move |db| engine::latest_detection(db, &id)).await
}

pub(super) fn information(detection: Option<&Detection>) -> StackDriftInformation {
    StackDriftInformation {
        stack_drift_status: detection.map_or(StackDriftStatus::NotChecked, stack_status),
        last_check_timestamp: detection.map(|detection| detection.at),
    }
}

pub(super) fn summary(detection: Option<&Detection>) -> StackDriftInformationSummary {
    StackDriftInformationSummary {
        stack_drift_status: detection.map_or(StackDriftStatus::NotChecked, stack_status),
        last_check_timestamp: detection.map(|detection| detection.at),
    }
}

/// What was found of a stack's resources, by logical id.
pub(super) async fn of_resources(
    service: &CloudFormation,
    stack_id: &str,
) -> Result<BTreeMap<String, ResourceDrift>, AwsError> {
    let id = stack_id.to_owned();
    let found = service.engine.store().read(move |db| engine::drifts(db, &id)).await?;
    Ok(found.into_iter().map(|found| (found.logical_id.clone(), found)).collect())
}

pub(super) fn resource_information(found: Option<&ResourceDrift>) -> StackResourceDriftInformation {
    StackResourceDriftInformation {
        stack_resource_drift_status: found.map_or(StackResourceDriftStatus::NotChecked, |found| status(found.drift)),
        last_check_timestamp: found.map(|found| found.at),
    }
}

pub(super) fn resource_summary(found: Option<&ResourceDrift>) -> StackResourceDriftInformationSummary {
    StackResourceDriftInformationSummary {
        stack_resource_drift_status: found.map_or(StackResourceDriftStatus::NotChecked, |found| status(found.drift)),
        last_check_timestamp: found.map(|found| found.at),
    }
}
