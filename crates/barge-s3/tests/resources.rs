//! Resource types of templates.

mod common;

use barge_core::resource::{Creation, ResourceProvider};
use barge_core::{Ambient, AwsError, Context, Document, Principal, Scope};
use common::{Bench, Call, FUNCTION};
use std::collections::BTreeMap;
use std::sync::Arc;

fn context() -> Context {
    let mut cx = Ambient::system("http://127.0.0.1:4566").context(Scope::default(), "cloudformation.amazonaws.com");
    cx.principal = Principal::Root { account: cx.scope.account.clone() };
    cx
}

fn creation(token: &str, properties: &str) -> Creation {
    Creation {
        properties: Document::from_json(properties.as_bytes()).unwrap(),
        logical_id: "Input".into(),
        stack_name: "Stack".into(),
        stack_id: "arn".into(),
        token: token.into(),
        tags: BTreeMap::from([("team".into(), "a".into())]),
    }
}

fn provider(bench: &Bench, name: &str) -> Arc<dyn ResourceProvider> {
    let providers = barge_s3::resources::resources(&bench.service);
    providers.into_iter().find(|provider| provider.schema().type_name == name).unwrap()
}

#[tokio::test]
async fn a_bucket_of_a_template() {
    let bench = Bench::new();
    let (buckets, cx) = (provider(&bench, "AWS::S3::Bucket"), context());
    let properties = format!(
        r#"{{"NotificationConfiguration":{{"LambdaConfigurations":[{{"Event":"s3:ObjectCreated:*","Function":"{FUNCTION}"}}]}},
            "Tags":[{{"Key":"k","Value":"v"}}]}}"#
    );
    let made = buckets.create(&cx, &creation("one", &properties)).await.unwrap();
    assert!(made.physical_id.starts_with("stack-input-"), "{}", made.physical_id);
    assert_eq!(made.attributes["Arn"], Document::from(format!("arn:aws:s3:::{}", made.physical_id)));
    for attribute in buckets.schema().attributes {
        assert!(made.attributes.contains_key(*attribute), "{attribute}");
    }
    assert_eq!(buckets.create(&cx, &creation("one", &properties)).await.unwrap(), made, "a repeated creation");
    assert_eq!(buckets.read(&cx, &made.physical_id, &Document::Null).await.unwrap().unwrap().resource, made);

    let path = |query: &str| format!("/{}{query}", made.physical_id);
    bench.put(&path("/a.csv"), "x").await;
    assert_eq!(bench.functions.payloads(1).await.len(), 1);
    let tags = bench.done(Call::new("GET", &path("?tagging"))).await.text();
    assert!(tags.contains("<Key>team</Key>") && tags.contains("<Key>k</Key>"), "{tags}");

    let update = creation("two", "{}");
    buckets.update(&cx, &made.physical_id, &Document::Null, &update).await.unwrap();
    assert!(!bench.done(Call::new("GET", &path("?notification"))).await.text().contains("CloudFunction"));

    let error = buckets.delete(&cx, &made.physical_id, &Document::Null).await.unwrap_err();
    assert_eq!(
        (error.code.as_ref(), error.message.as_str()),
        ("BucketNotEmpty", "The bucket you tried to delete is not empty")
    );
    bench.done(Call::new("DELETE", &path("/a.csv"))).await;
    buckets.delete(&cx, &made.physical_id, &Document::Null).await.unwrap();
    buckets.delete(&cx, &made.physical_id, &Document::Null).await.unwrap();
    assert_eq!(buckets.read(&cx, &made.physical_id, &Document::Null).await.unwrap(), None);
}

#[tokio::test]
async fn a_bucket_that_is_there_is_not_taken_over() {
    let bench = Bench::new();
    bench.put("/taken", "").await;
    let buckets = provider(&bench, "AWS::S3::Bucket");
    let refusal = |properties: &'static str| {
        let (buckets, creation) = (Arc::clone(&buckets), creation("one", properties));
        async move { buckets.create(&context(), &creation).await.unwrap_err() }
    };
    let error: AwsError = refusal(r#"{"BucketName":"taken"}"#).await;
    assert_eq!(error.message, "taken already exists");
    assert!(refusal(r#"{"BucketName":"UPPER"}"#).await.is("InvalidBucketName"));
    let closed = r#"{"NotificationConfiguration":{"LambdaConfigurations":[{"Event":"s3:ObjectCreated:*",
        "Function":"arn:aws:lambda:us-east-1:000000000000:function:closed"}]}}"#;
    assert!(refusal(closed).await.message.contains("Unable to validate"));
}

#[tokio::test]
async fn a_policy_of_a_template() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    let (policies, cx) = (provider(&bench, "AWS::S3::BucketPolicy"), context());
    let properties = r#"{"Bucket":"bucket","PolicyDocument":{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}}"#;
    policies.create(&cx, &creation("one", properties)).await.unwrap();
    assert!(bench.done(Call::new("GET", "/bucket?policy")).await.text().contains("s3:GetObject"));
    assert!(policies.read(&cx, "bucket", &Document::Null).await.unwrap().is_some());
    policies.delete(&cx, "bucket", &Document::Null).await.unwrap();
    bench.refused(404, "NoSuchBucketPolicy", Call::new("GET", "/bucket?policy")).await;
    policies.delete(&cx, "gone", &Document::Null).await.unwrap();
}
