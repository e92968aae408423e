//! Lifecycle rules carried out, at a time that the tests decide.

mod common;

use barge_core::Timestamp;
use barge_core::clock::ManualClock;
use common::{Bench, Call, FUNCTION};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const DAY: Duration = Duration::from_hours(24);

struct Days {
    clock: Arc<ManualClock>,
    bench: Bench,
}

impl Days {
    /// A bench with the bucket `bucket` at noon.
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::parse_iso8601("2024-01-01T12:00:00Z").unwrap()));
        let bench = Self::bench(Arc::new(tempfile::tempdir().unwrap()), &clock);
        bench.put("/bucket", "").await;
        Self { clock, bench }
    }

    fn bench(directory: Arc<TempDir>, clock: &Arc<ManualClock>) -> Bench {
        Bench::open(directory, Arc::default(), Arc::<ManualClock>::clone(clock))
    }

    fn pass(&self, days: u32) {
        self.clock.advance(DAY * days);
    }

    async fn rules(&self, rules: &str) {
        let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
        self.bench.done(Call::new("PUT", "/bucket?lifecycle").body(document)).await;
    }

    /// The server ends; another one begins so many days later.
    fn restart_after(self, days: u32) -> Self {
        let Self { clock, bench } = self;
        let Bench { directory, service, .. } = bench;
        drop(service);
        clock.advance(DAY * days);
        let bench = Self::bench(directory, &clock);
        Self { clock, bench }
    }

    /// Waits until a listing has no such text; rules are carried out in the background.
    async fn gone(&self, path: &str, text: &str) -> String {
        for _ in 0..1000 {
            let listed = self.bench.done(Call::new("GET", path)).await.text();
            if !listed.contains(text) {
                return listed;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{text} stays in {path}");
    }
}

fn rule(id: &str, prefix: &str, action: &str) -> String {
    format!("<Rule><ID>{id}</ID><Status>Enabled</Status><Filter><Prefix>{prefix}</Prefix></Filter>{action}</Rule>")
}

fn expire(days: u32) -> String {
    rule("expire", "", &format!("<Expiration><Days>{days}</Days></Expiration>"))
}

#[tokio::test]
async fn objects_go_when_they_are_old_and_functions_hear_of_it() {
    let days = Days::new().await;
    let event = format!(
        "<NotificationConfiguration><CloudFunctionConfiguration><CloudFunction>{FUNCTION}</CloudFunction>\
         <Event>s3:LifecycleExpiration:*</Event></CloudFunctionConfiguration></NotificationConfiguration>"
    );
    days.bench.done(Call::new("PUT", "/bucket?notification").body(event)).await;
    days.bench.put("/bucket/old", "x").await;
    days.pass(2);
    // Looked at before the old one.
    days.bench.put("/bucket/a-young-one", "x").await;
    days.rules(&expire(1)).await;
    let listed = days.gone("/bucket?list-type=2", "<Key>old</Key>").await;
    assert!(listed.contains("a-young-one"), "{listed}");
    days.bench.blobs_become(1).await;
    let payloads = days.bench.functions.payloads(1).await;
    for text in [
        r#""eventName":"LifecycleExpiration:Delete""#,
        r#""key":"old""#,
        r#""userIdentity":{"principalId":"s3.amazonaws.com"}"#,
    ] {
        assert!(payloads[0].contains(text), "{payloads:?}");
    }
}

#[tokio::test]
async fn versions_are_hidden_then_go_and_their_marker_last() {
    let days = Days::new().await;
    days.bench.versioning("Enabled").await;
    days.bench.put("/bucket/k", "x").await;
    days.pass(2);
    days.rules(&expire(1)).await;
    days.gone("/bucket?list-type=2", "<Key>k</Key>").await;
    let hidden = days.bench.done(Call::new("GET", "/bucket?versions")).await.text();
    assert!(hidden.contains("<DeleteMarker>") && hidden.contains("<Version>"), "{hidden}");
    assert_eq!(days.bench.blobs(), 1);

    days.pass(2);
    let noncurrent = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>";
    let noncurrent = rule("noncurrent", "", noncurrent);
    days.rules(&noncurrent).await;
    let left = days.gone("/bucket?versions", "<Version>").await;
    assert!(left.contains("<DeleteMarker>"), "{left}");
    days.bench.blobs_become(0).await;

    let markers = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
    days.rules(&rule("markers", "", markers)).await;
    days.gone("/bucket?versions", "<DeleteMarker>").await;
    days.bench.done(Call::new("DELETE", "/bucket")).await;
}

#[tokio::test]
async fn uploads_that_nobody_finishes_are_aborted() {
    let days = Days::new().await;
    let begin = |path: &'static str| async { days.bench.done(Call::new("POST", path)).await.element("UploadId") };
    let old = begin("/bucket/old?uploads").await;
    days.bench.put(&format!("/bucket/old?partNumber=1&uploadId={old}"), "part").await;
    days.pass(7);
    begin("/bucket/a-young-one?uploads").await;
    let abort =
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>6</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    days.rules(&rule("abort", "", abort)).await;
    let listed = days.gone("/bucket?uploads", &old).await;
    assert!(listed.contains("a-young-one"), "{listed}");
    days.bench.blobs_become(0).await;
    let announced = days.bench.done(Call::new("POST", "/bucket/k?uploads")).await;
    assert_eq!(announced.header("x-amz-abort-date"), "Mon, 15 Jan 2024 00:00:00 GMT");
    assert_eq!(announced.header("x-amz-abort-rule-id"), "abort");
    let parts = format!("/bucket/k?uploadId={}", announced.element("UploadId"));
    assert_eq!(days.bench.done(Call::new("GET", &parts)).await.header("x-amz-abort-rule-id"), "abort");
}

#[tokio::test]
async fn what_came_due_while_the_server_was_down_is_done_at_its_start() {
    let days = Days::new().await;
    days.rules(&expire(3)).await;
    for number in 0..300 {
        days.bench.put(&format!("/bucket/{number}"), "x").await;
    }
    days.bench.put("/bucket/kept", "x").await;
    days.rules(&format!("{}{}", rule("digits", "5", "<Expiration><Days>3</Days></Expiration>"), expire(30))).await;
    let days = days.restart_after(4);
    days.gone("/bucket?list-type=2&prefix=5", "<Key>").await;
    let days = days.restart_after(30);
    days.gone("/bucket?list-type=2", "<Key>").await;
    days.bench.blobs_become(0).await;
}

#[tokio::test]
async fn an_answer_says_when_its_object_expires() {
    let days = Days::new().await;
    days.rules(&rule("a rule", "logs/", "<Expiration><Days>2</Days></Expiration>")).await;
    let put = days.bench.done(Call::new("PUT", "/bucket/logs/k").body("x")).await;
    let expected = "expiry-date=\"Thu, 04 Jan 2024 00:00:00 GMT\", rule-id=\"a%20rule\"";
    assert_eq!(put.header("x-amz-expiration"), expected);
    let answer = days.bench.done(Call::new("HEAD", "/bucket/logs/k")).await;
    assert_eq!(answer.header("x-amz-expiration"), expected);
    assert_eq!(days.bench.done(Call::new("PUT", "/bucket/k").body("x")).await.header("x-amz-expiration"), "");
}
