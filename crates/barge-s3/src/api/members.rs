//! Members that several operations share: object attributes, checksums, and those that are refused.

use super::tagging::{OBJECT_TAGS, check_tags};
use crate::checksum::{Algorithm, Claim, Coverage};
use crate::encryption::Encryption;
use crate::error::{
    ACLS_NOT_SUPPORTED, INVALID_ARGUMENT, INVALID_DIGEST, INVALID_REQUEST, INVALID_STORAGE_CLASS, METADATA_TOO_LARGE,
    Result, not_implemented,
};
use crate::meta::{Attributes, Tags};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use std::collections::BTreeMap;

/// Bytes of user metadata that an object may have.
const METADATA_LIMIT: usize = 2048;

/// Refuses each member that is there, by its name.
macro_rules! refuse {
    ($input:expr; $($member:ident = $name:literal),* $(,)?) => {
        $(if $input.$member.is_some() {
            return Err($crate::error::not_implemented(concat!("the parameter ", $name)));
        })*
    };
}
pub(super) use refuse;

/// The attributes of an object that `$input` is to make, with what Barge can't do refused.
macro_rules! attributes {
    ($input:expr) => {{
        $crate::api::members::refuse!($input;
            sse_customer_algorithm = "SSECustomerAlgorithm", sse_customer_key = "SSECustomerKey",
            sse_customer_key_md5 = "SSECustomerKeyMD5", ssekms_encryption_context = "SSEKMSEncryptionContext",
            website_redirect_location = "WebsiteRedirectLocation");
        if $input.object_lock_legal_hold_status.is_some()
            || $input.object_lock_mode.is_some()
            || $input.object_lock_retain_until_date.is_some()
        {
            return Err($crate::error::INVALID_REQUEST.because("Bucket is missing Object Lock Configuration"));
        }
        let grants = [&$input.grant_full_control, &$input.grant_read, &$input.grant_read_acp, &$input.grant_write_acp];
        $crate::api::members::check_acl(
            $input.acl.as_ref().map(s3s::dto::ObjectCannedACL::as_str),
            grants.iter().any(|grant| grant.is_some()),
        )?;
        $crate::api::members::checked($crate::meta::Attributes {
            content_type: $input.content_type.take(),
            content_encoding: $crate::api::members::encoding($input.content_encoding.as_deref()),
            content_language: $input.content_language.take(),
            content_disposition: $input.content_disposition.take(),
            cache_control: $input.cache_control.take(),
            expires: $input.expires.as_ref().map($crate::api::moment),
            metadata: $input.metadata.take().unwrap_or_default().into_iter().collect(),
            tags: $crate::api::members::tags($input.tagging.as_deref())?,
            storage_class: $input.storage_class.as_ref().map(|class| class.as_str().to_owned()),
            encryption: $crate::api::members::own_encryption(
                $input.server_side_encryption.as_ref().map(s3s::dto::ServerSideEncryption::as_str),
                $input.ssekms_key_id.take(),
                $input.bucket_key_enabled,
            )?,
        })?
    }};
}
pub(super) use attributes;

/// `(algorithm, value)` of each checksum member of `$input`.
macro_rules! given_checksums {
    ($input:expr) => {
        [
            ($crate::checksum::Algorithm::Crc32, $input.checksum_crc32.take()),
            ($crate::checksum::Algorithm::Crc32c, $input.checksum_crc32c.take()),
            ($crate::checksum::Algorithm::Crc64Nvme, $input.checksum_crc64nvme.take()),
            ($crate::checksum::Algorithm::Sha1, $input.checksum_sha1.take()),
            ($crate::checksum::Algorithm::Sha256, $input.checksum_sha256.take()),
        ]
    };
}
pub(super) use given_checksums;

/// Sets the checksum member of `$output` for `$algorithm`.
macro_rules! set_checksum {
    ($output:expr, $algorithm:expr, $value:expr) => {{
        let value = Some($value.to_owned());
        match $algorithm {
            $crate::checksum::Algorithm::Crc32 => $output.checksum_crc32 = value,
            $crate::checksum::Algorithm::Crc32c => $output.checksum_crc32c = value,
            $crate::checksum::Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
            $crate::checksum::Algorithm::Sha1 => $output.checksum_sha1 = value,
            $crate::checksum::Algorithm::Sha256 => $output.checksum_sha256 = value,
        }
    }};
}
pub(super) use set_checksum;

