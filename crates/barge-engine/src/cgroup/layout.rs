//! Finds out where groups can be made on this host.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a group can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Controller {
    Memory,
    Cpu,
    Pids,
}

impl Controller {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }
}

/// Where attempts' groups are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Layout {
    /// One hierarchy for each controller.
    V1 {
        /// The directory that holds the groups, for each controller that can be used.
        parents: Vec<(Controller, PathBuf)>,
    },
    /// One hierarchy for all.
    V2 {
        /// The directory that holds the groups.
        parent: PathBuf,
        /// The controllers that can be used in it.
        controllers: Vec<Controller>,
    },
    /// There is nowhere to make groups: nothing is limited.
    Nowhere {
        /// Why, for people.
        reason: String,
    },
}

/// A cgroup mount, as /proc/self/mountinfo tells.
struct Hierarchy {
    mount_point: PathBuf,
    /// Which part of the hierarchy is mounted.
    root: String,
    kind: Kind,
}

enum Kind {
    V1(Vec<String>),
    V2,
}

impl Layout {
    /// Looks at this host, and makes the groups' parents.
    pub(crate) fn prepare() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let layout = Self::find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        layout.make_parents()
    }

    /// The controllers that can be used.
    pub(crate) fn controllers(&self) -> Vec<Controller> {
        match self {
            Self::V1 { parents } => parents.iter().map(|(controller, _)| *controller).collect(),
            Self::V2 { controllers, .. } => controllers.clone(),
            Self::Nowhere { .. } => Vec::new(),
        }
    }

    /// Where groups belong, given the texts of the two files of /proc. A hybrid host counts as v1: its controllers are
    /// there.
    fn find(mountinfo: &str, own_groups: &str) -> Self {
        let hierarchies: Vec<Hierarchy> = mountinfo.lines().filter_map(parse_mount).collect();
        let v1: Vec<(Controller, PathBuf)> = Controller::ALL
            .into_iter()
            .filter_map(|controller| {
                let hierarchy = hierarchies.iter().find(|h| h.has_v1(controller.name()))?;
                let own = own_groups.lines().find_map(|line| own_path(line, Some(controller.name())))?;
                Some((controller, hierarchy.resolve(own).join("barge")))
            })
            .collect();
        if !v1.is_empty() {
            return Self::V1 { parents: v1 };
        }
        let unified = hierarchies.iter().find(|h| matches!(h.kind, Kind::V2));
        let own = own_groups.lines().find_map(|line| own_path(line, None));
        match (unified, own) {
            (Some(hierarchy), Some(own)) => {
                Self::V2 { parent: hierarchy.resolve(own).join("barge"), controllers: Vec::new() }
            }
            _ => Self::Nowhere { reason: "no cgroup file system is mounted".to_owned() },
        }
    }

    fn make_parents(self) -> Self {
        match self {
            Self::V1 { parents } => {
                let mut failure = String::new();
                let usable: Vec<_> = parents
                    .into_iter()
                    .filter(|(_, parent)| match make_usable(parent) {
                        Ok(()) => true,
                        Err(error) => {
                            failure = format!("{}: {error}", parent.display());
                            false
                        }
                    })
                    .collect();
                if usable.is_empty() { Self::Nowhere { reason: failure } } else { Self::V1 { parents: usable } }
            }
            Self::V2 { parent, .. } => match make_v2_parent(&parent) {
                Ok((parent, controllers)) => Self::V2 { parent, controllers },
                Err(error) => Self::Nowhere { reason: format!("{}: {error}", parent.display()) },
            },
            nowhere @ Self::Nowhere { .. } => nowhere,
        }
    }
}

/// Makes `parent`, and makes sure that groups can be made in it.
fn make_usable(parent: &Path) -> io::Result<()> {
    if !parent.is_dir() {
        fs::create_dir(parent)?;
    }
    let probe = parent.join(format!("probe-{}", std::process::id()));
    fs::create_dir(&probe)?;
    fs::remove_dir(&probe)
}

