//! Keeps what a container writes to its root below its limit.
//!
//! File systems have quotas for that, where they were made with them, and few are. So room is asked for before the
//! start, what is written is counted from time to time, and a container beyond its limit is ended.

use crate::folder::Folder;
use nix::sys::statvfs::statvfs;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MIB: u64 = 1024 * 1024;

/// The shortest time between two counts; and a count may take as much of a processor's time as one in so many.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const PAUSE_PER_COUNT: u32 = 20;

/// Watches one container's writable layer.
pub(super) struct Storage {
    upper: PathBuf,
    limit: u64,
    next: Instant,
}

impl Storage {
    /// For `limit_mib` MiB; `None` where 0, which is no limit.
    pub(super) fn watch(folder: &Folder, limit_mib: u64) -> Option<Self> {
        (limit_mib > 0).then(|| Self {
            upper: folder.file("upper"),
            limit: limit_mib.saturating_mul(MIB),
            next: Instant::now() + LEAST_PAUSE,
        })
    }

    /// When to count again.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Why the container must end, where it must.
    pub(super) fn exceeded(&mut self) -> Option<String> {
        let began = Instant::now();
        if began < self.next {
            return None;
        }
        let used = disk_usage(&self.upper);
        let now = Instant::now();
        self.next = now + LEAST_PAUSE.max((now - began) * PAUSE_PER_COUNT);
        (used > self.limit).then(|| {
            format!(
                "ephemeral storage limit exceeded: {} MiB written to the container's root, {} MiB allowed",
                used.div_ceil(MIB),
                self.limit / MIB
            )
        })
    }
}

/// Whether `limit_mib` MiB are free where the container will write; 0 asks for nothing.
pub(super) fn has_room(folder: &Folder, limit_mib: u64) -> io::Result<()> {
    if limit_mib == 0 {
        return Ok(());
    }
    let found = statvfs(folder.path())?;
    // Widths differ between architectures.
    #[allow(clippy::useless_conversion)]
    let free = u64::from(found.blocks_available()).saturating_mul(u64::from(found.fragment_size())) / MIB;
    if free >= limit_mib {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::StorageFull,
        format!("{limit_mib} MiB of ephemeral storage are asked for, and {free} MiB are free"),
    ))
}

/// Bytes of disk that a directory and everything in it take up. What goes away meanwhile counts or not.
fn disk_usage(directory: &Path) -> u64 {
    let mut used = 0;
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            // Of the entry itself: a link leads nowhere here.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                used += meta.blocks() * 512;
                directories.push(entry.path());
            } else {
                // Each name of a file counts its part.
                used += meta.blocks() * 512 / meta.nlink().max(1);
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_tree_counts_once_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(dir.path().join("outside"), vec![1; 4 << 20]).unwrap();
        std::os::unix::fs::symlink(dir.path().join("outside"), tree.join("link")).unwrap();
        let empty = disk_usage(&tree);
        assert!(empty < MIB, "{empty}");
        fs::write(tree.join("a/b/file"), vec![1; 2 << 20]).unwrap();
        fs::hard_link(tree.join("a/b/file"), tree.join("a/twin")).unwrap();
        let used = disk_usage(&tree);
        assert!((2 * MIB..3 * MIB).contains(&used), "{used}");
    }

    #[test]
    fn room_that_is_not_there_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        has_room(&folder, 0).unwrap();
        has_room(&folder, 1).unwrap();
        assert!(has_room(&folder, u64::MAX / MIB).unwrap_err().to_string().contains("MiB are free"));
        assert!(Storage::watch(&folder, 0).is_none());
    }
}
