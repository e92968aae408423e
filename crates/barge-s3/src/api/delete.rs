//! DeleteObject and DeleteObjects.

use super::conditions::Writing;
use super::members::refuse;
use super::{Request, to_the_second};
use crate::caller::Caller;
use crate::core::{Changes, Core};
use crate::error::{Error, MALFORMED_XML, NO_SUCH_KEY, Result};
use crate::meta::{Bucket, Entry, Marker, Object, Version, VersionId, Versioning, objects, versions};
use crate::notify::{Occurrence, Subject, record};
use barge_core::AwsError;
use barge_store::rusqlite::Transaction;
use s3s::dto::{
    self, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETagCondition,
};
use std::sync::Arc;

/// Keys that one DeleteObjects may name.
const MOST_KEYS: usize = 1000;

pub(super) async fn delete_object(core: &Arc<Core>, request: Request<DeleteObjectInput>) -> Result<DeleteObjectOutput> {
    let Request { caller, input, .. } = request;
    refuse!(input; mfa = "MFA", if_match_last_modified_time = "IfMatchLastModifiedTime", if_match_size = "IfMatchSize");
    let version = VersionId::parse_optional(input.version_id.as_deref())?;
    let conditions = Writing { matches: input.if_match, none_match: None };
    let this = Arc::clone(core);
    let outcome = core
        .commit(move |tx, changes| {
            let bucket = caller.bucket(tx, &input.bucket)?;
            bucket.check_owner(input.expected_bucket_owner.as_deref())?;
            remove(&this, tx, changes, (&bucket, &caller), &input.key, version.as_ref(), &conditions)
        })
        .await?;
    let (delete_marker, version_id) = match outcome {
        Outcome::Nothing => (None, None),
        Outcome::Marked(id) | Outcome::Gone(Kind::Marker, id) => (Some(true), Some(id)),
        Outcome::Gone(Kind::Object, id) => (None, Some(id)),
    };
    Ok(DeleteObjectOutput { delete_marker, version_id, request_charged: None })
}

pub(super) async fn delete_objects(
    core: &Arc<Core>,
    request: Request<DeleteObjectsInput>,
) -> Result<DeleteObjectsOutput> {
    let Request { caller, input, .. } = request;
    refuse!(input; mfa = "MFA");
    if input.delete.objects.is_empty() || input.delete.objects.len() > MOST_KEYS {
        return Err(MALFORMED_XML.into());
    }
    let quiet = input.delete.quiet == Some(true);
    let this = Arc::clone(core);
    let (deleted, errors) = core
        .commit(move |tx, changes| {
            let bucket = caller.bucket(tx, &input.bucket)?;
            bucket.check_owner(input.expected_bucket_owner.as_deref())?;
            let (mut deleted, mut errors) = (Vec::new(), Vec::new());
            for object in input.delete.objects {
                let (key, version) = (object.key.clone(), object.version_id.clone());
                match remove_one(&this, tx, changes, (&bucket, &caller), object) {
                    Ok(outcome) => deleted.push(deletion(key, outcome)),
                    Err(error @ (Error::Store(_) | Error::Sql(_) | Error::Io(_) | Error::Json(_))) => {
                        return Err(error);
                    }
                    Err(error) => errors.push(refused(key, version, error)),
                }
            }
            Ok((deleted, errors))
        })
        .await?;
    Ok(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        request_charged: None,
    })
}

fn deletion(key: String, outcome: Outcome) -> DeletedObject {
    let (delete_marker, delete_marker_version_id, version_id) = match outcome {
        Outcome::Nothing => (None, None, None),
        Outcome::Marked(id) => (Some(true), Some(id), None),
        Outcome::Gone(Kind::Marker, id) => (Some(true), Some(id.clone()), Some(id)),
        Outcome::Gone(Kind::Object, id) => (None, None, Some(id)),
    };
    DeletedObject { key: Some(key), delete_marker, delete_marker_version_id, version_id }
}

