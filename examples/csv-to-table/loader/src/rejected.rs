//! The file of rejected rows, `rejected/KEY`: a CSV of line number, reason and the row as it stood. It is uploaded in
//! parts as it grows, so that its size is no matter.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use csv_to_table_client::explain;

use crate::bucket::{Bucket, REJECTED};
use crate::row::Reason;

/// How much is held before it is uploaded. S3 takes 10,000 parts, so this allows 80 GB of rejected rows.
const PART: usize = 8 * 1024 * 1024;

/// Rejected rows can't be put away. The job must then fail: it has nowhere to leave them.
#[derive(Debug, thiserror::Error)]
#[error("cannot write s3://{bucket}/{key}: {reason}")]
pub(crate) struct RejectedError {
    bucket: String,
    key: String,
    reason: String,
}

/// The rejected rows of one file. Nothing is written unless there are some, and nothing is there to see until
/// [`RejectedFile::finish`].
#[derive(Debug)]
pub(crate) struct RejectedFile {
    bucket: Bucket,
    key: String,
    held: Vec<u8>,
    upload: Option<Upload>,
}

#[derive(Debug)]
struct Upload {
    id: String,
    parts: Vec<CompletedPart>,
}

impl RejectedFile {
    /// The file for the rejected rows of `key`, its name ended by `suffix`.
    pub(crate) fn new(bucket: Bucket, key: &str, suffix: &str) -> Self {
        Self { bucket, key: format!("{REJECTED}{key}{suffix}"), held: Vec::new(), upload: None }
    }

    /// Its key in the bucket.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Takes a row. `line` counts from 1, in the file that is loaded.
    pub(crate) async fn add(&mut self, line: u64, reason: &Reason, row: &[u8]) -> Result<(), RejectedError> {
        if self.held.is_empty() && self.upload.is_none() {
            self.held.extend_from_slice(b"line,reason,row\n");
        }
        append(&mut self.held, line, reason, row);
        if self.held.len() < PART {
            return Ok(());
        }
        let mut upload = match self.upload.take() {
            Some(upload) => upload,
            None => self.begin().await?,
        };
        let sent = self.send_part(&mut upload).await;
        self.upload = Some(upload);
        sent
    }

    /// Makes the file visible, if there is anything in it.
    pub(crate) async fn finish(mut self) -> Result<(), RejectedError> {
        let Some(mut upload) = self.upload.take() else {
            return if self.held.is_empty() { Ok(()) } else { self.put().await };
        };
        if !self.held.is_empty() {
            self.send_part(&mut upload).await?;
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(upload.parts)).build();
        let request = self.bucket.client.complete_multipart_upload().multipart_upload(parts).upload_id(upload.id);
        let sent = request.bucket(&self.bucket.name).key(&self.key).send().await;
        sent.map(drop).map_err(|error| self.error(explain(&error)))
    }

    /// Forgets what was taken, parts already uploaded included, as far as the bucket can be reached.
    pub(crate) async fn abandon(self) {
        if let Some(upload) = self.upload {
            let request = self.bucket.client.abort_multipart_upload().bucket(self.bucket.name).key(self.key);
            // The run has failed already, and its reason is what the user must see.
            let _ = request.upload_id(upload.id).send().await;
        }
    }

    async fn put(mut self) -> Result<(), RejectedError> {
        let body = ByteStream::from(std::mem::take(&mut self.held));
        let request = self.bucket.client.put_object().bucket(&self.bucket.name).key(&self.key);
        let sent = request.content_type("text/csv").body(body).send().await;
        sent.map(drop).map_err(|error| self.error(explain(&error)))
    }

    async fn begin(&self) -> Result<Upload, RejectedError> {
        let request = self.bucket.client.create_multipart_upload().bucket(&self.bucket.name).key(&self.key);
        let upload = request.content_type("text/csv").send().await.map_err(|error| self.error(explain(&error)))?;
        let id = upload.upload_id().ok_or_else(|| self.error("the upload has no id".to_owned()))?;
        Ok(Upload { id: id.to_owned(), parts: Vec::new() })
    }

    async fn send_part(&mut self, upload: &mut Upload) -> Result<(), RejectedError> {
        let number = i32::try_from(upload.parts.len() + 1).unwrap_or(i32::MAX);
        let body = ByteStream::from(std::mem::take(&mut self.held));
        let request = self.bucket.client.upload_part().bucket(&self.bucket.name).key(&self.key);
        let sent = request.upload_id(&upload.id).part_number(number).body(body).send().await;
        let part = sent.map_err(|error| self.error(explain(&error)))?;
        upload.parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(part.e_tag)
                .set_checksum_crc32(part.checksum_crc32)
                .build(),
        );
        Ok(())
    }

    fn error(&self, reason: String) -> RejectedError {
        RejectedError { bucket: self.bucket.name.clone(), key: self.key.clone(), reason }
    }
}

fn append(file: &mut Vec<u8>, line: u64, reason: &Reason, row: &[u8]) {
    file.extend_from_slice(line.to_string().as_bytes());
    for field in [reason.to_string().as_bytes(), row] {
        file.extend_from_slice(b",\"");
        for &byte in field {
            if byte == b'"' {
                file.push(b'"');
            }
            file.push(byte);
        }
        file.push(b'"');
    }
    file.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_row_is_one_field_byte_for_byte() {
        let mut file = Vec::new();
        append(&mut file, 7, &Reason::EmptyKey("ProductId".to_owned()), b",\"a\nb\",\xFF");
        assert_eq!(file, b"7,\"ProductId is empty\",\",\"\"a\nb\"\",\xFF\"\n");
    }
}
