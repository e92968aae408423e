//! UploadPart, UploadPartCopy, ListParts.

use super::copy::{source, source_conditions};
use super::listing::limit;
use super::members::{
    Claims, checksum_algorithm, checksum_type, given_checksums, refuse, say_encryption, set_checksum,
};
use super::{LARGEST_BODY, Request, count, etag, timestamp, to_the_second};
use crate::blobs::{Received, receive};
use crate::caller::{Caller, canonical_id};
use crate::checksum::{self, Algorithm};
use crate::core::Core;
use crate::error::{ENTITY_TOO_LARGE, INVALID_ARGUMENT, INVALID_REQUEST, NO_SUCH_UPLOAD, Result};
use crate::lifecycle::abortion;
use crate::meta::{Bucket, Part, Upload, uploads};
use barge_store::rusqlite::Connection;
use s3s::dto::{
    CopyPartResult, Initiator, ListPartsInput, ListPartsOutput, Owner, StreamingBlob, UploadPartCopyInput,
    UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use std::ops::Range;
use std::sync::Arc;

/// The highest part number.
const LAST_PART: i32 = 10_000;

/// Which upload a request is about.
#[derive(Clone)]
struct Place {
    caller: Caller,
    bucket: String,
    key: String,
    upload: String,
    owner: Option<String>,
}

impl Place {
    fn bucket(&self, connection: &Connection) -> Result<Bucket> {
        let bucket = self.caller.bucket(connection, &self.bucket)?;
        bucket.check_owner(self.owner.as_deref())?;
        Ok(bucket)
    }

    fn find(&self, connection: &Connection) -> Result<Upload> {
        let bucket = self.bucket(connection)?;
        uploads::find(connection, bucket.id, &self.key, &self.upload)?.ok_or_else(|| NO_SUCH_UPLOAD.into())
    }

    async fn upload(&self, core: &Core) -> Result<Upload> {
        let place = self.clone();
        core.read(move |connection| place.find(connection)).await
    }
}

fn check_number(number: i32) -> Result<u32> {
    let valid = (1..=LAST_PART).contains(&number);
    u32::try_from(number)
        .ok()
        .filter(|_| valid)
        .ok_or_else(|| INVALID_ARGUMENT.because("Part number must be an integer between 1 and 10000, inclusive"))
}

pub(super) async fn upload(core: &Arc<Core>, request: Request<UploadPartInput>) -> Result<UploadPartOutput> {
    let Request { caller, mut input, headers, trailers, .. } = request;
    refuse!(input; sse_customer_algorithm = "SSECustomerAlgorithm", sse_customer_key = "SSECustomerKey",
        sse_customer_key_md5 = "SSECustomerKeyMD5");
    let number = check_number(input.part_number)?;
    let claims = Claims::new(
        &headers,
        checksum::single(given_checksums!(input))?,
        input.checksum_algorithm.as_ref().map(s3s::dto::ChecksumAlgorithm::as_str),
        input.content_md5.as_deref(),
        input.content_length,
    )?;
    if claims.length.is_some_and(|length| length > LARGEST_BODY) {
        return Err(ENTITY_TOO_LARGE.into());
    }
    let place = Place {
        caller,
        bucket: input.bucket,
        key: input.key,
        upload: input.upload_id,
        owner: input.expected_bucket_owner,
    };
    let upload = place.upload(core).await?;
    check_algorithm(upload.plan.algorithm, claims.algorithm())?;

    let stored = upload.plan.algorithm();
    let mut algorithms = vec![stored];
    algorithms.extend(claims.algorithm().filter(|algorithm| *algorithm != stored));
    let body = input.body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let received = receive(&core.blobs, body, algorithms, LARGEST_BODY).await?;
    claims.verify(&received.digests, trailers.and_then(|trailers| trailers.take()).as_ref())?;

    let shown = claims.algorithm().unwrap_or(stored);
    let value = received.digests.checksum(shown).unwrap_or_default().to_owned();
    let part = commit(core, place, number, stored, received).await?;
    let mut output = UploadPartOutput { e_tag: Some(etag(&part.etag)), ..UploadPartOutput::default() };
    say_encryption!(output, upload.plan.attributes);
    set_checksum!(output, shown, value);
    Ok(output)
}

fn check_algorithm(planned: Option<Algorithm>, given: Option<Algorithm>) -> Result<()> {
    match (planned, given) {
        (Some(planned), Some(given)) if planned != given => Err(INVALID_REQUEST.because(format!(
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            planned.name().to_lowercase(),
            given.name().to_lowercase()
        ))),
        _ => Ok(()),
    }
}

/// Makes a part of bytes that are on disk.
async fn commit(core: &Arc<Core>, place: Place, number: u32, algorithm: Algorithm, received: Received) -> Result<Part> {
    let part = Part {
        number,
        blob: received.blob.name().to_owned(),
        size: received.digests.size,
        etag: hex::encode(received.digests.md5),
        modified: to_the_second(core.now()),
        checksum: received.digests.checksum(algorithm).unwrap_or_default().to_owned(),
    };
    core.commit(move |tx, changes| {
        let upload = place.find(tx)?;
        changes.discard(uploads::put_part(tx, &upload.id, &part)?);
        changes.keep(received.blob);
        Ok(part)
    })
    .await
}

pub(super) async fn copy(core: &Arc<Core>, request: Request<UploadPartCopyInput>) -> Result<UploadPartCopyOutput> {
    let Request { caller, mut input, .. } = request;
    refuse!(input; sse_customer_algorithm = "SSECustomerAlgorithm", sse_customer_key = "SSECustomerKey",
        sse_customer_key_md5 = "SSECustomerKeyMD5");
    let conditions = source_conditions!(input);
    let number = check_number(input.part_number)?;
    let place = Place {
        caller: caller.clone(),
        bucket: input.bucket,
        key: input.key,
        upload: input.upload_id,
        owner: input.expected_bucket_owner,
    };
    let upload = place.upload(core).await?;
    let source = source(core, &caller, &input.copy_source, input.expected_source_bucket_owner, &conditions).await?;
    let size = source.object.size;
    let range = input.copy_source_range.map_or(Ok(0..size), |range| source_range(&range, size))?;
    if range.end - range.start > LARGEST_BODY {
        return Err(INVALID_REQUEST.because(format!(
            "The specified copy source is larger than the maximum allowable size for a copy source: {LARGEST_BODY}"
        )));
    }
    let (algorithm, copy_source_version_id) = (upload.plan.algorithm(), source.version_id.clone());
    let received = source.join(core, range, algorithm).await?;
    let part = commit(core, place, number, algorithm, received).await?;
    let mut result = CopyPartResult {
        e_tag: Some(etag(&part.etag)),
        last_modified: Some(timestamp(part.modified)),
        ..CopyPartResult::default()
    };
    if upload.plan.algorithm.is_some() {
        set_checksum!(result, algorithm, part.checksum);
    }
    let mut output = UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id,
        ..UploadPartCopyOutput::default()
    };
    say_encryption!(output, upload.plan.attributes);
    Ok(output)
}

