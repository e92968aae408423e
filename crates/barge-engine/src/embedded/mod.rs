//! The embedded engine: containers on this machine, each in the hands of its own shim. No daemon, no Docker.

mod adopt;
mod janitor;
mod launch;
mod scratch;
mod supervise;

use crate::attempt::{Attempt, AttemptId, Lifetime, OutputTo, RootFs};
use crate::cgroup::Layout;
use crate::doctor;
use crate::engine::{Adopted, AttemptEvent, AttemptState, Capacity, ComputeEngine, EngineError, EventKind, Finding};
use crate::folder::{Folder, Journal};
use crate::output::{OutputReader, Wake};
use crate::plan::{ImageDefaults, Privilege, Surroundings};
use async_trait::async_trait;
use barge_core::ports::LogSink;
use barge_image::ImageStore;
use janitor::Janitor;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

/// Lines that wait on disk for somebody to take them, per attempt.
const OUTPUT_LIMIT: u64 = 256 * 1024 * 1024;

/// Starts of containers at the same time, for each processor: with more they only wait for each other in the kernel.
const STARTS_PER_PROCESSOR: usize = 2;

/// What the embedded engine needs to be told.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Where attempts are kept; made where it does not exist. One engine per directory.
    pub directory: PathBuf,
    /// How to start a shim.
    pub shim: ShimCommand,
    /// Bytes of disk that an attempt's lines may take up while nobody takes them; more are left out, and a line says so.
    pub output_limit: u64,
    /// Containers that are being started at the same time, at most; further ones wait for their turn. Attempts that live
    /// with the server are not counted: somebody waits for them. At least 1.
    pub starts_at_once: usize,
}

impl EmbeddedConfig {
    /// Attempts in `directory`, shims of this program, 256 MiB of waiting lines per attempt, two starts per processor.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            directory: directory.into(),
            shim: ShimCommand::this_program(),
            output_limit: OUTPUT_LIMIT,
            starts_at_once: STARTS_PER_PROCESSOR * processors,
        }
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

    /// The program `barge-shim` beside the running program, where there is one that keeps attempts as this one does; else the
    /// running program. A small program starts in half the time of a large one. It stays the same where its file is replaced.
    pub fn beside_this_program() -> Self {
        Self::small().unwrap_or_else(Self::this_program)
    }

    fn small() -> Option<Self> {
        let path = std::env::current_exe().ok()?.with_file_name("barge-shim");
        let program = File::open(path).ok()?;
        // Open for as long as the server runs: each shim is started from it.
        let program = PathBuf::from(format!("/proc/self/fd/{}", program.into_raw_fd()));
        let told = Command::new(&program).arg("format").stdin(Stdio::null()).output().ok()?;
        let alike = told.status.success() && told.stdout.trim_ascii() == crate::shim::FORMAT.as_bytes();
        alike.then(|| Self { program, args: vec![OsString::from("shim")] })
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
    /// Images that attempts were started from, so that the next need not read as much of them again.
    ready: Mutex<HashMap<String, Arc<ImageDefaults>>>,
    /// Held while an image is made ready: many attempts of a new image wait here, and not each on a thread.
    preparing: tokio::sync::Mutex<()>,
    starts: Arc<Semaphore>,
    janitor: Janitor,
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
        raise_open_files();
        let around = Surroundings {
            cgroups: Layout::prepare(),
            scratch: attempts.with_file_name("scratch"),
            group_suffix: format!("{:x}-{:x}", meta.dev(), meta.ino()),
            privilege,
            output_limit: config.output_limit,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                attempts,
                starts: Arc::new(Semaphore::new(config.starts_at_once.max(1))),
                config,
                images,
                logs,
                around,
                ready: Mutex::default(),
                preparing: tokio::sync::Mutex::default(),
                janitor: Janitor::start().map_err(wrong())?,
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
    fn take_up(self: &Arc<Self>, attempt: Attempt, state: AttemptState, past: Past) -> Option<AttemptState> {
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
            tokio::spawn(Arc::clone(self).supervise(attempt, entry, past));
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
        let (state, past) = if new {
            (AttemptState::Launching, Past::None)
        } else {
            let folder = inner.folder(&attempt.id);
            (blocking(move || folder.journal().map(Journal::state)).await?, Past::Unknown)
        };
        if let Some(known) = inner.take_up(attempt.clone(), state, past) {
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
            // Where the disk is full the shim still hears of it, and takes the attempt's own grace.
            let noted = folder.request_stop(grace);
            if launch::signal_shim(&folder)? { Ok(()) } else { noted }
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
        self.inner.adopt().await
    }

    async fn forget(&self, id: &AttemptId) -> Result<(), EngineError> {
        let Ok(entry) = self.inner.entry(id) else { return Ok(()) };
        if !matches!(*entry.state.borrow(), AttemptState::Ended(_)) {
            return Err(EngineError::StillRuns(id.clone()));
        }
        let folder = self.inner.folder(id);
        if let Some(gone) = blocking(move || folder.retire()).await? {
            self.inner.janitor.remove(gone);
        }
        lock(&self.inner.entries).remove(id);
        Ok(())
    }

    async fn remove_scratch(&self, task: &AttemptId) -> Result<(), EngineError> {
        self.inner.remove_scratch(task).await
    }

    async fn scratch_tasks(&self) -> Result<Vec<AttemptId>, EngineError> {
        self.inner.scratch_tasks().await
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

/// What an attempt may have printed before this server has it in hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    /// Nothing: it was made just now.
    None,
    /// The log knows.
    Unknown,
}

/// Each attempt takes a few of the server's descriptors, and many systems give a program 1,024 that may take more.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
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
