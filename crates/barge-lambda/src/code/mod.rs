//! Functions' code on disk: one directory for each zip file, named by its digest, unpacked once.
//!
//! `SHA256/code.zip` is what the client gave, `SHA256/task` what it unpacks to. A directory gets its name when it is
//! whole and on disk.

mod archive;
mod inline;
mod opt;

pub(crate) use inline::Inline;
#[cfg(test)]
pub(crate) use inline::zip;
pub(crate) use opt::Opt;

use crate::function::CodeRef;
use archive::{ArchiveError, unpack};
use barge_core::AwsError;
use barge_wire::lambda::error;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a zip file and of what is in it, at most (Lambda Developer Guide, "Lambda quotas": 250 MB).
pub(crate) const UNZIPPED_LIMIT: u64 = 262_144_000;

/// The code store.
pub(crate) struct CodeStore {
    dir: PathBuf,
    /// How many need each directory at the moment; what no function refers to and nobody needs may go.
    pins: Mutex<HashMap<String, usize>>,
}

/// Keeps a function's code on disk while it lives.
pub(crate) struct Pin {
    store: Arc<CodeStore>,
    sha256: String,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.store.pins();
        if let Some(count) = pins.get_mut(&self.sha256) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.sha256);
            }
        }
    }
}

impl Pin {
    /// The code's digest.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The unpacked code.
    pub(crate) fn task_dir(&self) -> PathBuf {
        self.store.dir.join(&self.sha256).join("task")
    }
}

impl CodeStore {
    /// Opens the store in `dir`; removes what a killed server left half-way.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Arc<Self>> {
        fs::create_dir_all(&dir)?;
        let store = Arc::new(Self { dir, pins: Mutex::default() });
        for name in store.names()? {
            if !is_digest(&name) {
                store.remove(&name);
            }
        }
        Ok(store)
    }

    fn pins(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn remove(&self, name: &str) {
        let path = self.dir.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(%error, path = %path.display(), "code could not be removed");
        }
    }

    /// Keeps the code `sha256` on disk.
    pub(crate) fn pin(self: &Arc<Self>, sha256: &str) -> Pin {
        *self.pins().entry(sha256.to_owned()).or_default() += 1;
        Pin { store: Arc::clone(self), sha256: sha256.to_owned() }
    }

    /// The zip file of the code `sha256`.
    pub(crate) fn zip_path(&self, sha256: &str) -> PathBuf {
        self.dir.join(sha256).join("code.zip")
    }

    /// Stores and unpacks a zip file; returns once it is on disk.
    ///
    /// # Errors
    /// `InvalidParameterValueException` where it isn't a zip file, is too large or reaches outside.
    pub(crate) async fn put(self: &Arc<Self>, zip: impl Read + Send + 'static) -> Result<(CodeRef, Pin), AwsError> {
        let store = Arc::clone(self);
        let put = tokio::task::spawn_blocking(move || store.put_blocking(zip));
        put.await.map_err(AwsError::internal)?.map_err(refusal)
    }

    fn put_blocking(self: &Arc<Self>, zip: impl Read) -> Result<(CodeRef, Pin), ArchiveError> {
        let making = tempfile::Builder::new().prefix("new-").tempdir_in(&self.dir)?;
        let zip_path = making.path().join("code.zip");
        let mut file = File::options().read(true).write(true).create_new(true).open(&zip_path)?;
        let (sha256, size) = copy_hashed(zip.take(UNZIPPED_LIMIT + 1), &mut file)?;
        if size > UNZIPPED_LIMIT {
            return Err(ArchiveError::TooLarge);
        }
        let pin = self.pin(&sha256);
        let home = self.dir.join(&sha256);
        if !home.exists() {
            file.rewind()?;
            let task = making.path().join("task");
            fs::create_dir(&task)?;
            unpack(&file, &task)?;
            make_public(making.path())?;
            file.sync_all()?;
            match fs::rename(making.path(), &home) {
                Ok(()) => File::open(&self.dir)?.sync_all()?,
                // Another request with the same code was faster.
                Err(_) if home.exists() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((CodeRef { sha256, size }, pin))
    }

    /// Removes all code that nobody needs: no pin, and not `referenced`.
    pub(crate) fn collect(&self, referenced: impl Fn(&str) -> bool) {
        let names = self.names().unwrap_or_default();
        for name in names.iter().filter(|name| is_digest(name) && !referenced(name)) {
            let trash = format!("old-{name}");
            {
                let pins = self.pins();
                if pins.contains_key(name) || fs::rename(self.dir.join(name), self.dir.join(&trash)).is_err() {
                    continue;
                }
            }
            self.remove(&trash);
        }
    }
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Lets a sandbox's user, who is another, look into the directory.
fn make_public(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
}

fn copy_hashed(mut from: impl Read, to: &mut impl Write) -> io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            return Ok((hex::encode(hash.finalize()), size));
        }
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
        size += n as u64;
    }
}

fn refusal(error: ArchiveError) -> AwsError {
    match error {
        ArchiveError::NotAZip => error::invalid_parameter_value_exception(
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        ArchiveError::TooLarge => error::invalid_parameter_value_exception(format!(
            "Unzipped size must be smaller than {UNZIPPED_LIMIT} bytes"
        )),
        ArchiveError::Entry { .. } => {
            error::invalid_parameter_value_exception(format!("Could not unzip uploaded file: {error}."))
        }
        ArchiveError::Io(error) => error::service_exception(format!("The code could not be stored: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Arc<CodeStore>) {
        let dir = tempfile::tempdir().unwrap();
        let store = CodeStore::open(dir.path().join("code")).unwrap();
        (dir, store)
    }

    #[tokio::test]
    async fn code_is_unpacked_once_and_goes_when_nobody_needs_it() {
        let (_dir, store) = store();
        let zip = zip(&[("index.py", "x = 1")]).unwrap();
        let (code, pin) = store.put(io::Cursor::new(zip.clone())).await.unwrap();
        assert_eq!(code.size, zip.len() as u64);
        assert_eq!(fs::read_to_string(pin.task_dir().join("index.py")).unwrap(), "x = 1");
        let (again, second) = store.put(io::Cursor::new(zip)).await.unwrap();
        assert_eq!(again, code);
        drop(second);
        store.collect(|_| false);
        assert!(pin.task_dir().exists());
        let task = pin.task_dir();
        drop(pin);
        store.collect(|sha| sha == code.sha256);
        assert!(task.exists());
        store.collect(|_| false);
        assert!(!task.exists());
    }

    #[tokio::test]
    async fn what_is_no_zip_file_is_refused_and_leaves_nothing() {
        let (_dir, store) = store();
        let error = store.put(&b"not a zip"[..]).await.err().unwrap();
        assert_eq!(error.code, "InvalidParameterValueException");
        assert!(error.message.starts_with("Could not unzip uploaded file."));
        assert!(store.names().unwrap().is_empty());
    }

    #[test]
    fn what_a_killed_server_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("new-x/task")).unwrap();
        let store = CodeStore::open(dir.path().to_owned()).unwrap();
        assert!(store.names().unwrap().is_empty());
    }
}
