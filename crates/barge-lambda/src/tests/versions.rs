//! Versions, aliases, layers: by the API and by templates.

use super::*;
use crate::resources::resources;
use barge_core::Document;
use barge_core::resource::{Creation, Resource, ResourceProvider};
use barge_wire::lambda::*;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

const VERSIONED: &str = "
import os
def handler(event, context):
    return ['CODE', context.function_version, context.invoked_function_arn, os.environ['AWS_LAMBDA_FUNCTION_VERSION']]
";

fn code(word: &str) -> String {
    VERSIONED.replace("CODE", word)
}

async fn publish(house: &House) -> String {
    let request = PublishVersionRequest { function_name: "f".to_owned(), ..PublishVersionRequest::default() };
    house.service.publish_version(&house.cx(), request).await.unwrap().version.unwrap()
}

async fn change(house: &House, word: &str) {
    let update = UpdateFunctionCodeRequest {
        function_name: "f".to_owned(),
        zip_file: Some(zip(&code(word))),
        ..UpdateFunctionCodeRequest::default()
    };
    house.service.update_function_code(&house.cx(), update).await.unwrap();
}

fn alias(name: &str, version: &str) -> CreateAliasRequest {
    CreateAliasRequest {
        function_name: "f".to_owned(),
        name: name.to_owned(),
        function_version: version.to_owned(),
        ..CreateAliasRequest::default()
    }
}

