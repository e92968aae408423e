//! Watches a running container: takes in what it prints, stops it when asked, and records how it ended.

use super::container::Running;
use super::storage::Storage;
use crate::attempt::Lifetime;
use crate::cgroup::Group;
use crate::engine::{Ending, ExitOutcome};
use crate::folder::Folder;
use crate::output::writer::OutputWriter;
use crate::plan::Plan;
use barge_core::{Clock, SystemClock};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, read};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// Reads of the container's output in one turn.
const TURN: usize = 64;

/// The signals that the shim waits for.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// From here on they are taken from a descriptor, and interrupt nothing.
    pub(crate) fn block() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// Whether a stop was asked for since last time.
    fn take_stop(&mut self) -> io::Result<bool> {
        let mut stop = false;
        while let Some(info) = self.0.read_signal()? {
            stop |= Signal::try_from(info.ssi_signo.cast_signed()) != Ok(Signal::SIGCHLD);
        }
        Ok(stop)
    }
}

/// Tells the server that something changed in the attempt's directory.
pub(crate) struct Waker(Option<File>);

impl Waker {
    pub(crate) fn open(folder: &Folder) -> Self {
        // Open for reading as well, so that it opens, and never breaks, while no server listens.
        let flags = OFlag::O_NONBLOCK.bits();
        Self(File::options().read(true).write(true).custom_flags(flags).open(folder.wake()).ok())
    }

    pub(crate) fn wake(&self) {
        // A full pipe wakes the server just as well.
        if let Some(mut file) = self.0.as_ref() {
            let _ = file.write(b".");
        }
    }
}

/// Stays with the container until it has ended and its end is recorded.
pub(crate) fn supervise(
    folder: &Folder,
    plan: &Plan,
    group: &Group,
    running: Running,
    signals: &mut Signals,
) -> io::Result<()> {
    let waker = Waker::open(folder);
    // On a full disk the server learns of the start with the end.
    if let Err(error) = folder.note_started(running.since) {
        eprintln!("noting the start: {error}");
    }
    waker.wake();
    let mut storage = Storage::watch(folder, plan.disk_mib);
    let mut exceeded = None;
    let mut output = OutputWriter::new(folder.output(), plan.output_limit);
    let mut pipe = Pipe::new(running.output)?;
    let mut stop = Stop::NotAsked;
    let server = (plan.lifetime == Lifetime::WithServer).then(io::stdout);

    // A stop may have been asked for before signals were listened to.
    if folder.journal()?.stop.is_some() {
        stop = Stop::ask(folder, plan, running.init);
    }
    let status = loop {
        let wake_up = [stop.deadline(), storage.as_ref().map(Storage::next)].into_iter().flatten().min();
        wait(&pipe, signals, server.as_ref(), wake_up)?;
        if pipe.take(&mut output) {
            waker.wake();
        }
        if signals.take_stop()? {
            stop = Stop::ask(folder, plan, running.init);
        }
        if let Some(server) = &server
            && closed(server)?
        {
            stop = Stop::NotAsked;
            end_now(running.init);
        }
        if let Stop::Asked { deadline: Some(deadline) } = stop
            && Instant::now() >= deadline
        {
            end_now(running.init);
            stop = Stop::Asked { deadline: None };
        }
        if exceeded.is_none()
            && let Some(reason) = storage.as_mut().and_then(Storage::exceeded)
        {
            exceeded = Some(reason);
            storage = None;
            end_now(running.init);
        }
        if let Some(status) = reap(running.init)? {
            break status;
        }
    };
    // Its processes are gone with the first of them: what is in the pipe now is the rest.
    pipe.take(&mut output);
    let at = SystemClock.now();
    output.finish(at.millis());
    let ooms = group.oom_kills();
    super::remove(group);
    let mut outcome = outcome(status, ooms, stop != Stop::NotAsked);
    outcome.reason = exceeded.or(outcome.reason);
    folder.record_end(&Ending::Exited { started: running.since, at, outcome })
}

