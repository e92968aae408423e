//! What `aws cloudformation deploy` does.

use super::*;

impl House {
    pub(super) async fn propose(&self, stack: &str, kind: ChangeSetType) -> Result<CreateChangeSetOutput, AwsError> {
        let input = CreateChangeSetInput {
            stack_name: stack.to_owned(),
            change_set_name: "change".into(),
            change_set_type: Some(kind),
            template_body: Some(format!(
                "Parameters: {{P: {{Type: String, NoEcho: true}}}}\n{}",
                template(&["A: Properties: {Value: !Ref P}"])
            )),
            parameters: Some(vec![parameter("P", "secret")]),
            tags: Some(vec![Tag { key: "k".into(), value: "v".into() }]),
            ..CreateChangeSetInput::default()
        };
        self.service.create_change_set(&self.cx, input).await
    }

    pub(super) async fn execute(&self, set: &str) -> Result<ExecuteChangeSetOutput, AwsError> {
        let input = ExecuteChangeSetInput { change_set_name: set.to_owned(), ..ExecuteChangeSetInput::default() };
        self.service.execute_change_set(&self.cx, input).await
    }

    pub(super) async fn proposed(&self, set: &str, stack: Option<&str>) -> Result<DescribeChangeSetOutput, AwsError> {
        let input = DescribeChangeSetInput {
            change_set_name: set.to_owned(),
            stack_name: stack.map(str::to_owned),
            ..DescribeChangeSetInput::default()
        };
        self.service.describe_change_set(&self.cx, input).await
    }
}

#[tokio::test]
async fn what_exists_under_a_custom_name_is_taken_into_the_stack() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let there =
        house.made("there", template(&["A: Properties: {Name: mine, Value: old}, DeletionPolicy: Retain"])).await;
    let wanted =
        |more: &str| template(&[&format!("B: Properties: {{Name: mine, Value: new}}{more}"), "C: DependsOn: B"]);
    let import = |body: String| CreateChangeSetInput {
        stack_name: "taker".into(),
        change_set_name: format!("set-{}", body.len()),
        change_set_type: Some(ChangeSetType::Create),
        template_body: Some(body),
        import_existing_resources: Some(true),
        ..CreateChangeSetInput::default()
    };
    for (body, part) in [
        (wanted(""), "needs the DeletionPolicy Retain"),
        (wanted(", DeletionPolicy: Retain"), "already belongs to the stack there"),
    ] {
        let set = house.service.create_change_set(&house.cx, import(body)).await.unwrap().id.unwrap();
        let proposed = house.proposed(&set, None).await.unwrap();
        assert_eq!(proposed.status, Some(ChangeSetStatus::Failed));
        assert!(proposed.status_reason.as_ref().unwrap().contains(part), "{proposed:?}");
    }
    house.delete("there").await.unwrap();
    house.settle(&there).await;
    let made = house.service.create_change_set(&house.cx, import(wanted(", DeletionPolicy: RetainExceptOnCreate")));
    let made = made.await.unwrap();
    let (set, stack) = (made.id.unwrap(), made.stack_id.unwrap());
    let changes = house.proposed(&set, None).await.unwrap().changes.unwrap();
    let actions: Vec<_> = changes.iter().filter_map(|change| change.resource_change.as_ref()?.action).collect();
    assert_eq!(actions, [ChangeAction::Import, ChangeAction::Add]);

    house.execute(&set).await.unwrap();
    house.settle(&stack).await;
    assert_eq!(house.status("taker").await, StackStatus::CreateComplete);
    assert_eq!(house.world.log(), ["+A", "+C"]);
    assert_eq!(house.world.values()["mine"], "old");
    let events = house.events("taker").await;
    let told: Vec<_> = events.iter().filter(|event| event.starts_with("B ")).cloned().collect();
    assert_eq!(
        told,
        ["B IMPORT_IN_PROGRESS: Resource import started.", "B IMPORT_COMPLETE: Resource import completed."]
    );
}

