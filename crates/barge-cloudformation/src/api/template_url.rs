//! `TemplateURL`: which object of our S3 it names, and its text.

use super::{CloudFormation, invalid, lacking};
use crate::template::Template;
use barge_core::{AwsError, Context};
use percent_encoding::percent_decode_str;
use std::io::Read as _;

/// A bucket and a key.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    bucket: String,
    key: String,
}

/// The text behind `url`.
pub(super) async fn read(service: &CloudFormation, cx: &Context, url: &str) -> Result<String, AwsError> {
    let endpoints = [cx.endpoint.as_str(), service.engine.ambient().endpoint.as_str()];
    let place = place(url, &endpoints)?;
    let object = service
        .ports
        .objects
        .object(&cx.scope, &place.bucket, &place.key)
        .await
        .map_err(|error| invalid(format!("S3 error: {}", error.message)))?;
    let longest = Template::LONGEST_STORED as u64;
    if object.size > longest {
        return Err(invalid(format!("Template may not exceed {longest} bytes in size.")));
    }
    // The file may be on a slow disk.
    let bytes = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        object.file.take(longest).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = bytes.await.map_err(AwsError::internal)?.map_err(AwsError::internal)?;
    String::from_utf8(bytes).map_err(|_| invalid("Template format error: the template is not UTF-8 text."))
}

/// Reads a URL of S3's, in both styles, at one of `endpoints` or at AWS's host names.
fn place(url: &str, endpoints: &[&str]) -> Result<Place, AwsError> {
    let wrong = || invalid("TemplateURL must be a supported URL.");
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    if scheme != "http" && scheme != "https" {
        return Err(wrong());
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !query.is_empty() {
        return Err(lacking("a version or query in TemplateURL"));
    }
    let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
    let path = percent_decode_str(path).decode_utf8().map_err(|_| wrong())?.into_owned();
    let ours = endpoints.iter().filter_map(|endpoint| endpoint.split_once("://")).map(|(_, authority)| authority);
    let bucket = match ours.map(|authority| bucket_in(host, authority)).find(Result::is_ok) {
        Some(bucket) => bucket,
        None => amazon_bucket(host),
    };
    let place = if let Some(bucket) = bucket.map_err(|()| wrong())? {
        Place { bucket, key: path }
    } else {
        let (bucket, key) = path.split_once('/').ok_or_else(wrong)?;
        Place { bucket: bucket.to_owned(), key: key.to_owned() }
    };
    if place.bucket.is_empty() || place.key.is_empty() { Err(wrong()) } else { Ok(place) }
}

/// The bucket in a host name at `authority`; `Ok(None)` where the host is the authority itself.
fn bucket_in(host: &str, authority: &str) -> Result<Option<String>, ()> {
    match host.strip_suffix(authority) {
        Some("") => Ok(None),
        Some(bucket) => {
            bucket.strip_suffix('.').map(|bucket| Some(bucket.trim_end_matches(".s3").to_owned())).ok_or(())
        }
        None => Err(()),
    }
}

/// The same for `s3.amazonaws.com`, `s3.REGION.amazonaws.com` and `s3-REGION.amazonaws.com`.
fn amazon_bucket(host: &str) -> Result<Option<String>, ()> {
    let labels = host.strip_suffix(".amazonaws.com").ok_or(())?;
    let s3 = |label: &str| label == "s3" || label.starts_with("s3-");
    if s3(labels) || labels.strip_prefix("s3.").is_some_and(|region| !region.contains('.')) {
        return Ok(None);
    }
    let (before, last) = labels.rsplit_once('.').ok_or(())?;
    if s3(last) {
        return Ok(Some(before.to_owned()));
    }
    before.strip_suffix(".s3").map(|bucket| Some(bucket.to_owned())).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &[&str] = &["http://127.0.0.1:4566"];

    #[test]
    fn urls_name_objects_in_every_style() {
        for url in [
            "http://127.0.0.1:4566/b/dir/t.yaml",
            "http://b.127.0.0.1:4566/dir/t.yaml",
            "https://s3.amazonaws.com/b/dir/t.yaml",
            "https://s3.us-east-1.amazonaws.com/b/dir/t.yaml",
            "https://s3-us-west-2.amazonaws.com/b/dir/t.yaml",
            "https://b.s3.amazonaws.com/dir/t.yaml",
            "https://b.s3.eu-west-1.amazonaws.com/dir/t.yaml",
            "https://b.s3.amazonaws.com/dir%2Ft.yaml",
        ] {
            let expected = Place { bucket: "b".into(), key: "dir/t.yaml".into() };
            assert_eq!(place(url, OURS).unwrap(), expected, "{url}");
        }
        assert_eq!(place("https://a.b.s3.amazonaws.com/k", OURS).unwrap().bucket, "a.b");
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "",
            "x",
            "ftp://s3.amazonaws.com/b/k",
            "http://example.com/b/k",
            "http://127.0.0.1:4566/b",
            "http://127.0.0.1:4566/",
            "https://amazonaws.com/b/k",
        ] {
            assert_eq!(place(url, OURS).unwrap_err().message, "TemplateURL must be a supported URL.", "{url}");
        }
        assert_eq!(place("https://s3.amazonaws.com/b/k?versionId=1", OURS).unwrap_err().status, 501);
    }
}
