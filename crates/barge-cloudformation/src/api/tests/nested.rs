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

impl House {
    async fn propose_nested(&self, name: &str, kind: ChangeSetType, body: String) -> DescribeChangeSetOutput {
        let input = CreateChangeSetInput {
            stack_name: "one".into(),
            change_set_name: name.into(),
            change_set_type: Some(kind),
            template_body: Some(body),
            include_nested_stacks: Some(true),
            ..CreateChangeSetInput::default()
        };
        let id = self.service.create_change_set(&self.cx, input).await.unwrap().id.unwrap();
        self.proposed(&id, None).await.unwrap()
    }
}

/// Logical id and action of each change, and the change set below where it has one.
fn changes(set: &DescribeChangeSetOutput) -> Vec<(String, ChangeAction, Option<String>)> {
    let changes = set.changes.iter().flatten().filter_map(|change| change.resource_change.clone());
    changes.map(|c| (c.logical_resource_id.unwrap(), c.action.unwrap(), c.change_set_id)).collect()
}

#[tokio::test]
async fn a_change_set_shows_the_nested_stacks_below() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.objects.put("in.yaml", INNER);
    let root = house.propose_nested("first", ChangeSetType::Create, outer("in.yaml", "x")).await;
    let root_id = root.change_set_id.clone().unwrap();
    let [(n, ChangeAction::Add, Some(below)), (b, ChangeAction::Add, None)] = &changes(&root)[..] else {
        panic!("{:?}", changes(&root))
    };
    assert_eq!((n.as_str(), b.as_str()), ("N", "B"));
    let child = house.proposed(below, None).await.unwrap();
    assert_eq!(
        (child.parent_change_set_id.as_ref(), child.root_change_set_id.as_ref()),
        (Some(&root_id), Some(&root_id))
    );
    assert_eq!(changes(&child), [("A".to_owned(), ChangeAction::Add, None)]);
    assert_eq!(child.execution_status, Some(ExecutionStatus::Available));
    let refused = house.execute(below).await.unwrap_err();
    assert!(refused.message.contains("use its root change set"), "{refused}");
    assert!(house.world.log().is_empty());

    house.execute(&root_id).await.unwrap();
    house.settle(root.stack_id.as_ref().unwrap()).await;
    let inner = house.resource("one", "N").await.physical_resource_id;
    assert_eq!(child.stack_id, inner, "the nested stack has the ARN that its change set said");
    let status = house.proposed(below, None).await.unwrap().execution_status;
    assert_eq!(status, Some(ExecutionStatus::ExecuteComplete));

    let same = house.propose_nested("same", ChangeSetType::Update, outer("in.yaml", "x")).await;
    assert_eq!((same.status, changes(&same)), (Some(ChangeSetStatus::Failed), vec![]));
    house.objects.put("in.yaml", INNER.replace("Value: !Ref V", "Value: !Sub '${V}${V}'"));
    let other = house.propose_nested("other", ChangeSetType::Update, outer("in.yaml", "x")).await;
    let below = changes(&other).into_iter().find(|(name, ..)| name == "N").unwrap().2.unwrap();
    assert_eq!(changes(&house.proposed(&below, None).await.unwrap()), [("A".to_owned(), ChangeAction::Modify, None)]);
    house.objects.put("in.yaml", "Resources: {A: {Type: 'X::Y'}}");
    let wrong = house.propose_nested("wrong", ChangeSetType::Update, outer("in.yaml", "x")).await;
    assert_eq!(wrong.status, Some(ChangeSetStatus::Failed));
    assert!(wrong.status_reason.unwrap().contains("Unrecognized resource types: [X::Y]"));

    let delete =
        DeleteChangeSetInput { change_set_name: other.change_set_id.unwrap(), ..DeleteChangeSetInput::default() };
    house.service.delete_change_set(&house.cx, delete).await.unwrap();
    assert!(house.proposed(&below, None).await.unwrap_err().is("ChangeSetNotFound"));
}

#[tokio::test]
async fn a_nested_stack_whose_parameters_are_not_known_yet_has_no_change_set() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.objects.put("in.yaml", INNER);
    let body = format!(
        "Resources:\n  N: {{Type: 'AWS::CloudFormation::Stack', Properties: {{TemplateURL: 'https://s3.amazonaws.com/b/in.yaml', \
         Parameters: {{V: !GetAtt B.Arn}}}}}}\n  B: {{Type: '{THING}'}}\n"
    );
    let root = house.propose_nested("first", ChangeSetType::Create, body).await;
    assert_eq!(root.status, Some(ChangeSetStatus::CreateComplete));
    assert!(changes(&root).iter().all(|(_, _, below)| below.is_none()));
}
