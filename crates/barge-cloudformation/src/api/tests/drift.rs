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
    assert_eq!(
        (difference.property_path.as_str(), difference.expected_value.as_str(), difference.actual_value.as_str()),
        ("/Value", "a", "x")
    );
    assert_eq!(found[0].actual_properties.as_deref(), Some(r#"{"Value":"x"}"#));
    assert_eq!((&found[1].expected_properties, &found[1].actual_properties), (&None, &None));
    let stack = house.stack("one").await.unwrap();
    assert_eq!(stack.drift_information.unwrap().stack_drift_status, StackDriftStatus::Drifted);
    let one = DetectStackResourceDriftInput { stack_name: "one".into(), logical_resource_id: "C".into() };
    let one = house.service.detect_stack_resource_drift(&house.cx, one).await.unwrap().stack_resource_drift;
    assert_eq!(one.stack_resource_drift_status, InSync);
    assert!(house.resource("one", "C").await.drift_information.unwrap().last_check_timestamp.is_some());
}

#[tokio::test]
async fn what_cannot_be_checked_is_not_and_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let template = "Resources:\n  Nested: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: 'https://b.s3.amazonaws.com/t.yaml'}}\n  Handle: {Type: 'AWS::CloudFormation::WaitConditionHandle'}\n  A: {Type: 'Fake::Thing::One', Properties: {Value: a}}\n";
    house.made("one", template).await;
    let detect = DetectStackDriftInput { stack_name: "one".into(), logical_resource_ids: None };
    house.service.detect_stack_drift(&house.cx, detect).await.unwrap();
    let all = DescribeStackResourceDriftsInput { stack_name: "one".into(), ..Default::default() };
    let found = house.service.describe_stack_resource_drifts(&house.cx, all).await.unwrap().stack_resource_drifts;
    assert_eq!(found.iter().map(|drift| drift.logical_resource_id.as_str()).collect::<Vec<_>>(), ["A"]);
    let nested = house.resource("one", "Nested").await.drift_information.unwrap();
    assert_eq!(nested.stack_resource_drift_status, StackResourceDriftStatus::NotChecked);
    let one = DetectStackResourceDriftInput { stack_name: "one".into(), logical_resource_id: "Handle".into() };
    let error = house.service.detect_stack_resource_drift(&house.cx, one).await.unwrap_err();
    assert!(error.message.contains("AWS::CloudFormation::WaitConditionHandle"), "{error}");
}

#[tokio::test]
async fn a_parameter_that_must_not_be_shown_is_not_shown_by_drift() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let template = "Parameters: {P: {Type: String, NoEcho: true, Default: secret}}\nResources:\n  A: {Type: 'Fake::Thing::One', Properties: {Value: !Ref P, List: [a]}}\n";
    house.made("one", template).await;
    let physical = house.resource("one", "A").await.physical_resource_id.unwrap();
    let look = async || {
        let one = DetectStackResourceDriftInput { stack_name: "one".into(), logical_resource_id: "A".into() };
        house.service.detect_stack_resource_drift(&house.cx, one).await.unwrap().stack_resource_drift
    };
    assert_eq!(look().await.stack_resource_drift_status, InSync);
    house.world.meddle(&physical, Some("other"));
    let found = look().await;
    assert_eq!(found.stack_resource_drift_status, Modified);
    assert!(!format!("{found:?}").contains("secret") && !format!("{found:?}").contains("other"), "{found:?}");
}

#[tokio::test]
async fn what_was_found_of_a_resource_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let id = house.made("one", template(&["A: Properties: {Value: a}", "B: Properties: {Value: b}"])).await;
    let detect = DetectStackDriftInput { stack_name: "one".into(), logical_resource_ids: None };
    house.service.detect_stack_drift(&house.cx, detect).await.unwrap();
    house.update("one", template(&["A: Properties: {Value: a, Name: other}"])).await.unwrap();
    house.settle(&id).await;
    let all = DescribeStackResourceDriftsInput { stack_name: "one".into(), ..Default::default() };
    let found = house.service.describe_stack_resource_drifts(&house.cx, all).await.unwrap().stack_resource_drifts;
    assert_eq!(found, []);
    let replacement = house.resource("one", "A").await.drift_information.unwrap();
    assert_eq!(replacement.stack_resource_drift_status, StackResourceDriftStatus::NotChecked);
}
