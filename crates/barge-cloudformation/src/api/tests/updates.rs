//! Stacks that change.

use super::*;

impl House {
    pub(super) async fn update(&self, name: &str, template: impl Into<String>) -> Result<(), AwsError> {
        self.update_with(name, template, |_| {}).await
    }

    pub(super) async fn update_with(
        &self,
        name: &str,
        template: impl Into<String>,
        change: impl FnOnce(&mut UpdateStackInput),
    ) -> Result<(), AwsError> {
        let mut input = UpdateStackInput {
            stack_name: name.to_owned(),
            template_body: Some(template.into()),
            ..UpdateStackInput::default()
        };
        change(&mut input);
        let id = self.service.update_stack(&self.cx, input).await?.stack_id.unwrap();
        self.settle(&id).await;
        Ok(())
    }

    /// What happened since the event number `from`, oldest first.
    async fn since(&self, name: &str, from: usize) -> Vec<String> {
        self.events(name).await.split_off(from)
    }

    async fn physical(&self, stack: &str, logical_id: &str) -> String {
        self.resource(stack, logical_id).await.physical_resource_id.unwrap()
    }
}

#[tokio::test]
async fn resources_are_changed_replaced_added_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let lines = [
        "A: Properties: {Value: one}",
        "B: Properties: {Name: old}",
        "C: Properties: {Value: !Ref B}",
        "D: DependsOn: A",
    ];
    let body = format!("{}Outputs: {{O: {{Value: !GetAtt A.Value}}}}", template(&lines));
    house.made("one", body).await;
    let (a, c, from) =
        (house.physical("one", "A").await, house.physical("one", "C").await, house.events("one").await.len());
    let lines = [
        "A: Properties: {Value: two}",
        "B: Properties: {Name: new}",
        "C: Properties: {Value: !Ref B}",
        "E: DependsOn: C",
    ];
    let body = format!("{}Outputs: {{O: {{Value: !GetAtt A.Value}}}}", template(&lines));
    house.update("one", body.clone()).await.unwrap();
    let stack = house.stack("one").await.unwrap();
    assert_eq!(stack.stack_status, StackStatus::UpdateComplete);
    assert!(stack.last_updated_time.is_some());
    assert_eq!(stack.outputs.unwrap()[0].output_value.as_deref(), Some("two"));
    assert_eq!((house.physical("one", "A").await, house.physical("one", "C").await), (a.clone(), c.clone()));
    assert_eq!(house.world.values()[&a], "two");
    assert_eq!(house.world.values()[&c], "new");
    assert_eq!(house.world.exists().len(), 4);
    let mut events = house.since("one", from).await;
    assert_eq!(events.remove(0), "one UPDATE_IN_PROGRESS: User Initiated");
    for event in [
        "A UPDATE_IN_PROGRESS",
        "A UPDATE_COMPLETE",
        "B UPDATE_IN_PROGRESS: Requested update requires the creation of a new physical resource; hence creating one.",
        "B UPDATE_IN_PROGRESS: Resource creation Initiated",
        "B UPDATE_COMPLETE",
        "C UPDATE_IN_PROGRESS",
        "C UPDATE_COMPLETE",
        "E CREATE_IN_PROGRESS",
        "E CREATE_COMPLETE",
        "one UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "B DELETE_COMPLETE",
        "D DELETE_COMPLETE",
        "one UPDATE_COMPLETE",
    ] {
        assert!(events.iter().any(|other| other == event), "{event} in {events:?}");
    }
    let listed = ListStackResourcesInput { stack_name: "one".into(), next_token: None };
    let listed = house.service.list_stack_resources(&house.cx, listed).await.unwrap().stack_resource_summaries.unwrap();
    let names: Vec<_> = listed.iter().map(|resource| resource.logical_resource_id.as_str()).collect();
    assert_eq!(names, ["A", "B", "C", "E"]);
    assert_eq!(house.update("one", body).await.unwrap_err().message, "No updates are to be performed.");
    house.delete("one").await.unwrap();
    house.settle(stack.stack_id.as_ref().unwrap()).await;
    assert!(house.world.exists().is_empty());
}

