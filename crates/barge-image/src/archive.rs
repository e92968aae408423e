//! Takes images in from files: OCI layout directories, and tar archives of them (`skopeo copy … oci:`, `docker save`,
//! `podman save`).

use crate::unpack::unpack;
use crate::{Digest, ImageError, ImageStore, UnpackLimits, references};
use oci_spec::image::{DescriptorBuilder, ImageIndex, ImageManifestBuilder, MediaType};
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

/// One image in the older form of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    layers: Vec<String>,
}

impl ImageStore {
    /// Takes in the image at `path`: a directory in OCI layout, or a tar archive of one or of `docker save` (packed with
    /// gzip or not). Gives its manifest's digest. Where there are several images, it is the last. Blocks.
    pub fn import(&self, path: &Path) -> Result<Digest, ImageError> {
        let wrong = || ImageError::io(path.display().to_string());
        if fs::metadata(path).map_err(wrong())?.is_dir() {
            return self.import_directory(path);
        }
        let mut file = File::open(path).map_err(wrong())?;
        let mut magic = [0; 2];
        let packed = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
        io::Seek::rewind(&mut file).map_err(wrong())?;
        let reader = BufReader::with_capacity(128 * 1024, file);
        let tar: Box<dyn Read> =
            if packed { Box::new(flate2::read::MultiGzDecoder::new(reader)) } else { Box::new(reader) };
        let making = tempfile::Builder::new()
            .prefix(&crate::store::making_prefix())
            .tempdir_in(self.path("making"))
            .map_err(wrong())?;
        unpack(tar, making.path(), &Digest::of(b""), &UnpackLimits::default()).map_err(|error| match error {
            ImageError::Layer { reason, .. } => ImageError::Malformed(format!("{}: {reason}", path.display())),
            ImageError::Escape { entry, reason, .. } => {
                ImageError::Malformed(format!("{}: {entry:?} {reason}", path.display()))
            }
            other => other,
        })?;
        self.import_directory(making.path())
    }

    fn import_directory(&self, layout: &Path) -> Result<Digest, ImageError> {
        if let Some(index) = read(layout, "index.json")? {
            let index = ImageIndex::from_reader(index.as_slice())
                .map_err(|error| ImageError::Malformed(format!("index.json: {error}")))?;
            let last =
                index.manifests().last().ok_or_else(|| ImageError::Malformed("index.json is empty".to_owned()))?;
            let digest = parse(last.digest().as_ref())?;
            self.import_manifest(layout, &digest, 0)?;
            return Ok(digest);
        }
        if let Some(saved) = read(layout, "manifest.json")? {
            let images: Vec<SavedImage> =
                serde_json::from_slice(&saved).map_err(ImageError::malformed("manifest.json"))?;
            let last = images.last().ok_or_else(|| ImageError::Malformed("manifest.json is empty".to_owned()))?;
            return self.import_saved(layout, last);
        }
        Err(ImageError::Malformed("neither an OCI layout nor an archive of docker save".to_owned()))
    }

    /// Takes in a manifest with everything that it names, what it names first.
    fn import_manifest(&self, layout: &Path, digest: &Digest, depth: u32) -> Result<(), ImageError> {
        if depth > 4 {
            return Err(ImageError::Malformed("indexes within indexes within indexes".to_owned()));
        }
        let path = format!("blobs/sha256/{}", digest.hex());
        let bytes = read(layout, &path)?.ok_or_else(|| ImageError::NotFound(digest.clone()))?;
        check(digest, Digest::of(&bytes))?;
        for reference in references(&bytes)? {
            if reference.is_manifest {
                self.import_manifest(layout, &reference.digest, depth + 1)?;
            } else if self.blob_size(&reference.digest).is_none() {
                let file = open(layout, &format!("blobs/sha256/{}", reference.digest.hex()))?
                    .ok_or_else(|| ImageError::NotFound(reference.digest.clone()))?;
                let (actual, _) = self.put_blob_from(file)?;
                check(&reference.digest, actual)?;
            }
        }
        self.put_manifest(&bytes).map(drop)
    }

    fn import_saved(&self, layout: &Path, image: &SavedImage) -> Result<Digest, ImageError> {
        let missing = |name: &str| ImageError::Malformed(format!("{name} is not in the archive"));
        let config = read(layout, &image.config)?.ok_or_else(|| missing(&image.config))?;
        let mut layers = Vec::new();
        for name in &image.layers {
            let file = open(layout, name)?.ok_or_else(|| missing(name))?;
            layers.push((MediaType::ImageLayer, self.put_blob_from(file)?));
        }
        crate::pack::assemble(self, &config, layers)
    }
}

fn check(expected: &Digest, actual: Digest) -> Result<(), ImageError> {
    if actual == *expected { Ok(()) } else { Err(ImageError::DigestMismatch { expected: expected.clone(), actual }) }
}

fn parse(text: &str) -> Result<Digest, ImageError> {
    text.parse().map_err(|error: crate::digest::NotADigest| ImageError::Malformed(error.to_string()))
}

/// The file `name` of the layout; `None` where there is none. A name that leads elsewhere is refused.
fn open(layout: &Path, name: &str) -> Result<Option<File>, ImageError> {
    let path = PathBuf::from(name);
    if !path.components().all(|component| matches!(component, Component::Normal(_))) {
        return Err(ImageError::Malformed(format!("{name:?} leads out of the archive")));
    }
    let how = nix::fcntl::OpenHow::new()
        .flags(nix::fcntl::OFlag::O_RDONLY | nix::fcntl::OFlag::O_CLOEXEC)
        .resolve(nix::fcntl::ResolveFlag::RESOLVE_BENEATH);
    let root = File::open(layout).map_err(ImageError::io(layout.display().to_string()))?;
    match nix::fcntl::openat2(&root, &path, how) {
        Ok(file) => Ok(Some(File::from(file))),
        Err(nix::errno::Errno::ENOENT) => Ok(None),
        Err(error) => Err(ImageError::Io { what: name.to_owned(), source: error.into() }),
    }
}

fn read(layout: &Path, name: &str) -> Result<Option<Vec<u8>>, ImageError> {
    let Some(file) = open(layout, name)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(4 << 20).read_to_end(&mut bytes).map_err(ImageError::io(name))?;
    Ok(Some(bytes))
}

/// Writes the manifest of an image from its configuration and layers, all of which are in the store.
pub(crate) fn manifest(
    config: (Digest, u64),
    layers: Vec<(MediaType, (Digest, u64))>,
) -> Result<Vec<u8>, oci_spec::OciSpecError> {
    let descriptor = |kind: MediaType, (digest, size): (Digest, u64)| {
        let digest: oci_spec::image::Digest = digest.as_str().parse()?;
        DescriptorBuilder::default().media_type(kind).digest(digest).size(size).build()
    };
    let layers = layers.into_iter().map(|(kind, blob)| descriptor(kind, blob)).collect::<Result<Vec<_>, _>>()?;
    ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, config)?)
        .layers(layers)
        .build()?
        .to_string()
        .map(String::into_bytes)
}
