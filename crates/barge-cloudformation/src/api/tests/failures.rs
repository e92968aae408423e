//! Stacks that fail, and requests that are refused.

use super::*;

const NO_MORE: &str = "Resource handler returned message: \"No more things (Service: Thing, Status Code: 400";

#[tokio::test]
async fn a_failed_resource_rolls_the_stack_back_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.world.fail("B");
    let id = house.made("one", template(&["A: Properties: {}", "B: DependsOn: A", "C: DependsOn: B"])).await;
    assert_eq!(house.status("one").await, StackStatus::RollbackComplete);
    assert!(house.world.exists().is_empty());
    let events = house.events(&id).await;
    assert!(events[5].starts_with(&format!("B CREATE_FAILED: {NO_MORE}")), "{events:?}");
    assert!(events[5].ends_with("HandlerErrorCode: ServiceLimitExceeded)"), "{events:?}");
    assert_eq!(
        events[6..],
        [
            "one ROLLBACK_IN_PROGRESS: The following resource(s) failed to create: [B]. Rollback requested by user.",
            "B DELETE_COMPLETE",
            "A DELETE_IN_PROGRESS",
            "A DELETE_COMPLETE",
            "one ROLLBACK_COMPLETE",
        ]
    );
    house.delete("one").await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.status(&id).await, StackStatus::DeleteComplete);
}

#[tokio::test]
async fn what_is_under_way_is_cancelled_and_undone() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.world.fail("B");
    house.world.hold("A");
    let id = house.create("one", template(&["A: Properties: {}", "B: Properties: {}"])).await.unwrap();
    house.world.begun(2).await;
    house.world.release("A");
    house.settle(&id).await;
    assert_eq!(house.status("one").await, StackStatus::RollbackComplete);
    assert!(house.world.exists().is_empty());
}

#[tokio::test]
async fn on_failure_decides_what_stays() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.world.fail("B");
    let body = template(&["A: Properties: {}", "B: DependsOn: A"]);
    let choose = |choice| move |input: &mut CreateStackInput| input.on_failure = Some(choice);
    let kept = house.create_with("kept", body.clone(), choose(OnFailure::DoNothing)).await.unwrap();
    let gone = house.create_with("gone", body.clone(), choose(OnFailure::Delete)).await.unwrap();
    house.settle(&kept).await;
    house.settle(&gone).await;
    assert_eq!(house.status(&kept).await, StackStatus::CreateFailed);
    assert_eq!(house.status(&gone).await, StackStatus::DeleteComplete);
    assert_eq!(house.world.exists().len(), 1);
    let back = RollbackStackInput { stack_name: "kept".into(), ..RollbackStackInput::default() };
    house.service.rollback_stack(&house.cx, back).await.unwrap();
    house.settle(&kept).await;
    assert_eq!(house.status(&kept).await, StackStatus::RollbackComplete);
    assert!(house.world.exists().is_empty());
    let both = house.create_with("both", body, |input| {
        input.on_failure = Some(OnFailure::Rollback);
        input.disable_rollback = Some(true);
    });
    assert_eq!(both.await.unwrap_err().message, "You can specify either DisableRollback or OnFailure, but not both");
}

#[tokio::test]
async fn a_stack_can_be_deleted_while_it_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.world.hold("A");
    let id = house.create("one", template(&["A: Properties: {}", "B: DependsOn: A"])).await.unwrap();
    house.world.begun(1).await;
    house.delete("one").await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::DeleteInProgress);
    house.world.release("A");
    house.settle(&id).await;
    assert_eq!(house.status(&id).await, StackStatus::DeleteComplete);
    assert_eq!(house.world.log(), ["+A", "-A"]);
}

#[tokio::test]
async fn a_resource_that_can_not_be_deleted_can_be_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let id = house.made("one", template(&["A: Properties: {}", "B: DependsOn: A"])).await;
    house.world.stick("A", true);
    let retain = |name: &str| DeleteStackInput {
        stack_name: "one".into(),
        retain_resources: Some(vec![name.to_owned()]),
        ..DeleteStackInput::default()
    };
    assert!(house.service.delete_stack(&house.cx, retain("A")).await.unwrap_err().message.contains("DELETE_FAILED"));
    house.delete("one").await.unwrap();
    house.settle(&id).await;
    let stack = house.stack("one").await.unwrap();
    assert_eq!(stack.stack_status, StackStatus::DeleteFailed);
    assert_eq!(stack.stack_status_reason.as_deref(), Some("The following resource(s) failed to delete: [A]."));
    let reason = house.resource("one", "A").await.resource_status_reason.unwrap();
    assert!(reason.contains("The thing is not empty") && reason.contains("ResourceConflict"), "{reason}");
    let error = house.service.delete_stack(&house.cx, retain("Z")).await.unwrap_err();
    assert_eq!(error.message, "Resource Z does not exist for stack one");
    house.service.delete_stack(&house.cx, retain("A")).await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.status(&id).await, StackStatus::DeleteComplete);
    assert_eq!(house.world.exists().len(), 1);
}

