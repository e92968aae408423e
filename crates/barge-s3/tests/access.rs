//! Who comes in, and to which buckets.

mod common;

use barge_s3::Body;
use common::{Bench, Call};
use http::Request;

#[tokio::test]
async fn unsigned_requests_are_refused() {
    let bench = Bench::new();
    let answer = bench.send_as_is(Request::get("/bucket/key").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.element("Code").as_str()), (403, "AccessDenied"));
    assert_eq!(answer.element("RequestId"), answer.header("x-amz-request-id"));
    assert_eq!(answer.element("Resource"), "/bucket/key");
}

#[tokio::test]
async fn keys_and_tokens() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    let list = || Call::new("GET", "/bucket");
    bench.refused(403, "InvalidAccessKeyId", list().key("NOBODY")).await;
    bench.refused(400, "InvalidToken", list().key("TEMP")).await;
    bench.refused(400, "InvalidToken", list().key("TEMP").header("x-amz-security-token", "wrong")).await;
    bench.refused(400, "ExpiredToken", list().key("LATE").header("x-amz-security-token", "token")).await;
    bench.done(list().key("TEMP").header("x-amz-security-token", "token")).await;
}

#[tokio::test]
async fn a_bucket_belongs_to_an_account() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    bench.put("/bucket/k", "x").await;
    for (method, path) in [("GET", "/bucket/k"), ("PUT", "/bucket/k"), ("DELETE", "/bucket/k"), ("GET", "/bucket")] {
        bench.refused(403, "AccessDenied", Call::new(method, path).key("OTHER").body("")).await;
    }
    bench.refused(409, "BucketAlreadyExists", Call::new("PUT", "/bucket").key("OTHER")).await;
    let copy = Call::new("PUT", "/other/k").key("OTHER").header("x-amz-copy-source", "bucket/k");
    bench.done(Call::new("PUT", "/other").key("OTHER")).await;
    bench.refused(403, "AccessDenied", copy).await;
    let expecting = Call::new("GET", "/bucket/k").header("x-amz-expected-bucket-owner", "111111111111");
    bench.refused(403, "AccessDenied", expecting).await;
    assert!(!bench.done(Call::new("GET", "/").key("OTHER")).await.text().contains(">bucket<"));
}

#[tokio::test]
async fn a_bucket_lives_in_a_region() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    let elsewhere = Call::new("GET", "/bucket").region("eu-west-1");
    let answer = bench.refused(400, "AuthorizationHeaderMalformed", elsewhere).await;
    assert_eq!(answer.element("Region"), "us-east-1");
    assert_eq!(answer.header("x-amz-bucket-region"), "us-east-1");
    bench.done(Call::new("GET", "/bucket?location").region("eu-west-1")).await;
}

const MFA_DELETE: &str =
    "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";

fn own_key(key: &str) -> Call<'_> {
    let put = Call::new("PUT", "/bucket/k").header("x-amz-server-side-encryption", "aws:kms");
    put.header("x-amz-server-side-encryption-aws-kms-key-id", key)
}

#[tokio::test]
async fn what_is_lacking_is_refused_by_name() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    for (call, name) in [
        (Call::new("PUT", "/bucket?abac"), "PutBucketAbac"),
        (Call::new("GET", "/bucket?replication"), "GetBucketReplication"),
        (Call::new("PUT", "/bucket/k?renameObject"), "RenameObject"),
        (Call::new("PUT", "/bucket?versioning").header("x-amz-mfa", "device 123456").body(MFA_DELETE), "MFA"),
        (Call::new("PUT", "/bucket?versioning").body(MFA_DELETE), "MfaDelete"),
        (own_key("alias/mine"), "SSEKMSKeyId"),
    ] {
        let answer = bench.refused(501, "NotImplemented", call).await;
        assert!(answer.element("Message").contains(name), "{}", answer.text());
    }
    bench.refused(404, "NoSuchKey", Call::new("GET", "/bucket/k")).await;
}
