//! Content by digest.

use crate::digest::HashingReader;
use crate::{Digest, ImageError, ImageStore, Removed};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Manifests and configurations are read into memory: Docker's registry takes 4 MiB at most.
const LARGEST_DOCUMENT: u64 = 4 * 1024 * 1024;

impl ImageStore {
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path("blobs/sha256").join(digest.hex())
    }

    /// The blob's size in bytes; `None` where it isn't here.
    pub fn blob_size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.blob_path(digest)).ok().map(|meta| meta.len())
    }

    /// The blob, open for reading, and its size in bytes. It stays readable when it is removed.
    pub fn open_blob(&self, digest: &Digest) -> Result<(File, u64), ImageError> {
        let opened = File::open(self.blob_path(digest)).and_then(|file| {
            let size = file.metadata()?.len();
            Ok((file, size))
        });
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ImageError::NotFound(digest.clone()),
            _ => ImageError::Io { what: format!("blob {digest}"), source: error },
        })
    }

    /// Keeps `bytes` durably. Gives their digest.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Digest::of(bytes);
        if self.blob_size(&digest).is_none() {
            let keep = || -> io::Result<()> {
                let mut making = tempfile::NamedTempFile::new_in(self.path("uploads"))?;
                making.write_all(bytes)?;
                self.keep_file(making.into_temp_path().keep().map_err(|e| e.error)?, &digest)
            };
            keep().map_err(ImageError::io(format!("blob {digest}")))?;
        }
        Ok(digest)
    }

    /// Keeps what `reader` gives durably, without holding it in memory. Gives its digest and size in bytes.
    pub fn put_blob_from(&self, reader: impl Read) -> Result<(Digest, u64), ImageError> {
        let keep = || -> io::Result<(Digest, u64)> {
            let making = tempfile::NamedTempFile::new_in(self.path("uploads"))?;
            let mut reader = HashingReader::new(reader);
            io::copy(&mut reader, &mut making.as_file())?;
            let size = reader.size();
            let digest = reader.finish()?;
            self.keep_file(making.into_temp_path().keep().map_err(|e| e.error)?, &digest)?;
            Ok((digest, size))
        };
        keep().map_err(ImageError::io("storing a blob"))
    }

    /// A small blob's bytes, checked against its digest.
    pub(crate) fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let (file, _) = self.open_blob(digest)?;
        let mut bytes = Vec::new();
        file.take(LARGEST_DOCUMENT + 1).read_to_end(&mut bytes).map_err(ImageError::io(format!("blob {digest}")))?;
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(ImageError::Malformed(format!("{digest} is too large for a manifest or configuration")));
        }
        let actual = Digest::of(&bytes);
        if actual == *digest { Ok(bytes) } else { Err(ImageError::DigestMismatch { expected: digest.clone(), actual }) }
    }

    /// Gives the file at `path` its place under `digest`, durably.
    pub(crate) fn keep_file(&self, path: impl AsRef<Path>, digest: &Digest) -> io::Result<()> {
        File::open(&path)?.sync_all()?;
        fs::rename(&path, self.blob_path(digest))?;
        File::open(self.path("blobs/sha256"))?.sync_all()
    }

    pub(crate) fn remove_blobs(
        &self,
        keep: &HashSet<Digest>,
        age: Duration,
        removed: &mut Removed,
    ) -> Result<(), ImageError> {
        let kept: HashSet<&str> = keep.iter().map(Digest::hex).collect();
        let directory = self.path("blobs/sha256");
        let mut sweep = || -> io::Result<()> {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                let meta = entry.metadata()?;
                let young = file_age(&meta);
                if entry.file_name().to_str().is_some_and(|name| kept.contains(name)) || young.is_none_or(|y| y < age) {
                    continue;
                }
                fs::remove_file(entry.path())?;
                removed.blobs += 1;
                removed.bytes += meta.len();
            }
            Ok(())
        };
        sweep().map_err(ImageError::io(directory.display().to_string()))
    }
}

/// How long ago a file last changed. Files' times are the machine's, and are compared with its clock, not the services'.
pub(crate) fn file_age(meta: &fs::Metadata) -> Option<Duration> {
    SystemTime::now().duration_since(meta.modified().ok()?).ok()
}
