//! Follows one attempt from its folder to its end: starts its shim where none has it, tells what happens to it, and
//! carries its lines to the log.

use super::launch::{Refused, Started, no_room, shim_process, words};
use super::{Entry, Inner, Past, bound_to_server};
use crate::attempt::{Attempt, OutputTo};
use crate::engine::{AttemptState, Ending, EventKind, StartFailure};
use crate::folder::Folder;
use crate::output::{OutputReader, persist, pump_output};
use crate::sys;
use barge_core::Timestamp;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdout};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// After an error of the disk's the attempt is looked at again.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// A shim that has its lock has not noted its process id yet: a matter of microseconds.
const NEXT_MOMENT: Duration = Duration::from_millis(2);

/// A start that takes longer waits for something else than a processor, and others need not wait for it.
const LONGEST_TURN: Duration = Duration::from_secs(1);

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

/// What a supervisor holds of its attempt.
#[derive(Default)]
struct Hold {
    shim: Option<Shim>,
    /// A child's standard output tells it that the server lives; held until the attempt has ended.
    alive: Option<ChildStdout>,
    /// What a child complained of.
    complaints: Option<File>,
    /// The attempt's turn to start, until it has, or takes long.
    turn: Option<Turn>,
}

struct Turn {
    _permit: OwnedSemaphorePermit,
    until: Instant,
}

impl Hold {
    fn words(&self) -> Option<String> {
        self.complaints.as_ref().and_then(words)
    }

    /// When the turn is over whatever the attempt does.
    fn turn_ends(&self) -> Option<Instant> {
        self.turn.as_ref().map(|turn| turn.until)
    }
}

impl Inner {
    pub(super) async fn supervise(self: Arc<Self>, attempt: Attempt, entry: Entry, past: Past) {
        let folder = self.folder(&attempt.id);
        let pump = self.start_pump(&attempt, &entry, &folder, past);
        let mut hold = Hold::default();
        let ending = loop {
            match self.follow(&folder, &attempt, &entry, &mut hold).await {
                Ok(ending) => break ending,
                Err(error) => {
                    hold.turn = None;
                    tracing::error!(%error, attempt = %attempt.id, "supervising an attempt");
                    tokio::time::sleep(SECOND_LOOK).await;
                }
            }
        };
        hold.turn = None;
        if let Ending::Exited { started, .. } = &ending {
            self.tell_started(&attempt, &entry, *started);
        }
        entry.wake.send_modify(|wake| wake.over = true);
        if let Some(pump) = pump
            && let Err(error) = pump.await
        {
            tracing::error!(%error, attempt = %attempt.id, "the log pump broke");
        }
        entry.state.send_replace(AttemptState::Ended(ending.clone()));
        self.send(&attempt.id, EventKind::Ended(ending));
        // It cleans up; and a child must be waited for.
        if let Some(mut shim) = hold.shim {
            shim.ended().await;
        }
    }

    fn start_pump(&self, attempt: &Attempt, entry: &Entry, folder: &Folder, past: Past) -> Option<JoinHandle<()>> {
        let (OutputTo::Log(target), Some(logs)) = (&attempt.output, &self.logs) else { return None };
        let (wake, path, target, logs) = (entry.wake.subscribe(), folder.output(), target.clone(), Arc::clone(logs));
        Some(tokio::spawn(async move {
            let position = match past {
                Past::None => Ok(0),
                Past::Unknown => persist(|| logs.position(&target)).await,
            };
            match position {
                Ok(position) => pump_output(OutputReader::new(path, position, wake), logs, target).await,
                Err(error) => tracing::warn!(%error, stream = target.stream, "an attempt's output has no place"),
            }
        }))
    }

    /// Stays with the attempt until it has an end.
    async fn follow(
        self: &Arc<Self>,
        folder: &Folder,
        attempt: &Attempt,
        entry: &Entry,
        hold: &mut Hold,
    ) -> io::Result<Ending> {
        let signals = pipe::OpenOptions::new().read_write(true).open_receiver(folder.wake())?;
        loop {
            let journal = folder.journal()?;
            if let Some(ending) = journal.ending {
                return Ok(ending);
            }
            if *entry.state.borrow() == AttemptState::Launching
                && let Some(since) = journal.started
            {
                hold.turn = None;
                self.tell_started(attempt, entry, since);
            }
            let turn_ends = hold.turn_ends();
            let Some(shim) = &mut hold.shim else {
                if let Some(ending) = self.find_or_start(folder, attempt, hold).await? {
                    return Ok(ending);
                }
                continue;
            };
            tokio::select! {
                ready = signals.readable() => {
                    ready?;
                    drain(&signals)?;
                    entry.wake.send_modify(|wake| wake.count += 1);
                }
                () = shim.ended() => {
                    hold.shim = None;
                    hold.turn = None;
                    // Trying for ever helps nobody. Nothing is recorded where another shim has the attempt.
                    let words = hold.words().unwrap_or_else(|| "no reason given".to_owned());
                    let reason = format!("the shim ended before it began: {words}");
                    if let Some(ending) = Self::refuse(folder, StartFailure::Container, reason)? {
                        return Ok(ending);
                    }
                }
                () = sleep_until(turn_ends) => hold.turn = None,
            }
        }
    }

    /// Finds the shim that has the attempt; starts one where none has, and none had it yet. Gives the end where the attempt
    /// has come to it meanwhile; where neither is there, it should be looked at again.
    async fn find_or_start(
        self: &Arc<Self>,
        folder: &Folder,
        attempt: &Attempt,
        hold: &mut Hold,
    ) -> io::Result<Option<Ending>> {
        if let Some(ending) = self.settle(folder, &attempt.id, hold.words().as_deref())? {
            return Ok(Some(ending));
        }
        if let Some(process) = shim_process(folder)? {
            hold.shim = Some(Shim::Inherited(sys::watch_process(process)?));
            return Ok(None);
        }
        if folder.lock()?.is_none() || folder.journal()?.begun {
            tokio::time::sleep(NEXT_MOMENT).await;
            return Ok(None);
        }
        match self.start(folder, attempt, hold).await {
            Ok(Started { mut child, complaints }) => {
                hold.alive = child.stdout.take();
                hold.complaints = Some(complaints);
                hold.shim = Some(Shim::Child(child));
                Ok(None)
            }
            Err(Refused::Io(error)) if !no_room(&error) => Err(error),
            Err(Refused::Io(error)) => Self::refuse(folder, StartFailure::Container, error.to_string()),
            Err(Refused::Ends(cause, reason)) => Self::refuse(folder, cause, reason),
        }
    }

    /// Starts the attempt's shim, when it is its turn.
    async fn start(self: &Arc<Self>, folder: &Folder, attempt: &Attempt, hold: &mut Hold) -> Result<Started, Refused> {
        let image = self.ready_image(attempt).await?;
        if !bound_to_server(attempt) {
            let permit = Arc::clone(&self.starts).acquire_owned().await.map_err(io::Error::other)?;
            hold.turn = Some(Turn { _permit: permit, until: Instant::now() + LONGEST_TURN });
        }
        let (inner, folder, attempt) = (Arc::clone(self), folder.clone(), attempt.clone());
        tokio::task::spawn_blocking(move || inner.set_going(&folder, &attempt, &image))
            .await
            .map_err(io::Error::other)?
    }

    fn tell_started(&self, attempt: &Attempt, entry: &Entry, since: Timestamp) {
        if *entry.state.borrow() == AttemptState::Launching {
            entry.state.send_replace(AttemptState::Running { since });
            self.send(&attempt.id, EventKind::Started { at: since });
        }
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
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
