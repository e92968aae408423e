//! The one place with `unsafe`: system calls that no crate here wraps safely.

use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::unistd::{ForkResult, Pid, fork as fork_raw};
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

/// Which of the two processes this is after a [`fork`].
pub(crate) enum Forked {
    Parent(Pid),
    Child,
}

/// Makes a second process of this one, which must have one thread.
#[allow(unsafe_code)] // with one thread no lock can be left held by a thread that the child does not have
pub(crate) fn fork() -> nix::Result<Forked> {
    // SAFETY: the caller has one thread; see above.
    Ok(match unsafe { fork_raw() }? {
        ForkResult::Parent { child } => Forked::Parent(child),
        ForkResult::Child => Forked::Child,
    })
}

/// Closes every descriptor but 0, 1 and 2. For a process that uses none of them any more, also not by dropping their
/// owners: one that ends by exit.
#[allow(unsafe_code)] // no crate here wraps close_range(2), for this very reason
pub(crate) fn close_all_but_standard() {
    // SAFETY: touches no memory; the caller promises not to use what is closed. Where the kernel lacks the call (before
    // 5.9) the descriptors stay open.
    unsafe { libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint) };
}

/// Has the kernel run `filter` on each system call of this process, and of those that come of it, from now on. The
/// process must have given up new privileges (`PR_SET_NO_NEW_PRIVS`).
#[allow(unsafe_code)] // no crate here wraps seccomp(2)
pub(crate) fn filter_system_calls(filter: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = libc::c_ushort::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which is as long as it says, before the call returns.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
