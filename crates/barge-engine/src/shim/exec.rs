//! The last steps inside the container: from libcontainer's prepared process to the job's program.

use super::{init, limits, seccomp};
use crate::cgroup::Entrance;
use crate::linux::{InitProcess, Ulimit};
use crate::sys;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use oci_spec::runtime::Spec;
use std::cell::RefCell;
use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Something that the shim and the container's process, which is forked from it, each have a copy of, and let go of at
/// different times.
pub(crate) type Shared<T> = Rc<RefCell<Option<T>>>;

/// What to become, beside what the specification says.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) ulimits: Vec<Ulimit>,
    pub(crate) init: InitProcess,
}

/// Executes the program, and tells through a pipe why where that fails. The pipe closes by itself where it succeeds.
#[derive(Clone)]
pub(crate) struct Exec {
    program: Program,
    failure: Rc<OwnedFd>,
    reader: Shared<OwnedFd>,
    entrance: Shared<Entrance>,
}

impl Exec {
    /// Failures are written to `failure`, a pipe that closes on exec. The shim reads from `reader`: the container's process
    /// closes its copy, so that the pipe breaks when the shim is gone. It goes through `entrance` into its group.
    pub(crate) fn new(program: Program, failure: OwnedFd, reader: Shared<OwnedFd>, entrance: Shared<Entrance>) -> Self {
        Self { program, failure: Rc::new(failure), reader, entrance }
    }

    /// Ties the container to the shim's life. A shim that is gone already cannot be noticed by its process id, which is 0
    /// in here either way.
    fn die_with_shim(&self) -> Result<(), String> {
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("PR_SET_PDEATHSIG: {error}"))?;
        drop(self.reader.borrow_mut().take());
        let mut pipe = [PollFd::new(self.failure.as_fd(), PollFlags::empty())];
        poll(&mut pipe, PollTimeout::ZERO).map_err(|error| error.to_string())?;
        let broken = pipe[0].revents().is_none_or(|events| events.contains(PollFlags::POLLERR));
        if broken { Err("the shim is gone".to_owned()) } else { Ok(()) }
    }

    fn enter_group(&self) -> Result<(), String> {
        match self.entrance.borrow_mut().take() {
            Some(entrance) => entrance.enter().map_err(|error| format!("cannot limit the container: {error}")),
            None => Ok(()),
        }
    }

    fn program(spec: &Spec) -> Result<(CString, Vec<CString>), String> {
        let args = spec.process().as_ref().and_then(|process| process.args().clone()).unwrap_or_default();
        let args: Vec<CString> =
            args.into_iter().map(CString::new).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let program = args.first().cloned().ok_or("no command specified")?;
        Ok((program, args))
    }

    /// Returns only where it fails; with an init process, in the program's process.
    fn become_program(&self, spec: &Spec) -> Result<Infallible, String> {
        let (program, args) = Self::program(spec)?;
        if self.program.init == InitProcess::Reaper {
            init::stay_behind()?;
        }
        limits::apply(&self.program.ulimits)?;
        sys::reset_signals().map_err(|error| error.to_string())?;
        seccomp::apply().map_err(|error| format!("seccomp: {error}"))?;
        nix::unistd::execvp(&program, &args)
            .map_err(|error| format!("exec: {program:?}: {}", error.desc().to_lowercase()))
    }
}

impl Executor for Exec {
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        // Not earlier: setting the user, which comes before, would undo the tie to the shim.
        self.die_with_shim()
            .and_then(|()| self.enter_group())
            .and_then(|()| Self::program(spec).map(drop))
            .map_err(ExecutorValidationError::ArgValidationError)
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let Err(reason) = self.become_program(spec);
        // Where the shim is gone nobody can be told.
        let _ = nix::unistd::write(&*self.failure, reason.as_bytes());
        std::process::exit(127);
    }
}
