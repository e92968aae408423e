//! What an attempt may ask of its container beyond image, command and limits: ulimits, file systems in memory, an init
//! process, scratch volumes. Pure: said here, checked in `mounts.rs` and `plan.rs`, done by the shim.

use crate::attempt::{Access, AttemptId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;

/// What a process's limit is of (setrlimit(2)), by Docker's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UlimitName {
    /// Size of a core file, bytes.
    Core,
    /// Processor time, seconds.
    Cpu,
    /// Size of the data segment, bytes.
    Data,
    /// Size of a file that it writes, bytes.
    Fsize,
    /// Locks. Linux has not enforced it since 2.4.
    Locks,
    /// Memory locked into RAM, bytes.
    Memlock,
    /// POSIX message queues, bytes.
    Msgqueue,
    /// 20 minus the lowest nice value.
    Nice,
    /// Open files.
    Nofile,
    /// Processes of the user.
    Nproc,
    /// Resident memory, bytes. Linux has not enforced it since 2.4.30.
    Rss,
    /// Real-time priority.
    Rtprio,
    /// Real-time processor time without a blocking call, microseconds.
    Rttime,
    /// Queued signals.
    Sigpending,
    /// Size of the stack, bytes.
    Stack,
}

impl UlimitName {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::Fsize,
        Self::Locks,
        Self::Memlock,
        Self::Msgqueue,
        Self::Nice,
        Self::Nofile,
        Self::Nproc,
        Self::Rss,
        Self::Rtprio,
        Self::Rttime,
        Self::Sigpending,
        Self::Stack,
    ];

    /// `core`, `cpu`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::Fsize => "fsize",
            Self::Locks => "locks",
            Self::Memlock => "memlock",
            Self::Msgqueue => "msgqueue",
            Self::Nice => "nice",
            Self::Nofile => "nofile",
            Self::Nproc => "nproc",
            Self::Rss => "rss",
            Self::Rtprio => "rtprio",
            Self::Rttime => "rttime",
            Self::Sigpending => "sigpending",
            Self::Stack => "stack",
        }
    }
}

impl FromStr for UlimitName {
    type Err = NotAUlimit;

    fn from_str(name: &str) -> Result<Self, NotAUlimit> {
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| NotAUlimit::Name(name.to_owned()))
    }
}

/// The limit that a process may raise itself to (`hard`), and where it begins (`soft`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Of what.
    pub name: UlimitName,
    /// In the unit of its name; [`Ulimit::UNLIMITED`] is none.
    pub soft: u64,
    /// As `soft`, and not below it.
    pub hard: u64,
}

/// No such limit can be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAUlimit {
    /// The name is none of [`UlimitName::ALL`].
    #[error("invalid ulimit type: {0}")]
    Name(String),
    /// A number is below -1.
    #[error("invalid value {value} of ulimit {name}: -1 and above are possible")]
    Value {
        /// Of which.
        name: &'static str,
        /// What was given.
        value: i64,
    },
    /// The soft limit is above the hard one.
    #[error("ulimit soft limit must be less than or equal to hard limit: {name} {soft} > {hard}")]
    Order {
        /// Of which.
        name: &'static str,
        /// As given.
        soft: i64,
        /// As given.
        hard: i64,
    },
}

impl Ulimit {
    /// No limit: RLIM_INFINITY.
    pub const UNLIMITED: u64 = u64::MAX;

    /// From a name and two numbers as Docker takes them: -1 is no limit.
    ///
    /// # Errors
    /// An unknown name, a number below -1, a soft limit above the hard one.
    pub fn new(name: &str, soft: i64, hard: i64) -> Result<Self, NotAUlimit> {
        let name: UlimitName = name.parse()?;
        let number = |value: i64| match value {
            -1 => Ok(Self::UNLIMITED),
            _ => u64::try_from(value).map_err(|_| NotAUlimit::Value { name: name.name(), value }),
        };
        let limit = Self { name, soft: number(soft)?, hard: number(hard)? };
        if limit.soft > limit.hard { Err(NotAUlimit::Order { name: name.name(), soft, hard }) } else { Ok(limit) }
    }
}

/// A file system in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// Absolute path inside; made where it does not exist.
    pub target: PathBuf,
    /// Its size in MiB, at most; from 1.
    pub size_mib: u64,
    /// Mount options on top of Docker's `rw,nosuid,nodev,noexec`, of: `defaults`, `ro`, `rw`, `suid`, `nosuid`, `nodev`,
    /// `exec`, `noexec`, `sync`, `async`, `dirsync`, `atime`, `noatime`, `diratime`, `nodiratime`, `relatime`, `norelatime`,
    /// `strictatime`, `nostrictatime`, `mode=OCTAL`, `uid=N`, `gid=N`, `nr_inodes=N`. Others are refused.
    pub options: Vec<String>,
}

/// Who a container's first process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InitProcess {
    /// The command itself. As any first process it ignores the signals that it has no handler for, and zombies that it does
    /// not wait for stay.
    #[default]
    Command,
    /// One of the engine's that starts the command, hands signals on to it, and reaps zombies (AWS: `initProcessEnabled`).
    Reaper,
}

/// A directory that the containers of one task share: empty when the first of them starts, owned by root with mode 0755,
/// kept until [`crate::ComputeEngine::remove_scratch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// The task, a name of the caller's.
    pub task: AttemptId,
    /// The volume's name in the task: 1 to 255 of `A-Z a-z 0-9 . _ -`, not beginning with a dot.
    pub volume: String,
    /// Absolute path inside; made where it does not exist.
    pub target: PathBuf,
    /// Whether it can be written to.
    pub access: Access,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimits_have_dockers_names_and_numbers() {
        for name in UlimitName::ALL {
            assert_eq!(name.name().parse(), Ok(name));
            assert_eq!(serde_json::to_string(&name).unwrap(), format!("{:?}", name.name()));
        }
        let limit = Ulimit { name: UlimitName::Nofile, soft: 10, hard: Ulimit::UNLIMITED };
        assert_eq!(Ulimit::new("nofile", 10, -1), Ok(limit));
        for (name, soft, hard, words) in [
            ("files", 1, 1, "invalid ulimit type: files"),
            ("core", -2, 0, "invalid value -2 of ulimit core: -1 and above are possible"),
            ("core", 2, 1, "ulimit soft limit must be less than or equal to hard limit: core 2 > 1"),
            ("core", -1, 1, "ulimit soft limit must be less than or equal to hard limit: core -1 > 1"),
        ] {
            assert_eq!(Ulimit::new(name, soft, hard).unwrap_err().to_string(), words);
        }
    }
}
