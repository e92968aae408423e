//! The pipe that an instance's process prints into.
//!
//! It is a named pipe in a directory that the sandbox sees, and the server reads it itself: what the process wrote
//! before it posted an answer is in the pipe when the answer arrives, so an invocation's lines are complete without
//! any waiting. A process that prints faster than it is read waits in its write.

use super::lines::LineCutter;
use nix::sys::stat::Mode;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::time::Instant;

/// Where a sandbox sees the pipe's directory.
pub(crate) const DIRECTORY: &str = "/run/lambda";
const NAME: &str = "output";

/// A pipe holds no more unless its size is changed (pipe(7)).
const PIPE_SIZE: usize = 64 * 1024;

/// As many seconds' worth of output may come at once before the rate counts.
const BURST_SECONDS: u32 = 2;

pub(crate) struct Output {
    pipe: pipe::Receiver,
    cutter: LineCutter,
    buffer: Vec<u8>,
    directory: PathBuf,
    bytes_per_second: u32,
    /// When, at the permitted rate, everything read so far would have come.
    paid_until: Instant,
}

impl Output {
    /// Makes the pipe in `directory`, which is made too.
    pub(crate) fn create(directory: PathBuf, bytes_per_second: u32) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755))?;
        let path = directory.join(NAME);
        nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600))?;
        // The sandbox's user is another one.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o622))?;
        // Open for writing too, so that the pipe has no end while processes come and go.
        let pipe = pipe::OpenOptions::new().read_write(true).open_receiver(&path)?;
        let buffer = vec![0; PIPE_SIZE];
        let (cutter, paid_until) = (LineCutter::default(), Instant::now());
        Ok(Self { pipe, cutter, buffer, directory, bytes_per_second, paid_until })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// `command`, printing into the pipe.
    pub(crate) fn redirected(command: Vec<String>) -> Vec<String> {
        let redirect = format!("exec \"$@\" >{DIRECTORY}/{NAME} 2>&1");
        ["/bin/sh", "-c", &redirect, "sh"].into_iter().map(str::to_owned).chain(command).collect()
    }

    /// Waits until there is something to read and the rate permits reading it. Safe to drop and call again.
    pub(crate) async fn ready(&mut self) {
        let burst = Duration::from_secs(BURST_SECONDS.into());
        tokio::time::sleep_until(self.paid_until.checked_sub(burst).unwrap_or(self.paid_until)).await;
        if let Err(error) = self.pipe.readable().await {
            tracing::warn!(%error, "an instance's output cannot be read");
            std::future::pending::<()>().await;
        }
    }

    /// The lines that one read completes.
    pub(crate) fn read(&mut self) -> Vec<String> {
        match self.pipe.try_read(&mut self.buffer) {
            Ok(n) => {
                let cost = Duration::from_secs_f64(to_f64(n) / f64::from(self.bytes_per_second.max(1)));
                self.paid_until = self.paid_until.max(Instant::now()) + cost;
                self.cutter.push(&self.buffer[..n])
            }
            Err(_) => Vec::new(),
        }
    }

    /// The lines that were printed before this moment: at most a pipe full, however fast a process prints on.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut room = PIPE_SIZE;
        while room > 0 {
            // Not the runtime's own read: that one asks the pipe only after the reactor has heard of it.
            match nix::unistd::read(&self.pipe, &mut self.buffer[..room]) {
                Ok(n) if n > 0 => {
                    room -= n;
                    lines.extend(self.cutter.push(&self.buffer[..n]));
                }
                _ => break,
            }
        }
        lines
    }

    /// [`Output::drain`], with the last line, which may lack its end: the process is gone.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let mut lines = self.drain();
        lines.extend(self.cutter.rest());
        lines
    }
}

#[allow(clippy::cast_precision_loss)] // at most the buffer's size
fn to_f64(n: usize) -> f64 {
    n as f64
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, "an instance's directory could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn output() -> (tempfile::TempDir, Output, std::fs::File) {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::create(dir.path().join("i"), 1 << 20).unwrap();
        let writer = std::fs::File::options().write(true).open(dir.path().join("i/output")).unwrap();
        (dir, output, writer)
    }

    #[tokio::test]
    async fn what_was_printed_is_there_at_once() {
        let (dir, mut output, mut writer) = output();
        assert!(output.drain().is_empty());
        writer.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(output.drain(), ["one", "two"]);
        writer.write_all(b"ee").unwrap();
        assert_eq!(output.finish(), ["three"]);
        drop(output);
        assert!(!dir.path().join("i").exists());
    }
}
