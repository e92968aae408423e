//! From a job as submitted to a task as a runner takes it: containers, limits, volumes, secrets, environment, logs.
//!
//! What stands in a container's way now (a secret that is missing, a path that is not allowed) is told with the
//! container: one that runs already goes on when its task is found again.

mod logs;
mod said;
mod secrets;
mod variables;
mod volumes;

pub(crate) use logs::{log_target, task_id};

use crate::core::{EnvironmentId, InstanceId, Needs, TaskId, Terms};
use crate::runner::{
    Access, Condition, ContainerSpec, Dependency, Essential, InitProcess, MountPoint, TaskSpec, Tmpfs, Ulimit,
};
use barge_core::Arn;
use barge_wire::batch::{JobDetail, LogDriver};
use hmac::{Hmac, KeyInit, Mac};
use said::{Said, TaskSaid, said};
use sha2::Sha256;
use std::path::PathBuf;
use std::time::Duration;
use variables::Surroundings;

/// Time between SIGTERM and SIGKILL (Batch User Guide, "Job timeouts").
const STOP_GRACE: Duration = Duration::from_secs(30);
const MIB_PER_GIB: u64 = 1024;
/// What a container gets where the task's others leave it nothing: no limit at all would be more than its share.
const LEAST_MEMORY_MIB: u64 = 4;
const LEAST_VCPU: f64 = 0.01;

/// What jobs may have of this machine: nothing unless the operator says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operator {
    /// The JSON file that containers' `secrets` are read from, an object from name or ARN to value; `None` refuses jobs
    /// with secrets. It is read at each launch.
    pub secrets: Option<PathBuf>,
    /// Jobs may mount what is below these directories; nothing where there is none.
    pub host_paths: Vec<PathBuf>,
}

/// What launches have in common.
#[derive(Clone)]
pub(crate) struct Launchpad {
    /// Where containers reach Barge.
    pub(crate) endpoint: String,
    /// What tokens are derived from.
    pub(crate) secret: Vec<u8>,
    /// What the operator allows.
    pub(crate) operator: Operator,
}

impl Launchpad {
    /// The token with which a task's containers fetch its credentials. It follows from the secret, so that it stays the
    /// same for as long as the task lives, over restarts.
    pub(crate) fn token(&self, task: TaskId) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(task.to_string().as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    fn credentials_uri(&self, task: TaskId) -> String {
        format!("{}/_barge/credentials/{task}", self.endpoint.trim_end_matches('/'))
    }
}

/// The role whose credentials a task's containers get.
pub(crate) fn task_role(detail: &JobDetail, task: TaskId) -> Option<&str> {
    said(detail, task.node).role
}

/// Everything that a runner must know to run `task` of the job that `detail` tells of. It stays the same for the task's
/// whole life, but for what stands in a container's way.
///
/// # Errors
/// The container's reason in AWS's words, where the job says nothing that could be run.
pub(crate) fn task_spec(
    launchpad: &Launchpad,
    detail: &JobDetail,
    terms: &Terms,
    task: TaskId,
    environment: &EnvironmentId,
    instance: Option<InstanceId>,
) -> Result<TaskSpec, String> {
    let scope = detail.job_queue.parse::<Arn>().ok().and_then(|arn| arn.scope());
    let scope = scope.ok_or("ResourceInitializationError: the job's queue has no account or region")?;
    let said = said(detail, task.node);
    let needs = terms.shape.tasks.get(usize::from(task.node)).copied();
    let (Some(needs), false) = (needs, said.containers.is_empty()) else {
        return Err(format!("ResourceInitializationError: nothing is said of containers on node {}", task.node));
    };
    let around = Surroundings { launchpad, detail, terms, task, environment, scope: &scope, role: said.role };
    let (volumes, obstacle) = volumes::volumes(said.volumes, &launchpad.operator.host_paths);
    let shares = Shares::of(&said, needs);
    let make = |container: &Said<'_>| {
        let mut spec = container_spec(&around, &said, container, shares);
        spec.obstacle = obstacle.clone().or(spec.obstacle);
        spec
    };
    let containers = said.containers.iter().map(make).collect();
    Ok(TaskSpec { id: task, scope: scope.clone(), instance, containers, volumes, stop_grace: STOP_GRACE })
}

/// What containers get that ask for nothing themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shares {
    vcpu: f64,
    memory_mib: u64,
}

impl Shares {
    /// Equal parts of what the task has and the others do not ask for.
    fn of(said: &TaskSaid<'_>, needs: Needs) -> Self {
        // Of one container's requirements those count that the core has.
        let containers = if said.containers.len() > 1 { said.containers.as_slice() } else { &[] };
        let silent = |asked: usize| containers.len().saturating_sub(asked).max(1);
        let memory: Vec<u64> = containers.iter().filter_map(Said::memory_mib).collect();
        let memory_left = u64::from(needs.memory_mib).saturating_sub(memory.iter().sum());
        let vcpus: Vec<f64> = containers.iter().filter_map(Said::vcpu).collect();
        let vcpu_left = f64::from(needs.vcpu_milli) / 1000.0 - vcpus.iter().sum::<f64>();
        let parts = u32::try_from(silent(vcpus.len())).unwrap_or(u32::MAX);
        Self {
            vcpu: (vcpu_left / f64::from(parts)).max(LEAST_VCPU),
            memory_mib: (memory_left / silent(memory.len()) as u64).max(LEAST_MEMORY_MIB),
        }
    }
}

