//! After a restart: what a server that was killed, or a machine that went down, left behind.

use super::launch::lost;
use super::{Inner, Past, blocking};
use crate::attempt::{Attempt, AttemptId, OutputTo};
use crate::engine::{Adopted, AttemptState, Ending, EngineError};
use crate::folder::Folder;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Names this run of the machine: another one after each boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl Inner {
    pub(super) async fn adopt(self: &Arc<Self>) -> Result<Vec<Adopted>, EngineError> {
        let inner = Arc::clone(self);
        let found = blocking(move || {
            inner.remove_leftovers();
            inner.settle_after_reboot()?;
            inner.take_stock()
        })
        .await?;
        let mut adopted = Vec::new();
        for (attempt, state) in found {
            let state = match (&state, &attempt.output) {
                // Its last lines may not be stored yet: the end is told once they are.
                (AttemptState::Ended(Ending::Exited { started, .. }), OutputTo::Log(_)) => {
                    AttemptState::Running { since: *started }
                }
                _ => state,
            };
            let state = self.take_up(attempt.clone(), state.clone(), Past::Unknown).unwrap_or(state);
            adopted.push(Adopted { attempt, state });
        }
        Ok(adopted)
    }

    /// Every attempt that was not forgotten.
    fn take_stock(&self) -> io::Result<Vec<(Attempt, AttemptState)>> {
        let mut found = Vec::new();
        for folder in folders(&self.attempts)? {
            match folder.attempt() {
                Ok(attempt) => {
                    if self.settle(&folder, &attempt.id, None)?.is_some()
                        && let Some(_lock) = folder.lock()?
                    {
                        // Its shim may have been killed after the end that it recorded.
                        self.sweep(&folder, &attempt.id);
                    }
                    let state = folder.journal()?.state();
                    found.push((attempt, state));
                }
                Err(error) => tracing::error!(%error, folder = %folder.path().display(), "not an attempt"),
            }
        }
        Ok(found)
    }

    /// Where the machine was started anew since this engine last was, no container lives, and what was written shortly
    /// before may not have reached the disk: not even that an attempt had begun. So whatever has no end is given one here,
    /// and nothing is started that may have run.
    fn settle_after_reboot(&self) -> io::Result<()> {
        let noted = self.attempts.with_file_name("boot");
        let now = fs::read_to_string(BOOT_ID)?;
        let rebooted = match fs::read_to_string(&noted) {
            Ok(before) => before != now,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if rebooted {
            for folder in folders(&self.attempts)? {
                if let Err(error) = self.settle_unfinished(&folder) {
                    tracing::error!(%error, folder = %folder.path().display(), "an attempt of before the restart");
                }
            }
        }
        // Last: a server that is killed before does all of it again.
        if rebooted || !noted.exists() {
            let making = noted.with_extension("new");
            fs::write(&making, now)?;
            fs::rename(making, noted)?;
        }
        Ok(())
    }

    fn settle_unfinished(&self, folder: &Folder) -> io::Result<()> {
        if folder.attempt().is_err() {
            // It never reached the disk as a whole. Who launched it asks for it again, or is told that it is unknown.
            if let Some(gone) = folder.retire()? {
                self.janitor.remove(gone);
            }
            return Ok(());
        }
        let journal = folder.journal()?;
        if journal.ending.is_some() {
            return Ok(());
        }
        let when = if journal.started.is_some() { "while it ran" } else { "before it was known to run" };
        folder.record_end(&lost(&journal, format!("the machine went down {when}")))
    }

    /// Has removed what was forgotten, or never wholly made, when a server was killed.
    fn remove_leftovers(&self) {
        for directory in [&self.attempts, &self.around.scratch] {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.file_name().to_str().is_some_and(Folder::is_leftover) {
                    self.janitor.remove(entry.path());
                }
            }
        }
    }
}

/// The attempts' folders below `attempts`.
fn folders(attempts: &Path) -> io::Result<Vec<Folder>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(attempts)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| AttemptId::new(name).is_ok()) {
            found.push(Folder::new(entry.path()));
        }
    }
    Ok(found)
}
