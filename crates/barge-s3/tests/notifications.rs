//! Notifications: committed with what they tell of, delivered at least once, also across a restart.

mod common;

use common::{Bench, Call, FUNCTION, Functions};
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn configuration(function: &str, event: &str) -> String {
    format!(
        "<NotificationConfiguration><CloudFunctionConfiguration><CloudFunction>{function}</CloudFunction>\
         <Event>{event}</Event><Filter><S3Key><FilterRule><Name>suffix</Name><Value>.csv</Value></FilterRule></S3Key></Filter>\
         </CloudFunctionConfiguration></NotificationConfiguration>"
    )
}

async fn configure(bench: &Bench, document: String) {
    bench.done(Call::new("PUT", "/bucket?notification").body(document)).await;
}

#[tokio::test]
async fn a_function_hears_what_it_asked_for() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    configure(&bench, configuration(FUNCTION, "s3:ObjectCreated:*")).await;
    bench.put("/bucket/a.txt", "x").await;
    bench.put("/bucket/a.csv", "x").await;
    bench.done(Call::new("DELETE", "/bucket/a.csv")).await;
    bench.done(Call::new("PUT", "/bucket/b.csv").header("x-amz-copy-source", "bucket/a.txt")).await;
    let payloads = bench.functions.payloads(2).await.concat();
    for text in [r#""eventName":"ObjectCreated:Put""#, r#""key":"a.csv""#, r#""eventName":"ObjectCreated:Copy""#] {
        assert!(payloads.contains(text), "{payloads}");
    }
    assert!(!payloads.contains("a.txt") && !payloads.contains("ObjectRemoved"), "{payloads}");
}

#[tokio::test]
async fn a_delete_marker_is_not_a_deletion() {
    for event in ["DeleteMarkerCreated", "Delete"] {
        let bench = Bench::new();
        bench.put("/bucket", "").await;
        bench.versioning("Enabled").await;
        configure(&bench, configuration(FUNCTION, &format!("s3:ObjectRemoved:{event}"))).await;
        let object =
            bench.done(Call::new("PUT", "/bucket/a.csv").body("x")).await.header("x-amz-version-id").to_owned();
        let marker = bench.done(Call::new("DELETE", "/bucket/a.csv")).await.header("x-amz-version-id").to_owned();
        bench.done(Call::new("DELETE", &format!("/bucket/a.csv?versionId={object}"))).await;
        let version = if event == "Delete" { &object } else { &marker };
        let payloads = bench.functions.payloads(1).await;
        assert_eq!(payloads.len(), 1, "{payloads:?}");
        let name = format!(r#""eventName":"ObjectRemoved:{event}""#);
        let version = format!(r#""versionId":"{version}""#);
        assert!(payloads[0].contains(&name) && payloads[0].contains(&version), "{payloads:?}");
    }
}

#[tokio::test]
async fn a_failed_delivery_is_tried_again() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    configure(&bench, configuration(FUNCTION, "s3:ObjectCreated:Put")).await;
    bench.functions.failures.store(1, Ordering::SeqCst);
    bench.put("/bucket/a.csv", "x").await;
    assert_eq!(bench.functions.payloads(1).await.len(), 1);
    assert_eq!(bench.functions.failures.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_notification_outlives_the_server() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    configure(&bench, configuration(FUNCTION, "s3:ObjectCreated:*")).await;
    bench.functions.failures.store(usize::MAX, Ordering::SeqCst);
    bench.put("/bucket/a.csv", "x").await;
    bench.functions.heard.notified().await;
    let Bench { directory, service, .. } = bench;
    drop(service);
    let functions = Arc::new(Functions::default());
    let bench = Bench::on(directory, Arc::clone(&functions));
    let payloads = functions.payloads(1).await;
    assert!(payloads[0].contains(r#""key":"a.csv""#), "{payloads:?}");
    drop(bench);
}

#[tokio::test]
async fn eventbridge_hears_of_everything_once_it_is_turned_on() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    bench.put("/bucket/before", "x").await;
    let document = "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
    configure(&bench, document.to_owned()).await;
    bench.put("/bucket/a%20b", "xyz").await;
    bench.events.heard.notified().await;
    let sent = bench.events.sent.lock().unwrap().clone();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].source.as_str(), sent[0].detail_type.as_str()), ("aws.s3", "Object Created"));
    assert_eq!(sent[0].resources, ["arn:aws:s3:::bucket"]);
    let detail = sent[0].detail.to_json();
    assert!(detail.contains(r#""object":{"key":"a b","size":3"#), "{detail}");
}

#[tokio::test]
async fn configurations_that_are_refused() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    let put = |document: String| Call::new("PUT", "/bucket?notification").body(document);
    for function in ["closed", "missing"] {
        let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{function}");
        let answer = bench.refused(400, "InvalidArgument", put(configuration(&arn, "s3:ObjectCreated:*"))).await;
        assert_eq!(answer.element("Message"), "Unable to validate the following destination configurations");
    }
    bench.refused(400, "InvalidArgument", put(configuration(FUNCTION, "s3:Nothing"))).await;
    bench.refused(400, "InvalidArgument", put(configuration("nonsense", "s3:ObjectCreated:*"))).await;
    let queue = "<NotificationConfiguration><QueueConfiguration><Queue>arn:aws:sqs:us-east-1:000000000000:q</Queue>\
                 <Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>";
    bench.refused(501, "NotImplemented", put(queue.to_owned())).await;
}
