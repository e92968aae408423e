//! Objects through the service's door: what is stored, what is left on disk, what survives a restart.

mod common;

use barge_core::Scope;
use barge_core::ports::ObjectStore as _;
use common::{Bench, Call};
use std::io::Read as _;
use std::sync::Arc;

#[tokio::test]
async fn an_object_comes_back_and_goes() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    bench.put("/bucket/dir/key", "hello").await;
    assert_eq!(bench.get("/bucket/dir/key").await, "hello");
    bench.put("/bucket/dir/key", "again").await;
    assert_eq!(bench.get("/bucket/dir/key").await, "again");
    bench.blobs_become(1).await;
    bench.refused(409, "BucketNotEmpty", Call::new("DELETE", "/bucket")).await;
    bench.done(Call::new("DELETE", "/bucket/dir/key")).await;
    bench.refused(404, "NoSuchKey", Call::new("GET", "/bucket/dir/key")).await;
    bench.blobs_become(0).await;
    bench.done(Call::new("DELETE", "/bucket")).await;
    bench.refused(404, "NoSuchBucket", Call::new("GET", "/bucket/dir/key")).await;
}

#[tokio::test]
async fn a_refused_body_leaves_no_file() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    let wrong = Call::new("PUT", "/bucket/k").body("data").header("x-amz-checksum-crc32", "AAAAAA==");
    bench.refused(400, "BadDigest", wrong).await;
    let short = Call::new("PUT", "/bucket/k").body("data").header("x-amz-decoded-content-length", "9");
    bench.refused(400, "IncompleteBody", short).await;
    bench.refused(404, "NoSuchBucket", Call::new("PUT", "/none/k").body("data")).await;
    let taken = Call::new("PUT", "/bucket/k").body("data").header("if-match", "\"other\"");
    bench.refused(404, "NoSuchKey", taken).await;
    bench.blobs_become(0).await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_nothing_more() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    bench.put("/bucket/kept", "kept").await;
    let upload = bench.done(Call::new("POST", "/bucket/multi?uploads")).await.element("UploadId");
    bench.put(&format!("/bucket/multi?partNumber=1&uploadId={upload}"), "part").await;
    let Bench { directory, service, .. } = bench;
    drop(service);
    let incoming = directory.path().join("objects/incoming");
    // As after a kill: a body that no commit refers to, and one whose commit was not heard of.
    std::fs::write(incoming.join("00000000000000000000000000000000"), "lost").unwrap();
    let settled = walk(&directory.path().join("objects"));
    let kept = settled.iter().find(|path| std::fs::read(path).unwrap() == b"kept").unwrap();
    std::fs::rename(kept, incoming.join(kept.file_name().unwrap())).unwrap();

    let bench = Bench::on(directory, Arc::default());
    assert_eq!(bench.blobs(), 2);
    assert_eq!(bench.get("/bucket/kept").await, "kept");
    assert!(walk(&incoming).is_empty());
    let listed = bench.done(Call::new("GET", &format!("/bucket/multi?uploadId={upload}"))).await;
    assert_eq!(listed.element("Size"), "4");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_multipart_object_is_its_parts() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    let upload = bench.done(Call::new("POST", "/bucket/k?uploads")).await.element("UploadId");
    let (first, last) = (vec![b'a'; 5 * 1024 * 1024], b"end".to_vec());
    let mut document = String::new();
    for (number, part) in [(1, first.clone()), (2, b"unused".to_vec()), (3, last.clone())] {
        let path = format!("/bucket/k?partNumber={number}&uploadId={upload}");
        let etag = bench.done(Call::new("PUT", &path).body(part)).await.header("etag").to_owned();
        if number != 2 {
            document.extend([
                "<Part><PartNumber>",
                &number.to_string(),
                "</PartNumber><ETag>",
                &etag,
                "</ETag></Part>",
            ]);
        }
    }
    bench.blobs_become(3).await;
    let document = format!("<CompleteMultipartUpload>{document}</CompleteMultipartUpload>");
    let done = bench.done(Call::new("POST", &format!("/bucket/k?uploadId={upload}")).body(document)).await;
    assert!(done.element("ETag").contains("-2"), "{}", done.text());
    bench.blobs_become(2).await;
    let whole = [first, last].concat();
    assert_eq!(bench.get("/bucket/k").await, whole);
    let border = bench.done(Call::new("GET", "/bucket/k").header("range", "bytes=5242879-5242881")).await;
    assert_eq!((border.status.as_u16(), &border.body[..]), (206, &b"aen"[..]));

    // Other services get one file.
    let mut stored = bench.service.object(&Scope::default(), "bucket", "k").await.unwrap();
    let mut bytes = Vec::new();
    stored.file.read_to_end(&mut bytes).unwrap();
    assert_eq!((stored.size, bytes), (whole.len() as u64, whole));
    bench.blobs_become(2).await;
}