/// Makes the v2 parent, with as many controllers handed down to it as there are. Controllers can only be handed down
/// from a group without processes (cgroup v2 documentation, "No Internal Process Constraint"). So the parent is made, in
/// this order: where the server runs, once its own processes have moved to a group `barge-server` beside it, which is only
/// done where the server is the group's one process (a delegated scope of its own); and, for root, below the
/// hierarchy's root.
fn make_v2_parent(wanted: &Path) -> io::Result<(PathBuf, Vec<Controller>)> {
    let own = wanted.parent().ok_or_else(|| io::Error::other("no group"))?;
    let me = std::process::id().to_string();
    let procs = fs::read_to_string(own.join("cgroup.procs"))?;
    if procs.lines().all(|pid| pid == me) && make_usable(wanted).is_ok() {
        let leaf = own.join("barge-server");
        if !leaf.is_dir() {
            fs::create_dir(&leaf)?;
        }
        fs::write(leaf.join("cgroup.procs"), &me)?;
        let controllers = hand_down(own, wanted);
        if !controllers.is_empty() {
            return Ok((wanted.to_owned(), controllers));
        }
    }
    // The hierarchy's root may have processes and hand down controllers nevertheless.
    let mut root = own;
    while let Some(above) = root.parent().filter(|above| above.join("cgroup.procs").exists()) {
        root = above;
    }
    let parent = root.join("barge");
    make_usable(&parent)?;
    let controllers = hand_down(root, &parent);
    Ok((parent, controllers))
}

/// Hands every controller down from `from` to the groups in `parent`. Gives those that arrive.
fn hand_down(from: &Path, parent: &Path) -> Vec<Controller> {
    Controller::ALL
        .into_iter()
        .filter(|controller| {
            let enable = format!("+{}", controller.name());
            [from, parent].iter().all(|dir| fs::write(dir.join("cgroup.subtree_control"), &enable).is_ok())
        })
        .collect()
}

impl Hierarchy {
    fn has_v1(&self, controller: &str) -> bool {
        matches!(&self.kind, Kind::V1(controllers) if controllers.iter().any(|c| c == controller))
    }

    /// The directory of the group `own`: a mount that shows only part of the hierarchy has it below its root, or, seen
    /// from another namespace, not at all; then it is the mount point.
    fn resolve(&self, own: &str) -> PathBuf {
        let below = if self.root == "/" { Some(own) } else { own.strip_prefix(self.root.as_str()) };
        match below {
            Some(below) => self.mount_point.join(below.trim_start_matches('/')),
            None => self.mount_point.clone(),
        }
    }
}

/// One line of mountinfo (proc_pid_mountinfo(5)), where it is a cgroup's.
fn parse_mount(line: &str) -> Option<Hierarchy> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, mount_point) = (mount.next()?, mount.next()?);
    let mut filesystem = filesystem.split(' ');
    let kind = match filesystem.next()? {
        "cgroup2" => Kind::V2,
        "cgroup" => Kind::V1(filesystem.nth(1)?.split(',').map(str::to_owned).collect()),
        _ => return None,
    };
    Some(Hierarchy { mount_point: PathBuf::from(mount_point), root: root.to_owned(), kind })
}

/// The path in one line of /proc/self/cgroup (cgroups(7)), where it is of the hierarchy of `controller` (`None`: v2).
fn own_path<'a>(line: &'a str, controller: Option<&str>) -> Option<&'a str> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let this = match controller {
        Some(wanted) => controllers.split(',').any(|c| c == wanted),
        None => controllers.is_empty(),
    };
    this.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";

    #[test]
    fn a_hybrid_host_has_its_controllers_in_v1() {
        let layout = Layout::find(HYBRID, "4:memory:/user/x\n1:cpu,cpuacct:/\n0::/user");
        let parents = vec![
            (Controller::Memory, PathBuf::from("/sys/fs/cgroup/memory/user/x/barge")),
            (Controller::Cpu, PathBuf::from("/sys/fs/cgroup/cpu,cpuacct/barge")),
        ];
        assert_eq!(layout, Layout::V1 { parents });
    }

    #[test]
    fn a_unified_host_has_one_hierarchy() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw";
        let layout = Layout::find(mounts, "0::/user.slice/b.scope");
        let parent = PathBuf::from("/sys/fs/cgroup/user.slice/b.scope/barge");
        assert_eq!(layout, Layout::V2 { parent, controllers: Vec::new() });
    }

    #[test]
    fn inside_a_container_the_mount_may_show_part_of_the_hierarchy() {
        let mounts = "30 24 0:26 /docker/c1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
        for (own, parent) in [
            ("4:memory:/docker/c1/x", "/sys/fs/cgroup/memory/x/barge"),
            ("4:memory:/elsewhere", "/sys/fs/cgroup/memory/barge"),
        ] {
            let parents = vec![(Controller::Memory, PathBuf::from(parent))];
            assert_eq!(Layout::find(mounts, own), Layout::V1 { parents });
        }
    }

    #[test]
    fn a_host_without_cgroups_limits_nothing() {
        assert!(matches!(Layout::find("1 0 8:1 / / rw - ext4 /dev/sda rw", ""), Layout::Nowhere { .. }));
    }
}