/// `bytes=FIRST-LAST`, both of which must lie within the source.
fn source_range(text: &str, size: u64) -> Result<Range<u64>> {
    let bounds = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let bounds = bounds.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    let (first, last) = bounds.filter(|(first, last)| first <= last).ok_or_else(|| {
        INVALID_ARGUMENT.because(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
        )
    })?;
    if last >= size {
        return Err(INVALID_ARGUMENT.because(format!("Range specified is not valid for source object of size: {size}")));
    }
    Ok(first..last + 1)
}

pub(super) async fn list(core: &Arc<Core>, request: Request<ListPartsInput>) -> Result<ListPartsOutput> {
    let Request { caller, input, .. } = request;
    let max_parts = limit(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or(0);
    let after = u32::try_from(marker).map_err(|_| INVALID_ARGUMENT)?;
    let owner = canonical_id(&caller.scope);
    let place = Place {
        caller,
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        upload: input.upload_id.clone(),
        owner: input.expected_bucket_owner,
    };
    let limit = usize::try_from(max_parts).unwrap_or(0);
    let (upload, mut parts, due) = core
        .read(move |connection| {
            let upload = place.find(connection)?;
            let parts = uploads::parts(connection, &upload.id, after, limit + 1)?;
            let rules = place.bucket(connection)?.settings.lifecycle;
            let due = abortion(&rules, &upload.key, upload.initiated);
            let due = due.map(|due| (timestamp(due.at), due.rule.id.clone()));
            Ok((upload, parts, due))
        })
        .await?;
    let truncated = parts.len() > limit && limit > 0;
    parts.truncate(limit);
    let next = parts.last().map(|part| count(part.number as usize));
    let (abort_date, abort_rule_id) = due.unzip();
    let algorithm = upload.plan.algorithm;
    let entry = |part: Part| {
        let mut entry = s3s::dto::Part {
            part_number: Some(count(part.number as usize)),
            size: i64::try_from(part.size).ok(),
            e_tag: Some(etag(&part.etag)),
            last_modified: Some(timestamp(part.modified)),
            ..s3s::dto::Part::default()
        };
        if let Some(algorithm) = algorithm {
            set_checksum!(entry, algorithm, part.checksum);
        }
        entry
    };
    Ok(ListPartsOutput {
        abort_date,
        abort_rule_id,
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: next.filter(|_| truncated),
        max_parts: Some(max_parts),
        is_truncated: Some(truncated),
        parts: Some(parts.into_iter().map(entry).collect()),
        owner: Some(Owner { id: Some(owner.clone()), display_name: None }),
        initiator: Some(Initiator { id: Some(owner), display_name: None }),
        storage_class: Some(upload.plan.attributes.storage_class().to_owned().into()),
        checksum_algorithm: algorithm.map(checksum_algorithm),
        checksum_type: algorithm.map(|_| checksum_type(upload.plan.coverage)),
        ..ListPartsOutput::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_sources() {
        for (text, range) in [
            ("bytes=0-9", Some(0..10)),
            ("bytes=3-3", Some(3..4)),
            ("bytes=0-10", None),
            ("bytes=5-4", None),
            ("bytes=5-", None),
            ("bytes=-5", None),
            ("0-9", None),
        ] {
            assert_eq!(source_range(text, 10).ok(), range, "{text}");
        }
    }

    #[test]
    fn part_numbers() {
        for (number, valid) in [(0, false), (1, true), (10_000, true), (10_001, false), (-1, false)] {
            assert_eq!(check_number(number).is_ok(), valid, "{number}");
        }
    }
}
