//! From an attempt's folder to a running shim, and what is left when one is gone.

use super::{Inner, bound_to_server, image_of, lock};
use crate::attempt::{Attempt, AttemptId};
use crate::cgroup::Group;
use crate::engine::{Ending, ExitOutcome, StartFailure};
use crate::folder::{Folder, Journal};
use crate::mounts::Volume;
use crate::plan::{ImageDefaults, Plan, plan};
use crate::shim::rootfs;
use barge_core::{Clock, SystemClock};
use barge_image::{Digest, ImageStore, PreparedImage, remove_tree};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::File;
use std::io::{self, BufWriter, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::{Child, Command};

/// As much of what a shim complains of is of use, in bytes.
const LONGEST_COMPLAINT: usize = 500;

/// As many images are remembered at most.
const READY_IMAGES: usize = 64;

/// A shim that this server started.
pub(super) struct Started {
    pub(super) child: Child,
    /// What it writes to its standard error.
    pub(super) complaints: File,
}

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
    /// What the attempt's image says of itself, its layers unpacked.
    pub(super) async fn ready_image(&self, attempt: &Attempt) -> Result<Arc<ImageDefaults>, Refused> {
        let Some(digest) = image_of(attempt) else { return Ok(Arc::default()) };
        if let Some(image) = self.known_image(digest) {
            return Ok(image);
        }
        let _turn = self.preparing.lock().await;
        if let Some(image) = self.known_image(digest) {
            return Ok(image);
        }
        let (images, wanted) = (self.images.clone(), digest.to_owned());
        let image =
            tokio::task::spawn_blocking(move || prepare(&images, &wanted)).await.map_err(io::Error::other)??;
        let image = Arc::new(image);
        let mut ready = lock(&self.ready);
        if ready.len() >= READY_IMAGES {
            ready.clear();
        }
        ready.insert(digest.to_owned(), Arc::clone(&image));
        Ok(image)
    }

    /// An image that was ready before, if all of it still is: a store may be cleaned, or lost.
    fn known_image(&self, digest: &str) -> Option<Arc<ImageDefaults>> {
        let known = lock(&self.ready).get(digest).cloned()?;
        if known.layers.iter().all(|layer| layer.is_dir()) {
            return Some(known);
        }
        lock(&self.ready).remove(digest);
        None
    }

    /// Gets everything ready that the shim needs, and starts it. Blocks.
    pub(super) fn set_going(
        &self,
        folder: &Folder,
        attempt: &Attempt,
        image: &ImageDefaults,
    ) -> Result<Started, Refused> {
        if folder.journal()?.stop.is_some() {
            return Err(Refused::Ends(StartFailure::Stopped, "stopped before it started".to_owned()));
        }
        let plan = plan(attempt, image, &self.around)
            .map_err(|error| Refused::Ends(StartFailure::Container, error.to_string()))?;
        for volume in &plan.volumes {
            if let Volume::Bind(mount) = volume
                && !mount.source.starts_with(&self.around.scratch)
                && !mount.source.exists()
            {
                let reason = format!("bind source path does not exist: {}", mount.source.display());
                return Err(Refused::Ends(StartFailure::Container, reason));
            }
        }
        self.make_scratch(attempt)?;
        self.start_shim(folder, attempt, &plan).map_err(|error| match error.kind() {
            // There is no such program, or it is none.
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                let program = self.config.shim.program.display();
                Refused::Ends(StartFailure::Container, format!("the shim {program} cannot be started: {error}"))
            }
            // Too many processes or files for the moment: it is tried again.
            _ => Refused::Io(error),
        })
    }

    /// Starts the attempt's shim.
    fn start_shim(&self, folder: &Folder, attempt: &Attempt, plan: &Plan) -> io::Result<Started> {
        // Neither is anything to keep: what the shim must know, the next server works out anew, and what it complains of is
        // in its record of the end, if it comes to that.
        let mut instructions = File::from(memfd_create("barge-plan", MemfdFlags::CLOEXEC)?);
        serde_json::to_writer(BufWriter::new(&instructions), plan)?;
        instructions.rewind()?;
        let complaints = File::from(memfd_create("barge-shim", MemfdFlags::CLOEXEC)?);
        let shim = &self.config.shim;
        // The shim leads a session of its own, and is nobody's but the server's child: it is reaped here, and goes to the
        // system's first process when the server ends. It holds a pipe to the server where it is to notice that.
        let stdout = if bound_to_server(attempt) { Stdio::piped() } else { Stdio::null() };
        let child = Command::new(&shim.program)
            .args(&shim.args)
            .arg(folder.path())
            .stdin(instructions)
            .stdout(stdout)
            .stderr(complaints.try_clone()?)
            .current_dir("/")
            .kill_on_drop(false)
            .spawn()?;
        Ok(Started { child, complaints })
    }

    /// Where no shim holds the attempt any more though it began: kills what may be left of it and records that nobody
    /// knows how it ended, with what the shim complained of. Gives the attempt's end where it has one now.
    pub(super) fn settle(&self, folder: &Folder, id: &AttemptId, words: Option<&str>) -> io::Result<Option<Ending>> {
        if let Some(ending) = folder.journal()?.ending {
            return Ok(Some(ending));
        }
        let Some(_lock) = folder.lock()? else { return Ok(None) };
        let journal = folder.journal()?;
        if journal.ending.is_some() || !journal.begun {
            return Ok(journal.ending);
        }
        self.sweep(folder, id);
        let reason = match words {
            Some(words) => format!("the shim that ran it failed, and its container ended with it: {words}"),
            None => "the shim that ran it was killed, and its container with it".to_owned(),
        };
        let ending = lost(&journal, reason);
        folder.record_end(&ending)?;
        Ok(Some(ending))
    }

    /// Ends an attempt that never began, unless a shim has it. Gives its end where there is one now.
    ///
    /// On a full disk the end may not be recorded. That loses nothing: until it is forgotten this server knows it, and the
    /// next one starts an attempt that never began.
    pub(super) fn refuse(folder: &Folder, cause: StartFailure, reason: String) -> io::Result<Option<Ending>> {
        let Some(_lock) = folder.lock()? else { return Ok(None) };
        let journal = folder.journal()?;
        if journal.ending.is_some() || journal.begun {
            return Ok(journal.ending);
        }
        let ending = Ending::FailedToStart { at: SystemClock.now(), cause, reason };
        match folder.record_end(&ending) {
            Err(error) if no_room(&error) => {
                tracing::error!(%error, "the disk is full: an attempt's end is not recorded");
            }
            done => done?,
        }
        Ok(Some(ending))
    }

    /// Removes what a shim that is gone left of its container: processes, group, files.
    pub(super) fn sweep(&self, folder: &Folder, id: &AttemptId) {
        let name = format!("{id}-{}", self.around.group_suffix);
        let swept = Group::open(&self.around.cgroups, &name).and_then(|group| {
            group.kill();
            group.remove()
        });
        if let Err(error) = swept {
            tracing::warn!(%error, attempt = %id, "an attempt's cgroup was not removed");
        }
        for name in rootfs::WRITTEN {
            if let Err(error) = remove_tree(&folder.file(name)) {
                tracing::warn!(%error, attempt = %id, "an attempt's files were not removed");
            }
        }
    }
}

