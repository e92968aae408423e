//! What is known of buckets, objects and uploads, as rows. Functions here take a connection and move rows; what may
//! be done to whom is decided above.

pub(crate) mod buckets;
pub(crate) mod listing;
pub(crate) mod objects;
pub(crate) mod schema;
pub(crate) mod uploads;
mod version;
pub(crate) mod versions;

pub(crate) use version::{Version, VersionId, next_sequence};

use crate::blobs::Piece;
use crate::checksum::Checksum;
use crate::cors::CorsRule;
use crate::encryption::Encryption;
use crate::lifecycle::{Rule, expiry};
use crate::notify::Notification;
use barge_core::{AccountId, Region, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Tags in the order of their keys.
pub(crate) type Tags = BTreeMap<String, String>;

/// A bucket. Its name is unique among all accounts.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) created: Timestamp,
    pub(crate) settings: Settings,
}

/// What can be configured of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) public_access_block: Option<PublicAccessBlock>,
    pub(crate) ownership_controls: OwnershipControls,
    pub(crate) notification: Notification,
    pub(crate) versioning: Versioning,
    /// What a client asked for; a bucket that was told nothing has the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encryption: Option<Encryption>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) lifecycle: Vec<Rule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cors: Vec<CorsRule>,
    /// The creation that made this bucket, where a template did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) creation: Option<String>,
}

/// Whether an object stays when another comes to its key (VersioningConfiguration). What once kept versions can only be
/// suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Versioning {
    #[default]
    Never,
    Enabled,
    Suspended,
}

/// Whether the bucket has the one rule that Barge can keep: the bucket's owner owns every object, and there are no ACLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OwnershipControls {
    #[default]
    BucketOwnerEnforced,
    Absent,
}

/// PublicAccessBlockConfiguration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // AWS's structure: four independent switches
pub(crate) struct PublicAccessBlock {
    pub(crate) block_public_acls: bool,
    pub(crate) ignore_public_acls: bool,
    pub(crate) block_public_policy: bool,
    pub(crate) restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// What a new bucket has.
    pub(crate) const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}

impl Bucket {
    /// A version's id as answers show it; buckets that never had versions show none.
    pub(crate) fn shown(&self, version: &Version) -> Option<String> {
        (self.settings.versioning != Versioning::Never).then(|| version.name().to_owned())
    }

    /// When the current version of an object expires, as answers say it.
    pub(crate) fn expiration(&self, object: &Object) -> Option<String> {
        Some(expiry(&self.settings.lifecycle, object)?.header())
    }
}

/// A version of a key.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Object(Box<Object>),
    Marker(Marker),
}

impl Entry {
    pub(crate) fn version(&self) -> &Version {
        match self {
            Self::Object(object) => &object.version,
            Self::Marker(marker) => &marker.version,
        }
    }

    pub(crate) fn into_blobs(self) -> Vec<String> {
        match self {
            Self::Object(object) => object.blobs(),
            Self::Marker(_) => Vec::new(),
        }
    }
}

/// A delete marker: where it is its key's newest version, there seems to be no object.
#[derive(Clone, Debug)]
pub(crate) struct Marker {
    pub(crate) key: String,
    pub(crate) version: Version,
    /// To the second.
    pub(crate) modified: Timestamp,
}

/// An object, or one version of it.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) version: Version,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    /// To the second, as AWS shows it.
    pub(crate) modified: Timestamp,
    pub(crate) checksum: Checksum,
    pub(crate) detail: Detail,
}

/// What clients say about an object when they make it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: Tags,
    /// `None` is STANDARD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
    /// `None` is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encryption: Option<Encryption>,
}

impl Attributes {
    pub(crate) fn storage_class(&self) -> &str {
        self.storage_class.as_deref().unwrap_or("STANDARD")
    }
}

/// The part of an object's row that listings don't read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Detail {
    pub(crate) attributes: Attributes,
    /// The body, in order.
    pub(crate) segments: Vec<Segment>,
}

/// One file of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) blob: String,
    pub(crate) size: u64,
    /// Which part of a multipart upload this was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<PartOrigin>,
}

/// What remains of a part in the object that it went into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartOrigin {
    pub(crate) number: u32,
    /// Base64, with the object's algorithm.
    pub(crate) checksum: String,
}

