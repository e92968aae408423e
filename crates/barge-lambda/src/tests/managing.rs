//! How functions are made, changed, shown and removed.

use super::*;

#[tokio::test]
async fn new_code_and_settings_reach_the_next_invocation() {
    let house = House::new();
    house.create("f", "def handler(e, c): return 1").await;
    assert_eq!(text(&house.invoke("f", "{}").await), "1");
    let update = UpdateFunctionCodeRequest {
        function_name: "f".to_owned(),
        zip_file: Some(zip("import os\ndef handler(e, c): return os.environ.get('A', 'none')")),
        ..UpdateFunctionCodeRequest::default()
    };
    house.service.update_function_code(&house.cx(), update).await.unwrap();
    assert_eq!(text(&house.invoke("f", "{}").await), r#""none""#);
    let update = UpdateFunctionConfigurationRequest {
        function_name: "f".to_owned(),
        environment: Some(barge_wire::lambda::Environment {
            variables: Some(BTreeMap::from([("A".to_owned(), "set".to_owned())])),
        }),
        ..UpdateFunctionConfigurationRequest::default()
    };
    house.service.update_function_configuration(&house.cx(), update).await.unwrap();
    assert_eq!(text(&house.invoke("f", "{}").await), r#""set""#);
    house.service.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_made_is_refused() {
    let house = House::new();
    house.create("f", ECHO).await;
    let no_zip = FunctionCode { zip_file: Some(b"no".to_vec()), ..FunctionCode::default() };
    for (request, code, words) in [
        (python("f", ECHO), "ResourceConflictException", "Function already exist: f"),
        (
            CreateFunctionRequest { role: "arn:aws:iam::000000000000:role/none".to_owned(), ..python("g", ECHO) },
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.",
        ),
        (
            CreateFunctionRequest { code: no_zip, ..python("g", ECHO) },
            "InvalidParameterValueException",
            "Could not unzip uploaded file",
        ),
        (
            CreateFunctionRequest { code: FunctionCode::default(), ..python("g", ECHO) },
            "InvalidParameterValueException",
            "Please provide a source",
        ),
        (python(&"x".repeat(65), ECHO), "ValidationException", "64"),
    ] {
        let error = house.service.create_function(&house.cx(), request).await.unwrap_err();
        assert_eq!(error.code, code);
        assert!(error.message.contains(words), "{error}");
    }
    let missing = house.try_invoke("g", "{}", InvocationType::RequestResponse).await.unwrap_err();
    assert_eq!(missing.message, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:g");
}

#[tokio::test]
async fn functions_are_listed_in_pages_and_deleted() {
    let house = House::new();
    for name in ["a", "b", "c"] {
        house.create(name, ECHO).await;
    }
    let page = |marker: Option<&str>| ListFunctionsRequest {
        max_items: Some(2),
        marker: marker.map(str::to_owned),
        ..ListFunctionsRequest::default()
    };
    let first = house.service.list_functions(&house.cx(), page(None)).await.unwrap();
    let names = |functions: &Option<Vec<barge_wire::lambda::FunctionConfiguration>>| {
        functions.iter().flatten().filter_map(|f| f.function_name.clone()).collect::<Vec<_>>()
    };
    assert_eq!((names(&first.functions), first.next_marker.as_deref()), (vec!["a".into(), "b".into()], Some("b")));
    let second = house.service.list_functions(&house.cx(), page(Some("b"))).await.unwrap();
    assert_eq!((names(&second.functions), second.next_marker), (vec!["c".to_owned()], None));
    let delete = |name: &str| DeleteFunctionRequest { function_name: name.to_owned(), qualifier: None };
    house.service.delete_function(&house.cx(), delete("a")).await.unwrap();
    assert!(house.service.delete_function(&house.cx(), delete("a")).await.is_err());
    let house = house.reopened().await;
    let all = house.service.list_functions(&house.cx(), ListFunctionsRequest::default()).await.unwrap();
    assert_eq!(names(&all.functions), ["b", "c"]);
}

#[tokio::test]
async fn the_code_can_be_fetched_by_its_link_only() {
    let house = House::new();
    house.create("f", ECHO).await;
    let request = GetFunctionRequest { function_name: "f".to_owned(), qualifier: None };
    let function = house.service.get_function(&house.cx(), request).await.unwrap();
    let location = function.code.unwrap().location.unwrap();
    let token = location.rsplit('/').next().unwrap();
    assert_eq!(std::fs::read(house.service.code_by_token(token).unwrap()).unwrap(), zip(ECHO));
    assert_eq!(house.service.code_by_token("0"), None);
}

#[tokio::test]
async fn permissions_decide_who_may_invoke() {
    let house = House::new();
    house.create("f", ECHO).await;
    let arn: Arn = "arn:aws:lambda:us-east-1:000000000000:function:f".parse().unwrap();
    let bucket: Arn = "arn:aws:s3:::b".parse().unwrap();
    let invoker: &dyn FunctionInvoker = &*house.service;
    let permits = || invoker.permits(&arn, "s3.amazonaws.com", &bucket, "000000000000");
    assert!(!permits().await.unwrap());
    let add = AddPermissionRequest {
        function_name: "f".to_owned(),
        statement_id: "s3".to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "s3.amazonaws.com".to_owned(),
        source_arn: Some("arn:aws:s3:::b".to_owned()),
        ..AddPermissionRequest::default()
    };
    house.service.add_permission(&house.cx(), add.clone()).await.unwrap();
    assert!(permits().await.unwrap());
    let again = house.service.add_permission(&house.cx(), add).await.unwrap_err();
    assert_eq!(again.code, "ResourceConflictException");
    let get = || GetPolicyRequest { function_name: "f".to_owned(), qualifier: None };
    assert!(house.service.get_policy(&house.cx(), get()).await.unwrap().policy.unwrap().contains("\"Sid\":\"s3\""));
    let remove = RemovePermissionRequest {
        function_name: "f".to_owned(),
        statement_id: "s3".to_owned(),
        ..RemovePermissionRequest::default()
    };
    house.service.remove_permission(&house.cx(), remove.clone()).await.unwrap();
    assert!(!permits().await.unwrap());
    assert!(house.service.remove_permission(&house.cx(), remove).await.is_err());
    assert!(house.service.get_policy(&house.cx(), get()).await.is_err());
}

#[tokio::test]
async fn tags_come_and_go() {
    let house = House::new();
    house.create("f", ECHO).await;
    let resource = "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned();
    let tags = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    let request = TagResourceRequest { resource: resource.clone(), tags };
    house.service.tag_resource(&house.cx(), request).await.unwrap();
    let request = UntagResourceRequest { resource: resource.clone(), tag_keys: vec!["a".to_owned()] };
    house.service.untag_resource(&house.cx(), request).await.unwrap();
    let request = barge_wire::lambda::ListTagsRequest { resource };
    let tags = house.service.list_tags(&house.cx(), request).await.unwrap().tags.unwrap();
    assert_eq!(tags, BTreeMap::from([("b".to_owned(), "2".to_owned())]));
}

#[tokio::test]
async fn a_templates_function_and_permission() {
    let house = House::new();
    let resources = crate::resources::resources(&house.service);
    let creation = |properties: &str, token: &str| Creation {
        properties: Document::from_json(properties.as_bytes()).unwrap(),
        logical_id: "Trigger".to_owned(),
        stack_name: "stack".to_owned(),
        stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/stack/1".to_owned(),
        token: token.to_owned(),
        tags: BTreeMap::new(),
    };
    let function = creation(
        r#"{"Runtime": "python3.12", "Handler": "index.handler", "Timeout": "30", "MemorySize": 128,
            "Role": "arn:aws:iam::000000000000:role/r",
            "Code": {"ZipFile": "def handler(e, c): return 'inline'"},
            "Tags": [{"Key": "k", "Value": "v"}]}"#,
        "t1",
    );
    let made = resources[0].create(&house.cx(), &function).await.unwrap();
    let again = resources[0].create(&house.cx(), &function).await.unwrap();
    assert_eq!(made, again);
    assert_eq!(text(&house.invoke(&made.physical_id, "{}").await), r#""inline""#);

    let permission = format!(
        r#"{{"Action": "lambda:InvokeFunction", "FunctionName": "{}", "Principal": "s3.amazonaws.com"}}"#,
        made.physical_id
    );
    let permission = creation(&permission, "t2");
    let statement = resources[1].create(&house.cx(), &permission).await.unwrap();
    assert_eq!(resources[1].create(&house.cx(), &permission).await.unwrap(), statement);
    let there = resources[1].read(&house.cx(), &statement.physical_id, &permission.properties).await.unwrap();
    assert!(there.is_some());

    let mut changed = function.clone();
    changed.properties = Document::from_json(
        function.properties.to_json().replace("'inline'", "'changed'").replace("128", "256").as_bytes(),
    )
    .unwrap();
    resources[0].update(&house.cx(), &made.physical_id, &function.properties, &changed).await.unwrap();
    assert_eq!(text(&house.invoke(&made.physical_id, "{}").await), r#""changed""#);

    for _ in 0..2 {
        resources[1].delete(&house.cx(), &statement.physical_id, &permission.properties).await.unwrap();
        resources[0].delete(&house.cx(), &made.physical_id, &function.properties).await.unwrap();
    }
    assert_eq!(resources[0].read(&house.cx(), &made.physical_id, &function.properties).await.unwrap(), None);
    house.service.shutdown().await;
}
