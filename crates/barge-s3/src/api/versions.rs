//! PutBucketVersioning, GetBucketVersioning, ListObjectVersions (Amazon S3 User Guide, "Retaining multiple versions of
//! objects with S3 Versioning").

use super::listing::{Encoding, check_optional, common_prefixes, limit};
use super::members::{checksum_algorithm, checksum_type, refuse};
use super::settings::{change, look};
use super::{Request, etag, timestamp};
use crate::caller::{Caller, canonical_id};
use crate::core::Core;
use crate::error::{ILLEGAL_VERSIONING, INVALID_ARGUMENT, MALFORMED_XML, Result, not_implemented};
use crate::meta::listing::{self, After, Listed, Page, Query, Standing};
use crate::meta::{Bucket, VersionId, Versioning, versions};
use barge_store::rusqlite::Connection;
use s3s::dto::{
    BucketVersioningStatus, DeleteMarkerEntry, GetBucketVersioningInput, GetBucketVersioningOutput,
    ListObjectVersionsInput, ListObjectVersionsOutput, MFADelete, ObjectVersion, Owner, PutBucketVersioningInput,
    PutBucketVersioningOutput,
};
use std::sync::Arc;

pub(super) async fn put_bucket_versioning(
    core: &Arc<Core>,
    request: Request<PutBucketVersioningInput>,
) -> Result<PutBucketVersioningOutput> {
    let Request { caller, input, .. } = request;
    refuse!(input; mfa = "MFA");
    match input.versioning_configuration.mfa_delete.as_ref().map(MFADelete::as_str) {
        None | Some("Disabled") => {}
        Some("Enabled") => return Err(not_implemented("MfaDelete")),
        Some(_) => return Err(MALFORMED_XML.into()),
    }
    let status = input.versioning_configuration.status.as_ref().map(BucketVersioningStatus::as_str);
    let versioning = match status.ok_or(ILLEGAL_VERSIONING)? {
        "Enabled" => Versioning::Enabled,
        "Suspended" => Versioning::Suspended,
        _ => return Err(MALFORMED_XML.into()),
    };
    change(core, caller, input.bucket, input.expected_bucket_owner, move |settings| settings.versioning = versioning)
        .await?;
    Ok(PutBucketVersioningOutput::default())
}

/// A bucket that never had versioning answers with nothing.
pub(super) async fn get_bucket_versioning(
    core: &Arc<Core>,
    request: Request<GetBucketVersioningInput>,
) -> Result<GetBucketVersioningOutput> {
    let Request { caller, input, .. } = request;
    let status = match look(core, caller, input.bucket, input.expected_bucket_owner).await?.versioning {
        Versioning::Never => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    Ok(GetBucketVersioningOutput { status: status.map(BucketVersioningStatus::from_static), mfa_delete: None })
}

/// Where a listing begins, from what a client carries from one page to the next.
fn after(connection: &Connection, bucket: &Bucket, key: Option<String>, id: Option<&VersionId>) -> Result<After> {
    Ok(match (key, id) {
        (None, _) => After::Nothing,
        (Some(key), None) => After::Key(key),
        (Some(key), Some(VersionId::Made(version))) => After::Version(key, version.sequence),
        (Some(key), Some(VersionId::Null)) => {
            // Without its row nobody knows where a null version was; the key's versions come again then.
            let found = versions::find(connection, bucket.id, &key, &VersionId::Null)?;
            After::Version(key, found.map_or(i64::MAX, |entry| entry.version().sequence))
        }
    })
}

async fn page(core: &Core, caller: Caller, input: &ListObjectVersionsInput, limit: i32) -> Result<Page<Listed>> {
    let marker = input.key_marker.clone().filter(|marker| !marker.is_empty());
    let id = VersionId::parse_optional(input.version_id_marker.as_deref())?;
    if marker.is_none() && id.is_some() {
        return Err(INVALID_ARGUMENT.because("A version-id marker cannot be specified without a key marker."));
    }
    let (name, owner) = (input.bucket.clone(), input.expected_bucket_owner.clone());
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: After::Nothing,
        limit: usize::try_from(limit).unwrap_or(0),
    };
    core.read(move |connection| {
        let bucket = caller.bucket(connection, &name)?;
        bucket.check_owner(owner.as_deref())?;
        let after = after(connection, &bucket, marker, id.as_ref())?;
        listing::list_versions(connection, bucket.id, &Query { after, ..query })
    })
    .await
}

/// The entries as AWS's shape has them: versions and delete markers apart, each in order.
fn entries(listed: Vec<Listed>, encoding: Encoding, owner: &Owner) -> (Vec<ObjectVersion>, Vec<DeleteMarkerEntry>) {
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for entry in listed {
        let key = Some(encoding.write(&entry.key));
        let version_id = Some(entry.version.name().to_owned());
        let is_latest = Some(entry.standing == Standing::Latest);
        let last_modified = Some(timestamp(entry.modified));
        let owner = Some(owner.clone());
        match entry.object {
            None => markers.push(DeleteMarkerEntry { is_latest, key, last_modified, owner, version_id }),
            Some(object) => versions.push(ObjectVersion {
                checksum_algorithm: Some(vec![checksum_algorithm(object.checksum.algorithm)]),
                checksum_type: Some(checksum_type(object.checksum.coverage)),
                e_tag: Some(etag(&object.etag)),
                is_latest,
                key,
                last_modified,
                owner,
                restore_status: None,
                size: i64::try_from(object.size).ok(),
                storage_class: Some(object.storage_class.into()),
                version_id,
            }),
        }
    }
    (versions, markers)
}

pub(super) async fn list_object_versions(
    core: &Arc<Core>,
    request: Request<ListObjectVersionsInput>,
) -> Result<ListObjectVersionsOutput> {
    let Request { caller, input, .. } = request;
    check_optional(input.optional_object_attributes.as_ref())?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let max_keys = limit(input.max_keys, "max-keys")?;
    let owner = Owner { id: Some(canonical_id(&caller.scope)), display_name: None };
    let page = page(core, caller, &input, max_keys).await?;
    let last = page.entries.last().map(|entry| entry.version.name().to_owned());
    let (next_key, next_id) = match &page.next {
        Some(After::Prefix(prefix)) => (Some(encoding.write(prefix)), None),
        Some(After::Version(key, _) | After::Key(key)) => (Some(encoding.write(key)), last),
        Some(After::Nothing) | None => (None, None),
    };
    let (versions, markers) = entries(page.entries, encoding, &owner);
    Ok(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.write(&input.prefix.unwrap_or_default())),
        key_marker: Some(encoding.write(&input.key_marker.unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        max_keys: Some(max_keys),
        is_truncated: Some(page.next.is_some()),
        next_key_marker: next_key,
        next_version_id_marker: next_id,
        common_prefixes: common_prefixes(&page.prefixes, encoding),
        delimiter: input.delimiter.filter(|text| !text.is_empty()).map(|text| encoding.write(&text)),
        encoding_type: input.encoding_type,
        request_charged: None,
        versions: Some(versions),
        delete_markers: Some(markers),
    })
}