#[tokio::test]
async fn a_value_that_turns_out_wrong_fails_its_resource() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let lines = ["A: Properties: {Value: x}", "B: Properties: {Value: !Select [1, !Split ['/', !GetAtt A.Value]]}"];
    house.made("one", template(&lines)).await;
    assert_eq!(house.status("one").await, StackStatus::RollbackComplete);
    assert!(house.events("one").await.contains(
        &"B CREATE_FAILED: Template error: Fn::Select cannot select nonexistent value at index 1".to_owned()
    ));
}

#[tokio::test]
async fn a_name_that_is_taken_fails_its_resource() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.made("one", template(&["A: Properties: {Name: n}"])).await;
    house.made("two", template(&["A: Properties: {Name: n}"])).await;
    assert_eq!(house.status("two").await, StackStatus::RollbackComplete);
    assert_eq!(house.world.exists(), ["n"]);
}

#[tokio::test]
async fn bad_requests_are_refused_in_aws_words() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let good = template(&["A: Properties: {}"]);
    for (name, body, part) in [
        ("1x", good.clone(), "at 'stackName' failed to satisfy constraint: Member must satisfy regular expression"),
        (&"x".repeat(129), good.clone(), "less than or equal to 128"),
        ("x", "a: [".to_owned(), "Template format error: YAML not well-formed. (line 2, column 1)"),
        ("x", "{\"a\"".to_owned(), "Template format error: JSON not well-formed. (line 1, column "),
        ("x", "a".repeat(51_201), "'templateBody' failed to satisfy constraint: Member must have length less than"),
        ("x", good.replace("One", "Two"), "Template format error: Unrecognized resource types: [Fake::Thing::Two]"),
        ("x", template(&["A: Properties: {Value: !Ref Z}"]), "Unresolved resource dependencies [Z] in the Resources"),
        ("x", template(&["A: DependsOn: B", "B: DependsOn: A"]), "Circular dependency between resources: [A, B]"),
        ("x", template(&["A: Properties: {Foo: 1}"]), "#: extraneous key [Foo] is not permitted"),
        ("x", format!("Parameters: {{P: {{Type: String}}}}\n{good}"), "Parameters: [P] must have values"),
    ] {
        let error = house.create(name, body).await.unwrap_err();
        assert_eq!((error.code.as_ref(), error.status), ("ValidationError", 400), "{}", error.message);
        assert!(error.message.contains(part), "{}", error.message);
    }
    let role = "Resources: {R: {Type: 'AWS::IAM::Role', Properties: {}}}";
    let error = house.create("x", role).await.unwrap_err();
    assert_eq!(
        (error.code.as_ref(), error.message.as_str()),
        ("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]")
    );
    let capable = |input: &mut CreateStackInput| input.capabilities = Some(vec![Capability::CapabilityIam]);
    house.create_with("x", role, capable).await.unwrap();
    for (change, member) in [
        (
            (|input| input.notification_ar_ns = Some(vec!["arn".into()])) as fn(&mut CreateStackInput),
            "NotificationARNs",
        ),
        (|input| input.resource_types = Some(vec!["AWS::*".into()]), "ResourceTypes"),
    ] {
        let error = house.create_with("y", good.clone(), change).await.unwrap_err();
        assert_eq!(error.code, "NotImplemented");
        assert!(error.message.contains(member), "{}", error.message);
    }
    let names = |error: AwsError| (error.code.into_owned(), error.message);
    let missing = names(house.stack("nope").await.unwrap_err());
    assert_eq!(missing, ("ValidationError".to_owned(), "Stack with id nope does not exist".to_owned()));
    let events = DescribeStackEventsInput { stack_name: "nope".into(), ..DescribeStackEventsInput::default() };
    let missing = names(house.service.describe_stack_events(&house.cx, events).await.unwrap_err());
    assert_eq!(missing.1, "Stack [nope] does not exist");
}

#[tokio::test]
async fn a_stack_acts_for_the_role_that_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let role = |name: &str| format!("arn:aws:iam::000000000000:role/{name}");
    let given = |name: &str| {
        let role = role(name);
        move |input: &mut CreateStackInput| input.role_arn = Some(role)
    };
    let body = template(&["A: Properties: {Value: a}"]);
    let wrong = house.create_with("one", body.clone(), given("missing")).await.unwrap_err();
    assert_eq!(wrong.message, format!("Role {} is invalid or cannot be assumed", role("missing")));
    let id = house.create_with("one", body, given("maker")).await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.stack("one").await.unwrap().role_arn, Some(role("maker")));
    assert_eq!(house.world.principals(), ["arn:aws:sts::000000000000:assumed-role/maker/AWSCloudFormation"]);
    // Later operations act for it too.
    house.update("one", template(&["A: Properties: {Value: b}", "B: DependsOn: A"])).await.unwrap();
    assert_eq!(house.world.principals().len(), 1);
    assert_eq!(house.stack("one").await.unwrap().role_arn, Some(role("maker")));
}
