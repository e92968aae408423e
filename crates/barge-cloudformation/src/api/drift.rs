//! Drift: DetectStackDrift, DetectStackResourceDrift, DescribeStackDriftDetectionStatus, DescribeStackResourceDrifts. A
//! resource is compared by what its type's provider reads: whether it is there, and the properties that the stack set.
//! Detection ends before it is answered.

use super::{CloudFormation, invalid, pages, updates};
use crate::engine::{
    self, Company, Compared, Detection, Difference, DifferenceKind, Drift, ResourceDrift, ResourceRecord, StackRecord,
};
use barge_core::resource::Reading;
use barge_core::{AwsError, Context, Document};
use barge_wire::cloudformation::{
    DescribeStackDriftDetectionStatusInput, DescribeStackDriftDetectionStatusOutput, DescribeStackResourceDriftsInput,
    DescribeStackResourceDriftsOutput, DetectStackDriftInput, DetectStackDriftOutput, DetectStackResourceDriftInput,
    DetectStackResourceDriftOutput, DifferenceType, PropertyDifference, StackDriftDetectionStatus,
    StackDriftInformation, StackDriftInformationSummary, StackDriftStatus, StackResourceDrift,
    StackResourceDriftInformation, StackResourceDriftInformationSummary, StackResourceDriftStatus, StackStatus,
};
use std::collections::{BTreeMap, BTreeSet};

/// The stack, where its resources can be compared now (CloudFormation User Guide, "Detect drift on an entire
/// CloudFormation stack").
async fn comparable(service: &CloudFormation, cx: &Context, name: &str) -> Result<StackRecord, AwsError> {
    let stack = updates::live(service, cx, name).await?;
    let steady = [
        StackStatus::CreateComplete,
        StackStatus::UpdateComplete,
        StackStatus::UpdateRollbackComplete,
        StackStatus::UpdateRollbackFailed,
    ];
    if !stack.settled() || !steady.contains(&stack.status) {
        return Err(invalid(format!(
            "Drift detection cannot be performed on stack [{}] while it is in {} state.",
            stack.id, stack.status
        )));
    }
    Ok(stack)
}

/// Whether a type's resources are checked (CloudFormation User Guide, "Resource type support"): nested stacks are checked
/// as stacks of their own, what stands behind a custom resource only its function knows, and behind a note is nothing.
fn supported(type_name: &str) -> bool {
    !["AWS::CloudFormation::", "AWS::CDK::", "Custom::"].iter().any(|family| type_name.starts_with(family))
}

/// Looks at a resource, one of `all` of its stack's.
async fn look(
    service: &CloudFormation,
    cx: &Context,
    stack: &StackRecord,
    record: &ResourceRecord,
    all: &[ResourceRecord],
) -> ResourceDrift {
    let cx = Context { scope: stack.scope.clone(), principal: stack.principal.clone(), ..cx.clone() };
    let properties = record.properties.clone().unwrap_or_default();
    let physical_id = record.physical_id.clone().unwrap_or_default();
    let provider = service.engine.registry().provider(&record.type_name);
    let found = match &provider {
        Some(provider) => provider.read(&cx, &physical_id, &properties).await,
        None => Err(AwsError::not_implemented("AWS CloudFormation", &record.type_name)),
    };
    let mut drift = ResourceDrift {
        logical_id: record.logical_id.clone(),
        physical_id: record.physical_id.clone(),
        type_name: record.type_name.clone(),
        drift: Drift::InSync,
        at: service.engine.ambient().clock.now(),
        expected: record.shown.clone(),
        actual: None,
        differences: Vec::new(),
        reason: None,
    };
    match (found, provider) {
        (Ok(Some(Reading { properties: Some(actual), .. })), Some(provider)) => {
            let shown = record.shown.as_ref().and_then(|shown| Document::from_json(shown.as_bytes()).ok());
            let shown = shown.unwrap_or_default();
            let company = company(stack, record, all);
            let Compared { differences, actual } =
                engine::compare(provider.schema(), &properties, &shown, &actual, &company);
            drift.drift = if differences.is_empty() { Drift::InSync } else { Drift::Modified };
            (drift.actual, drift.differences) = (Some(actual.to_json()), differences);
        }
        (Ok(Some(_)), _) => {}
        (Ok(None), _) => (drift.drift, drift.expected) = (Drift::Deleted, None),
        (Err(error), _) => (drift.drift, drift.reason) = (Drift::Unknown, Some(error.message)),
    }
    drift
}

