//! The one place with `unsafe`: system calls that no crate here wraps safely.

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Gives a process that is about to execute a container's program the signal state that programs expect: nothing
/// blocked, SIGPIPE deadly. Both would otherwise be inherited from the shim.
#[allow(unsafe_code)] // SIG_DFL runs no code of ours, so nothing that is not async-signal-safe can come to run
pub(crate) fn reset_signals() -> io::Result<()> {
    // SAFETY: installing SIG_DFL installs no handler; see above. The process has one thread.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// Lets a process's descriptor (pidfd_open(2)) be waited for: it becomes readable when the process ends.
#[allow(unsafe_code)] // an owned descriptor is exactly what is asked for
pub(crate) fn watch_process(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open, stays the same, and nobody else can close or replace it: the AsyncFd owns it.
    let watched = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
    watched.map_err(io::Error::from)
}
