//! The embedded engine: containers on this machine, each in the hands of its own shim. No daemon, no Docker.

mod launch;
mod supervise;

use crate::attempt::{Attempt, AttemptId, Lifetime, OutputTo, RootFs};
use crate::cgroup::Layout;
use crate::doctor;
use crate::engine::{
    Adopted, AttemptEvent, AttemptState, Capacity, ComputeEngine, Ending, EngineError, EventKind, Finding,
};
use crate::folder::Folder;
use crate::output::{OutputReader, Wake};
use crate::plan::{Privilege, Surroundings};
use async_trait::async_trait;
use barge_core::ports::LogSink;
use barge_image::ImageStore;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Lines that wait on disk for somebody to take them, per attempt.
const OUTPUT_LIMIT: u64 = 256 * 1024 * 1024;

/// How often, and how far apart, a forgotten attempt's directory is tried to be removed.
const REMOVALS: u32 = 20;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(50);

/// What the embedded engine needs to be told.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Where attempts are kept; made where it does not exist. One engine per directory.
    pub directory: PathBuf,
    /// How to start a shim.
    pub shim: ShimCommand,
    /// Bytes of disk that an attempt's lines may take up while nobody takes them; more are left out, and a line says so.
    pub output_limit: u64,
}

impl EmbeddedConfig {
    /// Attempts in `directory`, shims of this program, 256 MiB of waiting lines per attempt.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), shim: ShimCommand::this_program(), output_limit: OUTPUT_LIMIT }
    }
}

/// A program that calls [`crate::shim::main`] with its last argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShimCommand {
    /// The program.
    pub program: PathBuf,
    /// What comes before the attempt's directory.
    pub args: Vec<OsString>,
}

impl ShimCommand {
    /// The running program itself, as `PROGRAM shim DIR`, even where its file was replaced or removed since.
    pub fn this_program() -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), args: vec![OsString::from("shim")] }
    }
}

/// Runs attempts on this machine. Cheap to clone.
#[derive(Clone)]
pub struct EmbeddedEngine {
    inner: Arc<Inner>,
}

struct Inner {
    attempts: PathBuf,
    config: EmbeddedConfig,
    images: ImageStore,
    logs: Option<Arc<dyn LogSink>>,
    around: Surroundings,
    entries: Mutex<HashMap<AttemptId, Entry>>,
    subscribers: Mutex<Vec<mpsc::UnboundedSender<AttemptEvent>>>,
}

/// What is known of an attempt while the server runs.
#[derive(Clone)]
struct Entry {
    image: Option<String>,
    state: watch::Sender<AttemptState>,
    wake: watch::Sender<Wake>,
}

impl EmbeddedEngine {
    /// Opens the engine. Images come from `images`; lines of attempts with [`OutputTo::Log`] go to `logs`, without which
    /// such attempts are refused. It must be called within a tokio runtime, and [`ComputeEngine::adopt`] before anything is
    /// launched.
    pub fn open(
        config: EmbeddedConfig,
        images: ImageStore,
        logs: Option<Arc<dyn LogSink>>,
    ) -> Result<Self, EngineError> {
        let attempts = config.directory.join("attempts");
        let wrong = || EngineError::io(format!("engine directory {}", attempts.display()));
        fs::create_dir_all(&attempts).map_err(wrong())?;
        // Attempts' environments hold credentials.
        fs::set_permissions(&attempts, fs::Permissions::from_mode(0o700)).map_err(wrong())?;
        let attempts = attempts.canonicalize().map_err(wrong())?;
        let meta = fs::metadata(&attempts).map_err(wrong())?;
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let privilege = if uid.is_root() && !doctor::in_user_namespace() {
            Privilege::Root
        } else {
            Privilege::Rootless { uid: uid.as_raw(), gid: gid.as_raw() }
        };
        let around = Surroundings {
            cgroups: Layout::prepare(),
            group_suffix: format!("{:x}-{:x}", meta.dev(), meta.ino()),
            privilege,
            output_limit: config.output_limit,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                attempts,
                config,
                images,
                logs,
                around,
                entries: Mutex::default(),
                subscribers: Mutex::default(),
            }),
        })
    }

    /// Digests of the images that attempts run from, or will: what an image store must keep
    /// ([`ImageStore::remove_unreferenced`]).
    pub fn images_in_use(&self) -> Vec<String> {
        let entries = lock(&self.inner.entries);
        let live = entries.values().filter(|entry| !matches!(*entry.state.borrow(), AttemptState::Ended(_)));
        live.filter_map(|entry| entry.image.clone()).collect()
    }
}

