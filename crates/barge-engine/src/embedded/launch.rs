//! From an attempt's folder to a running shim, and what is left when one is gone.

use super::{Inner, bound_to_server, image_of};
use crate::attempt::Attempt;
use crate::cgroup::Group;
use crate::engine::{Ending, ExitOutcome, StartFailure};
use crate::folder::Folder;
use crate::plan::{ImageDefaults, plan};
use barge_core::{Clock, SystemClock};
use barge_image::{Digest, PreparedImage, remove_tree};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use tokio::process::{Child, Command};

/// What stands between an attempt and its shim.
pub(super) enum Refused {
    /// The attempt cannot start; this is how it ends.
    Ends(StartFailure, String),
    /// The disk.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Inner {
    /// Gets everything ready that the shim needs: layers unpacked, plan written. Blocks.
    pub(super) fn make_ready(&self, folder: &Folder, attempt: &Attempt) -> Result<(), Refused> {
        let image = match image_of(attempt) {
            Some(digest) => self.image_defaults(digest)?,
            None => ImageDefaults::default(),
        };
        if folder.stop_request().is_some() {
            return Err(Refused::Ends(StartFailure::Stopped, "stopped before it started".to_owned()));
        }
        let plan = plan(attempt, &image, &self.around)
            .map_err(|error| Refused::Ends(StartFailure::Container, error.to_string()))?;
        folder.write_json("plan.json", &plan)?;
        Ok(())
    }

    fn image_defaults(&self, digest: &str) -> Result<ImageDefaults, Refused> {
        let refused = |error: &dyn std::fmt::Display| Refused::Ends(StartFailure::Image, error.to_string());
        let digest: Digest = digest.parse().map_err(|error| refused(&error))?;
        let image = self.images.prepare(&digest).map_err(|error| refused(&error))?;
        let PreparedImage { config, layers } = image.as_ref();
        Ok(ImageDefaults {
            entrypoint: config.entrypoint.clone(),
            command: config.command.clone(),
            env: config.env.clone(),
            user: config.user.clone(),
            workdir: config.workdir.clone(),
            passwd: image.read_text("etc/passwd"),
            group: image.read_text("etc/group"),
            layers: layers.clone(),
        })
    }

    /// Starts the attempt's shim.
    pub(super) fn start_shim(&self, folder: &Folder, attempt: &Attempt) -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(folder.file("shim.log"))?;
        let shim = &self.config.shim;
        // The shim leads a session of its own, and is nobody's but the server's child: it is reaped here, and goes to the
        // system's first process when the server ends. It holds a pipe from the server where it is to notice that.
        let stdin = if bound_to_server(attempt) { Stdio::piped() } else { Stdio::null() };
        Command::new(&shim.program)
            .args(&shim.args)
            .arg(folder.path())
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(log)
            .current_dir("/")
            .kill_on_drop(false)
            .spawn()
    }

    /// Where no shim holds the attempt any more though it began: kills what may be left of it and records that nobody
    /// knows how it ended. Gives whether the attempt has an end now.
    pub(super) fn settle(&self, folder: &Folder, attempt: &Attempt) -> io::Result<bool> {
        if folder.ending()?.is_some() {
            return Ok(true);
        }
        let Some(lock) = folder.lock()? else { return Ok(false) };
        if folder.ending()?.is_some() {
            return Ok(true);
        }
        if !folder.has_begun() {
            return Ok(false);
        }
        self.sweep(folder, attempt);
        let reason = match last_words(folder) {
            Some(words) => format!("the shim that ran it failed, and its container ended with it: {words}"),
            None => "the shim that ran it was killed, and its container with it".to_owned(),
        };
        let at = SystemClock.now();
        let ending = match folder.started() {
            Some(started) => {
                let outcome = ExitOutcome {
                    code: None,
                    signal: None,
                    oom: false,
                    stopped: folder.stop_request().is_some(),
                    reason: Some(reason),
                };
                Ending::Exited { started, at, outcome }
            }
            None => Ending::FailedToStart { at, cause: StartFailure::Container, reason },
        };
        folder.record_end(&ending)?;
        drop(lock);
        Ok(true)
    }

    /// Records that the attempt ends before it began, unless a shim has it.
    pub(super) fn refuse(folder: &Folder, cause: StartFailure, reason: String) -> io::Result<()> {
        let Some(_lock) = folder.lock()? else { return Ok(()) };
        if folder.ending()?.is_none() && !folder.has_begun() {
            folder.record_end(&Ending::FailedToStart { at: SystemClock.now(), cause, reason })?;
        }
        Ok(())
    }

    /// Removes what a shim that is gone left of its container: processes, group, files.
    pub(super) fn sweep(&self, folder: &Folder, attempt: &Attempt) {
        let name = format!("{}-{}", attempt.id, self.around.group_suffix);
        let swept = Group::open(&self.around.cgroups, &name).and_then(|group| {
            group.kill();
            group.remove()
        });
        if let Err(error) = swept {
            tracing::warn!(%error, attempt = %attempt.id, "an attempt's cgroup was not removed");
        }
        for name in ["upper", "work", "state"] {
            if let Err(error) = remove_tree(&folder.file(name)) {
                tracing::warn!(%error, attempt = %attempt.id, "an attempt's files were not removed");
            }
        }
    }
}

/// What the shim complained of, cut to a length for a status.
pub(super) fn last_words(folder: &Folder) -> Option<String> {
    let log = fs::read(folder.file("shim.log")).ok()?;
    let words: String = String::from_utf8_lossy(&log).trim().chars().take(500).collect();
    (!words.is_empty()).then_some(words)
}

/// Sends SIGTERM to the shim, if one has the attempt.
pub(super) fn signal_shim(folder: &Folder) -> io::Result<()> {
    match shim_process(folder)? {
        Some(shim) => match pidfd_send_signal(&shim, Signal::TERM) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        },
        // It reads the request when it comes to it.
        None => Ok(()),
    }
}

/// The process that holds the attempt, if one does.
pub(super) fn shim_process(folder: &Folder) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = folder.lock_holder().and_then(Pid::from_raw) else { return Ok(None) };
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // The number might be another process's by now; not while the lock that it was noted under is still held.
    Ok(folder.lock()?.is_none().then_some(process))
}

/// Removes what was forgotten, or never wholly made, when a server was killed.
pub(super) fn remove_leftovers(attempts: &Path) -> io::Result<()> {
    for entry in fs::read_dir(attempts)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "gone" || extension == "new")
            && let Err(error) = remove_tree(&path)
        {
            tracing::warn!(%error, path = %path.display(), "not removed");
        }
    }
    Ok(())
}
