//! Tags of objects and buckets (Amazon S3 User Guide, "Categorizing your objects using tags").

use super::Request;
use super::members::check_version;
use super::settings::{change, look};
use crate::caller::Caller;
use crate::core::Core;
use crate::error::{INVALID_TAG, NO_SUCH_KEY, NO_SUCH_TAG_SET, Result};
use crate::meta::{Object, Tags, objects};
use crate::notify::{Occurrence, Subject, record};
use s3s::dto::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    GetBucketTaggingInput, GetBucketTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutBucketTaggingInput, PutBucketTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput, Tag, TagSet, Tagging,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tags that an object may have.
pub(crate) const OBJECT_TAGS: usize = 10;
/// Tags that a bucket may have.
pub(crate) const BUCKET_TAGS: usize = 50;

/// `InvalidTag` where tags break their limits.
pub(crate) fn check_tags(tags: &Tags, most: usize) -> Result<()> {
    let chars = |text: &str| text.chars().count();
    if tags.len() > most {
        let what = if most == OBJECT_TAGS { "Object" } else { "Bucket" };
        return Err(INVALID_TAG.because(format!("{what} tags cannot be greater than {most}")));
    }
    for (key, value) in tags {
        if key.is_empty() || chars(key) > 128 {
            return Err(INVALID_TAG.because("The TagKey you have provided is invalid"));
        }
        if chars(value) > 256 {
            return Err(INVALID_TAG.because("The TagValue you have provided is invalid"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(INVALID_TAG.because("System tags cannot be added/updated by requester"));
        }
    }
    Ok(())
}

fn tags(tagging: Tagging, most: usize) -> Result<Tags> {
    let mut tags = BTreeMap::new();
    for tag in tagging.tag_set {
        let key = tag.key.unwrap_or_default();
        if tags.insert(key, tag.value.unwrap_or_default()).is_some() {
            return Err(INVALID_TAG.because("Cannot provide multiple Tags with the same key"));
        }
    }
    check_tags(&tags, most)?;
    Ok(tags)
}

fn tag_set(tags: Tags) -> TagSet {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

/// Changes an object's tags and tells of it.
async fn retag(
    core: &Arc<Core>,
    caller: Caller,
    (bucket, key): (String, String),
    owner: Option<String>,
    tags: Tags,
    occurrence: Occurrence,
) -> Result<()> {
    let this = Arc::clone(core);
    core.commit(move |tx, changes| {
        let bucket = caller.bucket(tx, &bucket)?;
        bucket.check_owner(owner.as_deref())?;
        let mut object = objects::find(tx, bucket.id, &key)?.ok_or(NO_SUCH_KEY)?;
        object.detail.attributes.tags = tags;
        objects::put(tx, bucket.id, &object)?;
        let subject = Subject { key: &key, size: Some(object.size), etag: Some(&object.etag) };
        record(&this, tx, changes, &bucket, &caller, occurrence, subject)
    })
    .await
}

pub(super) async fn put_object_tagging(
    core: &Arc<Core>,
    request: Request<PutObjectTaggingInput>,
) -> Result<PutObjectTaggingOutput> {
    let Request { caller, input, .. } = request;
    check_version(input.version_id.as_deref())?;
    let tags = tags(input.tagging, OBJECT_TAGS)?;
    let place = (input.bucket, input.key);
    retag(core, caller, place, input.expected_bucket_owner, tags, Occurrence::TagsPut).await?;
    Ok(PutObjectTaggingOutput::default())
}

pub(super) async fn delete_object_tagging(
    core: &Arc<Core>,
    request: Request<DeleteObjectTaggingInput>,
) -> Result<DeleteObjectTaggingOutput> {
    let Request { caller, input, .. } = request;
    check_version(input.version_id.as_deref())?;
    let place = (input.bucket, input.key);
    retag(core, caller, place, input.expected_bucket_owner, Tags::new(), Occurrence::TagsDeleted).await?;
    Ok(DeleteObjectTaggingOutput::default())
}

pub(super) async fn get_object_tagging(
    core: &Arc<Core>,
    request: Request<GetObjectTaggingInput>,
) -> Result<GetObjectTaggingOutput> {
    let Request { caller, input, .. } = request;
    check_version(input.version_id.as_deref())?;
    let object: Object = core
        .read(move |connection| {
            let bucket = caller.bucket(connection, &input.bucket)?;
            bucket.check_owner(input.expected_bucket_owner.as_deref())?;
            objects::find(connection, bucket.id, &input.key)?.ok_or_else(|| NO_SUCH_KEY.into())
        })
        .await?;
    Ok(GetObjectTaggingOutput { tag_set: tag_set(object.detail.attributes.tags), version_id: None })
}

pub(super) async fn put_bucket_tagging(
    core: &Arc<Core>,
    request: Request<PutBucketTaggingInput>,
) -> Result<PutBucketTaggingOutput> {
    let Request { caller, input, .. } = request;
    let tags = tags(input.tagging, BUCKET_TAGS)?;
    change(core, caller, input.bucket, input.expected_bucket_owner, |settings| settings.tags = tags).await?;
    Ok(PutBucketTaggingOutput::default())
}

pub(super) async fn get_bucket_tagging(
    core: &Arc<Core>,
    request: Request<GetBucketTaggingInput>,
) -> Result<GetBucketTaggingOutput> {
    let Request { caller, input, .. } = request;
    let tags = look(core, caller, input.bucket, input.expected_bucket_owner).await?.tags;
    if tags.is_empty() {
        return Err(NO_SUCH_TAG_SET.into());
    }
    Ok(GetBucketTaggingOutput { tag_set: tag_set(tags) })
}

pub(super) async fn delete_bucket_tagging(
    core: &Arc<Core>,
    request: Request<DeleteBucketTaggingInput>,
) -> Result<DeleteBucketTaggingOutput> {
    let Request { caller, input, .. } = request;
    change(core, caller, input.bucket, input.expected_bucket_owner, |settings| settings.tags.clear()).await?;
    Ok(DeleteBucketTaggingOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_limits() {
        let tagging = |pairs: Vec<(String, String)>| Tagging {
            tag_set: pairs.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect(),
        };
        let many = |count: usize| (0..count).map(|n| (format!("k{n}"), String::new())).collect::<Vec<_>>();
        let one = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        for (pairs, fine) in [
            (many(10), true),
            (many(11), false),
            (one(&"é".repeat(128), &"é".repeat(256)), true),
            (one(&"k".repeat(129), ""), false),
            (one("k", &"v".repeat(257)), false),
            (one("", "v"), false),
            (one("aws:k", "v"), false),
            (vec![("k".into(), "1".into()), ("k".into(), "2".into())], false),
        ] {
            assert_eq!(tags(tagging(pairs.clone()), OBJECT_TAGS).is_ok(), fine, "{pairs:?}");
        }
    }
}