impl Inner {
    fn folder(&self, id: &AttemptId) -> Folder {
        Folder::of(&self.attempts, id)
    }

    fn entry(&self, id: &AttemptId) -> Result<Entry, EngineError> {
        lock(&self.entries).get(id).cloned().ok_or_else(|| EngineError::Unknown(id.clone()))
    }

    fn send(&self, id: &AttemptId, kind: EventKind) {
        let event = AttemptEvent { id: id.clone(), kind };
        lock(&self.subscribers).retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }

    /// Sends the latest event once more.
    fn send_again(&self, id: &AttemptId, state: AttemptState) {
        match state {
            AttemptState::Launching => {}
            AttemptState::Running { since } => self.send(id, EventKind::Started { at: since }),
            AttemptState::Ended(ending) => self.send(id, EventKind::Ended(ending)),
        }
    }

    /// Takes an attempt, whose folder exists, under supervision; gives its state where it is already.
    fn take_up(self: &Arc<Self>, attempt: Attempt, state: AttemptState) -> Option<AttemptState> {
        let mut entries = lock(&self.entries);
        if let Some(known) = entries.get(&attempt.id) {
            return Some(known.state.borrow().clone());
        }
        let over = matches!(state, AttemptState::Ended(_));
        let entry = Entry {
            image: image_of(&attempt).map(str::to_owned),
            state: watch::Sender::new(state),
            wake: watch::Sender::new(Wake { count: 0, over }),
        };
        entries.insert(attempt.id.clone(), entry.clone());
        drop(entries);
        if !over {
            tokio::spawn(Arc::clone(self).supervise(attempt, entry));
        }
        None
    }
}

