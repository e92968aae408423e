//! CompleteMultipartUpload: the parts' files become the object's, so completing copies nothing.

use super::conditions::Writing;
use super::members::{checksum_type, given_checksums, refuse, set_checksum};
use super::put::{insert, say_made};
use super::{Request, etag, to_the_second};
use crate::checksum::{self, Algorithm, Checksum, Claim, Coverage};
use crate::core::Core;
use crate::error::{
    ENTITY_TOO_LARGE, ENTITY_TOO_SMALL, INVALID_PART, INVALID_PART_ORDER, INVALID_REQUEST, MALFORMED_XML,
    NO_SUCH_UPLOAD, Result,
};
use crate::meta::{Detail, Object, Part, PartOrigin, Segment, UploadPlan, Version, objects, uploads};
use crate::notify::Occurrence;
use barge_core::Timestamp;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The least size of every part but the last.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;
/// "Amazon S3 multipart upload limits": an object may have 5 TiB.
const LARGEST_OBJECT: u64 = 5 * 1024 * 1024 * 1024 * 1024;

/// A part as the client names it.
struct Named {
    number: u32,
    etag: Option<String>,
    claim: Option<Claim>,
}

fn named(mut part: CompletedPart) -> Result<Named> {
    let number = part.part_number.and_then(|number| u32::try_from(number).ok()).ok_or(MALFORMED_XML)?;
    let claim = checksum::single(given_checksums!(part))?;
    Ok(Named { number, etag: part.e_tag.map(s3s::dto::ETag::into_value), claim })
}

pub(super) async fn complete(
    core: &Arc<Core>,
    request: Request<CompleteMultipartUploadInput>,
) -> Result<CompleteMultipartUploadOutput> {
    let Request { caller, mut input, .. } = request;
    refuse!(input; sse_customer_algorithm = "SSECustomerAlgorithm", sse_customer_key = "SSECustomerKey",
        sse_customer_key_md5 = "SSECustomerKeyMD5");
    let conditions = Writing { matches: input.if_match.take(), none_match: input.if_none_match.take() };
    let wanted = Wanted {
        checksum: checksum_of(given_checksums!(input)),
        coverage: input.checksum_type.as_ref().map(|kind| Coverage::parse(kind.as_str())).transpose()?,
        size: input.mpu_object_size.and_then(|size| u64::try_from(size).ok()),
    };
    let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    if parts.is_empty() {
        return Err(MALFORMED_XML.into());
    }
    let parts = parts.into_iter().map(named).collect::<Result<Vec<_>>>()?;
    let (bucket_name, key) = (input.bucket.clone(), input.key.clone());
    let location = format!("{}/{bucket_name}/{key}", core.ambient.endpoint);
    let (this, now) = (Arc::clone(core), to_the_second(core.now()));
    let (tag, checksum, made) = core
        .commit(move |tx, changes| {
            let bucket = caller.bucket(tx, &input.bucket)?;
            bucket.check_owner(input.expected_bucket_owner.as_deref())?;
            let upload = uploads::find(tx, bucket.id, &input.key, &input.upload_id)?.ok_or(NO_SUCH_UPLOAD)?;
            let current = objects::find(tx, bucket.id, &input.key)?;
            conditions.check(current.as_ref())?;
            let uploaded = uploads::parts(tx, &upload.id, 0, usize::MAX)?;
            let (object, unused) = assemble(upload.key, upload.plan, &parts, uploaded, now)?;
            wanted.check(&object)?;
            uploads::delete(tx, &upload.id)?;
            changes.discard(unused);
            let occurrence = Occurrence::CompleteMultipartUpload;
            let (tag, checksum) = (object.etag.clone(), object.checksum.clone());
            let made = insert(&this, tx, changes, (&bucket, &caller), current, object, occurrence)?;
            Ok((tag, checksum, made))
        })
        .await?;
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(bucket_name),
        key: Some(key),
        location: Some(location),
        e_tag: Some(etag(&tag)),
        checksum_type: Some(checksum_type(checksum.coverage)),
        ..CompleteMultipartUploadOutput::default()
    };
    set_checksum!(output, checksum.algorithm, checksum.value);
    say_made!(output, made);
    Ok(output)
}

