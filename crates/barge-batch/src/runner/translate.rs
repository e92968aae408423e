//! Between the words of tasks and those of the engine. Pure.
//!
//! The engine's name for the container of a task of one is the task's id; for one of several `TASK.NAME`. A task's id
//! has a dot only before its first hyphen after the UUID, and names have none, so that every name says whose it is.

use super::task::{By, End, How, Stage};
use super::{Access, CannotStart, ContainerSpec, Place, TaskSpec};
use crate::core::lifecycle::host_terminated;
use crate::core::{InstanceId, Memory, Reason, TaskId};
use barge_core::Timestamp;
use barge_core::ports::LocalImage;
use barge_engine as engine;
use engine::{AttemptState, Ending};
use sha2::{Digest, Sha256};

/// The longest container name that is part of an engine's name as it is.
const LONGEST_NAME: usize = 60;
/// As much of a longer one, before the digits that stand for the whole.
const SHORTENED: usize = 40;
/// Characters of a UUID.
const UUID: usize = 36;
/// The instance named where a task that is on none is lost.
const UNKNOWN_INSTANCE: InstanceId = InstanceId(0);

/// The engine's name for a task's scratch volumes and, where it has only one, its container.
pub(super) fn task_name(task: TaskId) -> Result<engine::AttemptId, CannotStart> {
    engine::AttemptId::new(task.to_string()).map_err(|error| CannotStart(error.to_string()))
}

/// The engine's names for the containers of a task, in their order.
pub(super) fn names(spec: &TaskSpec) -> Result<Vec<engine::AttemptId>, CannotStart> {
    if spec.containers.len() == 1 {
        return Ok(vec![task_name(spec.id)?]);
    }
    let name = |container: &ContainerSpec| {
        let text = format!("{}.{}", spec.id, part(&container.name));
        engine::AttemptId::new(text).map_err(|error| CannotStart(error.to_string()))
    };
    spec.containers.iter().map(name).collect()
}

fn part(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let digits = hex::encode(Sha256::digest(name.as_bytes()));
    let head: String = name.chars().take(SHORTENED).collect();
    format!("{head}.{}", &digits[..16])
}

/// The task that an engine's name belongs to; `None` for what others run.
pub(super) fn task_of(name: &str) -> Option<TaskId> {
    let rest = name.get(UUID..)?;
    let number = UUID + rest.find('-')?;
    let end = name[number..].find('.').map_or(name.len(), |dot| number + dot);
    name[..end].parse().ok()
}

/// A container as the engine takes it.
pub(super) fn attempt(
    spec: &TaskSpec,
    container: &ContainerSpec,
    name: &engine::AttemptId,
    image: &LocalImage,
) -> Result<engine::Attempt, CannotStart> {
    let mut attempt = engine::Attempt::new(name.clone(), image.into());
    attempt.command = (!container.command.is_empty()).then(|| container.command.clone());
    attempt.env.clone_from(&container.env);
    attempt.vcpu = container.vcpu.unwrap_or(0.0);
    attempt.memory_mib = container.memory_mib.unwrap_or(0);
    attempt.user.clone_from(&container.user);
    attempt.root_access = access(container.root);
    attempt.ulimits.clone_from(&container.ulimits);
    attempt.tmpfs.clone_from(&container.tmpfs);
    attempt.init = container.init;
    attempt.shm_mib = container.shm_mib;
    attempt.disk_mib = container.disk_mib.unwrap_or(0);
    attempt.output = engine::OutputTo::Log(container.log.clone());
    attempt.stop_grace = container.stop_grace.unwrap_or(spec.stop_grace);
    mount(spec, container, &mut attempt)?;
    Ok(attempt)
}

fn mount(spec: &TaskSpec, container: &ContainerSpec, attempt: &mut engine::Attempt) -> Result<(), CannotStart> {
    for point in &container.mounts {
        let volume = spec.volumes.iter().find(|volume| volume.name == point.volume).ok_or_else(|| {
            CannotStart(format!("CannotCreateContainerError: unknown volume '{}' in mount point", point.volume))
        })?;
        let (target, access) = (point.target.clone(), access(point.access));
        match &volume.place {
            Place::Host(source) => attempt.mounts.push(engine::Mount { source: source.clone(), target, access }),
            Place::Scratch => {
                let task = task_name(spec.id)?;
                attempt.scratch.push(engine::Scratch { task, volume: volume.name.clone(), target, access });
            }
        }
    }
    Ok(())
}

