//! The account's root key pair: made once, kept in a file that only its owner can read.

use crate::access_keys::random_secret;
use barge_core::IdSource;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The root key pair.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootKey {
    /// `AKIA…`, 20 characters, unless the operator chose another.
    pub access_key_id: String,
    /// Secret; never logged.
    pub secret_access_key: String,
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootKey").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// The root key file can't be read or made.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The operating system's refusal.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file has other content.
    #[error("{path} is not a root key file: {error}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        error: serde_json::Error,
    },
}

impl RootKey {
    /// The file in the data directory.
    pub const FILE: &'static str = "root-key.json";

    /// The key pair in `data_dir`; makes a random one, readable by its owner alone, where there is none yet. What the
    /// operator gives (`access_key_id`, `secret_access_key`) takes the place of that half, for this run only.
    pub fn load_or_create(
        data_dir: &Path,
        ids: &dyn IdSource,
        access_key_id: Option<String>,
        secret_access_key: Option<String>,
    ) -> Result<Self, RootKeyError> {
        if let (Some(access_key_id), Some(secret_access_key)) = (&access_key_id, &secret_access_key) {
            return Ok(Self { access_key_id: access_key_id.clone(), secret_access_key: secret_access_key.clone() });
        }
        let path = data_dir.join(Self::FILE);
        let kept = match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|error| RootKeyError::Malformed { path: path.clone(), error })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::random(ids);
                key.save(&path).map_err(|error| RootKeyError::Io { path: path.clone(), error })?;
                key
            }
            Err(error) => return Err(RootKeyError::Io { path, error }),
        };
        Ok(Self {
            access_key_id: access_key_id.unwrap_or(kept.access_key_id),
            secret_access_key: secret_access_key.unwrap_or(kept.secret_access_key),
        })
    }

    fn random(ids: &dyn IdSource) -> Self {
        Self { access_key_id: format!("AKIA{}", ids.upper_alphanumeric(16)), secret_access_key: random_secret(ids) }
    }

    /// Writes beside the file and renames, so that a crash leaves the whole file or none.
    fn save(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("json.new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::RandomIds;
    use std::os::unix::fs::PermissionsExt as _;

    fn load(dir: &tempfile::TempDir, id: Option<&str>, secret: Option<&str>) -> RootKey {
        RootKey::load_or_create(dir.path(), &RandomIds, id.map(Into::into), secret.map(Into::into)).unwrap()
    }

    #[test]
    fn the_pair_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = load(&dir, None, None);
        assert_eq!((first.access_key_id.len(), first.secret_access_key.len()), (20, 40));
        assert_eq!(load(&dir, None, None), first);
        let mode = fs::metadata(dir.path().join(RootKey::FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_operator_may_give_both_halves_or_one() {
        let dir = tempfile::tempdir().unwrap();
        let both = load(&dir, Some("ID"), Some("SECRET"));
        assert_eq!((both.access_key_id.as_str(), both.secret_access_key.as_str()), ("ID", "SECRET"));
        assert!(!dir.path().join(RootKey::FILE).exists());
        let kept = load(&dir, None, None);
        let half = load(&dir, Some("ID"), None);
        assert_eq!((half.access_key_id.as_str(), half.secret_access_key), ("ID", kept.secret_access_key));
    }

    #[test]
    fn a_broken_file_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(RootKey::FILE);
        fs::write(&path, "{").unwrap();
        let error = RootKey::load_or_create(dir.path(), &RandomIds, None, None).unwrap_err();
        assert!(error.to_string().contains(RootKey::FILE), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"{");
    }
}