fn refused(key: String, version_id: Option<String>, error: Error) -> dto::Error {
    let error = AwsError::from(error);
    dto::Error { code: Some(error.code.into_owned()), key: Some(key), message: Some(error.message), version_id }
}

fn remove_one(
    core: &Core,
    tx: &Transaction<'_>,
    changes: &mut Changes,
    whose: (&Bucket, &Caller),
    object: dto::ObjectIdentifier,
) -> Result<Outcome> {
    refuse!(object; last_modified_time = "LastModifiedTime", size = "Size");
    let version = VersionId::parse_optional(object.version_id.as_deref())?;
    let conditions = Writing { matches: object.e_tag.map(ETagCondition::ETag), none_match: None };
    remove(core, tx, changes, whose, &object.key, version.as_ref(), &conditions)
}

/// What a deletion did, with version ids as answers show them.
enum Outcome {
    /// An object went that had no versions, or there was none.
    Nothing,
    /// A delete marker was made.
    Marked(String),
    /// The version that was named is gone for ever, or was not there.
    Gone(Kind, String),
}

/// What a version was.
enum Kind {
    Object,
    Marker,
}

/// Removes an object or the version that is named and tells of it (User Guide, "Deleting object versions from a
/// versioning-enabled bucket"); removing nothing succeeds and is not told of.
fn remove(
    core: &Core,
    tx: &Transaction<'_>,
    changes: &mut Changes,
    (bucket, caller): (&Bucket, &Caller),
    key: &str,
    version: Option<&VersionId>,
    conditions: &Writing,
) -> Result<Outcome> {
    let found = match version {
        Some(id) => versions::find(tx, bucket.id, key, id)?,
        None => objects::find(tx, bucket.id, key)?.map(|object| Entry::Object(Box::new(object))),
    };
    let object = match &found {
        Some(Entry::Object(object)) => Some(&**object),
        _ => None,
    };
    match conditions.check(object) {
        Err(error) if !error.is(&NO_SUCH_KEY) => return Err(error),
        _ => {}
    }
    match (version, bucket.settings.versioning) {
        (None, Versioning::Enabled | Versioning::Suspended) => {
            let current = object.cloned();
            let marker = hide(core, tx, changes, (bucket, caller), key, current, Occurrence::DeleteMarkerCreated)?;
            Ok(Outcome::Marked(marker.version.name().to_owned()))
        }
        (asked, _) => {
            let kind = if matches!(found, Some(Entry::Marker(_))) { Kind::Marker } else { Kind::Object };
            if let Some(entry) = found {
                destroy(core, tx, changes, (bucket, caller), key, entry, Occurrence::Delete)?;
            }
            Ok(asked.map_or(Outcome::Nothing, |id| Outcome::Gone(kind, id.name().to_owned())))
        }
    }
}

/// Puts a delete marker in front of `current` and tells of it.
pub(crate) fn hide(
    core: &Core,
    tx: &Transaction<'_>,
    changes: &mut Changes,
    (bucket, caller): (&Bucket, &Caller),
    key: &str,
    current: Option<Object>,
    occurrence: Occurrence,
) -> Result<Marker> {
    let version = Version::next(tx, bucket.settings.versioning, &*core.ambient.ids)?;
    changes.discard(versions::make_room(tx, bucket.id, key, current, &version)?);
    let marker = Marker { key: key.to_owned(), version, modified: to_the_second(core.now()) };
    versions::mark(tx, bucket.id, &marker)?;
    record(core, tx, changes, bucket, caller, occurrence, Subject::marker(&marker))?;
    Ok(marker)
}

/// Removes a version for ever and tells of it.
pub(crate) fn destroy(
    core: &Core,
    tx: &Transaction<'_>,
    changes: &mut Changes,
    (bucket, caller): (&Bucket, &Caller),
    key: &str,
    entry: Entry,
    occurrence: Occurrence,
) -> Result<()> {
    let version = entry.version().clone();
    versions::remove(tx, bucket.id, key, &version)?;
    changes.discard(entry.into_blobs());
    record(core, tx, changes, bucket, caller, occurrence, Subject::gone(key, &version))
}
