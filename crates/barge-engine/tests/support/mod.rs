//! What the container tests share: an engine on a temporary directory, an image made of this machine's own shell and
//! tools, and a log that remembers.

#![allow(dead_code, missing_docs)] // each test program uses its part

use async_trait::async_trait;
use barge_core::ports::{LogLine, LogSink, LogTarget};
use barge_core::{AwsError, Scope};
use barge_engine::{
    Attempt, AttemptEvent, AttemptId, AttemptState, ComputeEngine, EmbeddedConfig, EmbeddedEngine, Ending, EventKind,
    ExitOutcome, OutputTo, RootFs, ShimCommand,
};
use barge_image::pack::{Contents, from_contents};
use barge_image::{ImageConfig, ImageStore};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Far longer than anything takes; reached only where something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const TOOLS: [&str; 10] = [
    "/bin/sh",
    "/bin/sleep",
    "/bin/cat",
    "/bin/id",
    "/bin/hostname",
    "/usr/bin/head",
    "/usr/bin/env",
    "/bin/ls",
    "/bin/true",
    "/usr/bin/unshare",
];

#[derive(Default)]
pub(crate) struct Log {
    streams: Mutex<HashMap<String, (Vec<LogLine>, u64)>>,
    /// As many appends fail before one succeeds.
    pub(crate) failures: Mutex<u32>,
}

impl Log {
    pub(crate) fn lines(&self, stream: &str) -> Vec<String> {
        let streams = self.streams.lock().unwrap();
        streams.get(stream).map(|(lines, _)| lines.iter().map(|l| l.message.clone()).collect()).unwrap_or_default()
    }
}

#[async_trait]
impl LogSink for Log {
    async fn ensure_group(&self, _: &Scope, _: &str) -> Result<(), AwsError> {
        Ok(())
    }

    async fn append(&self, target: &LogTarget, lines: Vec<LogLine>, read_to: Option<u64>) -> Result<(), AwsError> {
        {
            let mut failures = self.failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Err(AwsError::internal("the disk is slow"));
            }
        }
        let mut streams = self.streams.lock().unwrap();
        let (stored, position) = streams.entry(target.stream.clone()).or_default();
        if read_to.is_some_and(|read_to| read_to <= *position) {
            return Ok(());
        }
        stored.extend(lines);
        *position = read_to.unwrap_or(*position);
        Ok(())
    }

    async fn position(&self, target: &LogTarget) -> Result<u64, AwsError> {
        Ok(self.streams.lock().unwrap().get(&target.stream).map_or(0, |(_, position)| *position))
    }
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) engine: EmbeddedEngine,
    pub(crate) images: ImageStore,
    pub(crate) log: Arc<Log>,
    pub(crate) image: String,
}

pub(crate) fn config(dir: &Path) -> EmbeddedConfig {
    let shim = ShimCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_barge-engine-shim")), args: Vec::new() };
    EmbeddedConfig { shim, ..EmbeddedConfig::new(dir.join("engine")) }
}

/// The shell and its tools, with lists of users.
pub(crate) fn tools() -> Contents {
    let mut contents = Contents::default();
    for tool in TOOLS {
        let tool = Path::new(tool);
        assert!(tool.exists(), "these tests make an image of {}: install it", tool.display());
        contents.add_file(tool, tool, Some(0o755)).unwrap();
        contents.add_libraries_of(&tool.canonicalize().unwrap()).unwrap();
    }
    contents.add_text("/etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1234:2345::/:/bin/sh\n").unwrap();
    contents.add_text("/etc/group", "root:x:0:\napp:x:2345:\nextra:x:77:app\n").unwrap();
    contents.add_directory("/tmp", 0o1777).unwrap();
    contents
}

/// An image of `contents`; its digest.
pub(crate) fn image(images: &ImageStore, contents: &Contents) -> String {
    let config = ImageConfig { env: vec!["FROM_IMAGE=yes".to_owned()], ..ImageConfig::default() };
    from_contents(images, contents, &config).unwrap().to_string()
}

