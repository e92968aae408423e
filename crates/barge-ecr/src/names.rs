//! How repositories, tags and images are called.

use barge_image::Digest;

/// What picks an image in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    Tag(String),
    Digest(Digest),
}

impl Pick {
    /// A tag, or a digest where the text is one (OCI Distribution Specification, "Pulling manifests").
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(digest) => Some(Self::Digest(digest)),
            Err(_) if is_tag(text) => Some(Self::Tag(text.to_owned())),
            Err(_) => None,
        }
    }
}

impl std::fmt::Display for Pick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => f.write_str(digest.as_str()),
        }
    }
}

fn is_tag(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with(['.', '-'])
}

/// An image's name taken apart: `REGISTRY/REPOSITORY[:TAG][@DIGEST]`. The tag is `latest` where none is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ImageName<'a> {
    pub(crate) registry: &'a str,
    pub(crate) repository: &'a str,
    pub(crate) pick: Pick,
}

impl<'a> ImageName<'a> {
    /// `None` where the name has no registry in front or is not well-formed.
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let (registry, rest) = name.split_once('/')?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(Pick::Digest(digest.parse().ok()?))),
            None => (rest, None),
        };
        let (repository, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
        let pick = match digest {
            Some(pick) => pick,
            None if is_tag(tag) => Pick::Tag(tag.to_owned()),
            None => return None,
        };
        (!repository.is_empty()).then_some(Self { registry, repository, pick })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names_are_taken_apart() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let with_digest = format!("127.0.0.1:4566/a/b@{digest}");
        let with_both = format!("r/a:t@{digest}");
        for (name, expected) in [
            ("000000000000.dkr.ecr.us-east-1.amazonaws.com/a/b:1", Some(("a/b", "1"))),
            ("localhost:4566/a", Some(("a", "latest"))),
            (with_digest.as_str(), Some(("a/b", digest.as_str()))),
            (with_both.as_str(), Some(("a", digest.as_str()))),
            ("busybox", None),
            ("r/a:b:c", None),
            ("r/a@sha256:1", None),
            ("r/", None),
        ] {
            let parsed = ImageName::parse(name).map(|name| (name.repository, name.pick.to_string()));
            assert_eq!(parsed, expected.map(|(repository, pick)| (repository, pick.to_owned())), "{name}");
        }
    }
}
