//! The container's own init: a first process that starts the program, hands signals on to it and reaps what is orphaned.
//!
//! It is not a program of its own, which would have to be one that runs in any image: it is the process that made the
//! container, which forks, and stays behind. It has nothing in hand but its standard streams, and the kernel keeps what is
//! inside from looking into it (it is not dumpable), so its executable, which is the host's, cannot be reached through
//! `/proc/1`.

use crate::sys::{self, Forked};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Returns in a new process, which is to become the program. The calling process stays behind, and ends as the program
/// does: with its code, or 128 and the number of the signal that ended it.
pub(super) fn stay_behind() -> Result<(), String> {
    let wrong = |error: Errno| format!("init: {}", error.desc().to_lowercase());
    prctl::set_dumpable(false).map_err(wrong)?;
    // A first process never gets what it neither handles nor blocks.
    SigSet::all().thread_set_mask().map_err(wrong)?;
    match sys::fork().map_err(wrong)? {
        Forked::Child => Ok(()),
        Forked::Parent(child) => {
            // Above all the pipe that tells the shim that the program was executed.
            sys::close_all_but_standard();
            // A name is for people.
            let _ = prctl::set_name(c"init");
            std::process::exit(look_after(child))
        }
    }
}

/// Gives the exit code once `child` has ended.
fn look_after(child: Pid) -> i32 {
    let signals = SigSet::all();
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap(child) {
                    return code;
                }
            }
            Ok(signal) => {
                // It may have ended: SIGCHLD comes then.
                let _ = kill(child, signal);
            }
            // A real-time signal: nothing that means something to every program.
            Err(_) => {}
        }
    }
}

/// Waits for everything that has ended; gives `child`'s exit code where it is among that.
fn reap(child: Pid) -> Option<i32> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => code = Some(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => code = Some(128 + signal as i32),
            Ok(WaitStatus::StillAlive) => return code,
            Ok(_) | Err(Errno::EINTR) => {}
            // Nobody is left, not even the child: it was waited for just now.
            Err(_) => return code.or(Some(127)),
        }
    }
}
