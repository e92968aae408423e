//! The bucket: which objects there are, and their bytes as a stream. Knows nothing of CSV.

use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::{ByteStream, DateTimeFormat};
use bytes::Bytes;
use csv_to_table_client::{SdkConfig, explain, has_own_s3_endpoint};

use crate::backoff::Backoff;

/// Where this program's own output goes, and what it therefore never reads.
pub(crate) const REJECTED: &str = "rejected/";

/// A bucket, and the client to reach it.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// The client, for who writes to the bucket.
    pub(crate) client: Client,
    /// The bucket's name.
    pub(crate) name: String,
}

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Its key.
    pub(crate) key: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// When it was put there, in ISO 8601, UTC.
    pub(crate) modified: String,
    etag: String,
}

/// What went wrong with the bucket. The messages name the object where there is one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BucketError {
    /// The objects can't be listed.
    #[error("cannot list s3://{bucket}/{prefix}: {reason}")]
    List {
        /// The bucket's name.
        bucket: String,
        /// The prefix asked for.
        prefix: String,
        /// The service's answer.
        reason: String,
    },
    /// An object can't be read.
    #[error("cannot read s3://{bucket}/{key} at byte {offset}: {reason}")]
    Read {
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: String,
        /// How far reading got.
        offset: u64,
        /// The service's answer, or the connection's end.
        reason: String,
    },
}

impl Bucket {
    /// The bucket `name`, by the region, endpoint and credentials of `config`.
    pub(crate) fn new(config: &SdkConfig, name: String) -> Self {
        let retries = RetryPartition::custom("loader").token_bucket(TokenBucket::unlimited()).build();
        let config = aws_sdk_s3::config::Builder::from(config)
            .force_path_style(has_own_s3_endpoint())
            .retry_partition(retries)
            .build();
        Self { client: Client::from_conf(config), name }
    }

    /// The `.csv` objects under a prefix, but for those under `rejected/`, in the order of their keys, up to a
    /// thousand for each page. `after` is where the page before ended; the second value where this one does.
    pub(crate) async fn page(
        &self,
        prefix: &str,
        after: Option<String>,
    ) -> Result<(Vec<Object>, Option<String>), BucketError> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).set_continuation_token(after);
        let page = request.send().await.map_err(|error| BucketError::List {
            bucket: self.name.clone(),
            prefix: prefix.to_owned(),
            reason: explain(&error),
        })?;
        let next = page.next_continuation_token().map(str::to_owned);
        Ok((csv_objects(&page), next))
    }

    /// The bytes of an object in a range. Refused if the object is no longer the version that was listed.
    pub(crate) fn read(&self, object: &Object, range: Range<u64>) -> ObjectStream {
        ObjectStream {
            bucket: self.clone(),
            object: object.clone(),
            next: range.start,
            end: range.end,
            body: None,
            backoff: Backoff::default(),
        }
    }
}

fn csv_objects(page: &ListObjectsV2Output) -> Vec<Object> {
    let object = |object: &aws_sdk_s3::types::Object| {
        let key = object.key().filter(|key| is_input(key))?;
        Some(Object {
            key: key.to_owned(),
            size: object.size().and_then(|size| u64::try_from(size).ok())?,
            modified: object.last_modified()?.fmt(DateTimeFormat::DateTime).ok()?,
            etag: object.e_tag()?.to_owned(),
        })
    };
    page.contents().iter().filter_map(object).collect()
}

/// `.csv`, lower case, as the bucket's notification has it.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "keys are case-sensitive, and so is S3's filter")]
fn is_input(key: &str) -> bool {
    key.ends_with(".csv") && !key.starts_with(REJECTED)
}

/// An object's bytes, chunk by chunk. A broken connection is taken up again where it broke.
#[derive(Debug)]
pub(crate) struct ObjectStream {
    bucket: Bucket,
    object: Object,
    next: u64,
    end: u64,
    body: Option<ByteStream>,
    backoff: Backoff,
}

impl ObjectStream {
    /// The next bytes; `None` at the end of the range.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BucketError> {
        while self.next < self.end {
            let body = if let Some(body) = &mut self.body {
                body
            } else {
                let opened = self.open().await?;
                self.body.insert(opened)
            };
            let reason = match body.try_next().await {
                Ok(Some(chunk)) if chunk.is_empty() => continue,
                Ok(Some(chunk)) => {
                    self.next += chunk.len() as u64;
                    self.backoff.reset();
                    return Ok(Some(chunk));
                }
                Ok(None) => "the body ended early".to_owned(),
                Err(error) => error.to_string(),
            };
            self.body = None;
            let Some(wait) = self.backoff.next(fastrand::f64()) else { return Err(self.error(reason)) };
            tokio::time::sleep(wait).await;
        }
        Ok(None)
    }

    async fn open(&self) -> Result<ByteStream, BucketError> {
        let request = self
            .bucket
            .client
            .get_object()
            .bucket(&self.bucket.name)
            .key(&self.object.key)
            .if_match(&self.object.etag)
            .set_range((self.next > 0 || self.end < self.object.size).then(|| self.range()));
        match request.send().await {
            Ok(output) => Ok(output.body),
            Err(error) if error.raw_response().is_some_and(|response| response.status().as_u16() == 412) => {
                Err(self.error("it was replaced since this job began; the new version has its own job".to_owned()))
            }
            Err(error) => Err(self.error(explain(&error))),
        }
    }

    fn range(&self) -> String {
        format!("bytes={}-{}", self.next, self.end - 1)
    }

    fn error(&self, reason: String) -> BucketError {
        BucketError::Read { bucket: self.bucket.name.clone(), key: self.object.key.clone(), offset: self.next, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_csv_files_outside_rejected_are_input() {
        assert!(is_input("sample.csv"));
        assert!(is_input("in/2026/rejected/a.csv"));
        assert!(!is_input("rejected/sample.csv"));
        assert!(!is_input("sample.csv.gz"));
        assert!(!is_input("sample.CSV"));
    }
}
