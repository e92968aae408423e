//! Checksums of objects and parts (Amazon S3 User Guide, "Checking object integrity in Amazon S3").

use crate::error::{BAD_DIGEST, INVALID_REQUEST, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use s3s::crypto::{self, Checksum as _};
use serde::{Deserialize, Serialize};

/// A checksum algorithm that S3 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// What a checksum of a multipart object covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Coverage {
    /// The bytes of the object.
    FullObject,
    /// The checksums of its parts.
    Composite,
}

/// An object's or part's checksum as headers show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) coverage: Coverage,
    /// Base64; a composite ends in `-PARTS`.
    pub(crate) value: String,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// What S3 computes where the client names none.
    pub(crate) const DEFAULT: Self = Self::Crc64Nvme;

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The algorithm of this name, in any case.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            INVALID_REQUEST.because(
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
            )
        })
    }

    fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// What a multipart upload's checksum covers where the client doesn't say.
    pub(crate) fn default_coverage(self) -> Coverage {
        if self == Self::Crc64Nvme { Coverage::FullObject } else { Coverage::Composite }
    }

    /// `InvalidRequest` where a multipart upload can't have this coverage.
    pub(crate) fn check_coverage(self, coverage: Coverage) -> Result<()> {
        let possible = match coverage {
            Coverage::FullObject => !matches!(self, Self::Sha1 | Self::Sha256),
            Coverage::Composite => self != Self::Crc64Nvme,
        };
        if possible {
            return Ok(());
        }
        Err(INVALID_REQUEST.because(format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            coverage.name(),
            self.name().to_lowercase()
        )))
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

impl Coverage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self> {
        [Self::FullObject, Self::Composite]
            .into_iter()
            .find(|coverage| coverage.name() == name)
            .ok_or_else(|| INVALID_REQUEST.because("Value for x-amz-checksum-type header is invalid."))
    }
}

/// A running checksum.
pub(crate) enum Hasher {
    Crc32(crypto::Crc32),
    Crc32c(crypto::Crc32c),
    Crc64Nvme(crypto::Crc64Nvme),
    Sha1(crypto::Sha1),
    Sha256(Box<crypto::Sha256>),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(crypto::Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(crypto::Crc32c::new()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(crypto::Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(crypto::Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Box::new(crypto::Sha256::new())),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
            Self::Crc64Nvme(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(hasher) => hasher.finalize().to_vec(),
            Self::Crc32c(hasher) => hasher.finalize().to_vec(),
            Self::Crc64Nvme(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
        }
    }
}

/// A checksum that the client says its bytes have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) algorithm: Algorithm,
    value: String,
}

impl Claim {
    /// `InvalidRequest` unless `value` is base64 of the algorithm's length.
    pub(crate) fn new(algorithm: Algorithm, value: String) -> Result<Self> {
        match BASE64.decode(&value) {
            Ok(raw) if raw.len() == algorithm.length() => Ok(Self { algorithm, value }),
            _ => Err(INVALID_REQUEST.because(format!("Value for {} header is invalid.", algorithm.header()))),
        }
    }

    /// `BadDigest` unless the bytes received have this checksum.
    pub(crate) fn verify(&self, computed: &str) -> Result<()> {
        if self.value == computed {
            return Ok(());
        }
        Err(BAD_DIGEST
            .because(format!("The {} you specified did not match the calculated checksum.", self.algorithm.name())))
    }
}

/// The one checksum among those of a request.
pub(crate) fn single(given: impl IntoIterator<Item = (Algorithm, Option<String>)>) -> Result<Option<Claim>> {
    let mut found = given.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?)));
    let Some((algorithm, value)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(INVALID_REQUEST
            .because("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."));
    }
    Claim::new(algorithm, value).map(Some)
}

/// Base64 as checksum headers carry it.
pub(crate) fn encode(raw: &[u8]) -> String {
    BASE64.encode(raw)
}

/// A part's bytes from its checksum.
pub(crate) fn decode(value: &str) -> Vec<u8> {
    BASE64.decode(value).unwrap_or_default()
}

/// The checksum of a multipart object from those of its parts, each with its size in bytes.
pub(crate) fn of_parts(algorithm: Algorithm, coverage: Coverage, parts: &[(Vec<u8>, u64)]) -> Checksum {
    let crc = algorithm.crc().filter(|_| coverage == Coverage::FullObject);
    let value = crc.map_or_else(|| composite(algorithm, parts), |crc| encode(&combine(crc, algorithm.length(), parts)));
    Checksum { algorithm, coverage, value }
}

fn composite(algorithm: Algorithm, parts: &[(Vec<u8>, u64)]) -> String {
    let mut hasher = Hasher::new(algorithm);
    for (raw, _) in parts {
        hasher.update(raw);
    }
    format!("{}-{}", encode(&hasher.finish()), parts.len())
}

fn combine(crc: CrcAlgorithm, length: usize, parts: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let number = |raw: &[u8]| raw.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    let mut parts = parts.iter();
    let first = parts.next().map_or(0, |(raw, _)| number(raw));
    let whole = parts.fold(first, |sum, (raw, size)| crc_fast::checksum_combine(crc, sum, number(raw), *size));
    whole.to_be_bytes()[8 - length..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn known_checksums() {
        for (algorithm, value) in [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32c, "4waSgw=="),
            (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
            (Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ] {
            assert_eq!(encode(&hash(algorithm, b"123456789")), value, "{}", algorithm.name());
        }
    }

    #[test]
    fn claims_are_checked_for_form_and_value() {
        assert!(Claim::new(Algorithm::Crc32, "y/Q5Jg==".into()).unwrap().verify("y/Q5Jg==").is_ok());
        assert!(
            Claim::new(Algorithm::Crc32, "AAAAAA==".into()).unwrap().verify("y/Q5Jg==").unwrap_err().is(&BAD_DIGEST)
        );
        for value in ["", "y/Q5", "not base64"] {
            assert!(Claim::new(Algorithm::Crc32, value.into()).unwrap_err().is(&INVALID_REQUEST), "{value}");
        }
    }

    #[test]
    fn two_checksums_are_one_too_many() {
        let one = (Algorithm::Crc32, Some("y/Q5Jg==".to_owned()));
        let other = (Algorithm::Crc32c, Some("4waSgw==".to_owned()));
        assert!(single([one.clone(), other]).is_err());
        assert_eq!(single([one, (Algorithm::Sha1, None)]).unwrap().unwrap().algorithm, Algorithm::Crc32);
        assert_eq!(single([]).unwrap(), None);
    }

    proptest! {
        #[test]
        fn a_full_object_crc_is_that_of_the_joined_parts(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6)) {
            for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
                let sums: Vec<_> = parts.iter().map(|part| (hash(algorithm, part), part.len() as u64)).collect();
                let whole = encode(&hash(algorithm, &parts.concat()));
                prop_assert_eq!(of_parts(algorithm, Coverage::FullObject, &sums).value, whole);
            }
        }

        #[test]
        fn a_composite_covers_the_parts_checksums(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..4)) {
            let sums: Vec<_> = parts.iter().map(|part| (hash(Algorithm::Sha256, part), part.len() as u64)).collect();
            let joined: Vec<u8> = sums.iter().flat_map(|(raw, _)| raw.clone()).collect();
            let expected = format!("{}-{}", encode(&hash(Algorithm::Sha256, &joined)), parts.len());
            prop_assert_eq!(of_parts(Algorithm::Sha256, Coverage::Composite, &sums).value, expected);
        }
    }
}
