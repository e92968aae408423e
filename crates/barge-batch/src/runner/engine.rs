//! The adapter from the runner's port to a [`ComputeEngine`]: finds images, makes sure of log groups, and has the engine
//! do what a task's containers need next.
//!
//! What must survive a restart is the engine's: it keeps each container's record until the task is forgotten.

use super::task::{By, End, How, Plan, Progress, Stage, Step};
use super::{CannotStart, Capacity, ContainerSpec, Gone, LogGroup, News, Place, TaskRunner, TaskSpec, translate};
use crate::core::TaskId;
use async_trait::async_trait;
use barge_core::ports::{ImageSource, LocalImage, LogSink};
use barge_core::{AwsError, Clock, Scope};
use barge_engine as engine;
use barge_engine::{AttemptState, ComputeEngine, EngineError, EventKind};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often a stop that fails is tried, and how long after one another.
const STOP_TRIES: usize = 60;
const STOP_RETRY: Duration = Duration::from_secs(1);

/// Runs tasks on an engine.
pub struct EngineRunner {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Arc<dyn ComputeEngine>,
    images: Vec<Arc<dyn ImageSource>>,
    logs: Arc<dyn LogSink>,
    clock: Arc<dyn Clock>,
    flights: Mutex<HashMap<TaskId, Arc<Flight>>>,
    listeners: Mutex<Vec<mpsc::UnboundedSender<News>>>,
    /// What the engine found after the restart and nobody has forgotten since.
    found: Mutex<HashMap<TaskId, Vec<engine::AttemptId>>>,
}

/// A task under way.
struct Flight {
    spec: TaskSpec,
    plan: Plan,
    names: Vec<engine::AttemptId>,
    progress: Mutex<Progress>,
    /// Held while something is done with the engine: one thing after the other.
    turn: tokio::sync::Mutex<()>,
}

impl Flight {
    fn new(spec: TaskSpec) -> Result<Self, CannotStart> {
        let plan = Plan::new(&spec.containers).map_err(|why| CannotStart(format!("TaskFailedToStart: {why}")))?;
        let names = translate::names(&spec)?;
        let progress = Mutex::new(Progress::new(&plan));
        Ok(Self { spec, plan, names, progress, turn: tokio::sync::Mutex::default() })
    }

    fn has_scratch(&self) -> bool {
        self.spec.volumes.iter().any(|volume| volume.place == Place::Scratch)
    }
}

impl EngineRunner {
    /// Has `engine` take up its attempts after a restart, and runs tasks on it, with images from the first of `images`
    /// that knows a name, and lines to `logs`. Gives also what the engine found; attempts of others among them are left
    /// alone.
    ///
    /// # Errors
    /// Where the engine can't read what it kept.
    pub async fn adopt(
        engine: Arc<dyn ComputeEngine>,
        images: Vec<Arc<dyn ImageSource>>,
        logs: Arc<dyn LogSink>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Vec<engine::Adopted>), EngineError> {
        // Before the engine adopts, so that no end falls between.
        let events = engine.subscribe();
        let adopted = engine.adopt().await?;
        let mut found: HashMap<TaskId, Vec<engine::AttemptId>> = HashMap::new();
        for item in &adopted {
            if let Some(task) = translate::task_of(item.attempt.id.as_str()) {
                found.entry(task).or_default().push(item.attempt.id.clone());
            }
        }
        let shared = Arc::new(Shared {
            engine,
            images,
            logs,
            clock,
            flights: Mutex::default(),
            listeners: Mutex::default(),
            found: Mutex::new(found),
        });
        tokio::spawn(listen(Arc::downgrade(&shared), events));
        Ok((Self { shared }, adopted))
    }
}

/// Takes the engine's events until the runner or the engine is gone.
async fn listen(shared: Weak<Shared>, mut events: mpsc::UnboundedReceiver<engine::AttemptEvent>) {
    while let Some(event) = events.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        shared.hear(&event);
    }
}

impl Shared {
    fn flight(&self, task: TaskId) -> Option<Arc<Flight>> {
        lock(&self.flights).get(&task).cloned()
    }

