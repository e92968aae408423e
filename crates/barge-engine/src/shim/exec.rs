//! The last step inside the container: from libcontainer's prepared process to the job's program.

use crate::sys;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use oci_spec::runtime::Spec;
use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Executes the program, and tells through a pipe why where that fails. The pipe closes by itself where it succeeds.
#[derive(Clone)]
pub(crate) struct Exec {
    failure: Rc<OwnedFd>,
    reader: SharedReader,
}

/// The reading end of the failure pipe. Shared, so that the container's process can close its copy: then the pipe breaks
/// when the shim is gone.
pub(crate) type SharedReader = Rc<RefCell<Option<OwnedFd>>>;

impl Exec {
    /// Failures are written to `failure`, a pipe that closes on exec; the shim reads from `reader`.
    pub(crate) fn new(failure: OwnedFd, reader: SharedReader) -> Self {
        Self { failure: Rc::new(failure), reader }
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

    fn program(spec: &Spec) -> Result<(CString, Vec<CString>), String> {
        let args = spec.process().as_ref().and_then(|process| process.args().clone()).unwrap_or_default();
        let args: Vec<CString> =
            args.into_iter().map(CString::new).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let program = args.first().cloned().ok_or("no command specified")?;
        Ok((program, args))
    }
}

impl Executor for Exec {
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        // Not earlier: setting the user, which comes before, would undo it.
        self.die_with_shim().map_err(ExecutorValidationError::ArgValidationError)?;
        Self::program(spec).map(drop).map_err(ExecutorValidationError::ArgValidationError)
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let failed = || -> Result<std::convert::Infallible, String> {
            let (program, args) = Self::program(spec)?;
            sys::reset_signals().map_err(|error| error.to_string())?;
            nix::unistd::execvp(&program, &args)
                .map_err(|error| format!("exec: {program:?}: {}", error.desc().to_lowercase()))
        };
        let Err(reason) = failed();
        // Where the shim is gone nobody can be told.
        let _ = nix::unistd::write(&*self.failure, reason.as_bytes());
        std::process::exit(127);
    }
}
