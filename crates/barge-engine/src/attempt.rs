//! What an engine is asked to run. Nothing here knows how it runs.

use crate::linux::{InitProcess, Scratch, Tmpfs, Ulimit};
use barge_core::ports::{LocalImage, LogTarget};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Names one attempt for ever: launching the same id twice runs it once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttemptId(String);

/// The text cannot be an attempt's id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an attempt id: 1 to 128 of A-Z a-z 0-9 . _ - are, not beginning with a dot")]
pub struct NotAnAttemptId(pub String);

impl AttemptId {
    /// An id of 1 to 128 characters of `A-Z a-z 0-9 . _ -`, not beginning with a dot: it becomes a directory's and a
    /// cgroup's name, and names that begin with a dot are the engine's own.
    pub fn new(id: impl Into<String>) -> Result<Self, NotAnAttemptId> {
        let id = id.into();
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let whole = (1..=128).contains(&id.len()) && id.bytes().all(legal) && !id.starts_with('.');
        if whole { Ok(Self(id)) } else { Err(NotAnAttemptId(id)) }
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<AttemptId> for String {
    fn from(id: AttemptId) -> Self {
        id.0
    }
}

impl TryFrom<String> for AttemptId {
    type Error = NotAnAttemptId;

    fn try_from(id: String) -> Result<Self, NotAnAttemptId> {
        Self::new(id)
    }
}

/// One run of a command in a root filesystem, with its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its name.
    pub id: AttemptId,
    /// What its `/` is.
    pub root: RootFs,
    /// Replaces the image's entrypoint; `None` keeps it.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command; `None` keeps it, unless the entrypoint is replaced: then there is none.
    pub command: Option<Vec<String>>,
    /// Name and value; later ones win, and all win over the image's.
    pub env: Vec<(String, String)>,
    /// CPU time per wall-clock time, at most; 0 means no limit.
    pub vcpu: f64,
    /// Memory in MiB, at most; 0 means no limit.
    pub memory_mib: u64,
    /// Directories of the host to be seen inside.
    pub mounts: Vec<Mount>,
    /// `name`, `uid`, `name:group` or `uid:gid`; `None` keeps the image's.
    pub user: Option<String>,
    /// Absolute; `None` keeps the image's, or `/`.
    pub workdir: Option<String>,
    /// Whether `/` can be written to.
    pub root_access: Access,
    /// What processes may do beyond an ordinary user's rights.
    pub capabilities: Capabilities,
    /// Where lines on stdout and stderr go.
    pub output: OutputTo,
    /// The host's name as seen inside; `None` gives the id's first 63 characters.
    pub hostname: Option<String>,
    /// Time between SIGTERM and SIGKILL where [`crate::ComputeEngine::stop`] names none, and on the engine's own stops.
    pub stop_grace: Duration,
    /// Whether the run survives the server.
    pub lifetime: Lifetime,
    /// Limits of its processes (setrlimit(2)), each name at most once. What is not named is as the server has it, but
    /// for open files: 65,535, or the server's hard limit where that is lower.
    #[serde(default)]
    pub ulimits: Vec<Ulimit>,
    /// File systems in memory. What is in them counts as the attempt's memory.
    #[serde(default)]
    pub tmpfs: Vec<Tmpfs>,
    /// Size of `/dev/shm` in MiB, at most; `None` is Docker's default, 64. What is in it counts as the attempt's memory.
    #[serde(default)]
    pub shm_mib: Option<u64>,
    /// Who the container's first process is.
    #[serde(default)]
    pub init: InitProcess,
    /// Directories that the containers of one task share.
    #[serde(default)]
    pub scratch: Vec<Scratch>,
    /// What it may write to its root, in MiB of disk; 0 means no limit. As much must be free when it starts, and an
    /// attempt that goes beyond is killed, with a reason. Scratch volumes and tmpfs do not count.
    #[serde(default)]
    pub disk_mib: u64,
}

impl Attempt {
    /// An attempt with the image's own command and user, 1 vCPU, 512 MiB, a writable root, Docker's capabilities, output
    /// kept for [`crate::ComputeEngine::output`], a grace of 30 seconds, outliving the server; no ulimits, tmpfs, init
    /// process, scratch volumes or limit of disk.
    pub fn new(id: AttemptId, root: RootFs) -> Self {
        Self {
            id,
            root,
            entrypoint: None,
            command: None,
            env: Vec::new(),
            vcpu: 1.0,
            memory_mib: 512,
            mounts: Vec::new(),
            user: None,
            workdir: None,
            root_access: Access::ReadWrite,
            capabilities: Capabilities::Default,
            output: OutputTo::Reader,
            hostname: None,
            stop_grace: Duration::from_secs(30),
            lifetime: Lifetime::Outlives,
            ulimits: Vec::new(),
            tmpfs: Vec::new(),
            shm_mib: None,
            init: InitProcess::default(),
            scratch: Vec::new(),
            disk_mib: 0,
        }
    }
}

/// What an attempt's `/` is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RootFs {
    /// An image in the local store, with a private writable layer on top that goes when the attempt ends.
    Image {
        /// Digest of the image's manifest (or index), `sha256:…`.
        digest: String,
    },
    /// The host's system directories, read-only (`/usr`, `/bin`, `/sbin`, `/lib*`, and of `/etc` what programs need to
    /// start, resolve names and check certificates), and an own empty `/tmp`.
    HostReadOnly {
        /// Further files and directories of the host.
        binds: Vec<Mount>,
        /// Size of `/tmp` in MiB, at most. Pages in it count as the attempt's memory.
        tmp_mib: u64,
    },
}

