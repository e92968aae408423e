//! Blobs that are received piece by piece (OCI Distribution Specification, "Pushing a blob in chunks").
//!
//! An upload is a file that grows. What was acknowledged is on disk and survives a restart; the hash of what is there is
//! kept in memory, and computed anew after a restart.

use crate::digest::HashingReader;
use crate::{Digest, ImageError, ImageStore};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

/// Uploads that this process has had a hand in.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Arc<Mutex<Session>>>>);

struct Session {
    file: File,
    hash: Sha256,
    size: u64,
}

/// Chunks that may wait for the disk.
const QUEUE: usize = 16;

impl ImageStore {
    /// Starts the upload `id`, which must be new, and safe as a file name (a UUID).
    pub fn start_upload(&self, id: &str) -> Result<(), ImageError> {
        let path = self.upload_path(id)?;
        let made = File::options().create_new(true).write(true).open(path).and_then(|_| self.sync_uploads());
        made.map_err(ImageError::io(format!("upload {id}")))
    }

    /// How many bytes of the upload are here.
    pub fn upload_size(&self, id: &str) -> Result<u64, ImageError> {
        let session = self.session(id)?;
        let size = lock(&session).size;
        Ok(size)
    }

    /// Appends what `body` gives to the upload. `offset`, where given, must be where the upload stands. Returns, once all is
    /// on disk, how many bytes are here. A body that breaks off leaves what came of it.
    pub async fn receive<S, E>(&self, id: &str, offset: Option<u64>, body: S) -> Result<u64, ImageError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        let (chunks, mut queue) = tokio::sync::mpsc::channel::<Bytes>(QUEUE);
        let (store, name) = (self.clone(), id.to_owned());
        let writing = tokio::task::spawn_blocking(move || {
            let session = store.session(&name)?;
            let mut session = lock(&session);
            if let Some(offset) = offset.filter(|offset| *offset != session.size) {
                return Err(ImageError::WrongOffset { stands: session.size, offset });
            }
            let wrong = |error| ImageError::Io { what: format!("upload {name}"), source: error };
            while let Some(chunk) = queue.blocking_recv() {
                session.append(&chunk).map_err(wrong)?;
            }
            session.file.sync_data().map_err(wrong)?;
            Ok(session.size)
        });
        let mut body = pin!(body);
        let mut broken = None;
        while let Some(chunk) = body.next().await {
            match chunk {
                // A writer that has given up says why below.
                Ok(chunk) => {
                    if chunks.send(chunk).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    broken = Some(error.to_string());
                    break;
                }
            }
        }
        drop(chunks);
        let written = writing.await.map_err(|error| ImageError::Malformed(error.to_string()))?;
        match broken {
            Some(error) => Err(ImageError::Io { what: format!("upload {id}"), source: io::Error::other(error) }),
            None => written,
        }
    }

    /// Ends the upload and keeps it as the blob `expected`, which its content must have for digest. Gives its size in
    /// bytes. An upload that does not match is dropped.
    pub fn finish_upload(&self, id: &str, expected: &Digest) -> Result<u64, ImageError> {
        let session = self.session(id)?;
        let session = lock(&session);
        let actual = Digest::from_hash(session.hash.clone().finalize().as_slice());
        self.inner.sessions.forget(id);
        let path = self.upload_path(id)?;
        if actual != *expected {
            // What is left is swept up with the other uploads that nobody finishes.
            let _ = fs::remove_file(path);
            return Err(ImageError::DigestMismatch { expected: expected.clone(), actual });
        }
        self.keep_file(path, expected).map_err(ImageError::io(format!("upload {id}")))?;
        Ok(session.size)
    }

    /// Drops the upload.
    pub fn cancel_upload(&self, id: &str) -> Result<(), ImageError> {
        self.session(id)?;
        self.inner.sessions.forget(id);
        fs::remove_file(self.upload_path(id)?).map_err(ImageError::io(format!("upload {id}")))
    }

    fn upload_path(&self, id: &str) -> Result<PathBuf, ImageError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if (1..=64).contains(&id.len()) && id.bytes().all(legal) {
            Ok(self.path("uploads").join(id))
        } else {
            Err(ImageError::UnknownUpload(id.to_owned()))
        }
    }

    fn sync_uploads(&self) -> io::Result<()> {
        File::open(self.path("uploads"))?.sync_all()
    }

    /// The upload's session, taken up from disk where this process does not know it.
    fn session(&self, id: &str) -> Result<Arc<Mutex<Session>>, ImageError> {
        let path = self.upload_path(id)?;
        let mut sessions = lock(&self.inner.sessions.0);
        if let Some(session) = sessions.get(id) {
            return Ok(Arc::clone(session));
        }
        let session = Session::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ImageError::UnknownUpload(id.to_owned()),
            _ => ImageError::Io { what: format!("upload {id}"), source: error },
        })?;
        let session = Arc::new(Mutex::new(session));
        sessions.insert(id.to_owned(), Arc::clone(&session));
        Ok(session)
    }
}