/// What the client says of the whole object.
struct Wanted {
    checksum: Option<(Algorithm, String)>,
    coverage: Option<Coverage>,
    size: Option<u64>,
}

/// A composite has a suffix, so the value's form is not that of a plain checksum.
fn checksum_of(given: impl IntoIterator<Item = (Algorithm, Option<String>)>) -> Option<(Algorithm, String)> {
    given.into_iter().find_map(|(algorithm, value)| Some((algorithm, value?)))
}

impl Wanted {
    fn check(&self, object: &Object) -> Result<()> {
        if let Some(coverage) = self.coverage
            && coverage != object.checksum.coverage
        {
            return Err(INVALID_REQUEST.because(format!(
                "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
                object.checksum.coverage.name()
            )));
        }
        if let Some(size) = self.size
            && size != object.size
        {
            return Err(INVALID_REQUEST
                .because("The provided 'x-amz-mp-object-size' header value does not match what was computed."));
        }
        match &self.checksum {
            Some((algorithm, value)) if *algorithm == object.checksum.algorithm && *value != object.checksum.value => {
                let message = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
                Err(crate::error::BAD_DIGEST.because(message))
            }
            Some((algorithm, _)) if *algorithm != object.checksum.algorithm => {
                Err(INVALID_REQUEST.because(format!("Value for {} header is invalid.", algorithm.header())))
            }
            _ => Ok(()),
        }
    }
}

/// The object that `named` parts make, and the blobs of parts that it leaves out.
fn assemble(
    key: String,
    plan: UploadPlan,
    named: &[Named],
    uploaded: Vec<Part>,
    modified: Timestamp,
) -> Result<(Object, Vec<String>)> {
    if named.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(INVALID_PART_ORDER.into());
    }
    let mut uploaded: BTreeMap<u32, Part> = uploaded.into_iter().map(|part| (part.number, part)).collect();
    let mut parts = Vec::with_capacity(named.len());
    for name in named {
        let part = uploaded.remove(&name.number).filter(|part| matches(name, part)).ok_or(INVALID_PART)?;
        check_claim(&plan, name, &part)?;
        parts.push(part);
    }
    if parts[..parts.len() - 1].iter().any(|part| part.size < SMALLEST_PART) {
        return Err(ENTITY_TOO_SMALL.into());
    }
    let size = parts.iter().map(|part| part.size).sum();
    if size > LARGEST_OBJECT {
        return Err(ENTITY_TOO_LARGE.into());
    }
    let object = Object {
        key,
        version: Version::default(),
        size,
        etag: joined_etag(&parts),
        modified,
        checksum: joined_checksum(&plan, &parts),
        detail: Detail { attributes: plan.attributes, segments: parts.into_iter().map(segment).collect() },
    };
    Ok((object, uploaded.into_values().map(|part| part.blob).collect()))
}

fn matches(name: &Named, part: &Part) -> bool {
    name.etag.as_ref().is_none_or(|etag| *etag == part.etag)
}

fn check_claim(plan: &UploadPlan, name: &Named, part: &Part) -> Result<()> {
    let algorithm = plan.algorithm();
    match &name.claim {
        Some(claim) if claim.algorithm == algorithm => {
            claim.verify(&part.checksum).map_err(|_| INVALID_PART.into())
        }
        // Parts may be named with checksums that the upload wasn't created with; they were verified as they came.
        Some(_) if plan.algorithm.is_none() => Ok(()),
        None if plan.algorithm.is_none() || plan.coverage == Coverage::FullObject => Ok(()),
        _ => Err(INVALID_REQUEST.because(format!(
            "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {} in the request.",
            algorithm.name().to_lowercase(),
            name.number
        ))),
    }
}

