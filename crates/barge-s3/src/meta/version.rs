//! What tells the versions of a key apart (Amazon S3 User Guide, "Retaining multiple versions of objects with S3
//! Versioning"). An id carries its version's place in the order of versions, masked, so that it looks like AWS's, leads
//! straight to its row, and still says where to go on in a listing once the version is gone.

use super::Versioning;
use crate::error::{INVALID_ARGUMENT, Result};
use barge_core::IdSource;
use barge_store::rusqlite::Connection;
use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use sha2::{Digest as _, Sha256};

/// The id of a version that was made without versioning.
pub(crate) const NULL: &str = "null";

/// Random bytes of an id, and bytes of its place.
const RANDOM: usize = 16;
const PLACE: usize = 8;

/// Safe in URLs, and never a hyphen, which command lines would take for an option.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._") {
        Ok(alphabet) => alphabet,
        Err(_) => base64::alphabet::URL_SAFE,
    },
    NO_PAD,
);

/// Which of its key's versions an object or delete marker is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// Greater for newer ones.
    pub(crate) sequence: i64,
    /// `None` for the null version.
    pub(crate) id: Option<String>,
}

impl Version {
    /// The version that comes next in a bucket.
    pub(crate) fn next(connection: &Connection, versioning: Versioning, ids: &dyn IdSource) -> Result<Self> {
        Ok(match versioning {
            Versioning::Never => Self::default(),
            Versioning::Suspended => Self { sequence: next_sequence(connection)?, id: None },
            Versioning::Enabled => Self::new(next_sequence(connection)?, ids),
        })
    }

    fn new(sequence: i64, ids: &dyn IdSource) -> Self {
        let mut bytes = [0; RANDOM + PLACE];
        ids.fill(&mut bytes[..RANDOM]);
        let (random, place) = bytes.split_at_mut(RANDOM);
        place.copy_from_slice(&mask(random, sequence.to_be_bytes()));
        Self { sequence, id: Some(BASE64.encode(bytes)) }
    }

    /// The id as clients see it.
    pub(crate) fn name(&self) -> &str {
        self.id.as_deref().unwrap_or(NULL)
    }
}

/// Covers a place, or uncovers it again.
fn mask(random: &[u8], mut place: [u8; PLACE]) -> [u8; PLACE] {
    place.iter_mut().zip(Sha256::digest(random)).for_each(|(byte, cover)| *byte ^= cover);
    place
}

/// The next number of the one row of numbers that orders what happens.
pub(crate) fn next_sequence(connection: &Connection) -> Result<i64> {
    let mut query = connection.prepare_cached("UPDATE s3_sequence SET value = value + 1 RETURNING value")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// A version as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VersionId {
    /// The one that was made without versioning.
    Null,
    /// The one of this id.
    Made(Version),
}

impl VersionId {
    /// `InvalidArgument` unless `text` may be an id.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text == NULL {
            return Ok(Self::Null);
        }
        let made = place(text).map(|sequence| Self::Made(Version { sequence, id: Some(text.to_owned()) }));
        made.ok_or_else(|| INVALID_ARGUMENT.because("Invalid version id specified"))
    }

    /// [`VersionId::parse`] where a request names a version; an empty name is none.
    pub(crate) fn parse_optional(text: Option<&str>) -> Result<Option<Self>> {
        text.filter(|text| !text.is_empty()).map(Self::parse).transpose()
    }

    /// As the client named it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Null => NULL,
            Self::Made(version) => version.name(),
        }
    }

    /// Whether `version` is the one asked for.
    pub(crate) fn is(&self, version: &Version) -> bool {
        match self {
            Self::Null => version.id.is_none(),
            Self::Made(wanted) => wanted == version,
        }
    }
}

fn place(text: &str) -> Option<i64> {
    let bytes: [u8; RANDOM + PLACE] = BASE64.decode(text).ok()?.try_into().ok()?;
    let (random, place) = bytes.split_first_chunk::<RANDOM>()?;
    Some(i64::from_be_bytes(mask(random, place.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::RandomIds;

    #[test]
    fn an_id_carries_its_place_and_does_not_show_it() {
        let versions: Vec<_> = [0, 1, 2, i64::MAX].map(|sequence| Version::new(sequence, &RandomIds)).into();
        for version in &versions {
            let id = version.id.clone().unwrap();
            assert_eq!(VersionId::parse(&id).unwrap(), VersionId::Made(version.clone()));
            assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_'), "{id}");
        }
        assert_ne!(Version::new(1, &RandomIds).id, Version::new(1, &RandomIds).id);
    }

    #[test]
    fn what_may_be_an_id() {
        assert_eq!(VersionId::parse("null").unwrap(), VersionId::Null);
        assert!(VersionId::parse_optional(Some("")).unwrap().is_none());
        for text in ["", "nonsense", "NULL", &"A".repeat(31), &"A".repeat(33), &"-".repeat(32), &"é".repeat(16)] {
            assert!(VersionId::parse(text).is_err(), "{text}");
        }
        // What looks like one is one of a version that isn't there.
        assert!(VersionId::parse(&"A".repeat(32)).is_ok());
    }

    #[test]
    fn the_version_asked_for() {
        let (null, made) = (Version { sequence: 7, id: None }, Version::new(7, &RandomIds));
        let asked = VersionId::parse(made.name()).unwrap();
        assert_eq!((asked.is(&made), asked.is(&null)), (true, false));
        assert_eq!((VersionId::Null.is(&made), VersionId::Null.is(&null)), (false, true));
    }
}
