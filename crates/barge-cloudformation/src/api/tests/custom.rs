//! Custom resources and wait conditions: what is waited for outside.

use super::*;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

pub(super) fn custom(properties: &str) -> String {
    format!(
        "Resources:\n  C: {{Type: 'Custom::Thing', Properties: {{ServiceToken: '{FUNCTION}', {properties}}}}}\n\
         \x20 A: {{Type: '{THING}', Properties: {{Value: !GetAtt C.Secret}}}}\n"
    )
}

fn text(event: &Document, member: &str) -> String {
    event.get(member).and_then(Document::scalar_text).unwrap_or_default()
}

impl House {
    /// The event number `index`, and the token that its answer goes to.
    pub(super) async fn asked(&self, index: usize) -> (Document, String) {
        let event = self.functions.event(index).await;
        let token = text(&event, "ResponseURL")
            .strip_prefix("http://127.0.0.1:4566/_barge/cloudformation/")
            .unwrap()
            .to_owned();
        (event, token)
    }

    pub(super) async fn answer(&self, token: &str, json: &str) {
        self.service.deliver(token, json.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_function_makes_changes_replaces_and_removes_a_resource() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let id = house.create("one", custom("Size: 3, Flag: true")).await.unwrap();
    let (event, token) = house.asked(0).await;
    assert_eq!(
        ["RequestType", "ResourceType", "LogicalResourceId", "StackId"].map(|member| text(&event, member)),
        ["Create", "Custom::Thing", "C", &id]
    );
    let properties = event.get("ResourceProperties").unwrap();
    assert_eq!((text(properties, "Size"), text(properties, "ServiceToken")), ("3".into(), FUNCTION.into()));
    assert_eq!(properties.get("Flag"), Some(&Document::from("true")));
    assert_eq!(house.service.deliver("nope", b"{}").await.unwrap_err().status, 403);
    assert_eq!(house.service.deliver(&token, b"x").await.unwrap_err().status, 400);
    let answer = r#"{"Status": "SUCCESS", "PhysicalResourceId": "p1", "Data": {"Secret": "s3cret"}, "NoEcho": true}"#;
    house.answer(&token, answer).await;
    house.settle(&id).await;
    assert_eq!(house.status("one").await, StackStatus::CreateComplete);
    assert_eq!(house.world.values().into_values().collect::<Vec<_>>(), ["s3cret"]);
    // What the function wants hidden is in no answer.
    let input = DescribeStackEventsInput { stack_name: id.clone(), next_token: None };
    let events = house.service.describe_stack_events(&house.cx, input).await.unwrap().stack_events.unwrap();
    assert!(events.iter().all(|event| !format!("{event:?}").contains("s3cret")));

    let changed = house.service.update_stack(
        &house.cx,
        UpdateStackInput {
            stack_name: "one".into(),
            template_body: Some(custom("Size: 4")),
            ..UpdateStackInput::default()
        },
    );
    changed.await.unwrap();
    let (event, token) = house.asked(1).await;
    assert_eq!((text(&event, "RequestType"), text(&event, "PhysicalResourceId")), ("Update".into(), "p1".into()));
    assert_eq!(text(event.get("OldResourceProperties").unwrap(), "Size"), "3");
    house.answer(&token, r#"{"Status": "SUCCESS", "PhysicalResourceId": "p2", "Data": {"Secret": "new"}}"#).await;
    // Another physical id is another resource: the old one goes.
    let (event, token) = house.asked(2).await;
    assert_eq!((text(&event, "RequestType"), text(&event, "PhysicalResourceId")), ("Delete".into(), "p1".into()));
    house.answer(&token, r#"{"Status": "SUCCESS"}"#).await;
    house.settle(&id).await;
    assert_eq!(house.status("one").await, StackStatus::UpdateComplete);
    assert_eq!(house.resource("one", "C").await.physical_resource_id.as_deref(), Some("p2"));

    house.delete("one").await.unwrap();
    let (event, token) = house.asked(3).await;
    assert_eq!((text(&event, "RequestType"), text(&event, "PhysicalResourceId")), ("Delete".into(), "p2".into()));
    house.answer(&token, r#"{"Status": "FAILED", "Reason": "not today"}"#).await;
    house.settle(&id).await;
    assert_eq!(house.status(&id).await, StackStatus::DeleteFailed);
    let reason = house.resource("one", "C").await.resource_status_reason.unwrap();
    assert!(reason.starts_with("Received response status [FAILED] from custom resource. Message returned: not today"));
}

#[tokio::test]
async fn a_function_that_fails_is_asked_to_clean_up() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let id = house.create("one", custom("Size: 3")).await.unwrap();
    let (_, token) = house.asked(0).await;
    house.answer(&token, r#"{"Status": "FAILED", "Reason": "no", "PhysicalResourceId": "half"}"#).await;
    let (event, token) = house.asked(1).await;
    assert_eq!((text(&event, "RequestType"), text(&event, "PhysicalResourceId")), ("Delete".into(), "half".into()));
    house.answer(&token, r#"{"Status": "SUCCESS"}"#).await;
    house.settle(&id).await;
    assert_eq!(house.status("one").await, StackStatus::RollbackComplete);
    // What was never asked has nothing to clean up.
    house.made("two", custom("Size: 3").replace(":f'", ":missing'")).await;
    assert_eq!(house.status("two").await, StackStatus::RollbackComplete);
    let events = house.events("two").await;
    assert!(
        events.iter().any(|event| event.contains("C CREATE_FAILED") && event.contains("Function not found")),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_function_that_never_answers_has_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let id = house.create("one", custom("ServiceTimeout: 1")).await.unwrap();
    let (_, token) = house.asked(1).await;
    house.answer(&token, r#"{"Status": "SUCCESS"}"#).await;
    house.settle(&id).await;
    assert_eq!(house.status("one").await, StackStatus::RollbackComplete);
    let events = house.events("one").await;
    assert!(events.iter().any(|event| event.contains("did not receive a response from your Custom Resource")));
}

#[tokio::test]
async fn a_wait_condition_waits_for_its_signals() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let body = |timeout: u32| {
        format!(
            "Resources:\n  H: {{Type: 'AWS::CloudFormation::WaitConditionHandle'}}\n\
             \x20 W: {{Type: 'AWS::CloudFormation::WaitCondition', Properties: {{Handle: !Ref H, Timeout: {timeout}, Count: 2}}}}\n\
             Outputs: {{Data: {{Value: !GetAtt W.Data}}}}\n"
        )
    };
    for (stack, second, status, reason) in [
        ("good", r#"{"Status": "SUCCESS", "UniqueId": "b", "Data": "2"}"#, StackStatus::CreateComplete, None),
        (
            "bad",
            r#"{"Status": "FAILURE", "UniqueId": "b", "Reason": "why"}"#,
            StackStatus::RollbackComplete,
            Some("W CREATE_FAILED: WaitCondition received failed message: 'why' for uniqueId: b"),
        ),
        (
            "late",
            r#"{"Status": "SUCCESS", "UniqueId": "a"}"#,
            StackStatus::RollbackComplete,
            Some("W CREATE_FAILED: WaitCondition timed out. Received 1 conditions when expecting 2"),
        ),
    ] {
        let id = house.create(stack, body(if stack == "late" { 1 } else { 600 })).await.unwrap();
        while !house.events(stack).await.contains(&"W CREATE_IN_PROGRESS".to_owned()) {
            tokio::task::yield_now().await;
        }
        let url = house.resource(stack, "H").await.physical_resource_id.unwrap();
        let token = url.rsplit('/').next().unwrap().to_owned();
        house.answer(&token, r#"{"Status": "SUCCESS", "UniqueId": "a", "Data": "1"}"#).await;
        house.answer(&token, second).await;
        house.settle(&id).await;
        assert_eq!(house.status(stack).await, status, "{:?}", house.events(stack).await);
        if let Some(reason) = reason {
            assert!(house.events(stack).await.contains(&reason.to_owned()), "{:?}", house.events(stack).await);
        }
    }
    let outputs = house.stack("good").await.unwrap().outputs.unwrap();
    assert_eq!(outputs[0].output_value.as_deref(), Some(r#"{"a":"1","b":"2"}"#));
}
