//! The runner over an engine of the test's: containers do what the test says, and the engine keeps them over restarts.

use super::super::{Condition, Dependency, Essential, Happening, Volume};
use super::*;
use crate::core::{AttemptId, ContainerEnd, JobId, Memory, Outcome};
use barge_core::Timestamp;
use barge_core::clock::ManualClock;
use barge_core::ports::{LogLine, LogTarget};
use barge_engine::{Adopted, Attempt, AttemptEvent, Ending, ExitOutcome, Finding, OutputReader};
use tokio::sync::watch;

#[derive(Default)]
struct FakeEngine {
    kept: Mutex<HashMap<String, (Attempt, watch::Sender<AttemptState>)>>,
    listeners: Mutex<Vec<mpsc::UnboundedSender<AttemptEvent>>>,
    launched: Mutex<Vec<String>>,
    stopped: Mutex<Vec<String>>,
    scratch: Mutex<Vec<engine::AttemptId>>,
}

impl FakeEngine {
    fn tell(&self, name: &str, state: AttemptState) {
        let event = match state.clone() {
            AttemptState::Running { since } => EventKind::Started { at: since },
            AttemptState::Ended(ending) => EventKind::Ended(ending),
            AttemptState::Launching => return,
        };
        lock(&self.kept)[name].1.send_replace(state);
        let event = AttemptEvent { id: engine::AttemptId::new(name).unwrap(), kind: event };
        lock(&self.listeners).retain(|listener| listener.send(event.clone()).is_ok());
    }

    fn start(&self, name: &str) {
        self.tell(name, AttemptState::Running { since: Timestamp::from_millis(1) });
    }

    fn exit(&self, name: &str, code: i32) {
        let stopped = lock(&self.stopped).iter().any(|known| known == name);
        let outcome = ExitOutcome { code: Some(code), signal: None, oom: false, stopped, reason: None };
        let (started, at) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        self.tell(name, AttemptState::Ended(Ending::Exited { started, at, outcome }));
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = lock(&self.kept).keys().cloned().collect();
        names.sort();
        names
    }
}

#[async_trait]
impl ComputeEngine for FakeEngine {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn launch(&self, attempt: Attempt) -> Result<(), EngineError> {
        let name = attempt.id.to_string();
        lock(&self.launched).push(name.clone());
        lock(&self.kept).entry(name).or_insert_with(|| (attempt, watch::Sender::new(AttemptState::Launching)));
        Ok(())
    }

    async fn stop(&self, id: &engine::AttemptId, _: Option<Duration>) -> Result<(), EngineError> {
        lock(&self.stopped).push(id.to_string());
        Ok(())
    }

    fn subscribe(&self) -> mpsc::UnboundedReceiver<AttemptEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.listeners).push(sender);
        receiver
    }

    fn watch(&self, id: &engine::AttemptId) -> Result<watch::Receiver<AttemptState>, EngineError> {
        let kept = lock(&self.kept);
        kept.get(id.as_str()).map(|(_, state)| state.subscribe()).ok_or_else(|| EngineError::Unknown(id.clone()))
    }

    async fn output(&self, id: &engine::AttemptId, _: u64) -> Result<OutputReader, EngineError> {
        Err(EngineError::Unknown(id.clone()))
    }

    async fn adopt(&self) -> Result<Vec<Adopted>, EngineError> {
        let kept = lock(&self.kept);
        let adopted = |(attempt, state): &(Attempt, watch::Sender<AttemptState>)| Adopted {
            attempt: attempt.clone(),
            state: state.borrow().clone(),
        };
        Ok(kept.values().map(adopted).collect())
    }

    async fn forget(&self, id: &engine::AttemptId) -> Result<(), EngineError> {
        lock(&self.kept).remove(id.as_str());
        Ok(())
    }

    async fn remove_scratch(&self, task: &engine::AttemptId) -> Result<(), EngineError> {
        lock(&self.scratch).retain(|known| known != task);
        Ok(())
    }

    async fn scratch_tasks(&self) -> Result<Vec<engine::AttemptId>, EngineError> {
        Ok(lock(&self.scratch).clone())
    }

    fn capacity(&self) -> engine::Capacity {
        engine::Capacity { vcpu: 1.0, memory_mib: 1 }
    }

    async fn doctor(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// Has every image but `missing`.
struct Images;

#[async_trait]
impl ImageSource for Images {
    async fn resolve(&self, _: &Scope, reference: &str) -> Result<Option<LocalImage>, AwsError> {
        Ok((reference != "missing").then(|| LocalImage { digest: "sha256:0".to_owned() }))
    }
}

/// Takes everything.
struct Logs;

#[async_trait]
impl LogSink for Logs {
    async fn ensure_group(&self, _: &Scope, _: &str) -> Result<(), AwsError> {
        Ok(())
    }

    async fn append(&self, _: &LogTarget, _: Vec<LogLine>, _: Option<u64>) -> Result<(), AwsError> {
        Ok(())
    }

    async fn position(&self, _: &LogTarget) -> Result<u64, AwsError> {
        Ok(0)
    }
}

/// A runner of a server that is up.
struct Server {
    runner: EngineRunner,
    news: mpsc::UnboundedReceiver<News>,
}

impl Server {
    async fn start(engine: &Arc<FakeEngine>) -> Self {
        let images: Vec<Arc<dyn ImageSource>> = vec![Arc::new(Images)];
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(9)));
        let engine: Arc<dyn ComputeEngine> = Arc::clone(engine) as _;
        let (runner, _) = EngineRunner::adopt(engine, images, Arc::new(Logs), clock).await.unwrap();
        let news = runner.news();
        Self { runner, news }
    }

    async fn heard(&mut self) -> Happening {
        self.news.recv().await.unwrap().what
    }
}

