//! An attempt's directory: the only thing that server and shim share. Who may write what, and in which order:
//!
//! | file | written by | means |
//! |---|---|---|
//! | `attempt.json` | server, before the directory has its name | what to run |
//! | `plan.json` | server, before it starts the shim | how: layers, arguments, limits |
//! | `lock` | shim; locked while it lives | its content is the shim's process id |
//! | `begun` | shim, once | from here on this attempt must not be launched again |
//! | `started` | shim | the command runs; content is the time |
//! | `output` | shim | what it prints |
//! | `stop` | server | it is to be stopped; content is the grace in milliseconds |
//! | `exit.json` | shim; the server where it holds the lock | how it ended; never changed |
//! | `wake` | a FIFO: shim to server | something above changed |
//!
//! Whoever holds the lock decides how the attempt ended, and that is what makes two copies impossible: a shim that
//! finds `exit.json` or cannot lock goes away, and a server that holds the lock knows that no shim runs.

use crate::attempt::{Attempt, AttemptId};
use crate::engine::{AttemptState, Ending};
use barge_core::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The directory of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder of attempt `id` under `attempts`.
    pub(crate) fn of(attempts: &Path, id: &AttemptId) -> Self {
        Self::new(attempts.join(id.as_str()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.file("output")
    }

    pub(crate) fn wake(&self) -> PathBuf {
        self.file("wake")
    }

    /// Makes the folder with its attempt in it; false where there is one already.
    pub(crate) fn create(&self, attempt: &Attempt) -> io::Result<bool> {
        if self.path.exists() {
            return Ok(false);
        }
        let making = self.path.with_extension("new");
        if making.exists() {
            fs::remove_dir_all(&making)?;
        }
        fs::create_dir(&making)?;
        let text = serde_json::to_vec(attempt).map_err(io::Error::other)?;
        fs::write(making.join("attempt.json"), text)?;
        nix::unistd::mkfifo(&making.join("wake"), nix::sys::stat::Mode::from_bits_truncate(0o600))?;
        match fs::rename(&making, &self.path) {
            Ok(()) => Ok(true),
            Err(_) if self.path.exists() => {
                fs::remove_dir_all(&making)?;
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    pub(crate) fn attempt(&self) -> io::Result<Attempt> {
        self.read_json("attempt.json")
    }

    pub(crate) fn read_json<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        serde_json::from_slice(&fs::read(self.file(name))?).map_err(io::Error::other)
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(value).map_err(io::Error::other)?;
        // Whole under its name at any time: a shim of a killed server may read it while the next one writes it anew.
        let making = self.file(&format!("{name}.{}", std::process::id()));
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&making)?.write_all(&text)?;
        fs::rename(making, self.file(name))
    }

    /// Takes the lock, where nobody holds it.
    pub(crate) fn lock(&self) -> io::Result<Option<Flock<File>>> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(self.file("lock"))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// Notes `pid` as the lock holder's.
    pub(crate) fn sign_lock(lock: &Flock<File>, pid: u32) -> io::Result<()> {
        lock.set_len(0)?;
        let mut file: &File = lock;
        file.write_all(pid.to_string().as_bytes())
    }

    /// The process id that the lock's holder noted.
    pub(crate) fn lock_holder(&self) -> Option<i32> {
        fs::read_to_string(self.file("lock")).ok()?.trim().parse().ok().filter(|pid| *pid > 0)
    }

    pub(crate) fn begin(&self) -> io::Result<()> {
        fs::write(self.file("begun"), "")
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.file("begun").exists()
    }

    pub(crate) fn note_started(&self, at: Timestamp) -> io::Result<()> {
        // Readers must never see half a number: it gets its name when it is whole.
        let making = self.file("started.new");
        fs::write(&making, at.millis().to_string())?;
        fs::rename(making, self.file("started"))
    }

    pub(crate) fn started(&self) -> Option<Timestamp> {
        fs::read_to_string(self.file("started")).ok()?.trim().parse().ok().map(Timestamp::from_millis)
    }

    pub(crate) fn request_stop(&self, grace: Duration) -> io::Result<()> {
        let making = self.file("stop.new");
        fs::write(&making, grace.as_millis().to_string())?;
        fs::rename(making, self.file("stop"))
    }

    /// The grace of the stop that was asked for, if one was.
    pub(crate) fn stop_request(&self) -> Option<Duration> {
        fs::read_to_string(self.file("stop")).ok()?.trim().parse().ok().map(Duration::from_millis)
    }

    /// Records the end durably. Only for the lock's holder.
    pub(crate) fn record_end(&self, ending: &Ending) -> io::Result<()> {
        let making = self.file("exit.json.new");
        // Opened before the record has its name: a server that sees it may forget the attempt at once.
        let directory = File::open(&self.path)?;
        let mut file = File::create(&making)?;
        file.write_all(&serde_json::to_vec(ending).map_err(io::Error::other)?)?;
        file.sync_data()?;
        fs::rename(making, self.file("exit.json"))?;
        directory.sync_all()
    }

    pub(crate) fn ending(&self) -> io::Result<Option<Ending>> {
        match self.read_json("exit.json") {
            Ok(ending) => Ok(Some(ending)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn state(&self) -> io::Result<AttemptState> {
        Ok(match (self.ending()?, self.started()) {
            (Some(ending), _) => AttemptState::Ended(ending),
            (None, Some(since)) => AttemptState::Running { since },
            (None, None) => AttemptState::Launching,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::RootFs;

    fn folder() -> (tempfile::TempDir, Folder, Attempt) {
        let dir = tempfile::tempdir().unwrap();
        let attempt = Attempt::new(AttemptId::new("a").unwrap(), RootFs::Image { digest: "sha256:0".to_owned() });
        let folder = Folder::of(dir.path(), &attempt.id);
        (dir, folder, attempt)
    }

    #[test]
    fn an_attempt_is_created_once() {
        let (_dir, folder, attempt) = folder();
        assert!(folder.create(&attempt).unwrap());
        assert!(!folder.create(&attempt).unwrap());
        assert_eq!(folder.attempt().unwrap(), attempt);
    }

    #[test]
    fn what_a_killed_server_half_made_is_made_anew() {
        let (dir, folder, attempt) = folder();
        fs::create_dir(dir.path().join("a.new")).unwrap();
        fs::write(dir.path().join("a.new/attempt.json"), "{").unwrap();
        assert!(folder.create(&attempt).unwrap());
        assert_eq!(folder.attempt().unwrap(), attempt);
    }

    #[test]
    fn one_holds_the_lock() {
        let (_dir, folder, attempt) = folder();
        folder.create(&attempt).unwrap();
        let lock = folder.lock().unwrap().unwrap();
        Folder::sign_lock(&lock, 77).unwrap();
        assert!(folder.lock().unwrap().is_none());
        assert_eq!(folder.lock_holder(), Some(77));
        drop(lock);
        assert!(folder.lock().unwrap().is_some());
    }

    #[test]
    fn the_files_tell_the_state() {
        let (_dir, folder, attempt) = folder();
        folder.create(&attempt).unwrap();
        assert_eq!(folder.state().unwrap(), AttemptState::Launching);
        let at = Timestamp::from_millis(5);
        folder.note_started(at).unwrap();
        assert_eq!(folder.state().unwrap(), AttemptState::Running { since: at });
        let ending =
            Ending::FailedToStart { at, cause: crate::engine::StartFailure::Container, reason: "no".to_owned() };
        folder.record_end(&ending).unwrap();
        assert_eq!(folder.state().unwrap(), AttemptState::Ended(ending));
        assert_eq!(folder.stop_request(), None);
        folder.request_stop(Duration::from_secs(3)).unwrap();
        assert_eq!(folder.stop_request(), Some(Duration::from_secs(3)));
    }
}
