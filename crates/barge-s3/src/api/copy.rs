//! CopyObject, and the source that it shares with UploadPartCopy.

use super::conditions::{Reading, Writing};
use super::get::{Place, open};
use super::members::{attributes, checksum_type, set_checksum};
use super::put::{Making, commit, say_made};
use super::{LARGEST_BODY, Request, etag, timestamp, to_the_second};
use crate::blobs::{self, Digests, NewBlob, Pinned, Received};
use crate::caller::Caller;
use crate::checksum::{Algorithm, Checksum, Coverage};
use crate::core::Core;
use crate::error::{Error, INVALID_ARGUMENT, INVALID_REQUEST, Result};
use crate::meta::{Attributes, Detail, Object, Segment, Version, VersionId};
use crate::notify::Occurrence;
use s3s::dto::{CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, MetadataDirective, TaggingDirective};
use std::ops::Range;
use std::sync::Arc;

/// What a copy's source headers say.
macro_rules! source_conditions {
    ($input:expr) => {{
        $crate::api::members::refuse!($input;
            copy_source_sse_customer_algorithm = "CopySourceSSECustomerAlgorithm",
            copy_source_sse_customer_key = "CopySourceSSECustomerKey",
            copy_source_sse_customer_key_md5 = "CopySourceSSECustomerKeyMD5");
        $crate::api::conditions::Reading {
            matches: $input.copy_source_if_match.take(),
            none_match: $input.copy_source_if_none_match.take(),
            modified_since: $input.copy_source_if_modified_since.take(),
            unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    }};
}
pub(super) use source_conditions;

/// A copy's source.
pub(super) struct Source {
    pub(super) bucket: String,
    pub(super) object: Object,
    /// As answers show it.
    pub(super) version_id: Option<String>,
    pub(super) choice: Choice,
    pub(super) pinned: Pinned,
}

/// Whether the client names the version to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Newest,
    Version,
}

/// Finds a copy's source and checks its conditions.
pub(super) async fn source(
    core: &Arc<Core>,
    caller: &Caller,
    source: &CopySource,
    owner: Option<String>,
    conditions: &Reading,
) -> Result<Source> {
    let CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(INVALID_ARGUMENT.because("Barge has no access points to copy from"));
    };
    let version = VersionId::parse_optional(version_id.as_deref())?;
    let choice = if version.is_some() { Choice::Version } else { Choice::Newest };
    let place = Place { caller: caller.clone(), bucket: bucket.to_string(), key: key.to_string(), version, owner };
    let (bucket, object, pinned) = open(core, &place).await.map_err(|error| match error {
        Error::IsMarker { .. } => INVALID_REQUEST
            .because("The source of a copy request may not specifically refer to a delete marker by version id."),
        error => error,
    })?;
    conditions.check_source(&object)?;
    Ok(Source { version_id: bucket.shown(&object.version), bucket: bucket.name, object, choice, pinned })
}

impl Source {
    /// The bytes of `range` as one new blob, with digests.
    pub(super) async fn join(self, core: &Arc<Core>, range: Range<u64>, algorithm: Algorithm) -> Result<Received> {
        let blobs = Arc::clone(&core.blobs);
        let joining = tokio::task::spawn_blocking(move || {
            blobs::concatenate(&blobs, self.pinned, self.object.pieces(range), &[algorithm])
        });
        Ok(joining.await??)
    }
}

/// A copied body.
struct Copied {
    blob: NewBlob,
    size: u64,
    etag: String,
    checksum: Checksum,
}

impl Copied {
    fn of(blob: NewBlob, digests: &Digests, algorithm: Algorithm) -> Self {
        let value = digests.checksum(algorithm).unwrap_or_default().to_owned();
        let checksum = Checksum { algorithm, coverage: Coverage::FullObject, value };
        Self { blob, size: digests.size, etag: hex::encode(digests.md5), checksum }
    }
}