    /// What an event says of a task that is not under way is asked of the engine when it is taken up.
    fn hear(self: &Arc<Self>, event: &engine::AttemptEvent) {
        let flight = translate::task_of(event.id.as_str()).and_then(|task| self.flight(task));
        let Some(flight) = flight else { return };
        let Some(container) = flight.names.iter().position(|name| *name == event.id) else { return };
        let stage = match &event.kind {
            EventKind::Started { at } => Stage::Running { since: *at },
            EventKind::Ended(ending) => Stage::Ended(translate::end(ending, flight.spec.instance)),
        };
        lock(&flight.progress).note(container, stage);
        self.tell(&flight);
        if !lock(&flight.progress).pending(&flight.plan).is_empty() {
            let shared = Arc::clone(self);
            tokio::spawn(async move { shared.drive(&flight).await });
        }
    }

    /// Tells what was not told.
    fn tell(&self, flight: &Flight) {
        // Told while the lock is held, so that a start is never told after the end.
        let mut progress = lock(&flight.progress);
        for (at, what) in progress.news(&flight.plan) {
            let at = at.unwrap_or_else(|| self.clock.now());
            let item = News { task: flight.spec.id, at, what };
            lock(&self.listeners).retain(|listener| listener.send(item.clone()).is_ok());
        }
    }

    /// Does what the task's containers need next, until there is nothing more to do for now.
    async fn drive(&self, flight: &Flight) {
        let _turn = flight.turn.lock().await;
        loop {
            let Step { launch, stop } = lock(&flight.progress).step(&flight.plan);
            if launch.is_empty() && stop.is_empty() {
                return;
            }
            for container in launch {
                if let Err(CannotStart(reason)) = self.start(flight, container).await {
                    let how = How::NotStarted(reason.into());
                    let end = End { started: None, at: self.clock.now(), how, by: By::Itself };
                    lock(&flight.progress).note(container, Stage::Ended(end));
                }
            }
            for container in stop {
                self.stop(&flight.names[container]).await;
            }
            self.tell(flight);
        }
    }

    async fn start(&self, flight: &Flight, container: usize) -> Result<(), CannotStart> {
        let (spec, name) = (&flight.spec, &flight.names[container]);
        let container = &spec.containers[container];
        if let Some(obstacle) = &container.obstacle {
            return Err(CannotStart(obstacle.clone()));
        }
        let image = self.image(&spec.scope, &container.image).await?;
        self.ensure_log(container).await?;
        let attempt = translate::attempt(spec, container, name, &image)?;
        self.engine.launch(attempt).await.map_err(|error| CannotStart(format!("CannotStartContainerError: {error}")))
    }

    async fn image(&self, scope: &Scope, reference: &str) -> Result<LocalImage, CannotStart> {
        let cannot_pull = |error: AwsError| CannotStart(format!("CannotPullContainerError: {}", error.message));
        for source in &self.images {
            if let Some(image) = source.resolve(scope, reference).await.map_err(cannot_pull)? {
                return Ok(image);
            }
        }
        Err(CannotStart(format!("CannotPullContainerError: {reference} is in no registry that Barge can pull from")))
    }

    async fn ensure_log(&self, container: &ContainerSpec) -> Result<(), CannotStart> {
        let done = match container.log_group {
            LogGroup::Create => self.logs.ensure_group(&container.log.scope, &container.log.group).await,
            // Appending nothing creates the stream, as AWS's log driver does before it starts a container.
            LogGroup::MustExist => self.logs.append(&container.log, Vec::new(), None).await,
        };
        done.map_err(|error| {
            CannotStart(format!(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: \
                 failed to create Cloudwatch log stream: {}: {}",
                error.code, error.message
            ))
        })
    }

    async fn stop(&self, name: &engine::AttemptId) {
        for _ in 0..STOP_TRIES {
            match self.engine.stop(name, None).await {
                Ok(()) | Err(EngineError::Unknown(_)) => return,
                Err(error) => tracing::warn!(%name, %error, "a container could not be stopped"),
            }
            tokio::time::sleep(STOP_RETRY).await;
        }
    }

    /// Takes a task under way, and gives how many of its containers the engine knows.
    fn take_up(&self, flight: &Arc<Flight>) -> usize {
        // First: what the engine tells from now on is heard, and what it told before is asked.
        lock(&self.flights).insert(flight.spec.id, Arc::clone(flight));
        let mut known = 0;
        for (container, name) in flight.names.iter().enumerate() {
            if let Ok(state) = self.engine.watch(name) {
                let stage = translate::stage(&state.borrow(), flight.spec.instance);
                lock(&flight.progress).note(container, stage);
                known += 1;
            }
        }
        known
    }

    /// Has a task that is under way told once more.
    async fn again(&self, flight: &Flight) {
        lock(&flight.progress).tell_again();
        self.tell(flight);
        self.drive(flight).await;
    }