impl From<&LocalImage> for RootFs {
    fn from(image: &LocalImage) -> Self {
        Self::Image { digest: image.digest.clone() }
    }
}

/// A file or directory of the host, seen inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path on the host; it must exist.
    pub source: PathBuf,
    /// Absolute path inside; made where it does not exist.
    pub target: PathBuf,
    /// Whether it can be written to.
    pub access: Access,
}

impl Mount {
    /// `source`, seen at `target`, not to be written to.
    pub fn read_only(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), target: target.into(), access: Access::ReadOnly }
    }
}

/// Whether something can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Yes.
    ReadWrite,
    /// No.
    ReadOnly,
}

/// A container's capabilities (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Capabilities {
    /// Docker's default set without MKNOD: nothing here checks device numbers.
    Default,
    /// None.
    None,
}

/// Where an attempt's lines go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputTo {
    /// Into a log stream, each line once, also across restarts of the server. The attempt's end is reported after its
    /// last line is stored.
    Log(LogTarget),
    /// Nowhere by themselves: the caller reads them from [`crate::ComputeEngine::output`].
    Reader,
}

/// Whether an attempt survives the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// It goes on when the server ends or is killed; the next server adopts it.
    Outlives,
    /// It is killed when the server ends or is killed.
    WithServer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_safe_names() {
        for (text, legal) in [
            ("a", true),
            ("3f2b-01_X", true),
            ("00000000-0000-0000-0000-000000000001.17-1", true),
            ("00000000-0000-0000-0000-000000000001_3-1", true),
            ("00000000-0000-0000-0000-000000000001-1.side.car", true),
            ("", false),
            ("..", false),
            (".a", false),
            ("a/b", false),
            ("a b", false),
            (&"x".repeat(128), true),
            (&"x".repeat(129), false),
        ] {
            assert_eq!(AttemptId::new(text).is_ok(), legal, "{text}");
        }
    }

    #[test]
    fn an_attempt_survives_its_file() {
        let id = AttemptId::new("a-1").unwrap();
        let attempt = Attempt::new(id, RootFs::Image { digest: "sha256:0".to_owned() });
        let text = serde_json::to_string(&attempt).unwrap();
        assert_eq!(serde_json::from_str::<Attempt>(&text).unwrap(), attempt);
        assert!(serde_json::from_str::<Attempt>(&text.replace("a-1", "../a")).is_err());
    }

    #[test]
    fn an_attempt_of_an_older_server_is_read() {
        let attempt = Attempt::new(AttemptId::new("a").unwrap(), RootFs::Image { digest: "sha256:0".to_owned() });
        let text = serde_json::to_string(&attempt).unwrap();
        let newer = text.find(",\"ulimits\"").unwrap();
        let older = format!("{}}}", &text[..newer]);
        assert_eq!(serde_json::from_str::<Attempt>(&older).unwrap(), attempt);
    }
}
