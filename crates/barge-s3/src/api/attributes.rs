//! GetObjectAttributes.

use super::get::place;
use super::listing::limit;
use super::members::{checksum_type, refuse, set_checksum};
use super::{Request, count, etag, timestamp};
use crate::core::Core;
use crate::error::{INVALID_ARGUMENT, Result};
use crate::meta::Object;
use s3s::dto::{Checksum, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts, ObjectPart};
use std::sync::Arc;

const NAMES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

pub(super) async fn get_object_attributes(
    core: &Arc<Core>,
    request: Request<GetObjectAttributesInput>,
) -> Result<GetObjectAttributesOutput> {
    let Request { caller, input, .. } = request;
    refuse!(input; sse_customer_algorithm = "SSECustomerAlgorithm", sse_customer_key = "SSECustomerKey",
        sse_customer_key_md5 = "SSECustomerKeyMD5");
    let names = names(input.object_attributes.iter().map(s3s::dto::ObjectAttributes::as_str))?;
    let (most, marker) = (limit(input.max_parts, "max-parts")?, input.part_number_marker.unwrap_or(0));
    let (bucket, object) = place!(caller, input).find(core).await?;
    let wants = |name: &str| names.iter().any(|wanted| wanted == name);
    let mut checksum = Checksum { checksum_type: Some(checksum_type(object.checksum.coverage)), ..Checksum::default() };
    // Here a composite has no suffix: the number of parts stands beside it.
    let value = object.checksum.value.split('-').next().unwrap_or_default();
    set_checksum!(checksum, object.checksum.algorithm, value);
    Ok(GetObjectAttributesOutput {
        last_modified: Some(timestamp(object.modified)),
        version_id: bucket.shown(&object.version),
        e_tag: wants("ETag").then(|| etag(&object.etag)),
        checksum: wants("Checksum").then_some(checksum),
        object_size: wants("ObjectSize").then(|| i64::try_from(object.size).unwrap_or(i64::MAX)),
        storage_class: wants("StorageClass").then(|| object.detail.attributes.storage_class().to_owned().into()),
        object_parts: parts(&object, most, marker).filter(|_| wants("ObjectParts")),
        ..GetObjectAttributesOutput::default()
    })
}

/// Clients send the names as several headers or as one with commas.
fn names<'n>(given: impl Iterator<Item = &'n str>) -> Result<Vec<String>> {
    let names: Vec<String> = given.flat_map(|names| names.split(',')).map(|name| name.trim().to_owned()).collect();
    if names.iter().any(|name| !NAMES.contains(&name.as_str())) {
        return Err(INVALID_ARGUMENT.because("Invalid attribute name specified."));
    }
    Ok(names)
}

fn parts(object: &Object, most: i32, marker: i32) -> Option<GetObjectAttributesParts> {
    let total = object.parts()?;
    let numbered = object.detail.segments.iter().filter_map(|segment| Some((segment, segment.part.as_ref()?)));
    let mut rest = numbered.filter(|(_, part)| i64::from(part.number) > i64::from(marker));
    let page: Vec<_> = rest.by_ref().take(usize::try_from(most).unwrap_or(0)).collect();
    let truncated = rest.next().is_some();
    let next = page.last().map(|(_, part)| count(part.number as usize));
    let entry = |(segment, part): (&crate::meta::Segment, &crate::meta::PartOrigin)| {
        let mut entry = ObjectPart {
            part_number: Some(count(part.number as usize)),
            size: i64::try_from(segment.size).ok(),
            ..ObjectPart::default()
        };
        set_checksum!(entry, object.checksum.algorithm, part.checksum);
        entry
    };
    Some(GetObjectAttributesParts {
        total_parts_count: Some(count(total)),
        part_number_marker: Some(marker),
        next_part_number_marker: next.filter(|_| truncated),
        max_parts: Some(most),
        is_truncated: Some(truncated),
        parts: Some(page.into_iter().map(entry).collect()),
    })
}