    async fn go_on(&self, flight: &Flight) {
        self.tell(flight);
        self.drive(flight).await;
    }

    async fn forget(&self, name: &engine::AttemptId) {
        if let Err(error) = self.engine.forget(name).await {
            tracing::warn!(%name, %error, "a container could not be forgotten");
        }
    }

    async fn remove_scratch(&self, task: &engine::AttemptId) {
        if let Err(error) = self.engine.remove_scratch(task).await {
            tracing::warn!(%task, %error, "a task's scratch volumes could not be removed");
        }
    }

    /// Ends and forgets containers that nobody waits for.
    async fn discard(&self, names: Vec<engine::AttemptId>) {
        for name in names {
            if let Ok(mut state) = self.engine.watch(&name) {
                let ended = |state: &AttemptState| matches!(state, AttemptState::Ended(_));
                if !ended(&state.borrow()) {
                    self.stop(&name).await;
                }
                // Where the engine is gone there is nothing to forget any more.
                let _ = state.wait_for(ended).await;
            }
            self.forget(&name).await;
        }
    }
}

#[async_trait]
impl TaskRunner for EngineRunner {
    async fn launch(&self, spec: TaskSpec) -> Result<(), CannotStart> {
        if let Some(flight) = self.shared.flight(spec.id) {
            self.shared.again(&flight).await;
            return Ok(());
        }
        let obstacle = spec.containers.iter().find_map(|container| container.obstacle.clone());
        let flight = Arc::new(Flight::new(spec)?);
        let known = self.shared.take_up(&flight);
        if let (0, Some(obstacle)) = (known, obstacle) {
            lock(&self.shared.flights).remove(&flight.spec.id);
            return Err(CannotStart(obstacle));
        }
        self.shared.go_on(&flight).await;
        Ok(())
    }

    async fn adopt(&self, task: TaskId, spec: &TaskSpec) -> Result<(), Gone> {
        if let Some(flight) = self.shared.flight(task) {
            self.shared.again(&flight).await;
            return Ok(());
        }
        let flight = Arc::new(Flight::new(spec.clone()).map_err(|_| Gone)?);
        if self.shared.take_up(&flight) == 0 {
            lock(&self.shared.flights).remove(&task);
            return Err(Gone);
        }
        self.shared.go_on(&flight).await;
        Ok(())
    }

    async fn stop(&self, task: TaskId) {
        let Some(flight) = self.shared.flight(task) else { return };
        lock(&flight.progress).wish_stop();
        self.shared.go_on(&flight).await;
    }

    async fn forget(&self, task: TaskId) {
        let flight = lock(&self.shared.flights).remove(&task);
        let found = lock(&self.shared.found).remove(&task).unwrap_or_default();
        let names: HashSet<engine::AttemptId> =
            flight.iter().flat_map(|flight| flight.names.iter().cloned()).chain(found).collect();
        for name in &names {
            self.shared.forget(name).await;
        }
        if flight.is_none_or(|flight| flight.has_scratch())
            && let Ok(name) = translate::task_name(task)
        {
            self.shared.remove_scratch(&name).await;
        }
    }

    async fn sweep(&self, live: &HashSet<TaskId>) {
        let orphans: Vec<Vec<engine::AttemptId>> =
            lock(&self.shared.found).extract_if(|task, _| !live.contains(task)).map(|(_, names)| names).collect();
        let scratch = self.shared.engine.scratch_tasks().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "scratch volumes can't be listed");
            Vec::new()
        });
        let scratch: Vec<engine::AttemptId> = scratch
            .into_iter()
            .filter(|name| translate::task_of(name.as_str()).is_some_and(|task| !self.shared.is_wanted(task, live)))
            .collect();
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            for names in orphans {
                shared.discard(names).await;
            }
            for task in &scratch {
                shared.remove_scratch(task).await;
            }
        });
    }

    fn capacity(&self) -> Capacity {
        let engine::Capacity { vcpu, memory_mib } = self.shared.engine.capacity();
        Capacity { vcpu, memory_mib }
    }

    fn news(&self) -> mpsc::UnboundedReceiver<News> {
        let (sender, news) = mpsc::unbounded_channel();
        lock(&self.shared.listeners).push(sender);
        news
    }
}

impl Shared {
    fn is_wanted(&self, task: TaskId, live: &HashSet<TaskId>) -> bool {
        live.contains(&task) || lock(&self.flights).contains_key(&task)
    }
}

/// Nothing panics while it holds one of these locks, and what they guard is whole after each step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
