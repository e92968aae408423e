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

pub(crate) const TOOLS: [&str; 9] = [
    "/bin/sh",
    "/bin/sleep",
    "/bin/cat",
    "/bin/id",
    "/bin/hostname",
    "/usr/bin/head",
    "/usr/bin/env",
    "/bin/ls",
    "/bin/true",
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

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut EmbeddedConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let images = ImageStore::open(dir.path().join("images")).unwrap();
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
        let image = from_contents(
            &images,
            &contents,
            &ImageConfig { env: vec!["FROM_IMAGE=yes".to_owned()], ..ImageConfig::default() },
        )
        .unwrap();
        let log = Arc::new(Log::default());
        let mut config = config(dir.path());
        adjust(&mut config);
        let engine = EmbeddedEngine::open(config, images.clone(), Some(log.clone())).unwrap();
        assert!(engine.adopt().await.unwrap().is_empty());
        Self { dir, engine, images, log, image: image.to_string() }
    }

    /// A second engine on the same directory, as a restarted server has it.
    pub(crate) fn reopen(&self) -> EmbeddedEngine {
        EmbeddedEngine::open(config(self.dir.path()), self.images.clone(), Some(self.log.clone())).unwrap()
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