/// Says in `$output` what an object of `$attributes` is encrypted with.
macro_rules! say_encryption {
    ($output:expr, $attributes:expr) => {{
        let encryption = $attributes.encryption.clone().unwrap_or_default();
        let name = encryption.algorithm.name();
        $output.server_side_encryption = Some(s3s::dto::ServerSideEncryption::from_static(name));
        $output.bucket_key_enabled = encryption.bucket_key_shown();
    }};
}
pub(super) use say_encryption;

/// What a client wants one object encrypted with, where it says so.
pub(super) fn own_encryption(
    algorithm: Option<&str>,
    key: Option<String>,
    bucket_key: Option<bool>,
) -> Result<Option<Encryption>> {
    match algorithm {
        Some(algorithm) => Encryption::new(algorithm, key, bucket_key).map(Some),
        None if key.is_some() => Err(INVALID_ARGUMENT.because(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
        )),
        None if bucket_key.is_some() => Err(not_implemented("the parameter BucketKeyEnabled without ServerSideEncryption")),
        None => Ok(None),
    }
}

/// ACLs are off, as they are for buckets that AWS makes today; only those that say nothing new are taken.
pub(super) fn check_acl(canned: Option<&str>, grants: bool) -> Result<()> {
    if grants || !matches!(canned, None | Some("private" | "bucket-owner-full-control")) {
        return Err(ACLS_NOT_SUPPORTED.into());
    }
    Ok(())
}

/// The attributes, where they are within their limits.
pub(super) fn checked(attributes: Attributes) -> Result<Attributes> {
    let metadata: usize = attributes.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if metadata > METADATA_LIMIT {
        return Err(METADATA_TOO_LARGE.into());
    }
    match attributes.storage_class.as_deref() {
        None | Some("STANDARD") => Ok(Attributes { storage_class: None, ..attributes }),
        Some("STANDARD_IA" | "ONEZONE_IA" | "INTELLIGENT_TIERING" | "REDUCED_REDUNDANCY" | "GLACIER_IR") => {
            Ok(attributes)
        }
        Some(class @ ("GLACIER" | "DEEP_ARCHIVE" | "OUTPOSTS" | "SNOW" | "EXPRESS_ONEZONE")) => {
            Err(not_implemented(format!("the storage class {class}")))
        }
        Some(_) => Err(INVALID_STORAGE_CLASS.into()),
    }
}

/// A content encoding without `aws-chunked`, which is the transfer's and not the object's.
pub(super) fn encoding(given: Option<&str>) -> Option<String> {
    let kept: Vec<&str> =
        given?.split(',').map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked")).collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// The tags in a Tagging header, encoded as a query.
pub(super) fn tags(header: Option<&str>) -> Result<Tags> {
    let malformed = || {
        INVALID_ARGUMENT.because(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
        )
    };
    let mut tags = BTreeMap::new();
    for pair in header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_encoding::percent_decode_str(&text).decode_utf8().map(std::borrow::Cow::into_owned)
        };
        let (Ok(key), Ok(value)) = (decode(key), decode(value)) else { return Err(malformed()) };
        if tags.insert(key, value).is_some() {
            return Err(malformed());
        }
    }
    check_tags(&tags, OBJECT_TAGS)?;
    Ok(tags)
}

/// What a client says about the bytes that it sends.
pub(super) struct Claims {
    checksum: Option<Claim>,
    /// The algorithm whose checksum comes after the bytes.
    trailing: Option<Algorithm>,
    declared: Option<Algorithm>,
    md5: Option<Vec<u8>>,
    /// Bytes that are to come.
    pub(super) length: Option<u64>,
}