impl Object {
    pub(crate) fn blobs(&self) -> Vec<String> {
        self.detail.segments.iter().map(|segment| segment.blob.clone()).collect()
    }

    /// How many parts a multipart upload made this object of.
    pub(crate) fn parts(&self) -> Option<usize> {
        self.detail.segments.first()?.part.as_ref()?;
        Some(self.detail.segments.len())
    }

    /// Where part `number` lies, counted from 1 as in PartNumber of GetObject.
    pub(crate) fn part_range(&self, number: usize) -> Option<Range<u64>> {
        let Some(parts) = self.parts() else { return (number == 1).then_some(0..self.size) };
        if !(1..=parts).contains(&number) {
            return None;
        }
        let start = self.detail.segments[..number - 1].iter().map(|segment| segment.size).sum();
        Some(start..start + self.detail.segments[number - 1].size)
    }

    /// The pieces of files that hold these bytes.
    pub(crate) fn pieces(&self, range: Range<u64>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut start = 0;
        for segment in &self.detail.segments {
            let end = start + segment.size;
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                pieces.push(Piece { blob: segment.blob.clone(), offset: from - start, size: to - from });
            }
            start = end;
        }
        pieces
    }
}

/// A multipart upload in progress.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) initiated: Timestamp,
    pub(crate) plan: UploadPlan,
}

/// What the object of an upload will be like.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadPlan {
    pub(crate) attributes: Attributes,
    /// As the client named it; without, the object gets the default algorithm's.
    pub(crate) algorithm: Option<crate::checksum::Algorithm>,
    pub(crate) coverage: crate::checksum::Coverage,
}

impl UploadPlan {
    pub(crate) fn algorithm(&self) -> crate::checksum::Algorithm {
        self.algorithm.unwrap_or(crate::checksum::Algorithm::DEFAULT)
    }
}

/// A part that has been uploaded.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) blob: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    /// Base64, with the upload's algorithm.
    pub(crate) checksum: String,
}

/// A scope from its columns; ids that we wrote always parse.
pub(crate) fn scope(account: &str, region: &str) -> Scope {
    Scope { account: AccountId::new(account).unwrap_or_default(), region: Region::new(region).unwrap_or_default() }
}

/// Counts and sizes are unsigned here and signed in SQLite.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// See [`unsigned`].
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{Algorithm, Coverage};

    fn object(sizes: &[u64], multipart: bool) -> Object {
        let segment = |(number, size): (usize, &u64)| Segment {
            blob: format!("b{number}"),
            size: *size,
            part: multipart.then(|| PartOrigin { number: u32::try_from(number).unwrap() + 1, checksum: String::new() }),
        };
        Object {
            key: "k".into(),
            version: Version::default(),
            size: sizes.iter().sum(),
            etag: String::new(),
            modified: Timestamp::default(),
            checksum: Checksum { algorithm: Algorithm::DEFAULT, coverage: Coverage::FullObject, value: String::new() },
            detail: Detail {
                attributes: Attributes::default(),
                segments: sizes.iter().enumerate().map(segment).collect(),
            },
        }
    }

    #[test]
    fn a_range_is_cut_at_segment_ends() {
        let object = object(&[10, 5, 7], true);
        let piece = |blob: &str, offset, size| Piece { blob: blob.into(), offset, size };
        for (range, pieces) in [
            (0..22, vec![piece("b0", 0, 10), piece("b1", 0, 5), piece("b2", 0, 7)]),
            (9..11, vec![piece("b0", 9, 1), piece("b1", 0, 1)]),
            (10..15, vec![piece("b1", 0, 5)]),
            (21..22, vec![piece("b2", 6, 1)]),
            (0..0, vec![]),
        ] {
            assert_eq!(object.pieces(range.clone()), pieces, "{range:?}");
        }
    }

    #[test]
    fn parts_are_found_by_number() {
        let multipart = object(&[10, 5], true);
        assert_eq!(multipart.part_range(2), Some(10..15));
        assert_eq!(multipart.part_range(3), None);
        assert_eq!(multipart.part_range(0), None);
        let single = object(&[10], false);
        assert_eq!((single.parts(), single.part_range(1), single.part_range(2)), (None, Some(0..10), None));
        assert_eq!(object(&[], false).part_range(1), Some(0..0));
    }
}