fn container_spec(around: &Surroundings<'_>, task: &TaskSaid<'_>, said: &Said<'_>, shares: Shares) -> ContainerSpec {
    let mut obstacle = None;
    let secrets = noted(&mut obstacle, secrets::resolve(said.secrets, around.launchpad.operator.secrets.as_deref()));
    let ulimits = noted(&mut obstacle, ulimits(said));
    let tmpfs = noted(&mut obstacle, tmpfs(said));
    let depends_on = noted(&mut obstacle, dependencies(said));
    noted(&mut obstacle, check_log_driver(said));
    let log = logs::settings(around.detail, around.task, said.name(), said.log, around.scope);
    // What a job of one container gets was settled at submission, overrides included.
    let several = task.containers.len() > 1;
    let init = said.linux.and_then(|linux| linux.init_process_enabled).unwrap_or_default();
    ContainerSpec {
        name: said.name().to_owned(),
        image: said.image.to_owned(),
        command: said.command.to_vec(),
        env: around.variables(said, secrets),
        vcpu: Some(said.vcpu().filter(|_| several).unwrap_or(shares.vcpu)),
        memory_mib: Some(said.memory_mib().filter(|_| several).unwrap_or(shares.memory_mib)),
        user: said.user.map(str::to_owned),
        root: access(said.read_only),
        ulimits,
        tmpfs,
        init: if init { InitProcess::Reaper } else { InitProcess::Command },
        shm_mib: said.linux.and_then(|linux| linux.shared_memory_size).and_then(|size| u64::try_from(size).ok()),
        disk_mib: task
            .ephemeral
            .and_then(|storage| u64::try_from(storage.size_in_gi_b).ok())
            .map(|gib| gib * MIB_PER_GIB),
        mounts: mounts(said),
        depends_on,
        essential: if said.essential.unwrap_or(true) { Essential::Yes } else { Essential::No },
        log: log.target,
        log_group: log.group,
        stop_grace: said.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
        obstacle,
    }
}

/// The first error is what stands in the container's way.
fn noted<T: Default>(obstacle: &mut Option<String>, done: Result<T, String>) -> T {
    done.unwrap_or_else(|why| {
        obstacle.get_or_insert(why);
        T::default()
    })
}

fn access(read_only: Option<bool>) -> Access {
    match read_only {
        Some(true) => Access::ReadOnly,
        Some(false) | None => Access::ReadWrite,
    }
}

fn ulimits(said: &Said<'_>) -> Result<Vec<Ulimit>, String> {
    let limit = |ulimit: &barge_wire::batch::Ulimit| {
        Ulimit::new(&ulimit.name, ulimit.soft_limit, ulimit.hard_limit)
            .map_err(|error| format!("CannotCreateContainerError: {error}"))
    };
    said.ulimits.iter().map(limit).collect()
}

fn tmpfs(said: &Said<'_>) -> Result<Vec<Tmpfs>, String> {
    let one = |tmpfs: &barge_wire::batch::Tmpfs| {
        let target = PathBuf::from(&tmpfs.container_path);
        let size_mib = u64::try_from(tmpfs.size).map_err(|_| {
            format!("CannotCreateContainerError: tmpfs {}: size {} is not possible", target.display(), tmpfs.size)
        })?;
        Ok(Tmpfs { target, size_mib, options: tmpfs.mount_options.clone().unwrap_or_default() })
    };
    said.linux.iter().flat_map(|linux| linux.tmpfs.iter().flatten()).map(one).collect()
}

fn mounts(said: &Said<'_>) -> Vec<MountPoint> {
    let mount = |point: &barge_wire::batch::MountPoint| MountPoint {
        volume: point.source_volume.clone().unwrap_or_default(),
        target: PathBuf::from(point.container_path.clone().unwrap_or_default()),
        access: access(point.read_only),
    };
    said.mounts.iter().map(mount).collect()
}

fn dependencies(said: &Said<'_>) -> Result<Vec<Dependency>, String> {
    let one = |dependency: &barge_wire::batch::TaskContainerDependency| {
        let condition = match dependency.condition.as_deref() {
            Some("START") => Condition::Start,
            Some("COMPLETE") => Condition::Complete,
            Some("SUCCESS") => Condition::Success,
            other => {
                let other = other.unwrap_or_default();
                return Err(format!("CannotCreateContainerError: dependency condition {other:?} is not available"));
            }
        };
        Ok(Dependency { container: dependency.container_name.clone().unwrap_or_default(), condition })
    };
    said.depends_on.iter().map(one).collect()
}

fn check_log_driver(said: &Said<'_>) -> Result<(), String> {
    match said.log.map(|log| &log.log_driver) {
        None | Some(LogDriver::Awslogs) => Ok(()),
        Some(other) => Err(format!("CannotCreateContainerError: log driver {other} is not available in Barge")),
    }
}

#[cfg(test)]
mod tests;