pub(super) async fn copy_object(core: &Arc<Core>, request: Request<CopyObjectInput>) -> Result<CopyObjectOutput> {
    let Request { caller, mut input, .. } = request;
    let conditions = source_conditions!(input);
    let given = attributes!(input);
    let algorithm =
        input.checksum_algorithm.as_ref().map(|algorithm| Algorithm::parse(algorithm.as_str())).transpose()?;
    let replace_metadata = directive(input.metadata_directive.as_ref().map(MetadataDirective::as_str), "metadata")?;
    let replace_tags = directive(input.tagging_directive.as_ref().map(TaggingDirective::as_str), "tagging")?;

    let (target, key, owner) = (input.bucket.clone(), input.key.clone(), input.expected_bucket_owner.clone());
    let asking = caller.clone();
    core.read(move |connection| asking.bucket(connection, &target)?.check_owner(owner.as_deref())).await?;
    let source = source(core, &caller, &input.copy_source, input.expected_source_bucket_owner, &conditions).await?;
    if source.object.size > LARGEST_BODY {
        return Err(INVALID_REQUEST.because(format!(
            "The specified copy source is larger than the maximum allowable size for a copy source: {LARGEST_BODY}"
        )));
    }
    let same = source.bucket == input.bucket && source.object.key == key && source.choice == Choice::Newest;
    let changed = replace_metadata || given.encryption.is_some();
    if same && !changed && given.storage_class() == source.object.detail.attributes.storage_class() {
        return Err(INVALID_REQUEST.because(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let attributes = merge(&source.object.detail.attributes, given, replace_metadata, replace_tags);
    let copy_source_version_id = source.version_id.clone();
    let copied = copy_body(core, source, algorithm).await?;
    let segment = Segment { blob: copied.blob.name().to_owned(), size: copied.size, part: None };
    let object = Object {
        key,
        version: Version::default(),
        size: copied.size,
        etag: copied.etag.clone(),
        modified: to_the_second(core.now()),
        checksum: copied.checksum.clone(),
        detail: Detail { attributes, segments: vec![segment] },
    };
    let mut result = CopyObjectResult {
        e_tag: Some(etag(&object.etag)),
        last_modified: Some(timestamp(object.modified)),
        checksum_type: Some(checksum_type(copied.checksum.coverage)),
        ..CopyObjectResult::default()
    };
    set_checksum!(result, copied.checksum.algorithm, copied.checksum.value);
    let making = Making {
        caller,
        bucket: input.bucket,
        object,
        blobs: vec![copied.blob],
        conditions: Writing::default(),
        occurrence: Occurrence::Copy,
    };
    let made = commit(core, making).await?;
    let mut output =
        CopyObjectOutput { copy_object_result: Some(result), copy_source_version_id, ..CopyObjectOutput::default() };
    say_made!(output, made);
    Ok(output)
}

/// Whether a directive says to replace.
fn directive(given: Option<&str>, what: &str) -> Result<bool> {
    match given {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(INVALID_ARGUMENT.because(format!("Unknown {what} directive."))),
    }
}

fn merge(source: &Attributes, given: Attributes, replace_metadata: bool, replace_tags: bool) -> Attributes {
    let tags = if replace_tags { given.tags.clone() } else { source.tags.clone() };
    let (storage_class, encryption) = (given.storage_class.clone(), given.encryption.clone());
    let rest = if replace_metadata { given } else { source.clone() };
    Attributes { tags, storage_class, encryption, ..rest }
}

/// Copies a body: by a link where that gives what AWS would, byte by byte where the copy needs digests of its own.
async fn copy_body(core: &Arc<Core>, source: Source, algorithm: Option<Algorithm>) -> Result<Copied> {
    let known = &source.object.checksum;
    let wanted = algorithm.unwrap_or(known.algorithm);
    let (blobs, size) = (Arc::clone(&core.blobs), source.object.size);
    if let ([segment], true) =
        (&source.object.detail.segments[..], source.object.parts().is_none() && wanted == known.algorithm)
    {
        let (name, etag, checksum) = (segment.blob.clone(), source.object.etag.clone(), known.clone());
        let pinned = source.pinned;
        let linking = tokio::task::spawn_blocking(move || {
            let link = blobs.link(&name);
            drop(pinned);
            link
        });
        return Ok(Copied { blob: linking.await??, size, etag, checksum });
    }
    let joined = source.join(core, 0..size, wanted).await?;
    Ok(Copied::of(joined.blob, &joined.digests, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn attributes(kind: &str, tag: &str, class: Option<&str>) -> Attributes {
        Attributes {
            content_type: Some(kind.into()),
            tags: BTreeMap::from([(tag.into(), String::new())]),
            storage_class: class.map(str::to_owned),
            ..Attributes::default()
        }
    }

    #[test]
    fn a_copy_takes_what_the_directives_say() {
        let (source, given) = (attributes("old", "old", Some("STANDARD_IA")), attributes("new", "new", None));
        for (metadata, tags, expected) in [
            (false, false, attributes("old", "old", None)),
            (true, false, attributes("new", "old", None)),
            (false, true, attributes("old", "new", None)),
            (true, true, attributes("new", "new", None)),
        ] {
            assert_eq!(merge(&source, given.clone(), metadata, tags), expected);
        }
        assert!(directive(Some("MOVE"), "metadata").is_err());
    }
}
