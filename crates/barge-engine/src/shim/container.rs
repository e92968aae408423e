//! Makes and starts the container.

use super::exec::{Exec, Program};
use super::hide::Private;
use super::{limits, spec};
use crate::cgroup::Group;
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
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A container whose program runs.
pub(crate) struct Running {
    pub(crate) init: Pid,
    pub(crate) since: Timestamp,
    /// What it prints, on either channel: one pipe keeps the order.
    pub(crate) output: OwnedFd,
}

/// Starts the container that `plan` describes, with what only the shim needs in `private`; an error says, for people,
/// why there is none.
pub(crate) fn start(private: &Private, plan: &Plan, group: &Group) -> Result<Running, String> {
    let (output, stdout) = pipe2(OFlag::O_CLOEXEC).map_err(|error| error.to_string())?;
    let stderr = stdout.try_clone().map_err(|error| error.to_string())?;
    let (reader, failure) = pipe2(OFlag::O_CLOEXEC).map_err(|error| error.to_string())?;
    let reader = Rc::new(RefCell::new(Some(reader)));
    let nothing = File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;

    let ulimits = limits::with_defaults(&plan.ulimits);
    limits::make_room(&ulimits)?;
    let cannot_limit = |error: io::Error| format!("cannot limit the container: {error}");
    let entrance = Rc::new(RefCell::new(Some(group.entrance().map_err(cannot_limit)?)));
    let program = Program { ulimits, init: plan.init };

    let spec = spec::spec(plan, private).map_err(|error| error.to_string())?;
    spec.save(private.bundle().join("config.json")).map_err(|error| error.to_string())?;
    let mut container = ContainerBuilder::new("c".to_owned(), SyscallType::default())
        .with_root_path(private.state())
        .and_then(|builder| {
            builder
                .with_executor(Exec::new(program, failure, Rc::clone(&reader), Rc::clone(&entrance)))
                .with_stdin(nothing)
                .with_stdout(stdout)
                .with_stderr(stderr)
                .as_init(private.bundle())
                .with_systemd(false)
                .with_detach(true)
                .build()
        })
        .map_err(|error| chain(&error))?;
    let init = container.pid().ok_or("the container has no process")?;
    let init = Pid::from_raw(init.as_raw());
    drop(entrance.take());

    let mut run = || -> Result<(), String> {
        // Nothing of the image has run yet: from its first instruction on it is limited.
        group.add(init.as_raw()).map_err(cannot_limit)?;
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