#[tokio::test]
async fn a_failed_update_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let lines = ["A: Properties: {Value: one}", "B: Properties: {Name: old}", "C: Properties: {Value: !Ref B}"];
    let old = format!("Parameters: {{P: {{Type: String, Default: x}}}}\n{}", template(&lines));
    house.made("one", old.clone()).await;
    let (before, from) = (house.world.values(), house.events("one").await.len());
    let lines = [
        "A: Properties: {Value: two}",
        "B: Properties: {Name: new}",
        "C: Properties: {Value: !Ref B}",
        "D: DependsOn: [A, C]",
        "E: {DependsOn: D, Properties: {Value: x}}".trim_end_matches('}').trim_start_matches("E: {"),
    ];
    let mut lines: Vec<&str> = lines[..4].to_vec();
    lines.push("E: DependsOn: D");
    house.world.fail("E");
    house.update("one", template(&lines)).await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::UpdateRollbackComplete);
    assert_eq!(house.world.values(), before);
    let events = house.since("one", from).await;
    let position =
        |text: &str| events.iter().position(|event| event == text).unwrap_or_else(|| panic!("{text}: {events:?}"));
    assert!(events.iter().any(|event| event.starts_with("E CREATE_FAILED: Resource handler returned message")));
    let begun = position("one UPDATE_ROLLBACK_IN_PROGRESS: The following resource(s) failed to create: [E].");
    let cleanup = position("one UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS");
    assert!(begun < cleanup);
    assert!(events[begun..cleanup].contains(&"A UPDATE_COMPLETE".to_owned()));
    assert!(events[cleanup..].contains(&"D DELETE_COMPLETE".to_owned()));
    assert_eq!(events.last().unwrap(), "one UPDATE_ROLLBACK_COMPLETE");
    // Its template and parameters are the old ones.
    let stack = house.stack("one").await.unwrap();
    assert_eq!(stack.parameters.unwrap().len(), 1);
    let input = GetTemplateInput { stack_name: Some("one".into()), ..GetTemplateInput::default() };
    assert_eq!(house.service.get_template(&house.cx, input).await.unwrap().template_body, Some(old));
    // It can be tried again.
    house.world.heal("E");
    house.update("one", template(&lines)).await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::UpdateComplete);
}

#[tokio::test]
async fn a_failed_update_can_stay_go_forward_or_back() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let disabled = |input: &mut UpdateStackInput| input.disable_rollback = Some(true);
    let id = house.made("one", template(&["A: Properties: {Value: one}", "B: DependsOn: A"])).await;
    let before = house.world.values();
    let bad = ["A: Properties: {Value: two}", "B: {DependsOn: A, Properties: {Value: bad}}"];
    let bad = template(&bad).replace("{DependsOn", "DependsOn").replace("bad}}}", "bad}}");
    house.update_with("one", bad.clone(), disabled).await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::UpdateFailed);
    let reason = house.stack("one").await.unwrap().stack_status_reason.unwrap();
    assert_eq!(reason, "The following resource(s) failed to update: [B].");
    let back = || RollbackStackInput { stack_name: "one".into(), ..RollbackStackInput::default() };
    house.service.rollback_stack(&house.cx, back()).await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.status("one").await, StackStatus::UpdateRollbackComplete);
    assert_eq!(house.world.values(), before);
    assert!(
        house.service.rollback_stack(&house.cx, back()).await.unwrap_err().message.contains("can not be rolled back")
    );
    // The same, and then forward: what the first one changed twice is changed back when the second fails too.
    house.update_with("one", bad.clone(), disabled).await.unwrap();
    house.update("one", bad.replace("Value: two", "Value: three")).await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::UpdateRollbackComplete);
    assert_eq!(house.world.values(), before);
    house.update_with("one", bad.clone(), disabled).await.unwrap();
    house.update("one", bad.replace("Value: bad", "Value: good")).await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::UpdateComplete);
    assert_eq!(house.world.values().values().cloned().collect::<Vec<_>>(), ["two", "good"]);
}

#[tokio::test]
async fn an_update_is_cancelled_and_a_rollback_that_fails_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let id = house.made("one", template(&["A: Properties: {Value: one}", "B: DependsOn: A"])).await;
    let cancel = || CancelUpdateStackInput { stack_name: "one".into(), ..CancelUpdateStackInput::default() };
    let early = house.service.cancel_update_stack(&house.cx, cancel()).await.unwrap_err();
    assert_eq!(early.message, "CancelUpdateStack cannot be called from current stack status");
    house.world.hold("A");
    let input = UpdateStackInput {
        stack_name: "one".into(),
        template_body: Some(template(&["A: Properties: {Value: two}", "B: DependsOn: A"])),
        ..UpdateStackInput::default()
    };
    house.service.update_stack(&house.cx, input.clone()).await.unwrap();
    house.world.begun(3).await;
    let busy = house.service.update_stack(&house.cx, input).await.unwrap_err().message;
    assert_eq!(busy, format!("Stack:{id} is in UPDATE_IN_PROGRESS state and can not be updated."));
    let deleted = house.delete("one").await.unwrap_err().message;
    assert_eq!(deleted, format!("Stack [{id}] cannot be deleted while in status UPDATE_IN_PROGRESS"));
    house.service.cancel_update_stack(&house.cx, cancel()).await.unwrap();
    // The change ends well, and then can't be undone.
    house.world.release("A");
    house.settle(&id).await;
    assert_eq!(house.status("one").await, StackStatus::UpdateRollbackComplete);
    assert!(house.events("one").await.contains(&"one UPDATE_ROLLBACK_IN_PROGRESS: User Initiated".to_owned()));

    house.made("two", template(&["A: Properties: {Value: bad-before}"]).replace("bad-before", "x")).await;
    house.world.fail("A");
    house.update("two", template(&["A: Properties: {Value: y}"])).await.unwrap();
    assert_eq!(house.status("two").await, StackStatus::UpdateRollbackFailed);
    let go_on = |skip: &[&str]| ContinueUpdateRollbackInput {
        stack_name: "two".into(),
        resources_to_skip: Some(skip.iter().map(|&name| name.to_owned()).collect()),
        ..ContinueUpdateRollbackInput::default()
    };
    let wrong = house.service.continue_update_rollback(&house.cx, go_on(&["Z"])).await.unwrap_err();
    assert!(wrong.message.contains("The resource Z can not be skipped"), "{}", wrong.message);
    house.service.continue_update_rollback(&house.cx, go_on(&["A"])).await.unwrap();
    let id = house.stack("two").await.unwrap().stack_id.unwrap();
    house.settle(&id).await;
    assert_eq!(house.status("two").await, StackStatus::UpdateRollbackComplete);
}

