//! Reading blobs, whole or in part.

use super::reply::{Code, Refusal, respond, set};
use super::{Call, RegistryBody};
use crate::EcrService;
use barge_image::{Digest, ImageError};
use futures::TryStreamExt as _;
use http::{Method, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::io::SeekFrom;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

/// Bytes read from disk at a time.
const CHUNK: usize = 64 * 1024;

impl EcrService {
    pub(super) async fn blob<B>(&self, call: &Call<B>, digest: &Digest) -> Result<Response<RegistryBody>, Refusal> {
        let (images, wanted) = (self.images.clone(), digest.clone());
        let opened = tokio::task::spawn_blocking(move || images.open_blob(&wanted)).await;
        let (file, size) = opened.map_err(internal)?.map_err(|error| match error {
            ImageError::NotFound(_) => Refusal::new(Code::BlobUnknown, "blob unknown to registry"),
            other => internal(other),
        })?;
        let range = call.request.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
        let (status, first, last) = match range.map(|range| parse_range(range, size)) {
            None => (StatusCode::OK, 0, size.saturating_sub(1)),
            Some(Some((first, last))) => (StatusCode::PARTIAL_CONTENT, first, last),
            Some(None) => return Err(Refusal::new(Code::RangeInvalid, "the range is not in the blob")),
        };
        let length = if size == 0 { 0 } else { last - first + 1 };
        let body = if *call.request.method() == Method::HEAD {
            http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
        } else {
            let mut file = tokio::fs::File::from_std(file);
            file.seek(SeekFrom::Start(first)).await.map_err(internal)?;
            let stream = ReaderStream::with_capacity(file.take(length), CHUNK);
            StreamBody::new(stream.map_ok(Frame::data).map_err(Into::into)).boxed_unsync()
        };
        let mut response = respond(status, body);
        set(&mut response, "content-type", "application/octet-stream");
        set(&mut response, "content-length", &length.to_string());
        set(&mut response, "accept-ranges", "bytes");
        set(&mut response, "docker-content-digest", digest.as_str());
        if status == StatusCode::PARTIAL_CONTENT {
            set(&mut response, "content-range", &format!("bytes {first}-{last}/{size}"));
        }
        Ok(response)
    }
}

/// First and last byte of a single range, both inclusive; `None` where it can't be satisfied.
fn parse_range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => (size.saturating_sub(suffix.parse().ok()?), size.checked_sub(1)?),
        (first, "") => (first.parse().ok()?, size.checked_sub(1)?),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.min(size.checked_sub(1)?)),
    };
    (range.0 <= range.1).then_some(range)
}

pub(super) fn internal(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Unknown, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_inclusive() {
        for (text, size, expected) in [
            ("bytes=0-9", 100, Some((0, 9))),
            ("bytes=90-", 100, Some((90, 99))),
            ("bytes=-10", 100, Some((90, 99))),
            ("bytes=0-1000", 100, Some((0, 99))),
            ("bytes=100-", 100, None),
            ("bytes=5-4", 100, None),
            ("bytes=0-", 0, None),
            ("lines=0-1", 100, None),
        ] {
            assert_eq!(parse_range(text, size), expected, "{text} of {size}");
        }
    }
}