/// A shim that is a shell's script instead, with the attempt's directory as `$0`.
pub(crate) fn script_shim(script: &str) -> ShimCommand {
    ShimCommand { program: PathBuf::from("/bin/sh"), args: ["-c", script].map(Into::into).to_vec() }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut EmbeddedConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let images = ImageStore::open(dir.path().join("images")).unwrap();
        let image = image(&images, &tools());
        let log = Arc::new(Log::default());
        let mut config = config(dir.path());
        adjust(&mut config);
        let engine = EmbeddedEngine::open(config, images.clone(), Some(log.clone())).unwrap();
        assert!(engine.adopt().await.unwrap().is_empty());
        Self { dir, engine, images, log, image }
    }

    /// The folder of an attempt, as the engine keeps it.
    pub(crate) fn folder(&self, id: &AttemptId) -> PathBuf {
        self.dir.path().join("engine/attempts").join(id.as_str())
    }

    /// What the attempt's folder says of it.
    pub(crate) fn journal(&self, id: &AttemptId) -> String {
        std::fs::read_to_string(self.folder(id).join("journal")).unwrap()
    }

    /// The process id of the attempt's shim.
    pub(crate) fn shim(&self, id: &AttemptId) -> i32 {
        self.journal(id).lines().find_map(|line| line.strip_prefix("pid ")).unwrap().parse().unwrap()
    }

    /// A second engine with another shim, as a restarted server has it.
    pub(crate) fn reopen_with(&self, adjust: impl FnOnce(&mut EmbeddedConfig)) -> EmbeddedEngine {
        let mut config = config(self.dir.path());
        adjust(&mut config);
        EmbeddedEngine::open(config, self.images.clone(), Some(self.log.clone())).unwrap()
    }

    /// A second engine on the same directory, as a restarted server has it.
    pub(crate) fn reopen(&self) -> EmbeddedEngine {
        self.reopen_with(|_| {})
    }

    /// An attempt that runs `script` in the image's shell, its lines going to the log stream of its name.
    pub(crate) fn script(&self, id: &str, script: &str) -> Attempt {
        let root = RootFs::Image { digest: self.image.clone() };
        let target = LogTarget { scope: Scope::default(), group: "g".to_owned(), stream: id.to_owned() };
        Attempt {
            command: Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec()),
            output: OutputTo::Log(target),
            ..Attempt::new(AttemptId::new(id).unwrap(), root)
        }
    }

    /// Runs an attempt to its end.
    pub(crate) async fn run(&self, attempt: Attempt) -> Ending {
        let id = attempt.id.clone();
        self.engine.launch(attempt).await.unwrap();
        ended(&self.engine, &id).await
    }

    /// Runs a script to its end; gives its outcome and what it printed.
    pub(crate) async fn output(&self, attempt: Attempt) -> (ExitOutcome, Vec<String>) {
        let stream = attempt.id.to_string();
        match self.run(attempt).await {
            Ending::Exited { outcome, .. } => (outcome, self.log.lines(&stream)),
            Ending::FailedToStart { reason, .. } => panic!("{stream} did not start: {reason}"),
        }
    }
}

pub(crate) async fn until(
    engine: &EmbeddedEngine,
    id: &AttemptId,
    wanted: impl Fn(&AttemptState) -> bool,
) -> AttemptState {
    let mut state = engine.watch(id).unwrap();
    let reached = tokio::time::timeout(PATIENCE, state.wait_for(|state| wanted(state))).await;
    reached.expect("it does not hang").expect("the engine lives").clone()
}

pub(crate) async fn running(engine: &EmbeddedEngine, id: &AttemptId) {
    let state = until(engine, id, |state| *state != AttemptState::Launching).await;
    assert!(matches!(state, AttemptState::Running { .. }), "{state:?}");
}

pub(crate) async fn ended(engine: &EmbeddedEngine, id: &AttemptId) -> Ending {
    match until(engine, id, |state| matches!(state, AttemptState::Ended(_))).await {
        AttemptState::Ended(ending) => ending,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn next(events: &mut tokio::sync::mpsc::UnboundedReceiver<AttemptEvent>) -> AttemptEvent {
    tokio::time::timeout(PATIENCE, events.recv()).await.expect("an event comes").expect("the engine lives")
}

pub(crate) fn kind(event: &AttemptEvent) -> &'static str {
    match &event.kind {
        EventKind::Started { .. } => "started",
        EventKind::Ended(Ending::Exited { .. }) => "exited",
        EventKind::Ended(Ending::FailedToStart { .. }) => "failed to start",
    }
}

/// The control groups of attempts whose ids begin with `prefix`, wherever this process's own groups are.
pub(crate) fn groups(prefix: &str) -> Vec<PathBuf> {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut parents = vec![PathBuf::from("/sys/fs/cgroup/barge")];
    parents.extend(own.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let hierarchy = Path::new("/sys/fs/cgroup").join(controllers);
        Some(hierarchy.join(path.trim_start_matches('/')).join("barge"))
    }));
    let names = parents.iter().flat_map(std::fs::read_dir).flatten().flatten();
    names.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).map(|entry| entry.path()).collect()
}
