//! GetObject and HeadObject.

use super::conditions::Reading;
use super::members::{checksum_type, refuse, say_encryption, set_checksum};
use super::{Request, count, etag, timestamp};
use crate::blobs::{self, Pinned};
use crate::caller::Caller;
use crate::core::Core;
use crate::error::{Error, INVALID_PART_NUMBER, INVALID_REQUEST, NO_SUCH_KEY, NO_SUCH_VERSION, Result};
use crate::meta::{Bucket, Entry, Object, VersionId, objects, versions};
use barge_store::rusqlite::Connection;
use s3s::dto::{self, ChecksumMode, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// How often a read starts over because the object was replaced between finding and pinning it.
const TRIES: usize = 16;

/// Which object an operation is about.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) caller: Caller,
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// `None` for the newest version.
    pub(crate) version: Option<VersionId>,
    pub(crate) owner: Option<String>,
}

impl Place {
    /// The bucket, in the caller's region, and the object.
    pub(super) async fn find(&self, core: &Core) -> Result<(Bucket, Object)> {
        let place = self.clone();
        core.read(move |connection| {
            let bucket = place.bucket(connection)?;
            let object = place.object(connection, &bucket)?;
            Ok((bucket, object))
        })
        .await
    }

    /// The bucket, in the caller's region.
    pub(super) fn bucket(&self, connection: &Connection) -> Result<Bucket> {
        let bucket = self.caller.bucket(connection, &self.bucket)?;
        bucket.check_owner(self.owner.as_deref())?;
        Ok(bucket)
    }

    /// `NoSuchKey`, `NoSuchVersion`, or what a delete marker answers with, where there is no object.
    pub(super) fn object(&self, connection: &Connection, bucket: &Bucket) -> Result<Object> {
        let Some(id) = &self.version else {
            return match objects::find(connection, bucket.id, &self.key)? {
                Some(object) => Ok(object),
                None => Err(match versions::current_marker(connection, bucket.id, &self.key)? {
                    Some(marker) => Error::Deleted { marker: marker.version.name().to_owned() },
                    None => NO_SUCH_KEY.into(),
                }),
            };
        };
        match versions::find(connection, bucket.id, &self.key, id)? {
            Some(Entry::Object(object)) => Ok(*object),
            Some(Entry::Marker(marker)) => {
                Err(Error::IsMarker { marker: marker.version.name().to_owned(), modified: marker.modified })
            }
            None => Err(NO_SUCH_VERSION.into()),
        }
    }
}

/// The object that `$input` names.
macro_rules! place {
    ($caller:expr, $input:expr) => {
        $crate::api::get::Place {
            caller: $caller,
            bucket: $input.bucket,
            key: $input.key,
            version: $crate::meta::VersionId::parse_optional($input.version_id.as_deref())?,
            owner: $input.expected_bucket_owner,
        }
    };
}
pub(super) use place;

/// An object of the caller's in a bucket of any region, and its body, pinned.
pub(crate) async fn open(core: &Arc<Core>, place: &Place) -> Result<(Bucket, Object, Pinned)> {
    for _ in 0..TRIES {
        let asked = place.clone();
        let (bucket, object) = core
            .read(move |connection| {
                let bucket = asked.caller.bucket_anywhere(connection, &asked.bucket)?;
                bucket.check_owner(asked.owner.as_deref())?;
                let object = asked.object(connection, &bucket)?;
                Ok((bucket, object))
            })
            .await?;
        if let Some(pinned) = pin(core, &object).await? {
            return Ok((bucket, object, pinned));
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
    ($output:expr, $place:expr, $bucket:expr, $object:expr, $selection:expr, $mode:expr) => {{
        $output.version_id = $bucket.shown(&$object.version);
        // Only current versions expire, whatever the client knows this one by.
        $output.expiration = $place.version.is_none().then(|| $bucket.expiration(&$object)).flatten();
        let attributes = $object.detail.attributes;
        say_encryption!($output, attributes);
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
    let place = place!(caller, input);
    for _ in 0..TRIES {
        let (bucket, object) = place.find(core).await?;
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
        describe!(output, place, bucket, object, selection, input.checksum_mode);
        return Ok(output);
    }
    Err(missing_body())
}

pub(super) async fn head_object(core: &Arc<Core>, request: Request<HeadObjectInput>) -> Result<HeadObjectOutput> {
    let Request { caller, mut input, .. } = request;
    let conditions = reading!(input);
    let place = place!(caller, input);
    let (bucket, object) = place.find(core).await?;
    conditions.check(&object)?;
    let selection = select(&object, input.range.as_ref(), input.part_number)?;
    let mut output = HeadObjectOutput::default();
    describe!(output, place, bucket, object, selection, input.checksum_mode);
    Ok(output)
}
