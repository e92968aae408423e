//! Which file systems a container gets besides its root: checked, and in the order in which they must be mounted. Pure.

use crate::attempt::{Attempt, Mount, RootFs};
use crate::linux::{Scratch, Tmpfs};
use crate::plan::Impossible;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// Docker's options of a tmpfs, before those that are asked for.
const TMPFS_DEFAULTS: [&str; 3] = ["nosuid", "nodev", "noexec"];

/// Options of a tmpfs that stand alone.
const TMPFS_FLAGS: [&str; 19] = [
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
];

/// Longest name of a scratch volume: a file name's.
const LONGEST_VOLUME: usize = 255;

/// Something to be mounted below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Volume {
    /// A file or directory of the host.
    Bind(Mount),
    /// A file system in memory, with its mount options.
    Memory { target: PathBuf, options: Vec<String> },
}

impl Volume {
    fn target(&self) -> &Path {
        match self {
            Self::Bind(mount) => &mount.target,
            Self::Memory { target, .. } => target,
        }
    }
}

/// The place of a scratch volume, below the engine's directory of them.
pub(crate) fn scratch_place(directory: &Path, scratch: &Scratch) -> PathBuf {
    directory.join(scratch.task.as_str()).join(&scratch.volume)
}

/// Everything that `attempt` wants mounted, what is higher in the tree first: a mount would hide those below its target
/// that came before it.
pub(crate) fn volumes(attempt: &Attempt, scratch_directory: &Path) -> Result<Vec<Volume>, Impossible> {
    let of_root = match &attempt.root {
        RootFs::HostReadOnly { binds, .. } => binds.as_slice(),
        RootFs::Image { .. } => &[],
    };
    let mut volumes: Vec<Volume> = of_root.iter().chain(&attempt.mounts).cloned().map(Volume::Bind).collect();
    for scratch in &attempt.scratch {
        check_volume_name(&scratch.volume)?;
        let source = scratch_place(scratch_directory, scratch);
        volumes.push(Volume::Bind(Mount { source, target: scratch.target.clone(), access: scratch.access }));
    }
    for tmpfs in &attempt.tmpfs {
        volumes.push(Volume::Memory { target: tmpfs.target.clone(), options: tmpfs_options(tmpfs)? });
    }
    for volume in &volumes {
        check_target(volume.target())?;
        if let Volume::Bind(Mount { source, .. }) = volume
            && !source.is_absolute()
        {
            return Err(Impossible(format!("mount source {} is not absolute", source.display())));
        }
    }
    volumes.sort_by_key(|volume| volume.target().components().count());
    for (i, volume) in volumes.iter().enumerate() {
        let same = |other: &Volume| other.target().components().eq(volume.target().components());
        if volumes[..i].iter().any(same) {
            return Err(Impossible(format!("Duplicate mount point: {}", volume.target().display())));
        }
    }
    Ok(volumes)
}

fn check_target(target: &Path) -> Result<(), Impossible> {
    let wrong = |what: &str| Err(Impossible(format!("mount target {:?} {what}", target.display().to_string())));
    if !target.is_absolute() {
        return wrong("is not absolute");
    }
    if target.components().any(|part| part == Component::ParentDir) {
        return wrong("contains ..");
    }
    if target.components().count() < 2 {
        return wrong("is the root");
    }
    Ok(())
}

fn check_volume_name(name: &str) -> Result<(), Impossible> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (1..=LONGEST_VOLUME).contains(&name.len()) && name.bytes().all(legal) && !name.starts_with('.') {
        return Ok(());
    }
    Err(Impossible(format!("{name:?} cannot be a volume's name")))
}

fn tmpfs_options(tmpfs: &Tmpfs) -> Result<Vec<String>, Impossible> {
    if tmpfs.size_mib == 0 {
        return Err(Impossible(format!("tmpfs {}: its size must be 1 MiB or more", tmpfs.target.display())));
    }
    let mut options: Vec<String> = TMPFS_DEFAULTS.map(str::to_owned).to_vec();
    options.push(format!("size={}m", tmpfs.size_mib));
    if !tmpfs.options.iter().any(|option| option.starts_with("mode=")) {
        options.push("mode=1777".to_owned());
    }
    for option in &tmpfs.options {
        if !is_tmpfs_option(option) {
            return Err(Impossible(format!("tmpfs {}: invalid option {option:?}", tmpfs.target.display())));
        }
        // Where there is no disk, nothing can be written to it sooner or later.
        if !matches!(option.as_str(), "sync" | "async" | "dirsync") {
            options.push(option.clone());
        }
    }
    Ok(options)
}

