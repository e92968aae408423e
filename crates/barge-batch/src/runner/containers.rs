//! What is said of a task and its containers: everything that must be known to run them, names and secrets resolved.

use super::{InitProcess, Tmpfs, Ulimit};
use crate::core::{InstanceId, TaskId};
use barge_core::Scope;
use barge_core::ports::LogTarget;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that must be known to run one task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    /// Its id: the same task never runs twice.
    pub id: TaskId,
    /// Where its images' names are seen from.
    pub scope: Scope,
    /// The instance that it is placed on, where there is one: it is named where the task is lost.
    pub instance: Option<InstanceId>,
    /// At least one, each of another name.
    pub containers: Vec<ContainerSpec>,
    /// What containers mount by name.
    pub volumes: Vec<Volume>,
    /// Time between SIGTERM and SIGKILL for containers that name none.
    pub stop_grace: Duration,
}

/// One container of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerSpec {
    /// Its name in the task.
    pub name: String,
    /// The image's name as the job definition gives it.
    pub image: String,
    /// Replaces the image's command; empty keeps it.
    pub command: Vec<String>,
    /// Name and value; later ones win, and all win over the image's.
    pub env: Vec<(String, String)>,
    /// CPU time per time, at most.
    pub vcpu: Option<f64>,
    /// MiB, at most.
    pub memory_mib: Option<u64>,
    /// `name`, `uid`, `name:group` or `uid:gid`; `None` keeps the image's.
    pub user: Option<String>,
    /// Whether `/` can be written to.
    pub root: Access,
    /// Limits of its processes.
    pub ulimits: Vec<Ulimit>,
    /// File systems in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// Who its first process is.
    pub init: InitProcess,
    /// Size of `/dev/shm` in MiB; `None` is Docker's default.
    pub shm_mib: Option<u64>,
    /// What it may write to its root, in MiB; `None` is no limit.
    pub disk_mib: Option<u64>,
    /// Where it sees the task's volumes.
    pub mounts: Vec<MountPoint>,
    /// What must have happened to other containers before it starts.
    pub depends_on: Vec<Dependency>,
    /// Whether its end is the task's.
    pub essential: Essential,
    /// Where its lines go.
    pub log: LogTarget,
    /// What to do where the log group does not exist.
    pub log_group: LogGroup,
    /// Time between SIGTERM and SIGKILL; `None` is the task's.
    pub stop_grace: Option<Duration>,
    /// Why it can't be started as things stand, as AWS words a container's reason: a secret is missing, a path is not
    /// allowed. A container that runs already is not concerned.
    pub obstacle: Option<String>,
}

/// What must have happened to another container (API Reference, "TaskContainerDependency").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The other's name.
    pub container: String,
    /// What must have happened to it.
    pub condition: Condition,
}

/// What must have happened to a container before another may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// It has started.
    Start,
    /// It has ended.
    Complete,
    /// It has ended with 0.
    Success,
}

/// Whether a container's end is its task's (API Reference, "TaskContainerProperties").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Essential {
    /// When it ends the others are stopped, and its end is the task's.
    Yes,
    /// The others go on without it.
    No,
}

/// A volume of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name in the task.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// Where a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file or directory of the host, by its real path.
    Host(PathBuf),
    /// A directory that the task's containers share, empty at first, gone with the task.
    Scratch,
}

/// Where a container sees a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// The volume's name.
    pub volume: String,
    /// Absolute path inside.
    pub target: PathBuf,
    /// Whether it can be written to.
    pub access: Access,
}

/// Whether a container can write somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Yes.
    ReadWrite,
    /// No.
    ReadOnly,
}

/// What to do where a container's log group does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogGroup {
    /// Create it.
    Create,
    /// Fail the container.
    MustExist,
}

#[cfg(test)]
impl ContainerSpec {
    /// An essential container that waits for none, with nothing out of the ordinary.
    pub(crate) fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            image: "i".to_owned(),
            command: Vec::new(),
            env: Vec::new(),
            vcpu: None,
            memory_mib: None,
            user: None,
            root: Access::ReadWrite,
            ulimits: Vec::new(),
            tmpfs: Vec::new(),
            init: InitProcess::Command,
            shm_mib: None,
            disk_mib: None,
            mounts: Vec::new(),
            depends_on: Vec::new(),
            essential: Essential::Yes,
            log: LogTarget { scope: Scope::default(), group: "g".to_owned(), stream: name.to_owned() },
            log_group: LogGroup::Create,
            stop_grace: None,
            obstacle: None,
        }
    }
}