/// What the stack itself puts on a resource from outside (CloudFormation User Guide, "Considerations when detecting
/// drift", on attachments).
fn company<'a>(stack: &StackRecord, record: &ResourceRecord, all: &'a [ResourceRecord]) -> Company<'a> {
    let attributes = record.attributes.values().filter_map(Document::as_str);
    let names: Vec<&str> = attributes.chain(record.physical_id.as_deref()).collect();
    let others = all.iter().filter(|other| other.logical_id != record.logical_id);
    let attached = others.filter_map(|other| {
        let properties = other.properties.as_ref()?;
        mentions(properties, &names).then_some((other.physical_id.as_deref()?, properties))
    });
    Company { tags: record.stack_tags.as_ref().unwrap_or(&stack.tags).clone(), attached: attached.collect() }
}

/// Whether one of `names` stands somewhere in `value`.
fn mentions(value: &Document, names: &[&str]) -> bool {
    match value {
        Document::String(text) => names.contains(&text.as_str()),
        Document::List(list) => list.iter().any(|entry| mentions(entry, names)),
        Document::Map(map) => map.values().any(|entry| mentions(entry, names)),
        _ => false,
    }
}

/// The resources of a stack that are there.
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
    let wanted = |record: &&ResourceRecord| wanted.is_empty() || wanted.contains(&record.logical_id);
    for record in records.iter().filter(wanted).filter(|record| supported(&record.type_name)) {
        found.push(look(service, cx, &stack, record, &records).await);
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
    if !supported(&record.type_name) {
        return Err(invalid(format!("Drift detection is not supported for resource type {}", record.type_name)));
    }
    let found = look(service, cx, &stack, record, &records).await;
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

/// What was found last of the resources that the stack has now.
async fn latest(service: &CloudFormation, stack_id: &str) -> Result<Vec<ResourceDrift>, AwsError> {
    let id = stack_id.to_owned();
    let store = service.engine.store();
    let (mut found, records) =
        store.read(move |db| Ok::<_, AwsError>((engine::drifts(db, &id)?, engine::resources(db, &id)?))).await?;
    let listed: BTreeSet<_> = records
        .iter()
        .filter(|record| record.listed())
        .map(|record| (&record.logical_id, &record.physical_id))
        .collect();
    found.retain(|drift| listed.contains(&(&drift.logical_id, &drift.physical_id)));
    Ok(found)
}

fn difference(found: Difference) -> PropertyDifference {
    PropertyDifference {
        property_path: found.path,
        expected_value: found.expected,
        actual_value: found.actual,
        difference_type: match found.kind {
            DifferenceKind::Add => DifferenceType::Add,
            DifferenceKind::Remove => DifferenceType::Remove,
            DifferenceKind::NotEqual => DifferenceType::NotEqual,
        },
    }
}

fn described(found: ResourceDrift, stack_id: &str) -> StackResourceDrift {
    StackResourceDrift {
        stack_id: stack_id.to_owned(),
        logical_resource_id: found.logical_id,
        physical_resource_id: found.physical_id,
        resource_type: found.type_name,
        expected_properties: found.expected,
        actual_properties: found.actual,
        property_differences: Some(found.differences.into_iter().map(difference).collect()),
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
    let mut found = latest(service, &stack.id).await?;
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
    let found = latest(service, stack_id).await?;
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