#[tokio::test]
async fn other_services_read_objects_as_files() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    bench.put("/bucket/k", "data").await;
    let scope = Scope::default();
    let mut stored = bench.service.object(&scope, "bucket", "k").await.unwrap();
    bench.done(Call::new("DELETE", "/bucket/k")).await;
    let mut text = String::new();
    stored.file.read_to_string(&mut text).unwrap();
    assert_eq!((stored.size, text.as_str()), (4, "data"));
    assert!(bench.service.object(&scope, "bucket", "k").await.unwrap_err().is("NoSuchKey"));
    assert!(bench.service.object(&scope, "none", "k").await.unwrap_err().is("NoSuchBucket"));
}

#[tokio::test]
async fn deleting_a_bucket_takes_its_unfinished_uploads_along() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    let upload = bench.done(Call::new("POST", "/bucket/k?uploads")).await.element("UploadId");
    bench.put(&format!("/bucket/k?partNumber=1&uploadId={upload}"), "part").await;
    bench.done(Call::new("DELETE", "/bucket")).await;
    bench.blobs_become(0).await;
}

#[tokio::test]
async fn a_body_goes_with_its_last_version() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    bench.put("/bucket/k", "null").await;
    bench.versioning("Enabled").await;
    let first = bench.done(Call::new("PUT", "/bucket/k").body("first")).await.header("x-amz-version-id").to_owned();
    let marker = bench.done(Call::new("DELETE", "/bucket/k")).await;
    assert_eq!(marker.header("x-amz-delete-marker"), "true");
    bench.blobs_become(2).await;
    bench.refused(409, "BucketNotEmpty", Call::new("DELETE", "/bucket")).await;

    bench.versioning("Suspended").await;
    bench.put("/bucket/k", "second").await;
    bench.blobs_become(2).await;
    let answer = bench.done(Call::new("GET", &format!("/bucket/k?versionId={first}"))).await;
    assert_eq!((&answer.body[..], answer.header("x-amz-version-id")), (&b"first"[..], first.as_str()));

    for version in ["null", &first, marker.header("x-amz-version-id")] {
        bench.done(Call::new("DELETE", &format!("/bucket/k?versionId={version}"))).await;
    }
    bench.blobs_become(0).await;
    bench.done(Call::new("DELETE", "/bucket")).await;
}

#[tokio::test]
async fn a_hidden_version_survives_a_restart_in_doubt() {
    let bench = Bench::new();
    bench.put("/bucket", "").await;
    bench.versioning("Enabled").await;
    let old = bench.done(Call::new("PUT", "/bucket/k").body("old")).await.header("x-amz-version-id").to_owned();
    bench.put("/bucket/k", "new").await;
    let Bench { directory, service, .. } = bench;
    drop(service);
    // As after a kill whose commit was not heard of.
    let incoming = directory.path().join("objects/incoming");
    let bodies = walk(&directory.path().join("objects"));
    let body = bodies.iter().find(|path| std::fs::read(path).unwrap() == b"old").unwrap();
    std::fs::rename(body, incoming.join(body.file_name().unwrap())).unwrap();
    let bench = Bench::on(directory, Arc::default());
    assert_eq!(bench.get(&format!("/bucket/k?versionId={old}")).await, "old");
}