const fn access(access: Access) -> engine::Access {
    match access {
        Access::ReadWrite => engine::Access::ReadWrite,
        Access::ReadOnly => engine::Access::ReadOnly,
    }
}

/// Where a container stands, as the engine says.
pub(super) fn stage(state: &AttemptState, instance: Option<InstanceId>) -> Stage {
    match state {
        AttemptState::Launching => Stage::Launching,
        AttemptState::Running { since } => Stage::Running { since: *since },
        AttemptState::Ended(ending) => Stage::Ended(end(ending, instance)),
    }
}

/// How a container ended, as the engine says.
pub(super) fn end(ending: &Ending, instance: Option<InstanceId>) -> End {
    match ending {
        Ending::Exited { started, at, outcome } => End {
            started: Some(*started),
            at: (*at).max(Timestamp::default()),
            how: exited(outcome, instance),
            by: if outcome.stopped { By::Stop } else { By::Itself },
        },
        Ending::FailedToStart { at, cause, reason } => End {
            started: None,
            at: *at,
            how: How::NotStarted(not_started(*cause, reason)),
            by: if *cause == engine::StartFailure::Stopped { By::Stop } else { By::Itself },
        },
    }
}

fn exited(outcome: &engine::ExitOutcome, instance: Option<InstanceId>) -> How {
    match outcome.code {
        Some(code) => How::Exited(code, if outcome.oom { Memory::Exceeded } else { Memory::Within }),
        None => How::Lost(lost(outcome.reason.as_deref(), instance)),
    }
}

fn lost(reason: Option<&str>, instance: Option<InstanceId>) -> Reason {
    let host = host_terminated(&instance.unwrap_or(UNKNOWN_INSTANCE).to_string());
    format!("{host} {}", reason.unwrap_or_default()).trim_end().into()
}