impl Claims {
    pub(super) fn new(
        headers: &HeaderMap,
        checksum: Option<Claim>,
        declared: Option<&str>,
        md5: Option<&str>,
        length: Option<i64>,
    ) -> Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let declared = declared.or_else(|| text("x-amz-sdk-checksum-algorithm")).map(Algorithm::parse).transpose()?;
        let trailing = text("x-amz-trailer").and_then(|trailer| {
            Algorithm::ALL.into_iter().find(|algorithm| trailer.trim().eq_ignore_ascii_case(algorithm.header()))
        });
        let named = checksum.as_ref().map(|claim| claim.algorithm).or(trailing);
        if let (Some(named), Some(declared)) = (named, declared)
            && named != declared
        {
            return Err(INVALID_REQUEST.because("Value for x-amz-sdk-checksum-algorithm header is invalid."));
        }
        let md5 = md5
            .map(|value| BASE64.decode(value).ok().filter(|raw| raw.len() == 16).ok_or(INVALID_DIGEST))
            .transpose()?;
        let decoded = text("x-amz-decoded-content-length").and_then(|value| value.parse().ok());
        let length = decoded.or(length.and_then(|length| u64::try_from(length).ok()));
        Ok(Self { checksum, trailing, declared, md5, length })
    }

    /// The algorithm that the client cares for.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|claim| claim.algorithm).or(self.trailing).or(self.declared)
    }

    /// Compares the bytes that came with what was said of them, `trailers` included.
    pub(super) fn verify(&self, digests: &crate::blobs::Digests, trailers: Option<&HeaderMap>) -> Result<()> {
        if self.length.is_some_and(|length| length != digests.size) {
            return Err(crate::error::INCOMPLETE_BODY.into());
        }
        if self.md5.as_ref().is_some_and(|md5| *md5 != digests.md5) {
            return Err(crate::error::BAD_DIGEST.into());
        }
        let verify = |claim: &Claim| claim.verify(digests.checksum(claim.algorithm).unwrap_or_default());
        self.checksum.iter().try_for_each(verify)?;
        if let Some(algorithm) = self.trailing {
            let value = trailers.and_then(|trailers| trailers.get(algorithm.header())?.to_str().ok());
            let value = value.ok_or(crate::error::MALFORMED_TRAILER)?;
            verify(&Claim::new(algorithm, value.to_owned())?)?;
        }
        Ok(())
    }
}

/// The type of a checksum as s3s has it.
pub(super) fn checksum_type(coverage: Coverage) -> s3s::dto::ChecksumType {
    s3s::dto::ChecksumType::from(coverage.name().to_owned())
}

/// An algorithm as s3s has it.
pub(super) fn checksum_algorithm(algorithm: Algorithm) -> s3s::dto::ChecksumAlgorithm {
    s3s::dto::ChecksumAlgorithm::from(algorithm.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_chunked_is_not_an_objects_encoding() {
        for (given, kept) in [
            ("aws-chunked", None),
            ("gzip,aws-chunked", Some("gzip")),
            ("aws-chunked, br", Some("br")),
            ("gzip", Some("gzip")),
        ] {
            assert_eq!(encoding(Some(given)).as_deref(), kept);
        }
        assert_eq!(encoding(None), None);
    }

    #[test]
    fn tags_in_a_header() {
        let found = tags(Some("a=1&b%20c=x+y&d")).unwrap();
        assert_eq!(
            found,
            Tags::from([("a".into(), "1".into()), ("b c".into(), "x y".into()), ("d".into(), String::new())])
        );
        assert!(tags(None).unwrap().is_empty());
        for header in ["a=1&a=2", "=1", "a=%ff", &format!("{}=1", "k".repeat(129))] {
            assert!(tags(Some(header)).is_err(), "{header}");
        }
    }

    #[test]
    fn attributes_have_limits() {
        let metadata =
            |size| Attributes { metadata: BTreeMap::from([("k".into(), "v".repeat(size))]), ..Attributes::default() };
        assert!(checked(metadata(2047)).is_ok());
        assert!(checked(metadata(2048)).is_err());
        let class = |class: &str| checked(Attributes { storage_class: Some(class.into()), ..Attributes::default() });
        assert_eq!(class("STANDARD").unwrap().storage_class, None);
        assert!(class("STANDARD_IA").is_ok());
        assert!(class("GLACIER").is_err() && class("SOMETHING").is_err());
    }

    #[test]
    fn acls_are_off() {
        assert!(check_acl(None, false).is_ok());
        assert!(check_acl(Some("private"), false).is_ok());
        assert!(check_acl(Some("public-read"), false).is_err());
        assert!(check_acl(None, true).is_err());
    }
}
