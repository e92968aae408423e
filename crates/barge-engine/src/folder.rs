//! An attempt's directory: the only thing that server and shim share.
//!
//! | file | what |
//! |---|---|
//! | `journal` | a line for each thing that happened; locked by the shim while it lives |
//! | `wake` | a FIFO, shim to server: the journal or the output has grown |
//! | `output` | what the container prints, once it does; written by the shim (see `output/`) |
//! | `upper`, `work` | what the container writes to its root |
//!
//! | line of the journal | by | means |
//! |---|---|---|
//! | `attempt JSON` | server, before the directory has its name | what to run |
//! | `pid N` | shim, holding the lock | who holds it |
//! | `begun` | shim | from here on this attempt must not be launched again |
//! | `started MILLIS` | shim | the command runs |
//! | `stop MILLIS` | server | it is to be stopped, with this grace; the last one counts |
//! | `end JSON` | shim; the server where it holds the lock | how it ended; the first one counts |
//!
//! Lines are appended whole, and what has no newline yet is no line: nor is it one that something tore, a full disk or a
//! crash, once the next line is there. Whoever holds the lock decides how the attempt ended, and
//! that is what makes two copies impossible: a shim that finds an end or cannot lock goes away, and a server that holds the
//! lock knows that no shim runs.
//!
//! It is one file because files are what a start costs most on: some file systems look through everything that was removed
//! in the last minutes before they make another. Nothing is synced to the disk. What is written survives the processes that
//! wrote it; a machine that goes down takes every container along, and the next server records those ends itself (see
//! `embedded/adopt.rs`).

use crate::attempt::{Attempt, AttemptId};
use crate::engine::{AttemptState, Ending};
use barge_core::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an attempt's folder is called while it is made, and once it is forgotten: names that no attempt has.
const MAKING: &str = ".new-";
const GONE: &str = ".gone-";

/// What ends a line that was torn: no number, and no JSON.
const TORN: &str = "~\n";

/// Room on the disk that is taken for what comes after the attempt, so that a disk that is full by then cannot keep the end
/// from being recorded. A reason is cut to a length far below.
const ROOM_FOR_END: u64 = 8192;
const LONGEST_REASON: usize = 1024;

