//! Stacks within stacks.

use super::*;

const INNER: &str = "
Parameters: {V: {Type: String}}
Resources: {A: {Type: 'Fake::Thing::One', Properties: {Value: !Ref V}}}
Outputs: {Out: {Value: !GetAtt A.Value}}
";

fn outer(key: &str, value: &str) -> String {
    format!(
        "Resources:\n  N: {{Type: 'AWS::CloudFormation::Stack', Properties: {{TemplateURL: 'https://s3.amazonaws.com/b/{key}', \
         Parameters: {{V: {value}}}}}}}\n  B: {{Type: '{THING}', Properties: {{Value: !GetAtt N.Outputs.Out}}}}\n"
    )
}

#[tokio::test]
async fn a_nested_stack_is_made_changed_and_removed_with_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.objects.put("in.yaml", INNER);
    let id = house.made("one", outer("in.yaml", "x")).await;
    assert_eq!(house.status("one").await, StackStatus::CreateComplete, "{:?}", house.events("one").await);
    assert_eq!(house.world.values().into_values().collect::<Vec<_>>(), ["x", "x"]);
    let inner = house.resource("one", "N").await.physical_resource_id.unwrap();
    let nested = house.stack(&inner).await.unwrap();
    assert!(nested.stack_name.starts_with("one-N-"), "{}", nested.stack_name);
    assert_eq!((nested.parent_id.as_ref(), nested.root_id.as_ref()), (Some(&id), Some(&id)));

    house.update("one", outer("in.yaml", "y")).await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::UpdateComplete, "{:?}", house.events("one").await);
    assert_eq!(house.status(&inner).await, StackStatus::UpdateComplete);
    assert_eq!(house.world.values().into_values().collect::<Vec<_>>(), ["y", "y"]);
    // The same URL may stand for another template.
    house.objects.put("in.yaml", INNER.replace("Value: !Ref V", "Value: !Sub '${V}${V}'"));
    house.update("one", outer("in.yaml", "y")).await.unwrap();
    assert_eq!(house.world.values().into_values().collect::<Vec<_>>(), ["yy", "yy"]);

    house.delete("one").await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.status(&id).await, StackStatus::DeleteComplete);
    assert_eq!(house.status(&inner).await, StackStatus::DeleteComplete);
    assert!(house.world.exists().is_empty());
}

#[tokio::test]
async fn what_fails_inside_is_undone_outside() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.objects.put("in.yaml", INNER);
    house.world.fail("A");
    house.made("bad", outer("in.yaml", "x")).await;
    assert_eq!(house.status("bad").await, StackStatus::RollbackComplete, "{:?}", house.events("bad").await);
    let failure = |event: &String| event.starts_with("N CREATE_FAILED: Embedded stack arn:aws:cloudformation:");
    let events = house.events("bad").await;
    let event = events.iter().find(|event| failure(event)).unwrap();
    assert!(
        event.ends_with("was not successfully created: The following resource(s) failed to create: [A]."),
        "{event}"
    );
    let summaries =
        house.service.list_stacks(&house.cx, ListStacksInput::default()).await.unwrap().stack_summaries.unwrap();
    let nested = summaries.iter().find(|stack| stack.stack_name.starts_with("bad-N-")).unwrap();
    assert_eq!(nested.stack_status, StackStatus::DeleteComplete);
    assert!(house.world.exists().is_empty());
    house.world.heal("A");

    // A change inside that fails, and one outside after a change inside.
    house.made("one", outer("in.yaml", "x")).await;
    for (value, failing) in [("bad", None), ("y", Some("B"))] {
        if let Some(name) = failing {
            house.objects.put("in.yaml", INNER);
            house.world.hold(name);
        }
        let input = UpdateStackInput {
            stack_name: "one".into(),
            template_body: Some(outer("in.yaml", value)),
            ..UpdateStackInput::default()
        };
        let id = house.service.update_stack(&house.cx, input).await.unwrap().stack_id.unwrap();
        if let Some(name) = failing {
            while !house.events("one").await.contains(&format!("{name} UPDATE_IN_PROGRESS")) {
                tokio::task::yield_now().await;
            }
            let cancel = CancelUpdateStackInput { stack_name: "one".into(), ..CancelUpdateStackInput::default() };
            house.service.cancel_update_stack(&house.cx, cancel).await.unwrap();
            house.world.release(name);
        }
        house.settle(&id).await;
        assert_eq!(house.status("one").await, StackStatus::UpdateRollbackComplete, "{:?}", house.events("one").await);
        assert_eq!(house.world.values().into_values().collect::<Vec<_>>(), ["x", "x"]);
    }
    house.made("none", outer("nowhere.yaml", "x")).await;
    let events = house.events("none").await;
    assert!(events.contains(&"N CREATE_FAILED: S3 error: The specified key does not exist.".to_owned()), "{events:?}");
}
