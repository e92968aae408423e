//! Layers laid over each other: what a function sees under `/opt` (Lambda Developer Guide, "Managing Lambda dependencies
//! with layers"). Files are hard links, so that a merged directory takes no room.

use super::Pin;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Merged directories, one for each list of layers. They live as long as the server.
pub(crate) struct Opt {
    dir: PathBuf,
}

impl Opt {
    /// Merged directories in `dir`, which is empty.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The directory with the content of `layers`, the later over the earlier; `None` where there is none.
    pub(crate) async fn laid(&self, layers: &[Pin]) -> io::Result<Option<PathBuf>> {
        match layers {
            [] => Ok(None),
            [one] => Ok(Some(one.task_dir())),
            several => {
                let names: Vec<&str> = several.iter().map(Pin::sha256).collect();
                let home = self.dir.join(hex::encode(Sha256::digest(names.join(" "))));
                let (dir, target) = (self.dir.clone(), home.clone());
                let sources: Vec<PathBuf> = several.iter().map(Pin::task_dir).collect();
                let merged = tokio::task::spawn_blocking(move || merge(&dir, &target, &sources)).await;
                merged.map_err(io::Error::other)??;
                Ok(Some(home))
            }
        }
    }
}

fn merge(dir: &Path, target: &Path, sources: &[PathBuf]) -> io::Result<()> {
    if target.exists() {
        return Ok(());
    }
    let making = tempfile::Builder::new().prefix("new-").tempdir_in(dir)?;
    for source in sources {
        lay(source, making.path())?;
    }
    // A sandbox's user is another.
    fs::set_permissions(making.path(), fs::Permissions::from_mode(0o755))?;
    match fs::rename(making.path(), target) {
        // Another instance with the same layers was faster.
        Err(_) if target.exists() => Ok(()),
        outcome => outcome,
    }
}

/// Lays the content of `from` over that of `to`.
fn lay(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            if fs::symlink_metadata(&target).is_ok_and(|there| !there.is_dir()) {
                fs::remove_file(&target)?;
            }
            if !target.exists() {
                fs::create_dir(&target)?;
                fs::set_permissions(&target, entry.metadata()?.permissions())?;
            }
            lay(&entry.path(), &target)?;
            continue;
        }
        match fs::symlink_metadata(&target) {
            Ok(there) if there.is_dir() => fs::remove_dir_all(&target)?,
            Ok(_) => fs::remove_file(&target)?,
            Err(_) => {}
        }
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::hard_link(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layers_lie_over_earlier_ones() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/python/x.py", "1");
        write("a/python/y.py", "1");
        write("b/python/y.py", "2");
        write("b/bin", "2");
        let (opt, target) = (dir.path().join("opt"), dir.path().join("opt/merged"));
        fs::create_dir(&opt).unwrap();
        merge(&opt, &target, &[dir.path().join("a"), dir.path().join("b")]).unwrap();
        let read = |path: &str| fs::read_to_string(target.join(path)).unwrap();
        assert_eq!([read("python/x.py"), read("python/y.py"), read("bin")], ["1", "2", "2"]);
        assert_eq!(fs::read_to_string(dir.path().join("a/python/y.py")).unwrap(), "1");
    }
}
