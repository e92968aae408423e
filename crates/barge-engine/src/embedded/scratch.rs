//! Scratch volumes: directories that the containers of one task share, `DATA/scratch/TASK/VOLUME`.

use super::{Inner, blocking};
use crate::attempt::{Attempt, AttemptId};
use crate::engine::EngineError;
use crate::folder::Folder;
use crate::mounts::scratch_place;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

/// As Fargate and Docker make a volume that the image says nothing of.
const MODE: u32 = 0o755;

impl Inner {
    /// Makes the volumes that `attempt` shares, as far as no other container of its task has.
    pub(super) fn make_scratch(&self, attempt: &Attempt) -> io::Result<()> {
        for scratch in &attempt.scratch {
            let place = scratch_place(&self.around.scratch, scratch);
            if let Some(task) = place.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(task)?;
            }
            match fs::create_dir(&place) {
                // Whatever the server's umask is.
                Ok(()) => fs::set_permissions(&place, fs::Permissions::from_mode(MODE))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) async fn remove_scratch(&self, task: &AttemptId) -> Result<(), EngineError> {
        let folder = Folder::of(&self.around.scratch, task);
        if let Some(gone) = blocking(move || folder.retire()).await? {
            self.janitor.remove(gone);
        }
        Ok(())
    }

    pub(super) async fn scratch_tasks(&self) -> Result<Vec<AttemptId>, EngineError> {
        let directory = self.around.scratch.clone();
        blocking(move || {
            let entries = match fs::read_dir(directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut tasks = Vec::new();
            for entry in entries {
                tasks.extend(entry?.file_name().to_str().and_then(|name| AttemptId::new(name).ok()));
            }
            tasks.sort();
            Ok(tasks)
        })
        .await
    }
}
