//! One attempt's group: made, filled, read, emptied, removed.

use super::layout::{Controller, Layout};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Pid, UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// Microseconds after which processor time is dealt out anew. A fifth of the kernel's default: an attempt with a
/// quarter of a processor then waits 15 ms at most for its next share, not 75.
const CPU_PERIOD: u64 = 20_000;

/// The kernel refuses quotas below a millisecond.
const LEAST_CPU_QUOTA: u64 = 1_000;

/// How often, and how far apart, a group is tried to be removed.
const REMOVALS: u32 = 250;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(2);

/// What an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// MiB; 0 is unlimited.
    pub memory_mib: u64,
    /// Processors; 0 is unlimited.
    pub vcpu: f64,
    /// Processes and threads.
    pub pids: u64,
}

/// A group's directory in one hierarchy. Held open: the shim hides the hierarchies from itself before it builds the
/// container, and goes on using its group.
struct Place {
    parent: OwnedFd,
    directory: OwnedFd,
    controllers: Vec<Controller>,
}

/// One attempt's group, in every hierarchy that it needs.
pub(crate) struct Group {
    name: String,
    places: Vec<Place>,
    version: Version,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Group {
    /// Makes the group `name`, with `limits`.
    pub(crate) fn create(layout: &Layout, name: &str, limits: &Limits) -> io::Result<Self> {
        let group = Self::at(layout, name, |parent| match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(error) => Err(error),
        })?;
        for (controller, place) in group.places.iter().flat_map(|p| p.controllers.iter().map(move |c| (*c, p))) {
            for (file, value) in settings(group.version, controller, limits) {
                match place.write(file, &value) {
                    // Swap limits are missing where the kernel does not count swap.
                    Err(error) if error.kind() == io::ErrorKind::NotFound && file.contains("sw") => {}
                    Err(error) => return Err(io::Error::new(error.kind(), format!("{file} = {value}: {error}"))),
                    Ok(()) => {}
                }
            }
        }
        Ok(group)
    }

    /// The group `name` that a shim left behind, as far as it is there.
    pub(crate) fn open(layout: &Layout, name: &str) -> io::Result<Self> {
        Self::at(layout, name, |_| Ok(()))
    }

