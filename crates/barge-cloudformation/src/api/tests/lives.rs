//! Stacks that go well.

use super::*;

#[tokio::test]
async fn a_stack_is_made_described_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let body = "
Description: two things
Parameters:
  Value: {Type: String, Default: v}
  Secret: {Type: String, NoEcho: true}
Resources:
  B: {Type: 'Fake::Thing::One', Properties: {Name: !Ref A, Value: !Sub '${A.Arn}/${Secret}'}, DependsOn: A}
  A: {Type: 'Fake::Thing::One', Properties: {Value: !Ref Value}, Metadata: {Note: hello}}
Outputs:
  Thing: {Value: !GetAtt A.Value, Description: its value}
  Id: {Value: !Ref AWS::StackId}
";
    let body = body.replace("Name: !Ref A,", "Name: second,");
    let id = house
        .create_with("one", body.clone(), |input| {
            input.parameters = Some(vec![parameter("Secret", "hunter2")]);
            input.tags = Some(vec![Tag { key: "team".into(), value: "x".into() }]);
            input.client_request_token = Some("token-1".into());
        })
        .await
        .unwrap();
    house.settle(&id).await;

    assert_eq!(
        house.events("one").await,
        [
            "one CREATE_IN_PROGRESS: User Initiated",
            "A CREATE_IN_PROGRESS",
            "A CREATE_IN_PROGRESS: Resource creation Initiated",
            "A CREATE_COMPLETE",
            "B CREATE_IN_PROGRESS",
            "B CREATE_IN_PROGRESS: Resource creation Initiated",
            "B CREATE_COMPLETE",
            "one CREATE_COMPLETE",
        ]
    );
    let stack = house.stack("one").await.unwrap();
    assert!(id.starts_with("arn:aws:cloudformation:us-east-1:000000000000:stack/one/"));
    assert_eq!(stack.stack_id.as_ref(), Some(&id));
    assert_eq!(stack.stack_status, StackStatus::CreateComplete);
    assert_eq!(stack.description.as_deref(), Some("two things"));
    assert_eq!(stack.tags.unwrap()[0].key, "team");
    let shown: Vec<_> = stack.parameters.unwrap().into_iter().map(|p| p.parameter_value.unwrap()).collect();
    assert_eq!(shown, ["****", "v"]);
    let outputs = stack.outputs.unwrap();
    assert_eq!(outputs[0].output_value.as_deref(), Some("v"));
    assert_eq!(outputs[0].description.as_deref(), Some("its value"));
    assert_eq!(outputs[1].output_value, Some(id.clone()));
    assert_eq!(house.world.principals(), ["arn:aws:iam::000000000000:root"]);

    let input = DescribeStackEventsInput { stack_name: id.clone(), next_token: None };
    let events = house.service.describe_stack_events(&house.cx, input).await.unwrap().stack_events.unwrap();
    let properties: Vec<_> = events.iter().filter_map(|event| event.resource_properties.as_deref()).collect();
    assert!(!properties.is_empty() && !properties.iter().any(|text| text.contains("hunter2")));
    assert!(events.iter().all(|event| event.client_request_token.as_deref() == Some("token-1")));

    let first = house.resource("one", "A").await;
    assert!(first.physical_resource_id.unwrap().starts_with("one-A-"));
    assert_eq!(first.metadata.as_deref(), Some(r#"{"Note":"hello"}"#));
    let by_physical = DescribeStackResourcesInput {
        physical_resource_id: Some("second".into()),
        ..DescribeStackResourcesInput::default()
    };
    let found = house.service.describe_stack_resources(&house.cx, by_physical).await.unwrap();
    assert_eq!(found.stack_resources.unwrap().len(), 2);
    let template = GetTemplateInput { stack_name: Some("one".into()), ..GetTemplateInput::default() };
    assert_eq!(house.service.get_template(&house.cx, template).await.unwrap().template_body, Some(body));

    house.delete("one").await.unwrap();
    house.settle(&id).await;
    assert!(house.world.exists().is_empty());
    assert_eq!(house.world.log(), ["+A", "+B", "-B", "-A"]);
    assert_eq!(house.stack("one").await.unwrap_err().message, "Stack with id one does not exist");
    let gone = house.stack(&id).await.unwrap();
    assert_eq!(gone.stack_status, StackStatus::DeleteComplete);
    assert!(gone.deletion_time.is_some());
    assert_eq!(
        house.events(&id).await[8..],
        [
            "one DELETE_IN_PROGRESS: User Initiated",
            "B DELETE_IN_PROGRESS",
            "B DELETE_COMPLETE",
            "A DELETE_IN_PROGRESS",
            "A DELETE_COMPLETE",
            "one DELETE_COMPLETE",
        ]
    );
    house.delete("one").await.unwrap();
    house.delete(&id).await.unwrap();
    assert_eq!(house.events(&id).await.len(), 14);
}

#[tokio::test]
async fn a_name_is_taken_while_its_stack_lives_and_a_repeated_call_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let token = |input: &mut CreateStackInput| input.client_request_token = Some("t".into());
    let id = house.create_with("one", template(&["A: Properties: {}"]), token).await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.create_with("one", template(&["A: Properties: {}"]), token).await.unwrap(), id);
    let error = house.create("one", template(&["A: Properties: {}"])).await.unwrap_err();
    assert_eq!((error.code.as_ref(), error.message.as_str()), ("AlreadyExistsException", "Stack [one] already exists"));
    house.delete("one").await.unwrap();
    house.settle(&id).await;
    assert_ne!(house.made("one", template(&["A: Properties: {}"])).await, id);
}