#[tokio::test]
async fn previous_values_templates_tags_and_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let body = format!(
        "Parameters: {{P: {{Type: String}}, Q: {{Type: String, Default: q}}}}\n{}",
        template(&["A: Properties: {Value: !Sub '${P}-${Q}'}"])
    );
    let given = |input: &mut CreateStackInput| input.parameters = Some(vec![parameter("P", "p")]);
    let id = house.create_with("one", body, given).await.unwrap();
    house.settle(&id).await;
    let previous = |key: &str| Parameter {
        parameter_key: Some(key.into()),
        use_previous_value: Some(true),
        ..Parameter::default()
    };
    let again = |parameters: Vec<Parameter>| UpdateStackInput {
        stack_name: "one".into(),
        use_previous_template: Some(true),
        parameters: Some(parameters),
        client_request_token: Some("t1".into()),
        ..UpdateStackInput::default()
    };
    let unknown = house.service.update_stack(&house.cx, again(vec![previous("Z")])).await.unwrap_err();
    assert!(unknown.message.contains("not in the previous template"));
    let same = house.service.update_stack(&house.cx, again(vec![previous("P")])).await.unwrap_err();
    assert_eq!(same.message, "No updates are to be performed.");
    let changed = || again(vec![previous("P"), parameter("Q", "r")]);
    house.service.update_stack(&house.cx, changed()).await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.world.values().into_values().collect::<Vec<_>>(), ["p-r"]);
    // The same call again is the same update.
    house.service.update_stack(&house.cx, changed()).await.unwrap();
    let tagged = UpdateStackInput {
        tags: Some(vec![Tag { key: "k".into(), value: "v".into() }]),
        client_request_token: None,
        ..again(vec![previous("P"), previous("Q")])
    };
    house.service.update_stack(&house.cx, tagged).await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.stack("one").await.unwrap().tags.unwrap()[0].key, "k");
}

#[tokio::test]
async fn what_a_template_keeps_stays_and_what_it_may_not_change_fails() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let kept = [
        "A: UpdateReplacePolicy: Retain, Properties: {Name: a1}",
        "B: DeletionPolicy: Retain, Properties: {Name: b}",
        "C: Properties: {Name: c, List: [x]}",
    ];
    house.made("one", template(&kept)).await;
    house.update("one", template(&["A: UpdateReplacePolicy: Retain, Properties: {Name: a2}", kept[2]])).await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::UpdateComplete);
    assert_eq!(house.world.exists(), ["a1", "a2", "b", "c"]);
    let role = template(&["A: Properties: {}", kept[2]]).replacen(THING, "AWS::IAM::Role", 1);
    let capable = |input: &mut UpdateStackInput| input.capabilities = Some(vec![Capability::CapabilityIam]);
    let error = house.update_with("one", role, capable).await.unwrap_err().message;
    assert!(error.starts_with("Update of resource type is not permitted."), "{error}");
    assert!(error.ends_with("[A]"), "{error}");
}