fn is_tmpfs_option(option: &str) -> bool {
    match option.split_once('=') {
        None => TMPFS_FLAGS.contains(&option),
        Some(("mode", mode)) => u32::from_str_radix(mode, 8).is_ok_and(|mode| mode <= 0o7777),
        Some(("uid" | "gid", id)) => id.parse::<u32>().is_ok(),
        Some(("nr_inodes", count)) => count.parse::<u64>().is_ok(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::{Access, AttemptId};

    fn attempt() -> Attempt {
        Attempt::new(AttemptId::new("a").unwrap(), RootFs::Image { digest: String::new() })
    }

    fn tmpfs(target: &str, options: &[&str]) -> Tmpfs {
        Tmpfs {
            target: target.into(),
            size_mib: 7,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        }
    }

    fn scratch(volume: &str, target: &str) -> Scratch {
        let task = AttemptId::new("t-1").unwrap();
        Scratch { task, volume: volume.to_owned(), target: target.into(), access: Access::ReadWrite }
    }

    #[test]
    fn what_is_higher_in_the_tree_comes_first() {
        let attempt = Attempt {
            mounts: vec![Mount::read_only("/host", "/a/b/c")],
            scratch: vec![scratch("v", "/a")],
            tmpfs: vec![tmpfs("/a/b", &["exec", "uid=5", "sync"])],
            ..attempt()
        };
        let found = volumes(&attempt, Path::new("/data/scratch")).unwrap();
        let memory = ["nosuid", "nodev", "noexec", "size=7m", "mode=1777", "exec", "uid=5"].map(str::to_owned).to_vec();
        let v = Mount { source: "/data/scratch/t-1/v".into(), target: "/a".into(), access: Access::ReadWrite };
        assert_eq!(
            found,
            [
                Volume::Bind(v),
                Volume::Memory { target: "/a/b".into(), options: memory },
                Volume::Bind(Mount::read_only("/host", "/a/b/c"))
            ]
        );
    }

    #[test]
    fn what_cannot_be_mounted_is_refused_with_its_name() {
        let mounts = |mounts: Vec<Mount>| Attempt { mounts, ..attempt() };
        let memory = |tmpfs: Vec<Tmpfs>| Attempt { tmpfs, ..attempt() };
        for (broken, words) in [
            (mounts(vec![Mount::read_only("x", "/y")]), "mount source x is not absolute"),
            (mounts(vec![Mount::read_only("/x", "y")]), "mount target \"y\" is not absolute"),
            (mounts(vec![Mount::read_only("/x", "/y/../z")]), "mount target \"/y/../z\" contains .."),
            (mounts(vec![Mount::read_only("/x", "//")]), "mount target \"//\" is the root"),
            (
                Attempt { mounts: vec![Mount::read_only("/x", "/y")], tmpfs: vec![tmpfs("/y/", &[])], ..attempt() },
                "Duplicate mount point: /y/",
            ),
            (memory(vec![tmpfs("/t", &["bind"])]), "tmpfs /t: invalid option \"bind\""),
            (memory(vec![tmpfs("/t", &["dev"])]), "tmpfs /t: invalid option \"dev\""),
            (memory(vec![tmpfs("/t", &["mode=9"])]), "tmpfs /t: invalid option \"mode=9\""),
            (memory(vec![tmpfs("/t", &["size=9"])]), "tmpfs /t: invalid option \"size=9\""),
            (memory(vec![Tmpfs { size_mib: 0, ..tmpfs("/t", &[]) }]), "tmpfs /t: its size must be 1 MiB or more"),
            (Attempt { scratch: vec![scratch("../x", "/t")], ..attempt() }, "\"../x\" cannot be a volume's name"),
            (Attempt { scratch: vec![scratch("", "/t")], ..attempt() }, "\"\" cannot be a volume's name"),
        ] {
            assert_eq!(volumes(&broken, Path::new("/s")).unwrap_err().to_string(), words);
        }
    }
}
