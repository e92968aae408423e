//! Unpacks zip files that nobody trusts: nothing is written outside, size and number of entries are bounded.

use super::UNZIPPED_LIMIT;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use zip::ZipArchive;

/// More files than this no function has; a zip file of nothing but names could fill the disk's inodes.
const MOST_ENTRIES: usize = 200_000;

const SYNCED_ONE_BY_ONE: usize = 64;

/// A symbolic link's target is no longer than a path can be.
const LONGEST_TARGET: u64 = 4096;

/// Why a zip file was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("it is not a zip file")]
    NotAZip,
    #[error("it is too large")]
    TooLarge,
    #[error("entry {name:?}: {reason}")]
    Entry { name: String, reason: String },
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn entry_error(name: &Path, reason: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Entry { name: name.to_string_lossy().into_owned(), reason: format!("{reason}") }
}

/// Unpacks `file` into the empty directory `into` and onto the disk. Executable bits are kept; everybody may read everything.
pub(crate) fn unpack(file: &File, into: &Path) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(io::BufReader::new(file)).map_err(|_| ArchiveError::NotAZip)?;
    if archive.len() > MOST_ENTRIES {
        return Err(ArchiveError::TooLarge);
    }
    // A few files are on disk sooner by themselves than together with whatever else the file system has to write.
    let one_by_one = archive.len() <= SYNCED_ONE_BY_ONE;
    let mut room = UNZIPPED_LIMIT;
    let mut links = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|_| ArchiveError::NotAZip)?;
        let raw = PathBuf::from(String::from_utf8_lossy(entry.name_raw()).into_owned());
        let path = entry.enclosed_name().filter(|path| is_plain(path));
        let path = path.ok_or_else(|| entry_error(&raw, "its path reaches outside"))?;
        let at = into.join(&path);
        if entry.is_dir() {
            fs::create_dir_all(&at).map_err(|error| entry_error(&path, error))?;
            continue;
        }
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent).map_err(|error| entry_error(&path, error))?;
        }
        if entry.is_symlink() {
            let mut target = String::new();
            (&mut entry).take(LONGEST_TARGET).read_to_string(&mut target).map_err(|error| entry_error(&path, error))?;
            links.push((path, target));
            continue;
        }
        let mode = if entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0) { 0o755 } else { 0o644 };
        // A name that comes twice keeps its last content, as with unzip.
        let mut out = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&at)
            .map_err(|error| entry_error(&path, error))?;
        let written = io::copy(&mut (&mut entry).take(room + 1), &mut out).map_err(|e| entry_error(&path, e))?;
        room = room.checked_sub(written).ok_or(ArchiveError::TooLarge)?;
        if one_by_one {
            out.sync_all()?;
        }
    }
    // Links come last: no file can be written through one.
    for (path, target) in links {
        if !stays_inside(&path, Path::new(&target)) {
            return Err(entry_error(&path, format!("the link to {target} reaches outside")));
        }
        symlink(&target, into.join(&path)).map_err(|error| entry_error(&path, error))?;
    }
    if !one_by_one {
        rustix::fs::syncfs(file).map_err(io::Error::from)?;
    }
    Ok(())
}

fn is_plain(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a link at `path` to `target` points at something under the same root.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    enum Entry<'a> {
        File(&'a str, &'a [u8], u32),
        Link(&'a str, &'a str),
    }

    fn unpacked(entries: &[Entry<'_>]) -> (tempfile::TempDir, Result<(), ArchiveError>) {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for entry in entries {
            match entry {
                Entry::File(name, content, mode) => {
                    zip.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
                    zip.write_all(content).unwrap();
                }
                Entry::Link(name, target) => zip.add_symlink(*name, *target, SimpleFileOptions::default()).unwrap(),
            }
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("zip"), zip.finish().unwrap().into_inner()).unwrap();
        let task = dir.path().join("task");
        fs::create_dir(&task).unwrap();
        let result = unpack(&File::open(dir.path().join("zip")).unwrap(), &task);
        (dir, result)
    }

    #[test]
    fn files_directories_links_and_executable_bits() {
        let (dir, result) = unpacked(&[
            Entry::File("bootstrap", b"#!/bin/sh", 0o755),
            Entry::File("lib/deep/data", b"d", 0o600),
            Entry::Link("lib/link", "deep/data"),
        ]);
        result.unwrap();
        let mode = |name: &str| fs::metadata(dir.path().join("task").join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("bootstrap"), mode("lib/deep/data")), (0o755, 0o644));
        assert_eq!(fs::read(dir.path().join("task/lib/link")).unwrap(), b"d");
    }

    #[test]
    fn nothing_leaves_the_directory() {
        for entries in [
            vec![Entry::File("../out", b"x", 0o644)],
            vec![Entry::File("a/../../out", b"x", 0o644)],
            vec![Entry::Link("link", "../out")],
            vec![Entry::Link("link", "/etc/passwd")],
            vec![Entry::Link("a/b/link", "../../../out")],
        ] {
            let (dir, result) = unpacked(&entries);
            assert!(matches!(result, Err(ArchiveError::Entry { .. })), "{result:?}");
            assert!(!dir.path().join("out").exists());
        }
    }

    #[test]
    fn a_file_is_not_written_through_a_link() {
        let (dir, result) = unpacked(&[Entry::Link("d", "e"), Entry::File("d/f", b"x", 0o644)]);
        assert!(matches!(result, Err(ArchiveError::Entry { .. })), "{result:?}");
        assert!(!dir.path().join("task/e").exists());
    }

    #[test]
    fn a_small_file_that_unpacks_to_too_much_is_refused() {
        let zeros = vec![0; 9 * 1024 * 1024];
        let names: Vec<String> = (0..30).map(|n| format!("f{n}")).collect();
        let entries: Vec<Entry<'_>> = names.iter().map(|name| Entry::File(name, &zeros, 0o644)).collect();
        let (_dir, result) = unpacked(&entries);
        assert!(matches!(result, Err(ArchiveError::TooLarge)), "{result:?}");
    }
}
