//! Where instances run: what Lambda asks of a sandbox, and no more. Nothing here knows functions or events.

mod embedded;
#[cfg(test)]
pub(crate) mod process;

pub use embedded::EngineSandboxes;

use async_trait::async_trait;
use std::path::PathBuf;

/// A file or directory of the host that a sandbox sees, read-only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
}

/// A process to be run apart: the host's system directories read-only, an own `/tmp`, another user, bounded memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSpec {
    /// Unique; 1 to 128 of `A-Z a-z 0-9 _ -`.
    pub id: String,
    /// Program and arguments, with paths as seen inside.
    pub command: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Where the program starts, as seen inside.
    pub workdir: PathBuf,
    /// Further directories.
    pub binds: Vec<Bind>,
    /// Memory in MiB, at most.
    pub memory_mib: u32,
    /// Size of `/tmp` in MiB, at most.
    pub tmp_mib: u32,
}

/// How a sandbox's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// It never ran; why, for people.
    NotStarted(String),
}

/// A sandbox cannot be had; the text is for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SandboxError(pub String);

/// A running sandbox. Dropping it without [`Sandbox::kill`] leaves the process alone.
#[async_trait]
pub trait Sandbox: Send {
    /// Waits for the end. May be called again, and may be dropped and called again.
    async fn exited(&mut self) -> Exit;

    /// Ends the process at once. Killing what has ended does nothing.
    async fn kill(&mut self);

    /// Releases what the host kept of an ended sandbox.
    async fn dispose(&mut self);
}

/// Starts sandboxes. A sandbox does not outlive the server.
#[async_trait]
pub trait SandboxHost: Send + Sync {
    /// Starts `spec`; a process that ends at once is not an error here but an exit.
    async fn start(&self, spec: SandboxSpec) -> Result<Box<dyn Sandbox>, SandboxError>;
}