/// Sleeps until there is something to do.
fn wait(pipe: &Pipe, signals: &Signals, server: Option<&io::Stdout>, wake_up: Option<Instant>) -> io::Result<()> {
    let mut fds = vec![PollFd::new(signals.0.as_fd(), PollFlags::POLLIN)];
    if let Some(fd) = &pipe.fd {
        fds.push(PollFd::new(fd.as_fd(), PollFlags::POLLIN));
    }
    if let Some(server) = server {
        fds.push(PollFd::new(server.as_fd(), PollFlags::empty()));
    }
    let timeout = wake_up.map_or(PollTimeout::NONE, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left.min(Duration::from_hours(1))).unwrap_or(PollTimeout::NONE)
    });
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the server, which holds the reading end of what nothing is written to, is gone.
fn closed(server: &io::Stdout) -> io::Result<bool> {
    let mut fds = [PollFd::new(server.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO)?;
    Ok(fds[0].any() == Some(true))
}

fn reap(init: Pid) -> io::Result<Option<WaitStatus>> {
    match waitpid(init, Some(WaitPidFlag::WNOHANG)) {
        Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) => Ok(Some(status)),
        Ok(_) | Err(Errno::EINTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn end_now(init: Pid) {
    // It may have ended by itself meanwhile.
    let _ = kill(init, Signal::SIGKILL);
}

/// How far a stop has got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    NotAsked,
    /// SIGTERM was sent; SIGKILL follows at the deadline, or was sent.
    Asked {
        deadline: Option<Instant>,
    },
}

impl Stop {
    fn ask(folder: &Folder, plan: &Plan, init: Pid) -> Self {
        let asked = folder.journal().ok().and_then(|journal| journal.stop);
        let grace = asked.unwrap_or(Duration::from_millis(plan.stop_grace_millis));
        let _ = kill(init, Signal::SIGTERM);
        // A grace beyond the clock's reach is as good as none at all.
        Self::Asked { deadline: Instant::now().checked_add(grace) }
    }

    /// When the grace ends.
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Asked { deadline } => *deadline,
            Self::NotAsked => None,
        }
    }
}

/// The reading end of what the container prints.
struct Pipe {
    fd: Option<OwnedFd>,
    buffer: Vec<u8>,
}

impl Pipe {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { fd: Some(fd), buffer: vec![0; 64 * 1024] })
    }

    /// Moves what is there into `output`; gives whether there are new lines.
    fn take(&mut self, output: &mut OutputWriter) -> bool {
        let mut fresh = false;
        // Bounded: a container that never pauses must not keep the shim from everything else. The bound is above what
        // a pipe holds, so that the rest of one that nobody writes to is taken at once.
        for _ in 0..TURN {
            let Some(fd) = &self.fd else { break };
            match read(fd, &mut self.buffer) {
                Ok(0) => self.fd = None,
                Ok(size) => fresh |= output.write(&self.buffer[..size], SystemClock.now().millis()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return fresh,
                Err(error) => {
                    eprintln!("reading the container's output: {error}");
                    self.fd = None;
                }
            }
        }
        fresh
    }
}

/// What the kernel's account of the end means.
fn outcome(status: WaitStatus, ooms: u64, stopped: bool) -> ExitOutcome {
    let (code, signal) = match status {
        WaitStatus::Exited(_, code) => (Some(code), None),
        WaitStatus::Signaled(_, signal, _) => (Some(128 + signal as i32), Some(signal as i32)),
        _ => (None, None),
    };
    let oom = ooms > 0 && code != Some(0);
    let reason = oom.then(|| "OutOfMemoryError: Container killed due to memory usage".to_owned());
    ExitOutcome { code, signal, oom, stopped, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_say_how_it_ended() {
        let pid = Pid::from_raw(1);
        let exited = outcome(WaitStatus::Exited(pid, 3), 0, false);
        assert_eq!((exited.code, exited.signal, exited.oom), (Some(3), None, false));
        let killed = outcome(WaitStatus::Signaled(pid, Signal::SIGKILL, false), 1, false);
        assert_eq!((killed.code, killed.signal, killed.oom), (Some(137), Some(9), true));
        let survived = outcome(WaitStatus::Exited(pid, 0), 1, false);
        assert!(!survived.oom);
    }
}