/// The directory of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// What an attempt's journal says so far, but for the attempt itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    /// The last process that held the lock.
    pub(crate) holder: Option<i32>,
    pub(crate) begun: bool,
    pub(crate) started: Option<Timestamp>,
    /// The grace of the stop that was asked for, if one was.
    pub(crate) stop: Option<Duration>,
    pub(crate) ending: Option<Ending>,
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
        let making = self.sibling(MAKING);
        match fs::create_dir(&making) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_dir_all(&making)?;
                fs::create_dir(&making)?;
            }
            done => done?,
        }
        self.fill(&making, attempt).inspect_err(|_| {
            // On a full disk half a folder would take room from the next try.
            let _ = fs::remove_dir_all(&making);
        })
    }

    fn fill(&self, making: &Path, attempt: &Attempt) -> io::Result<bool> {
        let line = line("attempt", &serde_json::to_string(attempt).map_err(io::Error::other)?);
        let mut journal = File::options().append(true).create_new(true).mode(0o600).open(making.join("journal"))?;
        journal.write_all(line.as_bytes())?;
        match fallocate(&journal, FallocateFlags::KEEP_SIZE, line.len() as u64, ROOM_FOR_END) {
            // Some file systems cannot.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        nix::unistd::mkfifo(&making.join("wake"), nix::sys::stat::Mode::from_bits_truncate(0o600))?;
        match fs::rename(making, &self.path) {
            Ok(()) => Ok(true),
            Err(_) if self.path.exists() => {
                fs::remove_dir_all(making)?;
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Takes the folder out of its name, at once and for good: half a record must never be found. Gives what is left to
    /// be removed; `None` where there was nothing.
    pub(crate) fn retire(&self) -> io::Result<Option<PathBuf>> {
        let gone = self.sibling(GONE);
        loop {
            match fs::rename(&self.path, &gone) {
                Ok(()) => return Ok(Some(gone)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                // One of the same name is still being removed.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => fs::remove_dir_all(&gone)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn sibling(&self, prefix: &str) -> PathBuf {
        let mut name = std::ffi::OsString::from(prefix);
        name.push(self.path.file_name().unwrap_or_default());
        self.path.with_file_name(name)
    }

    /// Whether a directory beside the folders is what is left of one, or never became one.
    pub(crate) fn is_leftover(name: &str) -> bool {
        name.starts_with(MAKING) || name.starts_with(GONE)
    }

    /// What to run.
    pub(crate) fn attempt(&self) -> io::Result<Attempt> {
        let text = self.text()?;
        let json = lines(&text).find_map(|line| line.strip_prefix("attempt ")).ok_or(io::ErrorKind::InvalidData)?;
        serde_json::from_str(json).map_err(io::Error::other)
    }

    /// What happened so far.
    pub(crate) fn journal(&self) -> io::Result<Journal> {
        Ok(Journal::read(&self.text()?))
    }

    fn text(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.file("journal"))?).into_owned())
    }

    fn append(&self, what: &str, value: &str) -> io::Result<()> {
        let mut journal = File::options().read(true).append(true).open(self.file("journal"))?;
        let length = journal.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            journal.read_exact_at(&mut last, length - 1)?;
        }
        let mend = if last == *b"\n" { "" } else { TORN };
        journal.write_all([mend, &line(what, value)].concat().as_bytes())
    }

    /// Takes the lock, where nobody holds it.
    pub(crate) fn lock(&self) -> io::Result<Option<Flock<File>>> {
        let file = File::options().read(true).append(true).open(self.file("journal"))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// Notes `pid` as the lock holder's. Only for the holder.
    pub(crate) fn sign_lock(&self, pid: u32) -> io::Result<()> {
        self.append("pid", &pid.to_string())
    }

    pub(crate) fn begin(&self) -> io::Result<()> {
        self.append("begun", "")
    }

    pub(crate) fn note_started(&self, at: Timestamp) -> io::Result<()> {
        self.append("started", &at.millis().to_string())
    }

    pub(crate) fn request_stop(&self, grace: Duration) -> io::Result<()> {
        self.append("stop", &grace.as_millis().to_string())
    }

    /// Records the end. Only for the lock's holder.
    pub(crate) fn record_end(&self, ending: &Ending) -> io::Result<()> {
        self.append("end", &serde_json::to_string(&shortened(ending)).map_err(io::Error::other)?)
    }
}

impl Journal {
    fn read(text: &str) -> Self {
        let mut journal = Self::default();
        for line in lines(text) {
            let (what, value) = line.split_once(' ').unwrap_or((line, ""));
            match what {
                "pid" => journal.holder = value.parse().ok().filter(|pid| *pid > 0),
                "begun" => journal.begun = true,
                "started" => journal.started = value.parse().ok().map(Timestamp::from_millis),
                "stop" => journal.stop = value.parse().ok().map(Duration::from_millis),
                "end" if journal.ending.is_none() => journal.ending = serde_json::from_str(value).ok(),
                _ => {}
            }
        }
        journal
    }

    /// Where the attempt stands.
    pub(crate) fn state(self) -> AttemptState {
        match (self.ending, self.started) {
            (Some(ending), _) => AttemptState::Ended(ending),
            (None, Some(since)) => AttemptState::Running { since },
            (None, None) => AttemptState::Launching,
        }
    }
}

/// JSON has no newlines in it, and numbers neither.
fn line(what: &str, value: &str) -> String {
    if value.is_empty() { format!("{what}\n") } else { format!("{what} {value}\n") }
}

/// The lines that are whole.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

/// The end, with a reason that fits into the room for it.
fn shortened(ending: &Ending) -> Ending {
    let mut ending = ending.clone();
    let reason = match &mut ending {
        Ending::FailedToStart { reason, .. } => Some(reason),
        Ending::Exited { outcome, .. } => outcome.reason.as_mut(),
    };
    if let Some(reason) = reason
        && reason.len() > LONGEST_REASON
    {
        reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
    }
    ending
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::RootFs;
    use crate::engine::StartFailure;

    fn folder() -> (tempfile::TempDir, Folder, Attempt) {
        let dir = tempfile::tempdir().unwrap();
        let attempt = Attempt::new(AttemptId::new("a").unwrap(), RootFs::Image { digest: "sha256:0".to_owned() });
        let folder = Folder::of(dir.path(), &attempt.id);
        (dir, folder, attempt)
    }

    fn failure(reason: &str) -> Ending {
        let at = Timestamp::from_millis(5);
        Ending::FailedToStart { at, cause: StartFailure::Container, reason: reason.to_owned() }
    }

    #[test]
    fn an_attempt_is_created_once() {
        let (_dir, folder, attempt) = folder();
        assert!(folder.create(&attempt).unwrap());
        assert!(!folder.create(&attempt).unwrap());
        assert_eq!(folder.attempt().unwrap(), attempt);
        assert_eq!(folder.journal().unwrap(), Journal::default());
    }

    #[test]
    fn what_a_killed_server_half_made_is_made_anew() {
        let (dir, folder, attempt) = folder();
        fs::create_dir(dir.path().join(".new-a")).unwrap();
        fs::write(dir.path().join(".new-a/journal"), "attempt {").unwrap();
        assert!(folder.create(&attempt).unwrap());
        assert_eq!(folder.attempt().unwrap(), attempt);
    }

    #[test]
    fn ids_that_differ_after_a_dot_are_two_attempts() {
        let (dir, _, attempt) = folder();
        for id in ["a.1", "a.2", "a.new", "a.gone"] {
            let attempt = Attempt { id: AttemptId::new(id).unwrap(), ..attempt.clone() };
            let folder = Folder::of(dir.path(), &attempt.id);
            assert!(folder.create(&attempt).unwrap(), "{id}");
            assert_eq!(folder.attempt().unwrap(), attempt);
            assert!(!Folder::is_leftover(id));
        }
    }

    #[test]
    fn a_retired_folder_leaves_its_name_at_once() {
        let (_dir, folder, attempt) = folder();
        assert_eq!(folder.retire().unwrap(), None);
        for _ in 0..2 {
            assert!(folder.create(&attempt).unwrap());
            let gone = folder.retire().unwrap().unwrap();
            assert!(Folder::is_leftover(gone.file_name().unwrap().to_str().unwrap()));
            assert!(gone.join("journal").exists() && !folder.path().exists());
        }
    }

    #[test]
    fn one_holds_the_lock() {
        let (_dir, folder, attempt) = folder();
        folder.create(&attempt).unwrap();
        let lock = folder.lock().unwrap().unwrap();
        folder.sign_lock(77).unwrap();
        assert!(folder.lock().unwrap().is_none());
        assert_eq!(folder.journal().unwrap().holder, Some(77));
        drop(lock);
        assert!(folder.lock().unwrap().is_some());
    }

    #[test]
    fn the_journal_tells_the_state() {
        let (_dir, folder, attempt) = folder();
        folder.create(&attempt).unwrap();
        assert_eq!(folder.journal().unwrap().state(), AttemptState::Launching);
        folder.begin().unwrap();
        assert!(folder.journal().unwrap().begun);
        let at = Timestamp::from_millis(5);
        folder.note_started(at).unwrap();
        assert_eq!(folder.journal().unwrap().state(), AttemptState::Running { since: at });
        assert_eq!(folder.journal().unwrap().stop, None);
        for seconds in [9, 3] {
            folder.request_stop(Duration::from_secs(seconds)).unwrap();
        }
        assert_eq!(folder.journal().unwrap().stop, Some(Duration::from_secs(3)));
        folder.record_end(&failure("first\nline")).unwrap();
        folder.record_end(&failure("second")).unwrap();
        assert_eq!(folder.journal().unwrap().state(), AttemptState::Ended(failure("first\nline")));
    }

    #[test]
    fn a_line_that_is_not_whole_says_nothing() {
        for (text, started) in [("begun\nstarted 5", None), ("begun\nstarted 5\n", Some(Timestamp::from_millis(5)))] {
            let journal = Journal::read(text);
            assert_eq!((journal.begun, journal.started), (true, started));
        }
    }

    #[test]
    fn what_comes_after_a_torn_line_counts() {
        let (_dir, folder, attempt) = folder();
        folder.create(&attempt).unwrap();
        let tear = |text: &str| {
            File::options().append(true).open(folder.file("journal")).unwrap().write_all(text.as_bytes()).unwrap();
        };
        tear("started 17");
        folder.request_stop(Duration::from_millis(4)).unwrap();
        tear("end {\"FailedToSt");
        folder.record_end(&failure("whole")).unwrap();
        let journal = folder.journal().unwrap();
        assert_eq!((journal.started, journal.stop), (None, Some(Duration::from_millis(4))));
        assert_eq!(journal.ending, Some(failure("whole")));
    }

    #[test]
    fn a_reason_is_cut_to_the_room_there_is() {
        let (_dir, folder, attempt) = folder();
        folder.create(&attempt).unwrap();
        folder.record_end(&failure(&"ü".repeat(5000))).unwrap();
        assert_eq!(folder.journal().unwrap().ending, Some(failure(&"ü".repeat(LONGEST_REASON / 2))));
    }
}