impl Sessions {
    fn forget(&self, id: &str) {
        lock(&self.0).remove(id);
    }
}

impl Session {
    fn open(path: &PathBuf) -> io::Result<Self> {
        let file = File::options().read(true).append(true).open(path)?;
        let mut hash = Sha256::new();
        let mut reader = HashingReader::new(&file);
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
        let size = reader.size();
        Ok(Self { file, hash, size })
    }

    fn append(&mut self, chunk: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(chunk) {
            // Half a chunk would make the hash a lie.
            self.file.set_len(self.size)?;
            return Err(error);
        }
        self.hash.update(chunk);
        self.size += chunk.len() as u64;
        Ok(())
    }
}

/// Nothing panics while it holds one of these locks, and what they guard is whole after each step.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    fn store() -> (tempfile::TempDir, ImageStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(dir.path()).unwrap();
        (dir, store)
    }

    fn body(parts: &[&'static str]) -> impl Stream<Item = Result<Bytes, String>> + Send + use<> {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn a_blob_comes_in_chunks_across_a_restart() {
        let (dir, store) = store();
        store.start_upload("u-1").unwrap();
        assert_eq!(store.receive("u-1", Some(0), body(&["hel", "lo "])).await.unwrap(), 6);
        drop(store);
        let store = ImageStore::open(dir.path()).unwrap();
        assert_eq!(store.upload_size("u-1").unwrap(), 6);
        let refused = store.receive("u-1", Some(4), body(&["x"])).await;
        assert!(matches!(refused, Err(ImageError::WrongOffset { stands: 6, offset: 4 })));
        assert_eq!(store.receive("u-1", None, body(&["world"])).await.unwrap(), 11);
        let digest = Digest::of(b"hello world");
        assert_eq!(store.finish_upload("u-1", &digest).unwrap(), 11);
        assert_eq!(store.read_blob(&digest).unwrap(), b"hello world");
        assert!(matches!(store.upload_size("u-1"), Err(ImageError::UnknownUpload(_))));
    }

    #[tokio::test]
    async fn content_that_does_not_match_is_not_kept() {
        let (_dir, store) = store();
        store.start_upload("u").unwrap();
        store.receive("u", None, body(&["x"])).await.unwrap();
        let digest = Digest::of(b"y");
        assert!(matches!(store.finish_upload("u", &digest), Err(ImageError::DigestMismatch { .. })));
        assert_eq!(store.blob_size(&digest), None);
        assert!(store.upload_size("u").is_err());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_leaves_what_came() {
        let (_dir, store) = store();
        store.start_upload("u").unwrap();
        let broken = stream::iter(vec![Ok(Bytes::from_static(b"ab")), Err("gone".to_owned())]);
        assert!(store.receive("u", None, broken).await.is_err());
        assert_eq!(store.upload_size("u").unwrap(), 2);
        store.cancel_upload("u").unwrap();
        assert!(store.upload_size("u").is_err());
    }

    #[test]
    fn ids_cannot_leave_their_directory() {
        let (_dir, store) = store();
        for id in ["../x", "a/b", "", "."] {
            assert!(matches!(store.start_upload(id), Err(ImageError::UnknownUpload(_))), "{id}");
        }
    }
}
