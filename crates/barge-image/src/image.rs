//! What manifests and configurations say. Pure.

use crate::{Digest, ImageError};
use oci_spec::image::{Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os};
use serde::Deserialize;

/// A blob or manifest that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its address.
    pub digest: Digest,
    /// Its size in bytes, as announced.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// Whether it is a manifest itself (in an index), and not a blob.
    pub is_manifest: bool,
}

/// How an image wants to be run (OCI Image Specification, "Image Configuration").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Comes first on the command line.
    pub entrypoint: Vec<String>,
    /// Follows the entrypoint.
    pub command: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `user`, `uid`, either with a group after a colon; empty is root.
    pub user: String,
    /// Absolute; empty is `/`.
    pub workdir: String,
}

/// One image for this machine: its configuration's and layers' blobs, lowest layer first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub config: Digest,
    pub layers: Vec<LayerBlob>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerBlob {
    pub digest: Digest,
    pub compression: Compression,
}

/// How a layer's tar is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
}

/// A manifest, or an index of manifests.
pub(crate) enum Document {
    Manifest(Box<ImageManifest>),
    Index(Box<ImageIndex>),
}

/// Only what tells the two kinds apart.
#[derive(Deserialize)]
struct Kind {
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads an OCI or Docker (version 2, schema 2) manifest or index.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let kind: Kind = serde_json::from_slice(bytes).map_err(ImageError::malformed("manifest"))?;
        match (kind.manifests, kind.layers) {
            (Some(_), None) => ImageIndex::from_reader(bytes)
                .map(|index| Self::Index(Box::new(index)))
                .map_err(|e| ImageError::Malformed(format!("index: {e}"))),
            (None, Some(_)) => ImageManifest::from_reader(bytes)
                .map(|manifest| Self::Manifest(Box::new(manifest)))
                .map_err(|e| ImageError::Malformed(format!("manifest: {e}"))),
            _ => Err(ImageError::Malformed("neither an image manifest nor an index".to_owned())),
        }
    }
}

/// Everything that a manifest or index names directly.
pub fn references(manifest: &[u8]) -> Result<Vec<Reference>, ImageError> {
    match Document::parse(manifest)? {
        Document::Manifest(manifest) => std::iter::once(manifest.config())
            .chain(manifest.layers())
            // A layer that is fetched from elsewhere is nobody's to hold.
            .filter(|descriptor| descriptor.urls().as_ref().is_none_or(Vec::is_empty))
            .map(|descriptor| reference(descriptor, false))
            .collect(),
        Document::Index(index) => index.manifests().iter().map(|descriptor| reference(descriptor, true)).collect(),
    }
}

fn reference(descriptor: &Descriptor, is_manifest: bool) -> Result<Reference, ImageError> {
    Ok(Reference {
        digest: digest(descriptor)?,
        size: descriptor.size(),
        media_type: descriptor.media_type().to_string(),
        is_manifest,
    })
}

fn digest(descriptor: &Descriptor) -> Result<Digest, ImageError> {
    descriptor.digest().to_string().parse().map_err(|e| ImageError::Malformed(format!("manifest: {e}")))
}

/// The manifest in `index` that is for this machine: its own architecture on Linux; the only one where there is one.
pub(crate) fn choose(index: &ImageIndex) -> Result<Digest, ImageError> {
    let here = Arch::default();
    let manifests = index.manifests();
    let fits = |descriptor: &&Descriptor| {
        descriptor.platform().as_ref().is_some_and(|p| *p.os() == Os::Linux && *p.architecture() == here)
    };
    let chosen = match manifests.as_slice() {
        [only] if only.platform().is_none() => Some(only),
        several => several.iter().find(fits),
    };
    chosen
        .ok_or_else(|| {
            ImageError::Malformed(format!(
                "image Manifest does not contain descriptor matching platform 'linux/{here}'"
            ))
        })
        .and_then(digest)
}

impl Manifest {
    pub(crate) fn read(manifest: &ImageManifest) -> Result<Self, ImageError> {
        let layers = manifest
            .layers()
            .iter()
            .map(|layer| Ok(LayerBlob { digest: digest(layer)?, compression: compression(layer.media_type())? }))
            .collect::<Result<_, ImageError>>()?;
        Ok(Self { config: digest(manifest.config())?, layers })
    }
}

fn compression(media_type: &MediaType) -> Result<Compression, ImageError> {
    match media_type.to_string().as_str() {
        "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
            Ok(Compression::None)
        }
        "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Ok(Compression::Gzip)
        }
        other => Err(ImageError::Malformed(format!("layers of type {other} are not supported"))),
    }
}

/// An image's configuration and the digests of its layers' tars.
pub(crate) fn parse_config(bytes: &[u8]) -> Result<(ImageConfig, Vec<Digest>), ImageError> {
    let parsed = ImageConfiguration::from_reader(bytes)
        .map_err(|error| ImageError::Malformed(format!("image configuration: {error}")))?;
    let diff_ids = parsed
        .rootfs()
        .diff_ids()
        .iter()
        .map(|id| id.parse().map_err(|error| ImageError::Malformed(format!("image configuration: {error}"))))
        .collect::<Result<_, _>>()?;
    let config = parsed.config().clone().unwrap_or_default();
    let list = |items: &Option<Vec<String>>| items.clone().unwrap_or_default();
    let config = ImageConfig {
        entrypoint: list(config.entrypoint()),
        command: list(config.cmd()),
        env: list(config.env()),
        user: config.user().clone().unwrap_or_default(),
        workdir: config.working_dir().clone().unwrap_or_default(),
    };
    Ok((config, diff_ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in ["", "[]", "{}", r#"{"layers":[],"manifests":[]}"#, r#"{"layers":[]}"#, r#"{"manifests":[{}]}"#] {
            assert!(references(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_index_gives_this_machines_image() {
        let digest = |c: char| format!("sha256:{}", c.to_string().repeat(64));
        let entry = |c, os: &str, arch: &str| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":2,
                "platform":{{"os":"{os}","architecture":"{arch}"}}}}"#,
                digest(c)
            )
        };
        let here = Arch::default().to_string();
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{},{},{}]}}"#,
            entry('1', "windows", &here),
            entry('2', "linux", "s390x"),
            entry('3', "linux", &here)
        );
        let Document::Index(parsed) = Document::parse(index.as_bytes()).unwrap() else { panic!("an index") };
        assert_eq!(choose(&parsed).unwrap().as_str(), digest('3'));
        assert_eq!(references(index.as_bytes()).unwrap().len(), 3);
    }
}