#[async_trait]
impl ComputeEngine for EmbeddedEngine {
    fn name(&self) -> &'static str {
        "embedded"
    }

    async fn launch(&self, attempt: Attempt) -> Result<(), EngineError> {
        let inner = &self.inner;
        if matches!(attempt.output, OutputTo::Log(_)) && inner.logs.is_none() {
            return Err(EngineError::Invalid("this engine has no log to write to".to_owned()));
        }
        let folder = inner.folder(&attempt.id);
        let made = attempt.clone();
        let new = blocking(move || folder.create(&made)).await?;
        let state = if new {
            AttemptState::Launching
        } else {
            let folder = inner.folder(&attempt.id);
            blocking(move || folder.state()).await?
        };
        if let Some(known) = inner.take_up(attempt.clone(), state) {
            inner.send_again(&attempt.id, known);
        }
        Ok(())
    }

    async fn stop(&self, id: &AttemptId, grace: Option<Duration>) -> Result<(), EngineError> {
        let entry = self.inner.entry(id)?;
        if matches!(*entry.state.borrow(), AttemptState::Ended(_)) {
            return Ok(());
        }
        let folder = self.inner.folder(id);
        blocking(move || {
            let grace = match grace {
                Some(grace) => grace,
                None => folder.attempt()?.stop_grace,
            };
            folder.request_stop(grace)?;
            launch::signal_shim(&folder)
        })
        .await
    }

    fn subscribe(&self) -> mpsc::UnboundedReceiver<AttemptEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.inner.subscribers).push(sender);
        receiver
    }

    fn watch(&self, id: &AttemptId) -> Result<watch::Receiver<AttemptState>, EngineError> {
        Ok(self.inner.entry(id)?.state.subscribe())
    }

    async fn output(&self, id: &AttemptId, from: u64) -> Result<OutputReader, EngineError> {
        let entry = self.inner.entry(id)?;
        Ok(OutputReader::new(self.inner.folder(id).output(), from, entry.wake.subscribe()))
    }

    async fn adopt(&self) -> Result<Vec<Adopted>, EngineError> {
        let inner = Arc::clone(&self.inner);
        let found = blocking(move || {
            launch::remove_leftovers(&inner.attempts)?;
            let mut found = Vec::new();
            for folder in folders(&inner.attempts)? {
                match folder.attempt() {
                    Ok(attempt) => {
                        if inner.settle(&folder, &attempt)?
                            && let Some(_lock) = folder.lock()?
                        {
                            // Its shim may have been killed after the end that it recorded.
                            inner.sweep(&folder, &attempt);
                        }
                        let state = folder.state()?;
                        found.push((attempt, state));
                    }
                    Err(error) => tracing::error!(%error, folder = %folder.path().display(), "not an attempt"),
                }
            }
            Ok(found)
        })
        .await?;
        let mut adopted = Vec::new();
        for (attempt, state) in found {
            let state = match (&state, &attempt.output) {
                // Its last lines may not be stored yet: the end is told once they are.
                (AttemptState::Ended(Ending::Exited { started, .. }), OutputTo::Log(_)) => {
                    AttemptState::Running { since: *started }
                }
                _ => state,
            };
            let state = self.inner.take_up(attempt.clone(), state.clone()).unwrap_or(state);
            adopted.push(Adopted { attempt, state });
        }
        Ok(adopted)
    }

    async fn forget(&self, id: &AttemptId) -> Result<(), EngineError> {
        let Ok(entry) = self.inner.entry(id) else { return Ok(()) };
        if !matches!(*entry.state.borrow(), AttemptState::Ended(_)) {
            return Err(EngineError::StillRuns(id.clone()));
        }
        let (folder, gone) = (self.inner.folder(id), self.inner.attempts.join(format!("{id}.gone")));
        blocking(move || {
            // Out of its name first: half a record must never be found.
            match fs::rename(folder.path(), &gone) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
                Ok(()) => {
                    // A shim that still cleans up, in the same directory, makes a try fail.
                    let tried = (0..REMOVALS).any(|_| {
                        barge_image::remove_tree(&gone).is_ok() || {
                            std::thread::sleep(BETWEEN_REMOVALS);
                            false
                        }
                    });
                    if !tried {
                        tracing::warn!(path = %gone.display(), "not removed; the next start tries again");
                    }
                    Ok(())
                }
            }
        })
        .await?;
        lock(&self.inner.entries).remove(id);
        Ok(())
    }

    fn capacity(&self) -> Capacity {
        doctor::capacity()
    }

    async fn doctor(&self) -> Vec<Finding> {
        let inner = Arc::clone(&self.inner);
        blocking(move || Ok(doctor::examine(&inner.around, &inner.config.shim, &inner.config.directory)))
            .await
            .unwrap_or_default()
    }
}

/// The attempts' folders below `attempts`.
fn folders(attempts: &Path) -> std::io::Result<Vec<Folder>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(attempts)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| AttemptId::new(name).is_ok()) {
            found.push(Folder::new(entry.path()));
        }
    }
    Ok(found)
}

/// Runs what waits for the disk where it may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, EngineError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(EngineError::io("an attempt's directory")),
        Err(panicked) => Err(EngineError::Unavailable(panicked.to_string())),
    }
}

/// Nothing panics while it holds one of these locks, and what they guard is whole after each step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a killed server takes this attempt along.
fn bound_to_server(attempt: &Attempt) -> bool {
    attempt.lifetime == Lifetime::WithServer
}

/// The image that an attempt runs from, where it does.
fn image_of(attempt: &Attempt) -> Option<&str> {
    match &attempt.root {
        RootFs::Image { digest } => Some(digest),
        RootFs::HostReadOnly { .. } => None,
    }
}
