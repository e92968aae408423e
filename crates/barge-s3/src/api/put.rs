//! PutObject, and what every operation that makes an object ends in.

use super::conditions::Writing;
use super::members::{Claims, attributes, checksum_type, given_checksums, refuse, set_checksum};
use super::{LARGEST_BODY, Request, etag, to_the_second};
use crate::blobs::{NewBlob, receive};
use crate::caller::Caller;
use crate::checksum::{self, Algorithm, Checksum, Coverage};
use crate::core::{Changes, Core};
use crate::encryption::Encryption;
use crate::error::{ENTITY_TOO_LARGE, Result};
use crate::meta::{Bucket, Detail, Object, Segment, Version, objects, versions};
use crate::notify::{Occurrence, Subject, record};
use barge_store::rusqlite::Transaction;
use http::Method;
use s3s::dto::{PutObjectInput, PutObjectOutput, StreamingBlob};
use std::sync::Arc;

/// Says in `$output` what was made.
macro_rules! say_made {
    ($output:expr, $made:expr) => {{
        $crate::api::members::say_encryption!($output, $made);
        $output.version_id = $made.version_id;
        $output.expiration = $made.expiration;
    }};
}
pub(super) use say_made;

pub(super) async fn put_object(core: &Arc<Core>, request: Request<PutObjectInput>) -> Result<PutObjectOutput> {
    let Request { caller, mut input, method, headers, trailers } = request;
    refuse!(input; write_offset_bytes = "WriteOffsetBytes");
    let attributes = attributes!(input);
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
    let conditions = Writing { matches: input.if_match.take(), none_match: input.if_none_match.take() };

    // What can be refused before the body comes is refused then; the commit looks again.
    let (early, asking, bucket, key) = (conditions.clone(), caller.clone(), input.bucket.clone(), input.key.clone());
    core.read(move |connection| {
        let bucket = asking.bucket(connection, &bucket)?;
        bucket.check_owner(input.expected_bucket_owner.as_deref())?;
        early.check(objects::find(connection, bucket.id, &key)?.as_ref())
    })
    .await?;

    let algorithm = claims.algorithm().unwrap_or(Algorithm::DEFAULT);
    let body = input.body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let received = receive(&core.blobs, body, vec![algorithm], LARGEST_BODY).await?;
    claims.verify(&received.digests, trailers.and_then(|trailers| trailers.take()).as_ref())?;

    let digests = received.digests;
    let value = digests.checksum(algorithm).unwrap_or_default().to_owned();
    let checksum = Checksum { algorithm, coverage: Coverage::FullObject, value };
    let segment = Segment { blob: received.blob.name().to_owned(), size: digests.size, part: None };
    let object = Object {
        key: input.key,
        version: Version::default(),
        size: digests.size,
        etag: hex::encode(digests.md5),
        modified: to_the_second(core.now()),
        checksum: checksum.clone(),
        detail: Detail { attributes, segments: vec![segment] },
    };
    let mut output = PutObjectOutput {
        e_tag: Some(etag(&object.etag)),
        checksum_type: Some(checksum_type(checksum.coverage)),
        ..PutObjectOutput::default()
    };
    set_checksum!(output, algorithm, checksum.value);
    let occurrence = if method == Method::POST { Occurrence::Post } else { Occurrence::Put };
    let making = Making { caller, bucket: input.bucket, object, blobs: vec![received.blob], conditions, occurrence };
    let made = commit(core, making).await?;
    say_made!(output, made);
    Ok(output)
}

/// An object about to be.
pub(super) struct Making {
    pub(super) caller: Caller,
    pub(super) bucket: String,
    /// Its version is given with the commit.
    pub(super) object: Object,
    /// The object's new blobs.
    pub(super) blobs: Vec<NewBlob>,
    pub(super) conditions: Writing,
    pub(super) occurrence: Occurrence,
}

/// What answers say of an object that was made.
pub(super) struct Made {
    pub(super) version_id: Option<String>,
    pub(super) expiration: Option<String>,
    pub(super) encryption: Option<Encryption>,
}

/// Makes an object, in front of the one before it or in its place.
pub(super) async fn commit(core: &Arc<Core>, making: Making) -> Result<Made> {
    let this = Arc::clone(core);
    core.commit(move |tx, changes| {
        let bucket = making.caller.bucket(tx, &making.bucket)?;
        let current = objects::find(tx, bucket.id, &making.object.key)?;
        making.conditions.check(current.as_ref())?;
        let whose = (&bucket, &making.caller);
        let made = insert(&this, tx, changes, whose, current, making.object, making.occurrence)?;
        making.blobs.into_iter().for_each(|blob| changes.keep(blob));
        Ok(made)
    })
    .await
}

/// Writes an object's row as the next version of its key, where `current` was, and tells of it.
pub(super) fn insert(
    core: &Core,
    tx: &Transaction<'_>,
    changes: &mut Changes,
    (bucket, caller): (&Bucket, &Caller),
    current: Option<Object>,
    object: Object,
    occurrence: Occurrence,
) -> Result<Made> {
    let version = Version::next(tx, bucket.settings.versioning, &*core.ambient.ids)?;
    let mut object = Object { version, ..object };
    let encryption = object.detail.attributes.encryption.take();
    object.detail.attributes.encryption = encryption.or_else(|| bucket.settings.encryption.clone());
    changes.discard(versions::make_room(tx, bucket.id, &object.key, current, &object.version)?);
    objects::put(tx, bucket.id, &object)?;
    record(core, tx, changes, bucket, caller, occurrence, Subject::object(&object))?;
    Ok(Made {
        version_id: bucket.shown(&object.version),
        expiration: bucket.expiration(&object),
        encryption: object.detail.attributes.encryption,
    })
}
