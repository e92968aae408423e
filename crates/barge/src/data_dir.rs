//! The data directory: where it is, who holds it, and what a server leaves there for the other commands.

use anyhow::{Context as _, bail};
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A data directory that this process alone uses.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Held, not read: the lock goes with the file.
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it isn't there, for its owner only, and takes its lock.
    ///
    /// # Errors
    /// Where another server has it, or it can't be made.
    pub(crate) fn claim(path: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("can't make the data directory {}", path.display()))?;
        let path = path.canonicalize()?;
        let lock = File::options().create(true).truncate(false).write(true).mode(0o600).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("another server uses {}: stop it, or name another directory with --data-dir", path.display())
            }
            Err(TryLockError::Error(error)) => Err(error).context("can't lock the data directory"),
        }
    }

    /// The directory, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down where the server answers, for `barge env`.
    pub(crate) fn publish_endpoint(&self, endpoint: &str) -> std::io::Result<()> {
        let draft = self.path.join("endpoint.new");
        fs::write(&draft, endpoint)?;
        fs::rename(draft, self.path.join("endpoint"))
    }
}

/// Where the server of `path` answers, or last did.
pub(crate) fn published_endpoint(path: &Path) -> Option<String> {
    fs::read_to_string(path.join("endpoint")).ok()
}

/// The directory used where none is named: `barge` in the user's data directory (XDG Base Directory Specification).
pub(crate) fn default_path() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home);
    base.unwrap_or_else(|| PathBuf::from("/var/lib")).join("barge")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::claim(dir.path()).unwrap();
        assert!(DataDir::claim(dir.path()).unwrap_err().to_string().contains("another server uses"));
        drop(first);
        DataDir::claim(dir.path()).unwrap();
    }

    #[test]
    fn the_endpoint_is_left_for_other_commands() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::claim(dir.path()).unwrap();
        assert_eq!(published_endpoint(dir.path()), None);
        held.publish_endpoint("http://127.0.0.1:1").unwrap();
        assert_eq!(published_endpoint(dir.path()).as_deref(), Some("http://127.0.0.1:1"));
    }
}