#[tokio::test]
async fn independent_resources_are_made_in_parallel() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    for name in ["A", "B", "C"] {
        house.world.hold(name);
    }
    let lines = ["A: Properties: {}", "B: Properties: {}", "C: Properties: {}", "D: DependsOn: [A, B, C]"];
    let id = house.create("one", template(&lines)).await.unwrap();
    house.world.begun(3).await;
    assert_eq!(house.status("one").await, StackStatus::CreateInProgress);
    for name in ["C", "A", "B"] {
        house.world.release(name);
    }
    house.settle(&id).await;
    assert_eq!(house.world.log().last().map(String::as_str), Some("+D"));
    assert_eq!(house.status("one").await, StackStatus::CreateComplete);
}

#[tokio::test]
async fn a_stack_that_is_about_to_settle_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let house = patient_house(&dir, Arc::default(), 0, Duration::from_mins(10));
    house.world.hold("A");
    house.create("one", template(&["A: Properties: {}"])).await.unwrap();
    house.world.begun(1).await;
    let release = async {
        tokio::task::yield_now().await;
        house.world.release("A");
    };
    let (status, ()) = tokio::join!(house.status("one"), release);
    assert_eq!(status, StackStatus::CreateComplete);
}

#[tokio::test]
async fn stacks_are_listed_by_status_and_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    for number in 0..103 {
        house.made(&format!("s{number}"), template(&["A: Properties: {}"])).await;
    }
    let gone = house.stack("s7").await.unwrap().stack_id.unwrap();
    house.delete("s7").await.unwrap();
    house.settle(&gone).await;
    let mut names = Vec::new();
    let mut next_token = None;
    loop {
        let input = DescribeStacksInput { next_token, ..DescribeStacksInput::default() };
        let page = house.service.describe_stacks(&house.cx, input).await.unwrap();
        names.extend(page.stacks.unwrap().into_iter().map(|stack| stack.stack_name));
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 102);
    let deleted =
        ListStacksInput { stack_status_filter: Some(vec![StackStatus::DeleteComplete]), ..ListStacksInput::default() };
    let listed = house.service.list_stacks(&house.cx, deleted).await.unwrap().stack_summaries.unwrap();
    assert_eq!(listed.iter().map(|summary| summary.stack_name.as_str()).collect::<Vec<_>>(), ["s7"]);
    let elsewhere = Context {
        scope: Scope { region: barge_core::Region::new("eu-west-1").unwrap(), ..Scope::default() },
        ..house.cx.clone()
    };
    let none = house.service.describe_stacks(&elsewhere, DescribeStacksInput::default()).await.unwrap();
    assert!(none.stacks.unwrap().is_empty());
}

#[tokio::test]
async fn events_and_resources_come_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let lines: Vec<String> = (0..120).map(|n| format!("R{n}: Properties: {{}}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    house.made("many", template(&lines)).await;
    assert_eq!(house.events("many").await.len(), 120 * 3 + 2);
    let input = ListStackResourcesInput { stack_name: "many".into(), next_token: None };
    let first = house.service.list_stack_resources(&house.cx, input).await.unwrap();
    let input = ListStackResourcesInput { stack_name: "many".into(), next_token: first.next_token };
    let second = house.service.list_stack_resources(&house.cx, input).await.unwrap();
    let sizes = (first.stack_resource_summaries.unwrap().len(), second.stack_resource_summaries.unwrap().len());
    assert_eq!((sizes, second.next_token), ((100, 20), None));
}

#[tokio::test]
async fn what_is_retained_stays_and_what_is_protected_is_not_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let protect = |on| UpdateTerminationProtectionInput { stack_name: "one".into(), enable_termination_protection: on };
    let id = house.made("one", template(&["A: DeletionPolicy: Retain", "B: Properties: {}"])).await;
    house.service.update_termination_protection(&house.cx, protect(true)).await.unwrap();
    assert_eq!(
        house.delete("one").await.unwrap_err().message,
        "Stack [one] cannot be deleted while TerminationProtection is enabled"
    );
    house.service.update_termination_protection(&house.cx, protect(false)).await.unwrap();
    house.delete("one").await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.world.log(), ["+A", "+B", "-B"]);
    assert!(house.events(&id).await.contains(&"A DELETE_SKIPPED".to_owned()));
}

#[tokio::test]
async fn a_repeated_key_is_a_warning_among_the_events() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let body = "Resources:\n  A: {Type: 'Fake::Thing::One', Properties: {Value: a, Value: b}}\n";
    house.made("one", body).await;
    assert_eq!(
        house.events("one").await[1],
        "one CREATE_IN_PROGRESS: Warning: [/Resources/A/Properties] The key 'Value' is repeated; the last one counts \
         (line 2)"
    );
}

#[tokio::test]
async fn a_template_comes_from_a_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let url = |url: &str| {
        let input = CreateStackInput {
            stack_name: "one".into(),
            template_url: Some(url.to_owned()),
            ..CreateStackInput::default()
        };
        house.service.create_stack(&house.cx, input)
    };
    let error = url("http://127.0.0.1:4566/b/other.yaml").await.unwrap_err();
    assert_eq!(
        (error.code.as_ref(), error.message.as_str()),
        ("ValidationError", "S3 error: The specified key does not exist.")
    );
    let id = url("http://127.0.0.1:4566/b/t.yaml").await.unwrap().stack_id.unwrap();
    house.settle(&id).await;
    assert_eq!(house.stack(&id).await.unwrap().description.as_deref(), Some("stored"));
}