/// The end of an attempt that nobody saw end.
pub(super) fn lost(journal: &Journal, reason: String) -> Ending {
    let at = SystemClock.now();
    match journal.started {
        Some(started) => {
            let stopped = journal.stop.is_some();
            let outcome = ExitOutcome { code: None, signal: None, oom: false, stopped, reason: Some(reason) };
            Ending::Exited { started, at, outcome }
        }
        None => Ending::FailedToStart { at, cause: StartFailure::Container, reason },
    }
}

/// What a shim complained of, cut to a length for a status.
pub(super) fn words(complaints: &File) -> Option<String> {
    let mut bytes = vec![0; LONGEST_COMPLAINT];
    let read = complaints.read_at(&mut bytes, 0).ok()?;
    let words = String::from_utf8_lossy(&bytes[..read]).trim().to_owned();
    (!words.is_empty()).then_some(words)
}

/// Sends SIGTERM to the shim; gives whether one has the attempt. One that comes to it later reads the request.
pub(super) fn signal_shim(folder: &Folder) -> io::Result<bool> {
    let Some(shim) = shim_process(folder)? else { return Ok(false) };
    match pidfd_send_signal(&shim, Signal::TERM) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Whether the disk, or somebody's part of it, is full.
pub(super) fn no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Unpacks the image `digest`, as far as it isn't, and reads what it says of itself.
fn prepare(images: &ImageStore, digest: &str) -> Result<ImageDefaults, Refused> {
    let refused = |error: &dyn std::fmt::Display| Refused::Ends(StartFailure::Image, error.to_string());
    let digest: Digest = digest.parse().map_err(|error| refused(&error))?;
    let image = images.prepare(&digest).map_err(|error| refused(&error))?;
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

/// The process that holds the attempt, if one does.
pub(super) fn shim_process(folder: &Folder) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = folder.journal()?.holder.and_then(Pid::from_raw) else { return Ok(None) };
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // The number might be another process's by now; not while the lock that it was noted under is still held.
    Ok(folder.lock()?.is_none().then_some(process))
}
