//! From a manifest to directories that an overlay can be mounted from.

use crate::digest::HashingReader;
use crate::image::{Compression, Document, LayerBlob, Manifest, choose, parse_config};
use crate::store::making_prefix;
use crate::unpack::{Ownership, unpack};
use crate::{Digest, ImageConfig, ImageError, ImageStore, Removed};
use flate2::read::MultiGzDecoder;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// How much of a file in an image is read, e.g. of its list of users.
const LARGEST_FILE: u64 = 1024 * 1024;

/// As many of a diff id's digits name its directory: enough that no two meet, and short.
const NAME_DIGITS: usize = 32;

/// An image, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedImage {
    /// How it wants to be run.
    pub config: ImageConfig,
    /// Its layers' directories, lowest first, in the overlay file system's form: removed files are character devices 0/0,
    /// directories that hide what is below carry `trusted.overlay.opaque` (`user.overlay.opaque` where the store was
    /// filled by an ordinary user).
    pub layers: Vec<PathBuf>,
}

impl PreparedImage {
    /// The text of a regular file of the image, e.g. `etc/passwd`; empty where there is none. Links that lead out of the
    /// file's own layer are not followed.
    pub fn read_text(&self, path: &str) -> String {
        for layer in self.layers.iter().rev() {
            let how = OpenHow::new()
                .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
                .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
            let Ok(root) = File::open(layer) else { continue };
            match openat2(&root, path, how).map(File::from) {
                Ok(file) if file.metadata().is_ok_and(|meta| meta.is_file()) => {
                    let mut bytes = Vec::new();
                    let read = file.take(LARGEST_FILE).read_to_end(&mut bytes);
                    return read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned());
                }
                // A device is a mark that the file was removed; opening that one fails.
                Ok(_) | Err(Errno::ENXIO | Errno::EXDEV) => return String::new(),
                Err(_) => {}
            }
        }
        String::new()
    }
}

impl ImageStore {
    /// Unpacks the image of the manifest (or index) `digest`, as far as it isn't yet.
    ///
    /// Every blob is checked against its digest, and every layer's tar against the configuration's, before the layer
    /// gets its name. Blocks, for long the first time.
    pub fn prepare(&self, digest: &Digest) -> Result<Arc<PreparedImage>, ImageError> {
        let known = lock(&self.inner.prepared).get(digest).cloned();
        // Somebody may have removed the layers since: they are unpacked again then.
        if let Some(image) = known
            && image.layers.iter().all(|layer| layer.is_dir())
        {
            return Ok(image);
        }
        let (manifest, config, diff_ids) = self.describe(digest)?;
        let mut layers = Vec::new();
        for (layer, diff_id) in manifest.layers.iter().zip(&diff_ids) {
            let path = self.layer_path(diff_id);
            let unpacking = lock(&self.inner.unpacking);
            if !path.is_dir() {
                self.unpack_layer(layer, diff_id, &path)?;
            }
            drop(unpacking);
            layers.push(path);
        }
        let image = Arc::new(PreparedImage { config, layers });
        lock(&self.inner.prepared).insert(digest.clone(), Arc::clone(&image));
        Ok(image)
    }

    /// The image's configuration, without unpacking anything.
    pub fn config(&self, digest: &Digest) -> Result<ImageConfig, ImageError> {
        self.describe(digest).map(|(_, config, _)| config)
    }

    fn describe(&self, digest: &Digest) -> Result<(Manifest, ImageConfig, Vec<Digest>), ImageError> {
        let mut document = Document::parse(&self.read_blob(digest)?)?;
        if let Document::Index(index) = &document {
            document = Document::parse(&self.read_blob(&choose(index)?)?)?;
        }
        let Document::Manifest(manifest) = document else {
            return Err(ImageError::Malformed("an index of indexes".to_owned()));
        };
        let manifest = Manifest::read(&manifest)?;
        let (config, diff_ids) = parse_config(&self.read_blob(&manifest.config)?)?;
        if diff_ids.len() != manifest.layers.len() {
            return Err(ImageError::Malformed(format!(
                "the manifest has {} layers, the configuration {}",
                manifest.layers.len(),
                diff_ids.len()
            )));
        }
        Ok((manifest, config, diff_ids))
    }

    /// Where the layers of the image `digest` are, or would be.
    pub(crate) fn layer_dirs(&self, digest: &Digest) -> Result<Vec<PathBuf>, ImageError> {
        let (_, _, diff_ids) = self.describe(digest)?;
        Ok(diff_ids.iter().map(|id| self.layer_path(id)).collect())
    }

    fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.path("layers").join(Ownership::of_this_process().name()).join(&diff_id.hex()[..NAME_DIGITS])
    }

    fn unpack_layer(&self, layer: &LayerBlob, diff_id: &Digest, place: &Path) -> Result<(), ImageError> {
        let (file, _) = self.open_blob(&layer.digest)?;
        let wrong = || ImageError::io(format!("unpacking layer {diff_id}"));
        let making =
            tempfile::Builder::new().prefix(&making_prefix()).tempdir_in(self.path("making")).map_err(wrong())?;
        let root = making.path().join("layer");
        fs::create_dir(&root).map_err(wrong())?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).map_err(wrong())?;

        let mut packed = HashingReader::new(BufReader::with_capacity(128 * 1024, file));
        let tar: Box<dyn Read + '_> = match layer.compression {
            Compression::None => Box::new(&mut packed),
            Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(128 * 1024, &mut packed))),
        };
        let mut tar = HashingReader::new(tar);
        let unpacked = unpack(&mut tar, &root, diff_id, &self.inner.limits);
        // A layer that is not what was announced is reported as that, whatever else is wrong with its content.
        let tar_digest = tar.finish();
        check(&layer.digest, packed.finish().map_err(wrong())?)?;
        unpacked?;
        check(diff_id, tar_digest.map_err(wrong())?)?;

        let keep = || -> io::Result<()> {
            // What has its name is whole, even after a power failure.
            rustix::fs::syncfs(File::open(&root)?)?;
            fs::rename(&root, place)
        };
        keep().map_err(wrong())?;
        // The temporary directory may hold entries that its own removal cannot enter.
        let _ = remove_tree(making.path());
        Ok(())
    }

    pub(crate) fn remove_layers(&self, keep: &HashSet<PathBuf>, removed: &mut Removed) -> Result<(), ImageError> {
        let directory = self.path("layers").join(Ownership::of_this_process().name());
        let _unpacking = lock(&self.inner.unpacking);
        lock(&self.inner.prepared).retain(|_, image| image.layers.iter().all(|layer| keep.contains(layer)));
        let mut sweep = || -> io::Result<()> {
            for entry in fs::read_dir(&directory)? {
                let path = entry?.path();
                if !keep.contains(&path) {
                    // Out of its name first: half a layer must not be found under it.
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let doomed = self.path("making").join(making_prefix() + &name);
                    fs::rename(&path, &doomed)?;
                    remove_tree(&doomed)?;
                    removed.layers += 1;
                }
            }
            Ok(())
        };
        sweep().map_err(ImageError::io(directory.display().to_string()))
    }
}

fn check(expected: &Digest, actual: Digest) -> Result<(), ImageError> {
    if actual == *expected { Ok(()) } else { Err(ImageError::DigestMismatch { expected: expected.clone(), actual }) }
}

/// Removes a directory and all in it, also what an image's modes or overlay mounts close to an ordinary user. What is not there is
/// removed already.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn open_up(path: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(path)?.mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && !kind.is_symlink() && !kind.is_char_device() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
