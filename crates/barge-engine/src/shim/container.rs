//! Makes and starts the container.

use super::exec::Exec;
use super::spec;
use crate::cgroup::Group;
use crate::folder::Folder;
use crate::plan::Plan;
use barge_core::{Clock, SystemClock, Timestamp};
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};
use std::cell::RefCell;
use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A container whose program runs.
pub(crate) struct Running {
    pub(crate) init: Pid,
    pub(crate) since: Timestamp,
    /// What it prints, on either channel: one pipe keeps the order.
    pub(crate) output: OwnedFd,
}

/// Starts the container that `plan` describes; an error says, for people, why there is none.
pub(crate) fn start(folder: &Folder, plan: &Plan, group: &Group) -> Result<Running, String> {
    let (output, stdout) = pipe2(OFlag::O_CLOEXEC).map_err(|error| error.to_string())?;
    let stderr = stdout.try_clone().map_err(|error| error.to_string())?;
    let (reader, failure) = pipe2(OFlag::O_CLOEXEC).map_err(|error| error.to_string())?;
    let reader = Rc::new(RefCell::new(Some(reader)));
    let nothing = File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;

    let spec = spec::spec(plan).map_err(|error| error.to_string())?;
    spec.save(folder.file("config.json")).map_err(|error| error.to_string())?;
    let state = folder.file("state");
    fs::create_dir_all(&state).map_err(|error| error.to_string())?;
    let mut container = ContainerBuilder::new("c".to_owned(), SyscallType::default())
        .with_root_path(state)
        .and_then(|builder| {
            builder
                .with_executor(Exec::new(failure, Rc::clone(&reader)))
                .with_stdin(nothing)
                .with_stdout(stdout)
                .with_stderr(stderr)
                .as_init(folder.path())
                .with_systemd(false)
                .with_detach(true)
                .build()
        })
        .map_err(|error| chain(&error))?;
    let init = container.pid().ok_or("the container has no process")?;
    let init = Pid::from_raw(init.as_raw());

    let mut run = || -> Result<(), String> {
        // Nothing of the image has run yet: from its first instruction on it is limited.
        group.add(init.as_raw()).map_err(|error| format!("cannot limit the container: {error}"))?;
        container.start().map_err(|error| chain(&error))?;
        let mut reason = String::new();
        if let Some(reader) = reader.borrow_mut().take() {
            File::from(reader).read_to_string(&mut reason).map_err(|error| error.to_string())?;
        }
        if reason.is_empty() { Ok(()) } else { Err(reason) }
    };
    if let Err(reason) = run() {
        // It may have ended by itself; either way it must be gone before its group can go.
        let _ = kill(init, Signal::SIGKILL);
        let _ = waitpid(init, None);
        return Err(reason);
    }
    Ok(Running { init, since: SystemClock.now(), output })
}

/// An error with everything that it says it comes from.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
