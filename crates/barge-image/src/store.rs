//! The image store: a directory, and what is done with it.

use crate::image::references;
use crate::uploads::Sessions;
use crate::{Digest, ImageError, PreparedImage, UnpackLimits};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Blobs, uploads and unpacked layers in one directory:
///
/// - `blobs/sha256/…`: content by digest, never changed;
/// - `uploads/…`: what is being received;
/// - `layers/{root,user}/…`: unpacked layers, by the digest of their tar, apart for root and ordinary users, whose layers
///   mark removed files differently;
/// - `making/…`: what is unpacked at this moment, by the process whose number it begins with; what processes that are gone
///   left there, and uploads that nobody went on with for a week, are removed when the store is opened.
///
/// Cheap to share. All calls that touch the disk block: call them off the async threads, or use
/// [`receive`](ImageStore::receive).
#[derive(Clone)]
pub struct ImageStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) directory: PathBuf,
    pub(crate) limits: UnpackLimits,
    pub(crate) sessions: Sessions,
    /// Images whose layers are known to be unpacked.
    pub(crate) prepared: Mutex<HashMap<Digest, Arc<PreparedImage>>>,
    /// Held while a layer is unpacked, so that no two threads unpack the same one.
    pub(crate) unpacking: Mutex<()>,
}

/// An upload that nobody goes on with is dropped after this time.
const ABANDONED: Duration = Duration::from_hours(7 * 24);

/// What [`ImageStore::remove_unreferenced`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Blobs and manifests.
    pub blobs: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Unpacked layers.
    pub layers: u64,
}

impl ImageStore {
    /// Opens the store in `directory`, made where there is none.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, ImageError> {
        Self::open_with(directory, UnpackLimits::default())
    }

    /// Opens the store in `directory` with other limits on what a layer may hold.
    pub fn open_with(directory: impl Into<PathBuf>, limits: UnpackLimits) -> Result<Self, ImageError> {
        let directory = directory.into();
        let wrong = |path: &Path| ImageError::io(format!("image store {}", path.display()));
        for name in ["blobs/sha256", "uploads", "layers/root", "layers/user", "making"] {
            let path = directory.join(name);
            fs::create_dir_all(&path).map_err(wrong(&path))?;
        }
        let directory = directory.canonicalize().map_err(wrong(&directory))?;
        remove_abandoned(&directory).map_err(wrong(&directory))?;
        Ok(Self {
            inner: Arc::new(Inner {
                sessions: Sessions::default(),
                prepared: Mutex::default(),
                unpacking: Mutex::default(),
                directory,
                limits,
            }),
        })
    }

    /// Keeps a manifest or index, byte for byte, once everything that it names is here. Gives its digest.
    pub fn put_manifest(&self, manifest: &[u8]) -> Result<Digest, ImageError> {
        let missing: Vec<Digest> = references(manifest)?
            .into_iter()
            .map(|reference| reference.digest)
            .filter(|digest| self.blob_size(digest).is_none())
            .collect();
        if !missing.is_empty() {
            return Err(ImageError::MissingBlobs(missing));
        }
        self.put_blob(manifest)
    }

    /// A manifest's bytes.
    pub fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        self.read_blob(digest)
    }

    /// Removes every blob that is not named, directly or through other manifests, by the manifests in `roots`, and that
    /// has been here for longer than `age` (an image being pushed has blobs before it has a manifest); and every unpacked
    /// layer of no root. `roots` must contain the images that attempts still run from.
    pub fn remove_unreferenced(&self, roots: &HashSet<Digest>, age: Duration) -> Result<Removed, ImageError> {
        let mut keep: HashSet<Digest> = HashSet::new();
        let mut layers: HashSet<PathBuf> = HashSet::new();
        let mut open: Vec<Digest> = roots.iter().cloned().collect();
        while let Some(digest) = open.pop() {
            if !keep.insert(digest.clone()) || self.blob_size(&digest).is_none() {
                continue;
            }
            let bytes = self.read_blob(&digest)?;
            for reference in references(&bytes)? {
                if reference.is_manifest {
                    open.push(reference.digest);
                } else {
                    keep.insert(reference.digest);
                }
            }
            layers.extend(self.layer_dirs(&digest).unwrap_or_default());
        }
        let mut removed = Removed::default();
        self.remove_blobs(&keep, age, &mut removed)?;
        self.remove_layers(&layers, &mut removed)?;
        Ok(removed)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.inner.directory.join(name)
    }
}

/// What a file in `making` is called while this process makes it.
pub(crate) fn making_prefix() -> String {
    format!("{}-", std::process::id())
}

/// Removes what killed processes left half made.
fn remove_abandoned(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory.join("making"))? {
        let entry = entry?;
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.split('-').next()?.parse::<u32>().ok());
        if maker.is_none_or(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            crate::layers::remove_tree(&entry.path())?;
        }
    }
    for entry in fs::read_dir(directory.join("uploads"))? {
        let entry = entry?;
        if crate::blobs::file_age(&entry.metadata()?).is_some_and(|age| age > ABANDONED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