fn joined_etag(parts: &[Part]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&hex::decode(&part.etag).unwrap_or_default());
    }
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

fn joined_checksum(plan: &UploadPlan, parts: &[Part]) -> Checksum {
    let parts: Vec<_> = parts.iter().map(|part| (checksum::decode(&part.checksum), part.size)).collect();
    checksum::of_parts(plan.algorithm(), plan.coverage, &parts)
}

fn segment(part: Part) -> Segment {
    let origin = PartOrigin { number: part.number, checksum: part.checksum };
    Segment { blob: part.blob, size: part.size, part: Some(origin) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Refusal};
    use crate::meta::Attributes;

    const MIB: u64 = 1024 * 1024;

    fn part(number: u32, size: u64) -> Part {
        Part {
            number,
            blob: format!("blob{number}"),
            size,
            etag: hex::encode([u8::try_from(number).unwrap(); 16]),
            modified: Timestamp::default(),
            checksum: "y/Q5Jg==".into(),
        }
    }

    fn name(number: u32) -> Named {
        Named { number, etag: Some(hex::encode([u8::try_from(number).unwrap(); 16])), claim: None }
    }

    fn plan(algorithm: Option<Algorithm>) -> UploadPlan {
        let coverage = algorithm.unwrap_or(Algorithm::DEFAULT).default_coverage();
        UploadPlan { attributes: Attributes::default(), algorithm, coverage }
    }

    fn run(named: &[Named], uploaded: Vec<Part>) -> Result<(Object, Vec<String>)> {
        assemble("k".into(), plan(None), named, uploaded, Timestamp::default())
    }

    #[test]
    fn parts_become_an_object() {
        let uploaded = vec![part(1, 5 * MIB), part(3, 7 * MIB), part(4, 1), part(9, 1)];
        let (object, unused) = run(&[name(1), name(3), name(9)], uploaded).unwrap();
        assert_eq!(object.size, 12 * MIB + 1);
        assert!(object.etag.ends_with("-3"), "{}", object.etag);
        assert_eq!(object.blobs(), ["blob1", "blob3", "blob9"]);
        assert_eq!(unused, ["blob4"]);
        assert_eq!(object.checksum.coverage, Coverage::FullObject);
    }

    #[test]
    fn parts_that_do_not_make_an_object() {
        let other = Named { etag: Some("00".into()), ..name(1) };
        let cases: [(Vec<Named>, Vec<Part>, Refusal); 5] = [
            (vec![name(2), name(1)], vec![part(1, 5 * MIB), part(2, 1)], INVALID_PART_ORDER),
            (vec![name(1), name(1)], vec![part(1, 5 * MIB)], INVALID_PART_ORDER),
            (vec![name(1), name(2)], vec![part(1, 5 * MIB)], INVALID_PART),
            (vec![other], vec![part(1, 1)], INVALID_PART),
            (vec![name(1), name(2)], vec![part(1, 5 * MIB - 1), part(2, 1)], ENTITY_TOO_SMALL),
        ];
        for (named, uploaded, refusal) in cases {
            let error: Error = run(&named, uploaded).err().unwrap();
            assert!(error.is(&refusal), "{error}");
        }
    }

    #[test]
    fn a_composite_needs_every_parts_checksum() {
        let claim = |value: &str| Some(Claim::new(Algorithm::Crc32, value.into()).unwrap());
        let run = |claim| {
            let named = [Named { claim, ..name(1) }];
            assemble("k".into(), plan(Some(Algorithm::Crc32)), &named, vec![part(1, 1)], Timestamp::default())
        };
        assert!(run(claim("y/Q5Jg==")).unwrap().0.checksum.value.ends_with("-1"));
        assert!(run(claim("AAAAAA==")).err().unwrap().is(&INVALID_PART));
        assert!(run(None).err().unwrap().is(&INVALID_REQUEST));
    }
}
