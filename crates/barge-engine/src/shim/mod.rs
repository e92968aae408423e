//! The shim: a small process of its own for each attempt, which makes the container, takes in what it prints, and records
//! how it ended. It knows nothing of jobs, logs or images, and talks to the server through the attempt's directory only
//! (see `folder.rs`), so that either may be killed without the other.
//!
//! It is this same program executed anew, or a small one with nothing else in it. It must start before any thread does: it changes its own namespaces, and
//! libcontainer forks.

mod container;
mod exec;
mod hide;
mod init;
mod limits;
mod probe;
pub(crate) mod rootfs;
mod run;
mod seccomp;
mod spec;
mod storage;

use crate::cgroup::Group;
use crate::doctor::PROBE;
use crate::engine::{Ending, StartFailure};
use crate::folder::Folder;
use crate::plan::{Plan, Privilege};
use crate::user::Identity;
use barge_core::{Clock, SystemClock};
use hide::Private;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{dup2_stdin, setsid};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How attempts are kept on disk: a server and a shim that name the same understand each other. To be changed with `folder.rs`,
/// `plan.rs` and `spec.rs`.
pub const FORMAT: &str = concat!(env!("CARGO_PKG_VERSION"), "-2");

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
    // What is made for the container, and the container itself, should not depend on who started the server.
    umask(Mode::from_bits_truncate(0o022));
    let Some(lock) = folder.lock()? else { return Ok(()) };
    folder.sign_lock(std::process::id())?;
    let journal = folder.journal()?;
    if journal.ending.is_some() || journal.begun {
        return Ok(());
    }
    let plan: Plan = serde_json::from_reader(io::stdin().lock()).map_err(io::Error::other)?;
    // Its memory is free from here on.
    dup2_stdin(fs::File::open("/dev/null")?)?;
    let mut signals = run::Signals::block()?;
    folder.begin()?;
    let group = match Group::create(&plan.cgroups, &plan.group, &plan.limits) {
        Ok(group) => group,
        Err(error) => return refuse(folder, &format!("cannot limit the container: {error}")),
    };
    let mut place = None;
    let done = carry_out(folder, &plan, &group, &mut signals, &mut place);
    run::Waker::open(folder).wake();
    drop(lock);
    if let Some(place) = place {
        rootfs::remove(&place.folder, &place.root);
    }
    done
}

/// Where the container's root is, for when it has ended.
struct Place {
    folder: Folder,
    root: PathBuf,
    /// Keeps `folder` the directory that had the attempt's name at the start: one that is forgotten loses it, while this
    /// process still cleans up, and another of the same name is none of its business.
    _held: OwnedFd,
}

impl Place {
    /// To be called in the mount namespace that the container's root is made in.
    fn hold(folder: &Folder, private: &Private) -> io::Result<Self> {
        let held = open(folder.path(), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let folder = Folder::new(format!("/proc/self/fd/{}", held.as_raw_fd()));
        Ok(Self { folder, root: private.root(), _held: held })
    }
}

/// From the group to the recorded end. `place` is set once there is something to be cleaned up.
fn carry_out(
    folder: &Folder,
    plan: &Plan,
    group: &Group,
    signals: &mut run::Signals,
    place: &mut Option<Place>,
) -> io::Result<()> {
    if folder.journal()?.stop.is_some() {
        remove(group);
        return folder.record_end(&Ending::FailedToStart {
            at: SystemClock.now(),
            cause: StartFailure::Stopped,
            reason: "stopped before it started".to_owned(),
        });
    }
    let mut private = || -> io::Result<Private> {
        storage::has_room(folder, plan.disk_mib)?;
        enter_namespaces(plan.privilege, &plan.identity)?;
        let private = hide::cgroups(folder, plan)?;
        *place = Some(Place::hold(folder, &private)?);
        rootfs::mount(folder, plan, &private)?;
        Ok(private)
    };
    let started =
        private().map_err(|error| error.to_string()).and_then(|private| container::start(&private, plan, group));
    match started {
        Ok(running) => run::supervise(folder, plan, group, running, signals),
        Err(reason) => {
            remove(group);
            refuse(folder, &reason)
        }
    }
}

/// Removes the group. Done before the end is told: from then on its name may be used again. What fails here is swept up by
/// the server.
fn remove(group: &Group) {
    if let Err(error) = group.remove() {
        eprintln!("removing the cgroup: {error}");
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
