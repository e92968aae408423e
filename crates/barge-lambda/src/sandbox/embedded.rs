//! Sandboxes of the compute engine: an attempt on the host's own system directories.

use super::{Bind, Exit, Sandbox, SandboxError, SandboxHost, SandboxSpec};
use async_trait::async_trait;
use barge_engine::{
    Access, Adopted, Attempt, AttemptId, AttemptState, Capabilities, ComputeEngine, Ending, ExitOutcome, Lifetime,
    Mount, OutputTo, RootFs,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What the ids of our attempts begin with.
const PREFIX: &str = "lambda-";

/// The user that functions run as: the numbers that AWS's sandboxes show. The runtimes' list of users names it.
const USER: &str = "993:990";

/// [`SandboxHost`] on a [`ComputeEngine`].
pub struct EngineSandboxes {
    engine: Arc<dyn ComputeEngine>,
}

impl EngineSandboxes {
    /// Sandboxes on `engine`.
    pub fn new(engine: Arc<dyn ComputeEngine>) -> Self {
        Self { engine }
    }

    /// Whether an attempt that the engine tells of is an instance of a function, and so nobody else's.
    pub fn owns(id: &AttemptId) -> bool {
        id.as_str().starts_with(PREFIX)
    }

    /// Clears away the instances of an earlier server, as [`ComputeEngine::adopt`] found them: events run again on
    /// new ones. Call it inside the async runtime; it goes on in the background.
    pub fn clear(&self, adopted: &[Adopted]) {
        for id in adopted.iter().map(|adopted| &adopted.attempt.id).filter(|id| Self::owns(id)) {
            let mut sandbox = match self.engine.watch(id) {
                Ok(state) => EngineSandbox { engine: Arc::clone(&self.engine), id: id.clone(), state },
                Err(_) => continue,
            };
            tokio::spawn(async move {
                sandbox.kill().await;
                sandbox.exited().await;
                sandbox.dispose().await;
            });
        }
    }
}

#[async_trait]
impl SandboxHost for EngineSandboxes {
    async fn start(&self, spec: SandboxSpec) -> Result<Box<dyn Sandbox>, SandboxError> {
        let attempt = attempt(spec)?;
        let id = attempt.id.clone();
        self.engine.launch(attempt).await.map_err(|error| SandboxError(error.to_string()))?;
        let state = self.engine.watch(&id).map_err(|error| SandboxError(error.to_string()))?;
        Ok(Box::new(EngineSandbox { engine: Arc::clone(&self.engine), id, state }))
    }
}

fn attempt(spec: SandboxSpec) -> Result<Attempt, SandboxError> {
    let id = AttemptId::new(format!("{PREFIX}{}", spec.id)).map_err(|error| SandboxError(error.to_string()))?;
    let mount = |bind: Bind| Mount { source: bind.source, target: bind.target, access: Access::ReadOnly };
    let root =
        RootFs::HostReadOnly { binds: spec.binds.into_iter().map(mount).collect(), tmp_mib: u64::from(spec.tmp_mib) };
    Ok(Attempt {
        command: Some(spec.command),
        env: spec.env,
        vcpu: 0.0,
        memory_mib: u64::from(spec.memory_mib),
        user: Some(USER.to_owned()),
        workdir: Some(spec.workdir.to_string_lossy().into_owned()),
        root_access: Access::ReadOnly,
        capabilities: Capabilities::None,
        output: OutputTo::Reader,
        stop_grace: Duration::ZERO,
        lifetime: Lifetime::WithServer,
        ..Attempt::new(id, root)
    })
}

struct EngineSandbox {
    engine: Arc<dyn ComputeEngine>,
    id: AttemptId,
    state: watch::Receiver<AttemptState>,
}

#[async_trait]
impl Sandbox for EngineSandbox {
    async fn exited(&mut self) -> Exit {
        loop {
            if let AttemptState::Ended(ending) = &*self.state.borrow_and_update() {
                return exit(ending);
            }
            if self.state.changed().await.is_err() {
                return Exit::NotStarted("the engine has stopped".to_owned());
            }
        }
    }

    async fn kill(&mut self) {
        if let Err(error) = self.engine.stop(&self.id, Some(Duration::ZERO)).await {
            tracing::warn!(%error, id = %self.id, "an instance could not be stopped");
        }
    }

    async fn dispose(&mut self) {
        if let Err(error) = self.engine.forget(&self.id).await {
            tracing::warn!(%error, id = %self.id, "an instance could not be cleared away");
        }
    }
}

fn exit(ending: &Ending) -> Exit {
    match ending {
        Ending::FailedToStart { reason, .. } => Exit::NotStarted(reason.clone()),
        Ending::Exited { outcome: ExitOutcome { oom: true, .. }, .. } => Exit::OutOfMemory,
        Ending::Exited { outcome: ExitOutcome { signal: Some(signal), .. }, .. } => Exit::Signal(*signal),
        Ending::Exited { outcome: ExitOutcome { code: Some(code), .. }, .. } => Exit::Code(*code),
        Ending::Exited { outcome, .. } => {
            Exit::NotStarted(outcome.reason.clone().unwrap_or_else(|| "its end was not seen".to_owned()))
        }
    }
}
