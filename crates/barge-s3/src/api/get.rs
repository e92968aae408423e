//! GetObject and HeadObject.

use super::conditions::Reading;
use super::members::{check_version, checksum_type, refuse, set_checksum};
use super::{Request, count, etag, timestamp};
use crate::blobs::{self, Pinned};
use crate::caller::Caller;
use crate::core::Core;
use crate::error::{Error, INVALID_PART_NUMBER, INVALID_REQUEST, NO_SUCH_KEY, Result};
use crate::meta::{Object, objects};
use s3s::dto::{self, ChecksumMode, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// How often a read starts over because the object was replaced between finding and pinning it.
const TRIES: usize = 16;

/// An object of the caller's in a bucket of any region, and its body, pinned.
pub(crate) async fn open(
    core: &Arc<Core>,
    caller: &Caller,
    bucket: &str,
    key: &str,
    owner: Option<String>,
) -> Result<(Object, Pinned)> {
    for _ in 0..TRIES {
        let object =
            find(core, caller.clone(), bucket.to_owned(), key.to_owned(), owner.clone(), Caller::bucket_anywhere);
        let object = object.await?;
        if let Some(pinned) = pin(core, &object).await? {
            return Ok((object, pinned));
        }
    }
    Err(missing_body())
}

fn missing_body() -> Error {
    io::Error::other("an object's body is gone").into()
}

async fn pin(core: &Arc<Core>, object: &Object) -> Result<Option<Pinned>> {
    let (blobs, names) = (Arc::clone(&core.blobs), object.blobs());
    Ok(tokio::task::spawn_blocking(move || blobs.pin(names)).await?)
}

type FindBucket = fn(&Caller, &barge_store::rusqlite::Connection, &str) -> Result<crate::meta::Bucket>;

async fn find(
    core: &Core,
    caller: Caller,
    bucket: String,
    key: String,
    owner: Option<String>,
    find_bucket: FindBucket,
) -> Result<Object> {
    core.read(move |connection| {
        let bucket = find_bucket(&caller, connection, &bucket)?;
        bucket.check_owner(owner.as_deref())?;
        objects::find(connection, bucket.id, &key)?.ok_or_else(|| NO_SUCH_KEY.into())
    })
    .await
}

/// Which bytes of an object are wanted.
#[derive(Debug, PartialEq)]
struct Selection {
    range: Range<u64>,
    content_range: Option<String>,
    parts: Option<usize>,
    /// The part's checksum, or the object's where all of it is wanted.
    checksum: Option<(String, crate::checksum::Coverage)>,
}

fn select(object: &Object, range: Option<&dto::Range>, part: Option<i32>) -> Result<Selection> {
    let whole = 0..object.size;
    let content_range = |range: &Range<u64>| {
        (range.end > range.start).then(|| format!("bytes {}-{}/{}", range.start, range.end - 1, object.size))
    };
    match (range, part) {
        (Some(_), Some(_)) => {
            Err(INVALID_REQUEST.because("Cannot specify both Range header and partNumber query parameter"))
        }
        (Some(range), None) => {
            // A suffix of an empty object is nothing, which no range can say.
            let found = range.check(object.size).ok().filter(|range| !range.is_empty());
            let range = found.ok_or(Error::InvalidRange { size: object.size })?;
            let checksum = (range == whole).then(|| (object.checksum.value.clone(), object.checksum.coverage));
            Ok(Selection { content_range: content_range(&range), range, parts: None, checksum })
        }
        (None, Some(part)) => {
            let number = usize::try_from(part).unwrap_or(0);
            let range = object.part_range(number).ok_or(INVALID_PART_NUMBER)?;
            let origin = object.detail.segments.get(number - 1).and_then(|segment| segment.part.as_ref());
            let checksum = match origin {
                Some(origin) => (origin.checksum.clone(), object.checksum.coverage),
                None => (object.checksum.value.clone(), object.checksum.coverage),
            };
            let selection = Selection {
                content_range: content_range(&range),
                range,
                parts: object.parts(),
                checksum: Some(checksum),
            };
            Ok(selection)
        }
        (None, None) => Ok(Selection {
            range: whole,
            content_range: None,
            parts: None,
            checksum: Some((object.checksum.value.clone(), object.checksum.coverage)),
        }),
    }
}

/// The members that GetObject and HeadObject share.
macro_rules! describe {
    ($output:expr, $object:expr, $selection:expr, $mode:expr) => {{
        let attributes = $object.detail.attributes;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = i64::try_from($selection.range.end - $selection.range.start).ok();
        $output.content_range = $selection.content_range;
        $output.parts_count = $selection.parts.map(count);
        $output.e_tag = Some(etag(&$object.etag));
        $output.last_modified = Some(timestamp($object.modified));
        $output.content_type = Some(attributes.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.content_encoding = attributes.content_encoding;
        $output.content_language = attributes.content_language;
        $output.content_disposition = attributes.content_disposition;
        $output.cache_control = attributes.cache_control;
        $output.expires = attributes.expires.map(timestamp);
        $output.storage_class = attributes.storage_class.map(Into::into);
        $output.metadata = Some(attributes.metadata.into_iter().collect());
        let wanted = $mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        if let Some((value, coverage)) = $selection.checksum
            && wanted
        {
            set_checksum!($output, $object.checksum.algorithm, value);
            $output.checksum_type = Some(checksum_type(coverage));
        }
    }};
}

/// What an operation that reads an object says of it.
macro_rules! reading {
    ($input:expr) => {{
        refuse!($input; sse_customer_algorithm = "SSECustomerAlgorithm", sse_customer_key = "SSECustomerKey",
            sse_customer_key_md5 = "SSECustomerKeyMD5");
        check_version($input.version_id.as_deref())?;
        Reading {
            matches: $input.if_match.take(),
            none_match: $input.if_none_match.take(),
            modified_since: $input.if_modified_since.take(),
            unmodified_since: $input.if_unmodified_since.take(),
        }
    }};
}

pub(super) async fn get_object(core: &Arc<Core>, request: Request<GetObjectInput>) -> Result<GetObjectOutput> {
    let Request { caller, mut input, .. } = request;
    let conditions = reading!(input);
    for _ in 0..TRIES {
        let (bucket, key, owner) = (input.bucket.clone(), input.key.clone(), input.expected_bucket_owner.clone());
        let object = find(core, caller.clone(), bucket, key, owner, Caller::bucket).await?;
        conditions.check(&object)?;
        let selection = select(&object, input.range.as_ref(), input.part_number)?;
        let Some(pinned) = pin(core, &object).await? else { continue };
        let body = blobs::stream(pinned, object.pieces(selection.range.clone())).await?;
        let tags = object.detail.attributes.tags.len();
        let mut output = GetObjectOutput {
            body: Some(body),
            tag_count: (tags > 0).then(|| count(tags)),
            ..GetObjectOutput::default()
        };
        describe!(output, object, selection, input.checksum_mode);
        return Ok(output);
    }
    Err(missing_body())
}

pub(super) async fn head_object(core: &Arc<Core>, request: Request<HeadObjectInput>) -> Result<HeadObjectOutput> {
    let Request { caller, mut input, .. } = request;
    let conditions = reading!(input);
    let object = find(core, caller, input.bucket, input.key, input.expected_bucket_owner, Caller::bucket).await?;
    conditions.check(&object)?;
    let selection = select(&object, input.range.as_ref(), input.part_number)?;
    let mut output = HeadObjectOutput::default();
    describe!(output, object, selection, input.checksum_mode);
    Ok(output)
}