fn not_started(cause: engine::StartFailure, reason: &str) -> Reason {
    match cause {
        engine::StartFailure::Image => format!("CannotPullContainerError: {reason}"),
        engine::StartFailure::Container => format!("CannotStartContainerError: {reason}"),
        engine::StartFailure::Stopped => format!("TaskFailedToStart: {reason}"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::super::{InitProcess, MountPoint, Ulimit, Volume};
    use super::*;
    use crate::core::{AttemptId, JobId};
    use barge_core::Scope;
    use barge_engine::{ExitOutcome, StartFailure};
    use std::time::Duration;

    fn spec(names: &[&str]) -> TaskSpec {
        TaskSpec {
            id: AttemptId { job: JobId::new(1).child(17), number: 2 }.task(0),
            scope: Scope::default(),
            instance: None,
            containers: names.iter().map(|name| ContainerSpec::plain(name)).collect(),
            volumes: Vec::new(),
            stop_grace: Duration::from_secs(30),
        }
    }

    #[test]
    fn names_say_whose_they_are() {
        let alone = spec(&["x-1"]);
        let task = alone.id;
        assert_eq!(names(&alone).unwrap()[0].as_str(), "00000000-0000-0000-0000-000000000001.17-2");
        let long = ["a-b_c-7".to_owned(), "n".repeat(255), format!("{}m", "n".repeat(254)), "1".to_owned()];
        let several = spec(&long.each_ref().map(String::as_str));
        let names = names(&several).unwrap();
        assert_eq!(names[0].as_str(), "00000000-0000-0000-0000-000000000001.17-2.a-b_c-7");
        assert_ne!(names[1], names[2]);
        for name in &names {
            assert_eq!(task_of(name.as_str()), Some(task), "{name}");
        }
        let node = AttemptId { job: JobId::new(1), number: 1 }.task(3);
        assert_eq!(task_of("00000000-0000-0000-0000-000000000001_3-1.db"), Some(node));
        for other in ["", "sandbox-1", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-00000000000é-1"]
        {
            assert_eq!(task_of(other), None, "{other}");
        }
    }

    #[test]
    fn ends_in_words_of_tasks() {
        let host = "Host EC2 (instance i-00000000000000000) terminated.";
        let at = Timestamp::from_millis(5);
        let outcome = |code, oom, stopped, reason: Option<&str>| Ending::Exited {
            started: at,
            at,
            outcome: ExitOutcome { code, signal: None, oom, stopped, reason: reason.map(str::to_owned) },
        };
        let failure = |cause| Ending::FailedToStart { at, cause, reason: "why".to_owned() };
        for (ending, how, by) in [
            (outcome(Some(0), false, false, None), How::Exited(0, Memory::Within), By::Itself),
            (outcome(Some(137), true, false, None), How::Exited(137, Memory::Exceeded), By::Itself),
            (outcome(Some(143), false, true, None), How::Exited(143, Memory::Within), By::Stop),
            (outcome(None, false, false, None), How::Lost(host.into()), By::Itself),
            (outcome(None, false, false, Some("No shim.")), How::Lost(format!("{host} No shim.").into()), By::Itself),
            (failure(StartFailure::Image), How::NotStarted("CannotPullContainerError: why".into()), By::Itself),
            (failure(StartFailure::Container), How::NotStarted("CannotStartContainerError: why".into()), By::Itself),
            (failure(StartFailure::Stopped), How::NotStarted("TaskFailedToStart: why".into()), By::Stop),
        ] {
            let end = end(&ending, None);
            assert_eq!((end.at, end.how, end.by), (at, how, by));
        }
        let End { how, .. } = end(&outcome(None, false, false, None), Some(InstanceId(0xab)));
        assert_eq!(how, How::Lost("Host EC2 (instance i-000000000000000ab) terminated.".into()));
    }

    #[test]
    fn a_container_is_handed_over_whole() {
        let mut spec = spec(&["main"]);
        spec.volumes = vec![
            Volume { name: "data".to_owned(), place: Place::Host("/srv/data".into()) },
            Volume { name: "tmp".to_owned(), place: Place::Scratch },
        ];
        let point = |volume: &str, target: &str, access| MountPoint {
            volume: volume.to_owned(),
            target: target.into(),
            access,
        };
        let nofile = Ulimit::new("nofile", 10, 20).unwrap();
        let container = ContainerSpec {
            command: vec!["x".to_owned()],
            env: vec![("A".to_owned(), "1".to_owned())],
            vcpu: Some(0.25),
            memory_mib: Some(512),
            user: Some("65534".to_owned()),
            root: Access::ReadOnly,
            ulimits: vec![nofile],
            init: InitProcess::Reaper,
            shm_mib: Some(128),
            disk_mib: Some(1024),
            mounts: vec![point("data", "/data", Access::ReadOnly), point("tmp", "/scratch", Access::ReadWrite)],
            stop_grace: Some(Duration::from_secs(5)),
            ..ContainerSpec::plain("main")
        };
        let image = LocalImage { digest: "sha256:0".to_owned() };
        let name = task_name(spec.id).unwrap();
        let made = attempt(&spec, &container, &name, &image).unwrap();
        assert_eq!((made.command, made.env.len(), made.memory_mib), (Some(vec!["x".to_owned()]), 1, 512));
        assert_eq!((made.user.as_deref(), made.root_access), (Some("65534"), engine::Access::ReadOnly));
        assert_eq!((made.ulimits, made.shm_mib, made.disk_mib), (vec![nofile], Some(128), 1024));
        assert_eq!((made.init, made.stop_grace), (InitProcess::Reaper, Duration::from_secs(5)));
        assert_eq!(made.mounts, [engine::Mount::read_only("/srv/data", "/data")]);
        assert_eq!((made.scratch[0].task.clone(), made.scratch[0].volume.as_str()), (name.clone(), "tmp"));
        let bare = attempt(&spec, &ContainerSpec::plain("main"), &name, &image).unwrap();
        assert_eq!((bare.command, bare.memory_mib, bare.stop_grace), (None, 0, Duration::from_secs(30)));
        let mut wrong = ContainerSpec::plain("main");
        wrong.mounts = vec![point("nothing", "/x", Access::ReadOnly)];
        assert!(attempt(&spec, &wrong, &name, &image).unwrap_err().0.contains("'nothing'"));
    }
}
