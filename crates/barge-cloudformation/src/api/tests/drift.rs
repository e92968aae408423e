//! Resources that others changed behind the stack's back.

use super::*;
use StackResourceDriftStatus::{Deleted, InSync, Modified};

#[tokio::test]
async fn what_was_changed_or_deleted_outside_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house
        .made("one", template(&["A: Properties: {Value: a}", "B: Properties: {Value: b}", "C: Properties: {Value: c}"]))
        .await;
    let detect = || DetectStackDriftInput { stack_name: "one".into(), logical_resource_ids: None };
    let detection = async |id: String| {
        let input = DescribeStackDriftDetectionStatusInput { stack_drift_detection_id: id };
        house.service.describe_stack_drift_detection_status(&house.cx, input).await.unwrap()
    };
    let id = house.service.detect_stack_drift(&house.cx, detect()).await.unwrap().stack_drift_detection_id;
    let found = detection(id).await;
    assert_eq!(found.detection_status, StackDriftDetectionStatus::DetectionComplete);
    assert_eq!(found.stack_drift_status, Some(StackDriftStatus::InSync));
    let physical = async |name: &str| house.resource("one", name).await.physical_resource_id.unwrap();
    house.world.meddle(&physical("A").await, Some("x"));
    house.world.meddle(&physical("B").await, None);
    let id = house.service.detect_stack_drift(&house.cx, detect()).await.unwrap().stack_drift_detection_id;
    let ended = detection(id).await;
    assert_eq!(
        (ended.stack_drift_status, ended.drifted_stack_resource_count),
        (Some(StackDriftStatus::Drifted), Some(2))
    );
    let input =
        DescribeStackResourceDriftsInput { stack_name: "one".into(), ..DescribeStackResourceDriftsInput::default() };
    let found = house.service.describe_stack_resource_drifts(&house.cx, input).await.unwrap().stack_resource_drifts;
    let statuses: Vec<_> = found.iter().map(|drift| drift.stack_resource_drift_status).collect();
    assert_eq!(statuses, [Modified, Deleted, InSync]);
    let difference = found[0].property_differences.as_ref().unwrap()[0].clone();
    assert_eq!((difference.expected_value.as_str(), difference.actual_value.as_str()), ("a", "x"));
    let stack = house.stack("one").await.unwrap();
    assert_eq!(stack.drift_information.unwrap().stack_drift_status, StackDriftStatus::Drifted);
    let one = DetectStackResourceDriftInput { stack_name: "one".into(), logical_resource_id: "C".into() };
    let one = house.service.detect_stack_resource_drift(&house.cx, one).await.unwrap().stack_resource_drift;
    assert_eq!(one.stack_resource_drift_status, InSync);
    assert!(house.resource("one", "C").await.drift_information.unwrap().last_check_timestamp.is_some());
}
