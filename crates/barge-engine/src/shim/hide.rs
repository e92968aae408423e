//! Keeps libcontainer away from control groups.
//!
//! The shim makes the attempt's group itself: libcontainer would make one in every v1 hierarchy, and cannot do without
//! as an ordinary user on a v1 host. It looks for hierarchies below `/sys/fs/cgroup`, so the shim lays an empty file system
//! over that place, in its own mount namespace, and libcontainer finds nothing to do.

use crate::folder::Folder;
use crate::plan::{Plan, Privilege};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const CGROUPS: &str = "/sys/fs/cgroup";

/// The name of the group that libcontainer is told to use.
pub(crate) const GROUP: &str = "/barge";

/// A small file system in memory, in the shim's mount namespace only: it goes when the shim does, whatever happens.
///
/// What the shim needs for itself is here and not in the attempt's directory, where each of its half a dozen directories
/// would have to be made on the disk and removed again.
pub(crate) struct Private(PathBuf);

impl Private {
    /// Where the container's root is mounted.
    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    /// Where the container's specification is.
    pub(crate) fn bundle(&self) -> &Path {
        &self.0
    }

    /// What is in every image, on top of its layers.
    pub(crate) fn scaffold(&self) -> PathBuf {
        self.0.join("scaffold")
    }

    /// libcontainer's own files.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}

/// Hides every hierarchy from this process, and gives it a file system of its own.
pub(crate) fn cgroups(folder: &Folder, plan: &Plan) -> io::Result<Private> {
    let hidden = Path::new(CGROUPS);
    let place = match plan.privilege {
        // One file system does for both: a container sees a /sys of its own.
        Privilege::Root if hidden.is_dir() => {
            if mount_points(&fs::read_to_string("/proc/self/mountinfo")?).iter().any(|place| place == hidden) {
                umount2(hidden, MntFlags::MNT_DETACH)?;
            }
            hidden.to_owned()
        }
        Privilege::Root => folder.file("private"),
        Privilege::Rootless { .. } => {
            cover(hidden)?;
            folder.file("private")
        }
    };
    if place != hidden {
        fs::create_dir_all(&place)?;
    }
    memory(&place)?;
    let private = Private(place.join("barge-shim"));
    for directory in [&private.0, &private.root(), &private.state()] {
        fs::create_dir(directory)?;
    }
    Ok(private)
}

fn memory(place: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("size=4m,mode=755"))?)
}

/// Mounts inherited into a user namespace cannot be taken off, only covered: libcontainer still reads of them in
/// mountinfo. It finds files of the right names in their places.
fn cover(hidden: &Path) -> io::Result<()> {
    if !hidden.is_dir() {
        return Ok(());
    }
    let inherited = mount_points(&fs::read_to_string("/proc/self/mountinfo")?);
    memory(hidden)?;
    inherited.iter().filter(|place| *place != hidden).try_for_each(|place| stage(place))
}

fn stage(hierarchy: &Path) -> io::Result<()> {
    let group = hierarchy.join(GROUP.trim_start_matches('/'));
    fs::create_dir_all(&group)?;
    for dir in [hierarchy, &group] {
        fs::write(dir.join("cgroup.procs"), "")?;
        fs::write(dir.join("cpuset.cpus"), "0")?;
        fs::write(dir.join("cpuset.mems"), "0")?;
    }
    Ok(())
}

/// Where file systems are mounted at or below the cgroups' place.
fn mount_points(mountinfo: &str) -> Vec<PathBuf> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|place| Path::new(place).starts_with(CGROUPS))
        .map(PathBuf::from)
        .collect()
}
