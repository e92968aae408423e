//! Keeps libcontainer away from control groups.
//!
//! The shim makes the attempt's group itself: libcontainer would make one in every v1 hierarchy, and cannot do without
//! as an ordinary user on a v1 host. It looks for hierarchies below `/sys/fs/cgroup`, so the shim lays an empty file system
//! over that place, in its own mount namespace, and libcontainer finds nothing to do.

use crate::plan::{Plan, Privilege};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const CGROUPS: &str = "/sys/fs/cgroup";

/// The name of the group that libcontainer is told to use.
pub(crate) const GROUP: &str = "/barge";

/// Hides every hierarchy from this process.
pub(crate) fn cgroups(plan: &Plan) -> io::Result<()> {
    if !Path::new(CGROUPS).is_dir() {
        return Ok(());
    }
    let inherited = mount_points(&fs::read_to_string("/proc/self/mountinfo")?);
    if plan.privilege == Privilege::Root && inherited.iter().any(|place| place == Path::new(CGROUPS)) {
        umount2(CGROUPS, MntFlags::MNT_DETACH)?;
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), CGROUPS, Some("tmpfs"), flags, Some("size=1m,mode=755"))?;
    if let Privilege::Rootless { .. } = plan.privilege {
        // Mounts inherited into a user namespace cannot be taken off, only covered: libcontainer still reads of them in
        // mountinfo. It finds files of the right names in their places.
        for place in inherited.iter().filter(|place| place.starts_with(CGROUPS) && *place != Path::new(CGROUPS)) {
            stage(place)?;
        }
    }
    Ok(())
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