fn task(number: u32) -> TaskId {
    AttemptId { job: JobId::new(1), number }.task(0)
}

fn spec(number: u32, containers: Vec<ContainerSpec>) -> TaskSpec {
    TaskSpec {
        id: task(number),
        scope: Scope::default(),
        instance: None,
        containers,
        volumes: vec![Volume { name: "v".to_owned(), place: Place::Scratch }],
        stop_grace: Duration::from_secs(30),
    }
}

/// `setup` must succeed before `main` and `side` start; `side` does not matter.
fn several(number: u32) -> TaskSpec {
    let after_setup = |name: &str, essential| ContainerSpec {
        depends_on: vec![Dependency { container: "setup".to_owned(), condition: Condition::Success }],
        essential,
        ..ContainerSpec::plain(name)
    };
    let setup = ContainerSpec { essential: Essential::No, ..ContainerSpec::plain("setup") };
    spec(number, vec![setup, after_setup("main", Essential::Yes), after_setup("side", Essential::No)])
}

fn name(number: u32, container: &str) -> String {
    format!("{}.{container}", task(number))
}

fn end(name: &str, code: i32) -> ContainerEnd {
    ContainerEnd { name: name.into(), exit_code: Some(code), reason: None }
}

/// Waits until the engine was asked for something: the runner does it in its own time.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_task_of_one_is_the_engines_attempt() {
    let engine = Arc::new(FakeEngine::default());
    let mut server = Server::start(&engine).await;
    server.runner.launch(spec(1, vec![ContainerSpec::plain("default")])).await.unwrap();
    let id = task(1).to_string();
    assert_eq!(engine.names(), [id.as_str()]);
    engine.start(&id);
    assert_eq!(server.heard().await, Happening::Started);
    engine.exit(&id, 3);
    assert_eq!(server.heard().await, Happening::Ended(Outcome::exited(3)));
    // Once more, as after a restart that came before the news was kept.
    server.runner.launch(spec(1, vec![ContainerSpec::plain("default")])).await.unwrap();
    assert_eq!(server.heard().await, Happening::Started);
    assert_eq!(server.heard().await, Happening::Ended(Outcome::exited(3)));
    server.runner.forget(task(1)).await;
    assert_eq!((engine.names().len(), lock(&engine.launched).len()), (0, 1));
}

#[tokio::test]
async fn what_cannot_start_is_told_with_its_reason() {
    let engine = Arc::new(FakeEngine::default());
    let mut server = Server::start(&engine).await;
    let missing = ContainerSpec { image: "missing".to_owned(), ..ContainerSpec::plain("a") };
    server.runner.launch(spec(1, vec![missing])).await.unwrap();
    let Happening::Ended(Outcome::FailedToStart(reason)) = server.heard().await else { panic!("it never ran") };
    assert!(reason.as_str().starts_with("CannotPullContainerError: missing"), "{reason}");
    let obstacle = Some("CannotCreateContainerError: no".to_owned());
    let obstructed = ContainerSpec { obstacle: obstacle.clone(), ..ContainerSpec::plain("b") };
    let refused = server.runner.launch(spec(2, vec![ContainerSpec::plain("a"), obstructed])).await;
    assert_eq!(refused.map_err(|error| Some(error.0)), Err(obstacle));
    assert_eq!(engine.names().len(), 0, "nothing of it ran");
}