#[tokio::test]
async fn what_was_taken_in_stays_where_the_stacks_creation_fails() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let there = house.made("there", template(&["A: Properties: {Name: mine}, DeletionPolicy: Retain"])).await;
    house.delete("there").await.unwrap();
    house.settle(&there).await;
    house.world.fail("C");
    let body = template(&["B: Properties: {Name: mine}, DeletionPolicy: RetainExceptOnCreate", "C: DependsOn: B"]);
    let input = CreateChangeSetInput {
        stack_name: "taker".into(),
        change_set_name: "set".into(),
        change_set_type: Some(ChangeSetType::Create),
        template_body: Some(body),
        import_existing_resources: Some(true),
        ..CreateChangeSetInput::default()
    };
    let made = house.service.create_change_set(&house.cx, input).await.unwrap();
    house.execute(&made.id.unwrap()).await.unwrap();
    house.settle(&made.stack_id.unwrap()).await;
    assert_eq!(house.status("taker").await, StackStatus::RollbackComplete);
    assert_eq!(house.world.exists(), ["mine"]);
}

#[tokio::test]
async fn a_change_set_makes_a_stack_when_it_is_executed() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let made = house.propose("one", ChangeSetType::Create).await.unwrap();
    let (set, stack) = (made.id.unwrap(), made.stack_id.unwrap());
    assert_eq!(house.status("one").await, StackStatus::ReviewInProgress);
    assert!(house.world.log().is_empty());
    let proposed = house.proposed("change", Some("one")).await.unwrap();
    assert_eq!(proposed.status, Some(ChangeSetStatus::CreateComplete));
    assert_eq!(proposed.execution_status, Some(ExecutionStatus::Available));
    assert_eq!(proposed.parameters.unwrap()[0].parameter_value.as_deref(), Some("****"));
    let change = proposed.changes.unwrap().remove(0).resource_change.unwrap();
    assert_eq!((change.action, change.logical_resource_id.as_deref()), (Some(ChangeAction::Add), Some("A")));

    house.execute(&set).await.unwrap();
    house.settle(&stack).await;
    let described = house.stack("one").await.unwrap();
    assert_eq!(described.stack_status, StackStatus::CreateComplete);
    assert_eq!(described.stack_id, Some(stack.clone()));
    assert_eq!(described.change_set_id, Some(set.clone()));
    assert_eq!(described.tags.unwrap()[0].key, "k");
    assert_eq!(house.world.log(), ["+A"]);
    assert_eq!(house.proposed(&set, None).await.unwrap().execution_status, Some(ExecutionStatus::ExecuteComplete));
    assert_eq!(house.execute(&set).await.unwrap_err().code, "InvalidChangeSetStatus");
    let template = GetTemplateInput { stack_name: Some("one".into()), ..GetTemplateInput::default() };
    assert!(house.service.get_template(&house.cx, template).await.unwrap().template_body.is_some());
}

#[tokio::test]
async fn what_a_change_set_can_not_do_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.made("one", template(&["A: Properties: {}"])).await;
    assert!(house.propose("one", ChangeSetType::Create).await.unwrap_err().message.contains("already exists"));
    assert_eq!(house.propose("two", ChangeSetType::Update).await.unwrap_err().message, "Stack [two] does not exist");
    assert_eq!(house.proposed("nope", Some("one")).await.unwrap_err().code, "ChangeSetNotFound");
}

#[tokio::test]
async fn change_sets_are_listed_and_deleted_and_so_is_their_stack() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let made = house.propose("one", ChangeSetType::Create).await.unwrap();
    assert_eq!(house.propose("one", ChangeSetType::Create).await.unwrap_err().code, "AlreadyExistsException");
    let list = || ListChangeSetsInput { stack_name: "one".into(), next_token: None };
    let listed = house.service.list_change_sets(&house.cx, list()).await.unwrap().summaries.unwrap();
    assert_eq!(listed[0].change_set_id, made.id);
    let delete = || DeleteChangeSetInput { change_set_name: "change".into(), stack_name: Some("one".into()) };
    house.service.delete_change_set(&house.cx, delete()).await.unwrap();
    house.service.delete_change_set(&house.cx, delete()).await.unwrap();
    assert!(house.service.list_change_sets(&house.cx, list()).await.unwrap().summaries.unwrap().is_empty());
    assert_eq!(house.execute(&made.id.unwrap()).await.unwrap_err().code, "ChangeSetNotFound");
    house.delete("one").await.unwrap();
    let id = made.stack_id.unwrap();
    house.settle(&id).await;
    assert_eq!(house.status(&id).await, StackStatus::DeleteComplete);
}
