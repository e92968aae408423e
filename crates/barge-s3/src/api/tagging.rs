//! Tags of objects and buckets (Amazon S3 User Guide, "Categorizing your objects using tags").

use super::Request;
use super::get::{Place, place};
use super::settings::{change, look};
use crate::core::Core;
use crate::error::{INVALID_TAG, NO_SUCH_TAG_SET, Result};
use crate::meta::{Tags, versions};
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

/// Changes an object's tags and tells of it. Gives the version as answers show it.
async fn retag(core: &Arc<Core>, place: Place, tags: Tags, occurrence: Occurrence) -> Result<Option<String>> {
    let this = Arc::clone(core);
    core.commit(move |tx, changes| {
        let bucket = place.bucket(tx)?;
        let mut object = place.object(tx, &bucket)?;
        object.detail.attributes.tags = tags;
        versions::update(tx, bucket.id, &object)?;
        record(&this, tx, changes, &bucket, &place.caller, occurrence, Subject::object(&object))?;
        Ok(bucket.shown(&object.version))
    })
    .await
}

pub(super) async fn put_object_tagging(
    core: &Arc<Core>,
    request: Request<PutObjectTaggingInput>,
) -> Result<PutObjectTaggingOutput> {
    let Request { caller, input, .. } = request;
    let tags = tags(input.tagging, OBJECT_TAGS)?;
    let version_id = retag(core, place!(caller, input), tags, Occurrence::TagsPut).await?;
    Ok(PutObjectTaggingOutput { version_id })
}

pub(super) async fn delete_object_tagging(
    core: &Arc<Core>,
    request: Request<DeleteObjectTaggingInput>,
) -> Result<DeleteObjectTaggingOutput> {
    let Request { caller, input, .. } = request;
    let version_id = retag(core, place!(caller, input), Tags::new(), Occurrence::TagsDeleted).await?;
    Ok(DeleteObjectTaggingOutput { version_id })
}

pub(super) async fn get_object_tagging(
    core: &Arc<Core>,
    request: Request<GetObjectTaggingInput>,
) -> Result<GetObjectTaggingOutput> {
    let Request { caller, input, .. } = request;
    let (bucket, object) = place!(caller, input).find(core).await?;
    let version_id = bucket.shown(&object.version);
    Ok(GetObjectTaggingOutput { tag_set: tag_set(object.detail.attributes.tags), version_id })
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
