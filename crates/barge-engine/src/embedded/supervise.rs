//! Follows one attempt from its folder to its end: starts its shim where none has it, tells what happens to it, and
//! carries its lines to the log.

use super::launch::{Refused, last_words, shim_process};
use super::{Entry, Inner};
use crate::attempt::{Attempt, OutputTo};
use crate::engine::{AttemptState, Ending, EventKind, StartFailure};
use crate::folder::Folder;
use crate::output::{OutputReader, persist, pump_output};
use crate::sys;
use barge_core::ports::{LogSink, LogTarget};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::task::JoinHandle;

/// After an error of the disk's the attempt is looked at again.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// A shim that has its lock has not noted its process id yet: a matter of microseconds.
const NEXT_MOMENT: Duration = Duration::from_millis(2);

/// The process that has an attempt in hand.
enum Shim {
    /// Started by this server.
    Child(Child),
    /// Started by an earlier one.
    Inherited(AsyncFd<OwnedFd>),
}

impl Shim {
    async fn ended(&mut self) {
        let ended = match self {
            Self::Child(child) => child.wait().await.map(drop),
            Self::Inherited(process) => process.readable().await.map(drop),
        };
        if let Err(error) = ended {
            tracing::error!(%error, "waiting for a shim");
            tokio::time::sleep(SECOND_LOOK).await;
        }
    }
}

impl Inner {
    pub(super) async fn supervise(self: Arc<Self>, attempt: Attempt, entry: Entry) {
        let folder = self.folder(&attempt.id);
        let pump = self.start_pump(&attempt, &entry, &folder);
        let mut shim = None;
        // A child's standard input tells it that the server lives; held until the attempt has ended.
        let mut alive = None;
        let ending = loop {
            match self.follow(&folder, &attempt, &entry, &mut shim, &mut alive).await {
                Ok(ending) => break ending,
                Err(error) => {
                    tracing::error!(%error, attempt = %attempt.id, "supervising an attempt");
                    tokio::time::sleep(SECOND_LOOK).await;
                }
            }
        };
        self.tell_started(&attempt, &entry, &folder);
        entry.wake.send_modify(|wake| wake.over = true);
        if let Some(pump) = pump
            && let Err(error) = pump.await
        {
            tracing::error!(%error, attempt = %attempt.id, "the log pump broke");
        }
        entry.state.send_replace(AttemptState::Ended(ending.clone()));
        self.send(&attempt.id, EventKind::Ended(ending));
        // It cleans up; and a child must be waited for.
        if let Some(mut shim) = shim {
            shim.ended().await;
        }
        drop(alive);
    }

    fn start_pump(&self, attempt: &Attempt, entry: &Entry, folder: &Folder) -> Option<JoinHandle<()>> {
        let (OutputTo::Log(target), Some(logs)) = (&attempt.output, &self.logs) else { return None };
        let wake = entry.wake.subscribe();
        let pump = |target: LogTarget, logs: Arc<dyn LogSink>, path| async move {
            match persist(|| logs.position(&target)).await {
                Ok(position) => pump_output(OutputReader::new(path, position, wake), logs, target).await,
                Err(error) => tracing::warn!(%error, stream = target.stream, "an attempt's output has no place"),
            }
        };
        Some(tokio::spawn(pump(target.clone(), Arc::clone(logs), folder.output())))
    }

    /// Stays with the attempt until it has an end on disk.
    async fn follow(
        self: &Arc<Self>,
        folder: &Folder,
        attempt: &Attempt,
        entry: &Entry,
        shim: &mut Option<Shim>,
        alive: &mut Option<tokio::process::ChildStdin>,
    ) -> io::Result<Ending> {
        let signals = pipe::OpenOptions::new().read_write(true).open_receiver(folder.wake())?;
        loop {
            if let Some(ending) = folder.ending()? {
                return Ok(ending);
            }
            self.tell_started(attempt, entry, folder);
            let Some(held) = shim else {
                *shim = self.find_or_start(folder, attempt, alive).await?;
                continue;
            };
            tokio::select! {
                ready = signals.readable() => {
                    ready?;
                    drain(&signals)?;
                    entry.wake.send_modify(|wake| wake.count += 1);
                }
                () = held.ended() => {
                    *shim = None;
                    if !folder.has_begun() {
                        // Trying for ever helps nobody. Nothing is recorded where another shim has the attempt.
                        let words = last_words(folder).unwrap_or_else(|| "no reason given".to_owned());
                        let reason = format!("the shim ended before it began: {words}");
                        Self::refuse(folder, StartFailure::Container, reason)?;
                    }
                }
            }
        }
    }

    /// The shim that has the attempt; started where none has, and where none had it yet. `None` where the attempt has come
    /// to an end meanwhile, or should be looked at again.
    async fn find_or_start(
        self: &Arc<Self>,
        folder: &Folder,
        attempt: &Attempt,
        alive: &mut Option<tokio::process::ChildStdin>,
    ) -> io::Result<Option<Shim>> {
        if self.settle(folder, attempt)? {
            return Ok(None);
        }
        if let Some(process) = shim_process(folder)? {
            return sys::watch_process(process).map(|fd| Some(Shim::Inherited(fd)));
        }
        if folder.has_begun() || folder.lock()?.is_none() {
            tokio::time::sleep(NEXT_MOMENT).await;
            return Ok(None);
        }
        let (inner, of, for_attempt) = (Arc::clone(self), folder.clone(), attempt.clone());
        let ready = tokio::task::spawn_blocking(move || inner.make_ready(&of, &for_attempt)).await?;
        match ready {
            Ok(()) => {}
            Err(Refused::Io(error)) => return Err(error),
            Err(Refused::Ends(cause, reason)) => {
                Self::refuse(folder, cause, reason)?;
                return Ok(None);
            }
        }
        let mut child = match self.start_shim(folder, attempt) {
            Ok(child) => child,
            Err(error) => {
                let reason = format!("the shim {} cannot be started: {error}", self.config.shim.program.display());
                Self::refuse(folder, StartFailure::Container, reason)?;
                return Ok(None);
            }
        };
        *alive = child.stdin.take();
        Ok(Some(Shim::Child(child)))
    }

    fn tell_started(&self, attempt: &Attempt, entry: &Entry, folder: &Folder) {
        if *entry.state.borrow() != AttemptState::Launching {
            return;
        }
        if let Some(since) = folder.started() {
            entry.state.send_replace(AttemptState::Running { since });
            self.send(&attempt.id, EventKind::Started { at: since });
        }
    }
}

fn drain(signals: &pipe::Receiver) -> io::Result<()> {
    let mut buffer = [0; 512];
    loop {
        match signals.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