#[tokio::test]
async fn containers_follow_each_other_over_a_restart() {
    let engine = Arc::new(FakeEngine::default());
    let mut server = Server::start(&engine).await;
    server.runner.launch(several(1)).await.unwrap();
    assert_eq!(engine.names(), [name(1, "setup")]);
    engine.start(&name(1, "setup"));
    assert_eq!(server.heard().await, Happening::Started);

    // Its end comes while nobody is there.
    drop(server);
    engine.exit(&name(1, "setup"), 0);
    let mut server = Server::start(&engine).await;
    server.runner.adopt(task(1), &several(1)).await.unwrap();
    assert_eq!(engine.names(), [name(1, "main"), name(1, "setup"), name(1, "side")]);
    assert_eq!(server.heard().await, Happening::Started);
    engine.start(&name(1, "main"));
    engine.start(&name(1, "side"));
    engine.exit(&name(1, "main"), 0);
    until(|| lock(&engine.stopped).len() == 1).await;

    // Killed while it is being ended: the rest is stopped again, nothing started again.
    drop(server);
    let mut server = Server::start(&engine).await;
    let mut changed = several(1);
    changed.containers[1].obstacle = Some("a secret is gone meanwhile".to_owned());
    server.runner.adopt(task(1), &changed).await.unwrap();
    assert_eq!(server.heard().await, Happening::Started);
    assert_eq!(lock(&engine.stopped).as_slice(), [name(1, "side"), name(1, "side")]);
    engine.exit(&name(1, "side"), 143);
    let containers = vec![end("setup", 0), end("main", 0), end("side", 143)];
    let outcome = Outcome::Exited { code: 0, memory: Memory::Within, containers };
    assert_eq!(server.heard().await, Happening::Ended(outcome));
    assert_eq!(lock(&engine.launched).len(), 3);
    lock(&engine.scratch).push(translate::task_name(task(1)).unwrap());
    server.runner.forget(task(1)).await;
    assert_eq!((engine.names().len(), lock(&engine.scratch).len()), (0, 0));
}

#[tokio::test]
async fn a_stopped_task_starts_nothing_more() {
    let engine = Arc::new(FakeEngine::default());
    let mut server = Server::start(&engine).await;
    server.runner.launch(several(1)).await.unwrap();
    engine.start(&name(1, "setup"));
    server.runner.stop(task(1)).await;
    engine.exit(&name(1, "setup"), 0);
    assert_eq!(server.heard().await, Happening::Started);
    assert!(matches!(server.heard().await, Happening::Ended(Outcome::Exited { code: 0, .. })));
    assert_eq!(engine.names(), [name(1, "setup")]);
}

#[tokio::test]
async fn what_nobody_knows_is_gone_and_what_nobody_wants_is_swept() {
    let engine = Arc::new(FakeEngine::default());
    let server = Server::start(&engine).await;
    for number in 1..=3 {
        server.runner.launch(several(number)).await.unwrap();
        lock(&engine.scratch).push(translate::task_name(task(number)).unwrap());
    }
    engine.exit(&name(1, "setup"), 1);
    drop(server);
    lock(&engine.kept).insert(
        "sandbox-1".to_owned(),
        (
            Attempt::new(engine::AttemptId::new("sandbox-1").unwrap(), (&LocalImage { digest: String::new() }).into()),
            watch::Sender::new(AttemptState::Launching),
        ),
    );
    let server = Server::start(&engine).await;
    assert_eq!(server.runner.adopt(task(9), &several(9)).await, Err(Gone));
    server.runner.adopt(task(2), &several(2)).await.unwrap();
    server.runner.sweep(&HashSet::from([task(2)])).await;
    // The first has ended, the third must be ended first.
    until(|| lock(&engine.stopped).contains(&name(3, "setup"))).await;
    engine.exit(&name(3, "setup"), 143);
    until(|| lock(&engine.scratch).len() == 1).await;
    assert_eq!(engine.names(), [name(2, "setup"), "sandbox-1".to_owned()]);
    assert_eq!(lock(&engine.scratch).as_slice(), [translate::task_name(task(2)).unwrap()]);
}
