//! What a request's path is about. Repository names may hold slashes, so paths are read from their end.

use crate::names::Pick;
use barge_image::Digest;

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Root,
    Catalog,
    Tags(String),
    Uploads(String),
    Upload(String, String),
    Blob(String, Digest),
    Manifest(String, Pick),
}

impl Target {
    pub(super) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v2")?.trim_matches('/');
        let segments: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
        let named = |parts: &[&str]| {
            (!parts.is_empty() && parts.iter().all(|part| is_name_part(part))).then(|| parts.join("/"))
        };
        match segments.as_slice() {
            [] => Some(Self::Root),
            ["_catalog"] => Some(Self::Catalog),
            [name @ .., "tags", "list"] => named(name).map(Self::Tags),
            [name @ .., "blobs", "uploads"] => named(name).map(Self::Uploads),
            [name @ .., "blobs", "uploads", id] => Some(Self::Upload(named(name)?, (*id).to_owned())),
            [name @ .., "blobs", digest] => Some(Self::Blob(named(name)?, decoded(digest).parse().ok()?)),
            [name @ .., "manifests", reference] => {
                Some(Self::Manifest(named(name)?, Pick::parse(&decoded(reference))?))
            }
            _ => None,
        }
    }

    /// The repository that must exist.
    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Self::Root | Self::Catalog => None,
            Self::Tags(name)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Blob(name, _)
            | Self::Manifest(name, _) => Some(name),
        }
    }
}

fn decoded(text: &str) -> String {
    text.replace("%3A", ":").replace("%3a", ":")
}

fn is_name_part(part: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    !part.is_empty() && part.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (path, expected) in [
            ("/v2/".to_owned(), Some(Target::Root)),
            ("/v2/_catalog".to_owned(), Some(Target::Catalog)),
            ("/v2/a/b/tags/list".to_owned(), Some(Target::Tags("a/b".into()))),
            ("/v2/a/blobs/uploads/".to_owned(), Some(Target::Uploads("a".into()))),
            ("/v2/a/blobs/uploads/u-1".to_owned(), Some(Target::Upload("a".into(), "u-1".into()))),
            (format!("/v2/a/b/blobs/{digest}"), Some(Target::Blob("a/b".into(), digest.parse().unwrap()))),
            (
                format!("/v2/a/manifests/{digest}"),
                Some(Target::Manifest("a".into(), Pick::Digest(digest.parse().unwrap()))),
            ),
            ("/v2/a/manifests/v1".to_owned(), Some(Target::Manifest("a".into(), Pick::Tag("v1".into())))),
            ("/v2/A/manifests/v1".to_owned(), None),
            ("/v2/a/blobs/md5:1".to_owned(), None),
            ("/v2/manifests/v1".to_owned(), None),
            ("/v2/../manifests/v1".to_owned(), Some(Target::Manifest("..".into(), Pick::Tag("v1".into())))),
        ] {
            assert_eq!(Target::parse(&path), expected, "{path}");
        }
    }
}