    fn at(layout: &Layout, name: &str, make: impl Fn(&OwnedFd) -> nix::Result<()>) -> io::Result<Self> {
        let (version, parents): (_, Vec<(&Path, Vec<Controller>)>) = match layout {
            Layout::V1 { parents } => {
                let mut dirs: Vec<(&Path, Vec<Controller>)> = Vec::new();
                for (controller, parent) in parents {
                    match dirs.iter_mut().find(|(dir, _)| dir == parent) {
                        Some((_, controllers)) => controllers.push(*controller),
                        None => dirs.push((parent, vec![*controller])),
                    }
                }
                (Version::V1, dirs)
            }
            Layout::V2 { parent, controllers } => (Version::V2, vec![(parent.as_path(), controllers.clone())]),
            Layout::Nowhere { .. } => (Version::V2, Vec::new()),
        };
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let mut places = Vec::new();
        for (dir, controllers) in parents {
            let parent = open(dir, flags, Mode::empty())?;
            make(&parent)?;
            match openat(&parent, name, flags, Mode::empty()) {
                Ok(directory) => places.push(Place { parent, directory, controllers }),
                Err(Errno::ENOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { name: name.to_owned(), places, version })
    }

    /// What lets a process go into the group by itself, as far as there is such a way.
    ///
    /// Moving another process (`cgroup.procs`) waits, in v1 and v2, until no process of the machine is between fork and
    /// exec: some 10 ms. A process with one thread that moves itself through v1's `tasks` need not wait. v2 has no such
    /// file; there [`Group::add`] it is.
    pub(crate) fn entrance(&self) -> io::Result<Entrance> {
        if self.version == Version::V2 {
            return Ok(Entrance(Vec::new()));
        }
        // The kernel asks for the rights of who opened the file: the process that goes in has given up its own by then.
        self.places.iter().map(|place| place.open("tasks", OFlag::O_WRONLY)).collect::<io::Result<_>>().map(Entrance)
    }

    /// Moves a process into the group where it cannot go by itself through the [`Entrance`].
    pub(crate) fn add(&self, pid: i32) -> io::Result<()> {
        match self.version {
            Version::V1 => Ok(()),
            Version::V2 => self.places.iter().try_for_each(|place| place.write("cgroup.procs", &pid.to_string())),
        }
    }

    /// How many processes of the group the kernel killed for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let file = match self.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        self.places
            .iter()
            .filter(|place| place.controllers.contains(&Controller::Memory))
            .filter_map(|place| place.read(file).ok())
            .filter_map(|text| counter(&text, "oom_kill"))
            .sum()
    }

    /// Kills every process in the group.
    pub(crate) fn kill(&self) {
        for place in &self.places {
            if place.write("cgroup.kill", "1").is_ok() {
                continue;
            }
            for pid in place.read("cgroup.procs").unwrap_or_default().lines().filter_map(|line| line.parse().ok()) {
                // It may have ended since it was listed.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    /// Removes the group, which takes a moment where its last process has only just ended.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let results: Vec<io::Result<()>> = self.places.iter().map(|place| place.remove(&self.name)).collect();
        results.into_iter().collect()
    }
}

/// The way into a group for the process that takes it; inherited by the container's first process.
pub(crate) struct Entrance(Vec<File>);

impl Entrance {
    /// Goes in. The process must have one thread.
    pub(crate) fn enter(self) -> io::Result<()> {
        self.0.into_iter().try_for_each(|mut tasks| tasks.write_all(b"0"))
    }
}

impl Place {
    fn remove(&self, name: &str) -> io::Result<()> {
        for _ in 0..REMOVALS {
            match unlinkat(&self.parent, name, UnlinkatFlags::RemoveDir) {
                // Gone, or going by another's hand.
                Ok(()) | Err(Errno::ENOENT | Errno::ENODEV) => return Ok(()),
                Err(Errno::EBUSY) => std::thread::sleep(BETWEEN_REMOVALS),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::EBUSY.into())
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        self.open(file, OFlag::O_WRONLY)?.write_all(value.as_bytes())
    }

    fn open(&self, file: &str, how: OFlag) -> io::Result<File> {
        Ok(File::from(openat(&self.directory, file, how | OFlag::O_CLOEXEC, Mode::empty())?))
    }

    fn read(&self, file: &str) -> io::Result<String> {
        let mut text = String::new();
        self.open(file, OFlag::O_RDONLY)?.read_to_string(&mut text)?;
        Ok(text)
    }
}

/// The value of `key` in a file of `key value` lines.
fn counter(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The files that make `limits` hold, and what goes into them, in order.
fn settings(version: Version, controller: Controller, limits: &Limits) -> Vec<(&'static str, String)> {
    let memory = limits.memory_mib * 1024 * 1024;
    match (controller, version) {
        (Controller::Memory, _) if limits.memory_mib == 0 => Vec::new(),
        (Controller::Memory, Version::V1) => {
            vec![("memory.limit_in_bytes", memory.to_string()), ("memory.memsw.limit_in_bytes", memory.to_string())]
        }
        (Controller::Memory, Version::V2) => {
            vec![("memory.max", memory.to_string()), ("memory.swap.max", "0".to_owned())]
        }
        (Controller::Cpu, _) if limits.vcpu <= 0.0 => Vec::new(),
        (Controller::Cpu, Version::V1) => vec![
            ("cpu.shares", cpu_shares(limits.vcpu).to_string()),
            ("cpu.cfs_period_us", CPU_PERIOD.to_string()),
            ("cpu.cfs_quota_us", cpu_quota(limits.vcpu).to_string()),
        ],
        (Controller::Cpu, Version::V2) => vec![
            ("cpu.weight", cpu_weight(limits.vcpu).to_string()),
            ("cpu.max", format!("{} {CPU_PERIOD}", cpu_quota(limits.vcpu))),
        ],
        (Controller::Pids, _) => vec![("pids.max", limits.pids.to_string())],
    }
}

fn cpu_quota(vcpu: f64) -> u64 {
    scaled(vcpu, CPU_PERIOD).max(LEAST_CPU_QUOTA)
}

/// 1024 shares for each processor, as Docker and ECS have it.
fn cpu_shares(vcpu: f64) -> u64 {
    scaled(vcpu, 1024).clamp(2, 262_144)
}

/// The v2 weight with the same meaning among attempts: 100 for each processor.
fn cpu_weight(vcpu: f64) -> u64 {
    scaled(vcpu, 100).clamp(1, 10_000)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // small and positive
fn scaled(vcpu: f64, unit: u64) -> u64 {
    (vcpu * unit as f64).round().clamp(0.0, 1e12) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_say_what_the_limits_mean() {
        let limits = Limits { memory_mib: 512, vcpu: 0.25, pids: 100 };
        let show = |version| -> Vec<String> {
            Controller::ALL
                .into_iter()
                .flat_map(|controller| settings(version, controller, &limits))
                .map(|(file, value)| format!("{file}={value}"))
                .collect()
        };
        assert_eq!(
            show(Version::V1),
            [
                "memory.limit_in_bytes=536870912",
                "memory.memsw.limit_in_bytes=536870912",
                "cpu.shares=256",
                "cpu.cfs_period_us=20000",
                "cpu.cfs_quota_us=5000",
                "pids.max=100"
            ]
        );
        assert_eq!(
            show(Version::V2),
            ["memory.max=536870912", "memory.swap.max=0", "cpu.weight=25", "cpu.max=5000 20000", "pids.max=100"]
        );
    }

    #[test]
    fn nothing_asked_for_limits_nothing() {
        let limits = Limits { memory_mib: 0, vcpu: 0.0, pids: 9 };
        for version in [Version::V1, Version::V2] {
            assert!(settings(version, Controller::Memory, &limits).is_empty());
            assert!(settings(version, Controller::Cpu, &limits).is_empty());
        }
    }

    #[test]
    fn the_kernels_counters_are_found() {
        assert_eq!(counter("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill"), Some(3));
        assert_eq!(counter("low 0\noom 2\noom_kill 1\noom_group_kill 0\n", "oom_kill"), Some(1));
        assert_eq!(counter("low 0\n", "oom_kill"), None);
    }
}
