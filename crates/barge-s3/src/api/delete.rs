//! DeleteObject and DeleteObjects.

use super::Request;
use super::conditions::Writing;
use super::members::{check_version, refuse};
use crate::caller::Caller;
use crate::core::{Changes, Core};
use crate::error::{Error, MALFORMED_XML, NO_SUCH_KEY, Result};
use crate::meta::{Bucket, objects};
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
    check_version(input.version_id.as_deref())?;
    let conditions = Writing { matches: input.if_match, none_match: None };
    let this = Arc::clone(core);
    core.commit(move |tx, changes| {
        let bucket = caller.bucket(tx, &input.bucket)?;
        bucket.check_owner(input.expected_bucket_owner.as_deref())?;
        remove(&this, tx, changes, (&bucket, &caller), &input.key, &conditions)
    })
    .await?;
    Ok(DeleteObjectOutput::default())
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
                let key = object.key.clone();
                match remove_one(&this, tx, changes, (&bucket, &caller), object) {
                    Ok(()) => deleted.push(DeletedObject { key: Some(key), ..DeletedObject::default() }),
                    Err(error @ (Error::Store(_) | Error::Sql(_) | Error::Io(_) | Error::Json(_))) => {
                        return Err(error);
                    }
                    Err(error) => errors.push(refused(key, error)),
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

fn refused(key: String, error: Error) -> dto::Error {
    let error = AwsError::from(error);
    dto::Error { code: Some(error.code.into_owned()), key: Some(key), message: Some(error.message), version_id: None }
}

fn remove_one(
    core: &Core,
    tx: &Transaction<'_>,
    changes: &mut Changes,
    whose: (&Bucket, &Caller),
    object: dto::ObjectIdentifier,
) -> Result<()> {
    refuse!(object; last_modified_time = "LastModifiedTime", size = "Size");
    check_version(object.version_id.as_deref())?;
    let conditions = Writing { matches: object.e_tag.map(ETagCondition::ETag), none_match: None };
    remove(core, tx, changes, whose, &object.key, &conditions)
}

/// Removes an object and tells of it; removing nothing succeeds and is not told of.
fn remove(
    core: &Core,
    tx: &Transaction<'_>,
    changes: &mut Changes,
    (bucket, caller): (&Bucket, &Caller),
    key: &str,
    conditions: &Writing,
) -> Result<()> {
    let current = objects::find(tx, bucket.id, key)?;
    match conditions.check(current.as_ref()) {
        Err(error) if !error.is(&NO_SUCH_KEY) => return Err(error),
        _ => {}
    }
    let Some(object) = current else { return Ok(()) };
    objects::delete(tx, bucket.id, key)?;
    changes.discard(object.blobs());
    let subject = Subject { key, size: None, etag: None };
    record(core, tx, changes, bucket, caller, Occurrence::Delete, subject)
}