#[tokio::test]
async fn a_version_stays_as_it_was_published() {
    let house = House::new();
    house.create("f", &code("one")).await;
    assert_eq!(publish(&house).await, "1");
    assert_eq!(publish(&house).await, "1", "nothing has changed");
    change(&house, "two").await;
    assert_eq!(publish(&house).await, "2");
    change(&house, "three").await;
    house.service.create_alias(&house.cx(), alias("live", "1")).await.unwrap();
    for (name, word, version) in
        [("f", "three", None), ("f:1", "one", Some("1")), ("f:2", "two", Some("2")), ("f:live", "one", Some("1"))]
    {
        let answer = house.invoke(name, "{}").await;
        let arn = version.map_or(ARN.to_owned(), |version| format!("{ARN}:{version}"));
        let version = version.unwrap_or("$LATEST");
        assert_eq!(text(&answer), format!(r#"["{word}", "{version}", "{arn}", "{version}"]"#), "{name}");
        assert_eq!(answer.executed_version.as_deref(), Some(version));
    }
    let house = house.reopened().await;
    assert!(text(&house.invoke("f:2", "{}").await).contains("two"));
    let missing = house.try_invoke("f:9", "{}", InvocationType::Event).await.unwrap_err();
    assert_eq!(missing.message, format!("Function not found: {ARN}:9"));

    let delete = |qualifier: &str| DeleteFunctionRequest {
        function_name: "f".to_owned(),
        qualifier: Some(qualifier.to_owned()),
    };
    let error = house.service.delete_function(&house.cx(), delete("1")).await.unwrap_err();
    assert!(error.message.ends_with("aliases reference it: [live]"), "{error}");
    house.service.delete_function(&house.cx(), delete("2")).await.unwrap();
    let list = ListVersionsByFunctionRequest { function_name: "f".to_owned(), ..Default::default() };
    let versions = house.service.list_versions_by_function(&house.cx(), list).await.unwrap().versions.unwrap();
    let shown: Vec<_> = versions.iter().map(|version| version.function_arn.clone().unwrap()).collect();
    assert_eq!(shown, [format!("{ARN}:$LATEST"), format!("{ARN}:1")]);
    house.service.shutdown().await;
}

#[tokio::test]
async fn an_alias_moves_and_shares() {
    let house = House::new();
    house.create("f", &code("one")).await;
    publish(&house).await;
    change(&house, "two").await;
    publish(&house).await;
    for name in ["7", "a b"] {
        let refused = house.service.create_alias(&house.cx(), alias(name, "1")).await.unwrap_err();
        assert!(refused.is("ValidationException"), "{refused}");
    }
    let missing = house.service.create_alias(&house.cx(), alias("live", "7")).await.unwrap_err();
    assert!(missing.is("ResourceNotFoundException"));
    house.service.create_alias(&house.cx(), alias("live", "1")).await.unwrap();
    let again = house.service.create_alias(&house.cx(), alias("live", "1")).await.unwrap_err();
    assert!(again.is("ResourceConflictException"));
    let update = |weight: f64| UpdateAliasRequest {
        function_name: "f".to_owned(),
        name: "live".to_owned(),
        routing_config: Some(AliasRoutingConfiguration {
            additional_version_weights: Some([("2".to_owned(), weight)].into()),
        }),
        ..UpdateAliasRequest::default()
    };
    house.service.update_alias(&house.cx(), update(1.0)).await.unwrap();
    assert!(text(&house.invoke("f:live", "{}").await).contains("two"));
    house.service.update_alias(&house.cx(), update(0.0)).await.unwrap();
    assert!(text(&house.invoke("f:live", "{}").await).contains("one"));
    assert!(house.service.update_alias(&house.cx(), update(2.0)).await.is_err());
    house.service.shutdown().await;
}

#[tokio::test]
async fn layers_lie_under_opt() {
    let house = House::new();
    let layer = |text: &str| PublishLayerVersionRequest {
        layer_name: "shared".to_owned(),
        content: LayerVersionContentInput {
            zip_file: Some(crate::code::zip(&[("python/shared.py", text)]).unwrap()),
            ..LayerVersionContentInput::default()
        },
        ..PublishLayerVersionRequest::default()
    };
    let first = house.service.publish_layer_version(&house.cx(), layer("word = 'first'")).await.unwrap();
    let second = house.service.publish_layer_version(&house.cx(), layer("word = 'second'")).await.unwrap();
    assert_eq!((first.version, second.version), (Some(1), Some(2)));
    let arn = first.layer_version_arn.unwrap();
    let request =
        CreateFunctionRequest { layers: Some(vec![arn.clone()]), ..python("f", "def handler(e, c): return 1") };
    let made = house.service.create_function(&house.cx(), request.clone()).await.unwrap();
    assert_eq!(made.layers.unwrap()[0].arn.as_ref(), Some(&arn));
    let delete = DeleteLayerVersionRequest { layer_name: "shared".to_owned(), version_number: 1 };
    house.service.delete_layer_version(&house.cx(), delete).await.unwrap();
    let function = house.service.whole(&house.cx(), "f").unwrap().0;
    assert!(house.service.shared.registry.uses_code(&function.settings.layers[0].code.sha256));
    let gone = CreateFunctionRequest { function_name: "g".to_owned(), ..request };
    let error = house.service.create_function(&house.cx(), gone).await.unwrap_err();
    assert!(error.message.contains(&format!("Layer version {arn} does not exist")), "{error}");
    house.service.shutdown().await;
}

fn creation(logical_id: &str, json: &str) -> Creation {
    Creation {
        properties: Document::from_json(json.as_bytes()).unwrap(),
        logical_id: logical_id.to_owned(),
        stack_name: "s".to_owned(),
        stack_id: "arn:s".to_owned(),
        token: format!("token-{logical_id}"),
        tags: BTreeMap::new(),
    }
}

fn provider(house: &House, name: &str) -> Arc<dyn ResourceProvider> {
    let name = format!("AWS::Lambda::{name}");
    resources(&house.service).into_iter().find(|provider| provider.schema().type_name == name).unwrap()
}

/// Creates twice, as after a crash, and checks that both give the same and that `read` agrees.
async fn made(house: &House, kind: &str, creation: &Creation) -> Resource {
    let provider = provider(house, kind);
    let first = provider.create(&house.cx(), creation).await.unwrap();
    assert_eq!(provider.create(&house.cx(), creation).await.unwrap(), first, "{kind}");
    let read = provider.read(&house.cx(), &first.physical_id, &creation.properties).await.unwrap();
    assert_eq!(read.map(|read| read.resource).as_ref(), Some(&first), "{kind}");
    for attribute in provider.schema().attributes {
        assert!(first.attributes.contains_key(*attribute), "{kind} lacks {attribute}");
    }
    first
}

#[tokio::test]
async fn templates_publish_versions_and_name_them() {
    let house = House::new();
    house.create("f", &code("one")).await;
    let version = creation("V1", r#"{"FunctionName": "f", "Description": "first"}"#);
    let first = made(&house, "Version", &version).await;
    assert_eq!(first.attributes["Version"], "1".into());
    let other = creation("V2", r#"{"FunctionName": "f"}"#);
    let refused = provider(&house, "Version").create(&house.cx(), &other).await.unwrap_err();
    assert!(refused.message.starts_with("A version for this Lambda function exists ( 1 )."), "{refused}");
    change(&house, "two").await;
    let second = made(&house, "Version", &other).await;
    assert_eq!(second.attributes["Version"], "2".into());

    let weights = r#"{"FunctionName": "f", "Name": "live", "FunctionVersion": "1", "RoutingConfig":
        {"AdditionalVersionWeights": [{"FunctionVersion": "2", "FunctionWeight": "0.5"}]}}"#;
    let alias = creation("A", weights);
    let live = made(&house, "Alias", &alias).await;
    assert!(live.physical_id.ends_with(":function:f:live"));
    let moved = creation("A", r#"{"FunctionName": "f", "Name": "live", "FunctionVersion": "2"}"#);
    provider(&house, "Alias").update(&house.cx(), &live.physical_id, &alias.properties, &moved).await.unwrap();
    let found = house.service.alias(&house.cx(), &GetAliasRequest { function_name: "f".into(), name: "live".into() });
    let found = found.unwrap();
    assert_eq!((found.function_version.as_deref(), found.routing_config), (Some("2"), None));

    let config = creation("E", r#"{"FunctionName": "f", "Qualifier": "live", "MaximumRetryAttempts": "0"}"#);
    let configured = made(&house, "EventInvokeConfig", &config).await;
    for (kind, id, creation) in [
        ("EventInvokeConfig", &configured.physical_id, &config),
        ("Alias", &live.physical_id, &moved),
        ("Version", &second.physical_id, &other),
        ("Version", &first.physical_id, &version),
    ] {
        let provider = provider(&house, kind);
        for _ in 0..2 {
            provider.delete(&house.cx(), id, &creation.properties).await.unwrap();
        }
        assert_eq!(provider.read(&house.cx(), id, &creation.properties).await.unwrap(), None, "{kind}");
    }
    house.service.shutdown().await;
}

#[tokio::test]
async fn events_are_tried_as_often_as_the_function_asks() {
    let house = House::new();
    house.create("f", "def handler(e, c): raise Exception('no')").await;
    let request = PutFunctionEventInvokeConfigRequest {
        function_name: "f".to_owned(),
        maximum_retry_attempts: Some(0),
        ..PutFunctionEventInvokeConfigRequest::default()
    };
    house.service.put_function_event_invoke_config(&house.cx(), request).await.unwrap();
    house.service.start();
    let config = GetFunctionEventInvokeConfigRequest { function_name: "f".to_owned(), qualifier: None };
    let found = house.service.get_function_event_invoke_config(&house.cx(), config).await.unwrap();
    assert_eq!(found.maximum_retry_attempts, Some(0));
    // With the qualifier in the request the configuration of that qualifier counts.
    let request = InvocationRequest {
        function_name: "f".to_owned(),
        qualifier: Some("$LATEST".to_owned()),
        invocation_type: Some(InvocationType::Event),
        ..InvocationRequest::default()
    };
    Lambda::invoke(&*house.service, &house.cx(), request).await.unwrap();
    house.logs.until("the event was dropped: the function failed 1 times", 1).await;
    house.service.shutdown().await;
}
