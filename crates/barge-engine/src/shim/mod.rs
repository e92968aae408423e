//! The shim: a small process of its own for each attempt, which makes the container, takes in what it prints, and records
//! how it ended. It knows nothing of jobs, logs or images, and talks to the server through the attempt's directory only
//! (see `folder.rs`), so that either may be killed without the other.
//!
//! It is this same program, executed anew. It must start before any thread does: it changes its own namespaces, and
//! libcontainer forks.

mod container;
mod exec;
mod hide;
mod probe;
mod rootfs;
mod run;
mod spec;

use crate::cgroup::Group;
use crate::doctor::PROBE;
use crate::engine::{Ending, StartFailure};
use crate::folder::Folder;
use crate::plan::{Plan, Privilege};
use crate::user::Identity;
use barge_core::{Clock, SystemClock};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::setsid;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Runs the attempt in `dir` to its end. Call it first thing in `main`, before any thread is started.
///
/// Gives success once the attempt's end is recorded, or where another shim has it in hand.
pub fn main(dir: &Path) -> ExitCode {
    let done = if dir == Path::new(PROBE) { probe::probe() } else { shim(&Folder::new(dir)) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn shim(folder: &Folder) -> io::Result<()> {
    // Signals to the server's terminal or process group must not reach the container. A process that already leads a
    // session has nothing to leave.
    match setsid() {
        Ok(_) | Err(Errno::EPERM) => {}
        Err(error) => return Err(error.into()),
    }
    let Some(lock) = folder.lock()? else { return Ok(()) };
    Folder::sign_lock(&lock, std::process::id())?;
    if folder.ending()?.is_some() || folder.has_begun() {
        return Ok(());
    }
    let plan: Plan = folder.read_json("plan.json")?;
    let mut signals = run::Signals::block()?;
    folder.begin()?;
    let group = match Group::create(&plan.cgroups, &plan.group, &plan.limits) {
        Ok(group) => group,
        Err(error) => return refuse(folder, &format!("cannot limit the container: {error}")),
    };
    let done = carry_out(folder, &plan, &group, &mut signals);
    run::Waker::open(folder).wake();
    drop(lock);
    clean_up(folder, &group);
    done
}

/// From the group to the recorded end.
fn carry_out(folder: &Folder, plan: &Plan, group: &Group, signals: &mut run::Signals) -> io::Result<()> {
    if folder.stop_request().is_some() {
        return folder.record_end(&Ending::FailedToStart {
            at: SystemClock.now(),
            cause: StartFailure::Stopped,
            reason: "stopped before it started".to_owned(),
        });
    }
    let made = enter_namespaces(plan.privilege, &plan.identity)
        .and_then(|()| rootfs::mount(folder, plan))
        .and_then(|()| hide::cgroups(plan))
        .map_err(|error| error.to_string())
        .and_then(|()| container::start(folder, plan, group));
    match made {
        Ok(running) => run::supervise(folder, plan, group, running, signals),
        Err(reason) => refuse(folder, &reason),
    }
}

fn refuse(folder: &Folder, reason: &str) -> io::Result<()> {
    let ending =
        Ending::FailedToStart { at: SystemClock.now(), cause: StartFailure::Container, reason: reason.to_owned() };
    folder.record_end(&ending)?;
    run::Waker::open(folder).wake();
    Ok(())
}

/// Gives the shim a mount namespace of its own, so that its mounts end with it whatever happens; and as an ordinary user
/// first a user namespace, in which it may mount. The namespace's one user is the container's: no other can be mapped
/// without a set-user-id helper.
fn enter_namespaces(privilege: Privilege, identity: &Identity) -> io::Result<()> {
    let explain = |error: io::Error| io::Error::other(format!("{error}; {}", crate::doctor::USER_NAMESPACE_ADVICE));
    match privilege {
        Privilege::Root => unshare(CloneFlags::CLONE_NEWNS)?,
        Privilege::Rootless { uid, gid } => {
            let enter = || -> io::Result<()> {
                unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
                fs::write("/proc/self/setgroups", "deny")?;
                fs::write("/proc/self/uid_map", format!("{} {uid} 1", identity.uid))?;
                fs::write("/proc/self/gid_map", format!("{} {gid} 1", identity.gid))
            };
            enter().map_err(explain)?;
        }
    }
    // Slave, not private: what the host unmounts must not stay busy because of a long job.
    let flags = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_SLAVE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)?;
    Ok(())
}

/// Removes what the container used. Its end is recorded; what fails here is swept up by the server.
fn clean_up(folder: &Folder, group: &Group) {
    if let Err(error) = group.remove() {
        eprintln!("removing the cgroup: {error}");
    }
    rootfs::remove(folder);
}