#[tokio::test]
async fn a_stack_policy_is_kept_and_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.made("one", template(&["A: Properties: {Value: one}"])).await;
    let policy = r#"{"Statement":[{"Effect":"Deny","Action":"Update:*","Principal":"*","Resource":"*"}]}"#;
    let set = |body: &str| SetStackPolicyInput {
        stack_name: "one".into(),
        stack_policy_body: Some(body.into()),
        ..SetStackPolicyInput::default()
    };
    assert_eq!(house.service.set_stack_policy(&house.cx, set("{}")).await.unwrap_err().code, "ValidationError");
    house.service.set_stack_policy(&house.cx, set(policy)).await.unwrap();
    let got =
        house.service.get_stack_policy(&house.cx, GetStackPolicyInput { stack_name: "one".into() }).await.unwrap();
    assert_eq!(got.stack_policy_body.as_deref(), Some(policy));
    house.update("one", template(&["A: Properties: {Value: two}"])).await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::UpdateRollbackComplete);
    assert!(
        house
            .events("one")
            .await
            .iter()
            .any(|event| event.starts_with("A UPDATE_FAILED: Action denied by stack policy"))
    );
    let allow = policy.replace("Deny", "Allow");
    let for_once = |input: &mut UpdateStackInput| input.stack_policy_during_update_body = Some(allow);
    house.update_with("one", template(&["A: Properties: {Value: two}"]), for_once).await.unwrap();
    assert_eq!(house.status("one").await, StackStatus::UpdateComplete);
}

#[tokio::test]
async fn a_change_set_tells_what_it_changes_and_changes_it() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let id = house
        .made(
            "one",
            template(&[
                "A: Properties: {Value: one}",
                "B: Properties: {Name: b, Value: !GetAtt A.Value}",
                "C: Properties: {}",
            ]),
        )
        .await;
    let propose = |name: &str, lines: &[&str]| CreateChangeSetInput {
        stack_name: "one".into(),
        change_set_name: name.into(),
        template_body: Some(template(lines)),
        ..CreateChangeSetInput::default()
    };
    let lines = [
        "A: Properties: {Value: two}",
        "B: Properties: {Name: !GetAtt A.Value, Value: !GetAtt A.Value}",
        "D: Properties: {}",
    ];
    let made = house.service.create_change_set(&house.cx, propose("first", &lines)).await.unwrap();
    house.service.create_change_set(&house.cx, propose("other", &lines)).await.unwrap();
    let set = house.proposed("first", Some("one")).await.unwrap();
    assert_eq!(set.execution_status, Some(ExecutionStatus::Available));
    let changes: Vec<ResourceChange> =
        set.changes.unwrap().into_iter().map(|change| change.resource_change.unwrap()).collect();
    let short: Vec<_> =
        changes.iter().map(|c| (c.logical_resource_id.as_deref().unwrap(), c.action.unwrap(), c.replacement)).collect();
    assert_eq!(
        short,
        [
            ("A", ChangeAction::Modify, Some(Replacement::False)),
            ("B", ChangeAction::Modify, Some(Replacement::Conditional)),
            ("D", ChangeAction::Add, None),
            ("C", ChangeAction::Remove, None),
        ]
    );
    let detail = |change: &ResourceChange, at: usize| change.details.as_ref().unwrap()[at].clone();
    assert_eq!(detail(&changes[0], 0).change_source, Some(ChangeSource::DirectModification));
    assert_eq!(detail(&changes[0], 0).evaluation, Some(EvaluationType::Static));
    let of_b: Vec<_> = changes[1]
        .details
        .clone()
        .unwrap()
        .into_iter()
        .map(|d| (d.target.unwrap().name.unwrap(), d.evaluation.unwrap(), d.causing_entity))
        .collect();
    assert!(of_b.contains(&("Name".into(), EvaluationType::Dynamic, Some("A.Value".into()))), "{of_b:?}");
    assert!(of_b.contains(&("Value".into(), EvaluationType::Dynamic, Some("A.Value".into()))), "{of_b:?}");
    assert_eq!(changes[3].policy_action, Some(PolicyAction::Delete));

    house.execute(&made.id.clone().unwrap()).await.unwrap();
    house.settle(&id).await;
    assert_eq!(house.status("one").await, StackStatus::UpdateComplete, "{:?}", house.events("one").await);
    assert_eq!(
        house.proposed("first", Some("one")).await.unwrap().execution_status,
        Some(ExecutionStatus::ExecuteComplete)
    );
    assert_eq!(house.proposed("other", Some("one")).await.unwrap_err().code, "ChangeSetNotFound");

    let empty = house.service.create_change_set(&house.cx, propose("empty", &lines)).await.unwrap();
    let set = house.proposed("empty", Some("one")).await.unwrap();
    assert_eq!((set.status, set.execution_status), (Some(ChangeSetStatus::Failed), Some(ExecutionStatus::Unavailable)));
    assert!(set.status_reason.unwrap().starts_with("The submitted information didn't contain changes."));
    assert_eq!(house.execute(&empty.id.unwrap()).await.unwrap_err().code, "InvalidChangeSetStatus");
    house.service.create_change_set(&house.cx, propose("late", &["A: Properties: {Value: three}"])).await.unwrap();
    house.update("one", template(&["A: Properties: {Value: four}"])).await.unwrap();
    assert_eq!(house.proposed("late", Some("one")).await.unwrap().execution_status, Some(ExecutionStatus::Obsolete));
}
