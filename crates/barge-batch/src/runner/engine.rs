//! The adapter from the runner's port to a [`ComputeEngine`]: finds the image, makes sure of the log group, and
//! translates words.

use super::{AttemptRunner, AttemptSpec, CannotStart, Capacity, Gone, Happening, LogGroup, News, RootAccess};
use crate::core::{AttemptId, Memory, Outcome};
use async_trait::async_trait;
use barge_core::ports::{ImageSource, LocalImage, LogSink};
use barge_core::{AwsError, Scope, Timestamp};
use barge_engine as engine;
use barge_engine::{ComputeEngine, Ending, EventKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often a stop that fails is tried, and how long after one another.
const STOP_TRIES: usize = 60;
const STOP_RETRY: Duration = Duration::from_secs(1);

/// Runs attempts on an engine.
pub struct EngineRunner {
    engine: Arc<dyn ComputeEngine>,
    images: Vec<Arc<dyn ImageSource>>,
    logs: Arc<dyn LogSink>,
    leftover: Vec<News>,
    /// Subscribed before the engine adopted, so that no end falls between; taken by the one who wants the news.
    events: Mutex<Option<mpsc::UnboundedReceiver<engine::AttemptEvent>>>,
}

impl EngineRunner {
    /// Has `engine` take up its attempts after a restart, and runs attempts on it, with images from the first of `images`
    /// that knows a name, and lines to `logs`. Gives also what the engine found; attempts of others among them are left
    /// alone.
    ///
    /// # Errors
    /// Where the engine can't read what it kept.
    pub async fn adopt(
        engine: Arc<dyn ComputeEngine>,
        images: Vec<Arc<dyn ImageSource>>,
        logs: Arc<dyn LogSink>,
    ) -> Result<(Self, Vec<engine::Adopted>), engine::EngineError> {
        let events = Mutex::new(Some(engine.subscribe()));
        let adopted = engine.adopt().await?;
        // Ends that were kept here but not forgotten there when the server was killed: telling them again has them forgotten.
        let leftover = adopted.iter().filter_map(|found| match &found.state {
            engine::AttemptState::Ended(ending) => Some(ended(found.attempt.id.as_str().parse().ok()?, ending)),
            _ => None,
        });
        Ok((Self { leftover: leftover.collect(), engine, images, logs, events }, adopted))
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

    async fn ensure_log(&self, spec: &AttemptSpec) -> Result<(), CannotStart> {
        let done = match spec.log_group {
            LogGroup::Create => self.logs.ensure_group(&spec.log.scope, &spec.log.group).await,
            // Appending nothing creates the stream, as AWS's log driver does before it starts a container.
            LogGroup::MustExist => self.logs.append(&spec.log, Vec::new(), None).await,
        };
        done.map_err(|error| {
            CannotStart(format!(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: \
                 failed to create Cloudwatch log stream: {}: {}",
                error.code, error.message
            ))
        })
    }
}

fn engine_id(id: AttemptId) -> Result<engine::AttemptId, CannotStart> {
    engine::AttemptId::new(id.to_string()).map_err(|error| CannotStart(error.to_string()))
}

fn translate(spec: AttemptSpec, image: &LocalImage) -> Result<engine::Attempt, CannotStart> {
    let mut attempt = engine::Attempt::new(engine_id(spec.id)?, image.into());
    attempt.command = (!spec.command.is_empty()).then_some(spec.command);
    attempt.env = spec.env;
    attempt.vcpu = spec.vcpu;
    attempt.memory_mib = spec.memory_mib;
    attempt.user = spec.user;
    attempt.root_access = match spec.root {
        RootAccess::ReadWrite => engine::Access::ReadWrite,
        RootAccess::ReadOnly => engine::Access::ReadOnly,
    };
    attempt.output = engine::OutputTo::Log(spec.log);
    attempt.stop_grace = spec.stop_grace;
    Ok(attempt)
}

#[async_trait]
impl AttemptRunner for EngineRunner {
    async fn launch(&self, spec: AttemptSpec) -> Result<(), CannotStart> {
        let image = self.image(&spec.log.scope, &spec.image).await?;
        self.ensure_log(&spec).await?;
        let attempt = translate(spec, &image)?;
        self.engine.launch(attempt).await.map_err(|error| CannotStart(format!("CannotStartContainerError: {error}")))
    }

    async fn adopt(&self, attempt: AttemptId) -> Result<(), Gone> {
        let id = engine_id(attempt).map_err(|_| Gone)?;
        // What it will tell comes by the subscription; what it told before the restart, by the leftovers.
        self.engine.watch(&id).map(drop).map_err(|_| Gone)
    }

    async fn stop(&self, attempt: AttemptId) {
        let Ok(id) = engine_id(attempt) else { return };
        for _ in 0..STOP_TRIES {
            match self.engine.stop(&id, None).await {
                Ok(()) | Err(engine::EngineError::Unknown(_)) => return,
                Err(error) => tracing::warn!(%attempt, %error, "an attempt could not be stopped"),
            }
            tokio::time::sleep(STOP_RETRY).await;
        }
    }

    async fn forget(&self, attempt: AttemptId) {
        let Ok(id) = engine_id(attempt) else { return };
        if let Err(error) = self.engine.forget(&id).await {
            tracing::warn!(%attempt, %error, "an attempt could not be forgotten");
        }
    }

    fn capacity(&self) -> Capacity {
        let engine::Capacity { vcpu, memory_mib } = self.engine.capacity();
        Capacity { vcpu, memory_mib }
    }

    fn news(&self) -> mpsc::UnboundedReceiver<News> {
        let taken = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut events = taken.unwrap_or_else(|| self.engine.subscribe());
        let (sender, news) = mpsc::unbounded_channel();
        for item in self.leftover.iter().cloned() {
            let _ = sender.send(item);
        }
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                // Attempts of others run on the same engine.
                let Ok(attempt) = event.id.as_str().parse() else { continue };
                let item = match event.kind {
                    EventKind::Started { at } => News { attempt, at, what: Happening::Started },
                    EventKind::Ended(ending) => ended(attempt, &ending),
                };
                if sender.send(item).is_err() {
                    break;
                }
            }
        });
        news
    }
}

fn ended(attempt: AttemptId, ending: &Ending) -> News {
    let (at, outcome) = match ending {
        Ending::Exited { at, outcome, .. } => (*at, exited(outcome)),
        Ending::FailedToStart { at, cause, reason } => (*at, failed_to_start(*cause, reason)),
    };
    News { attempt, at: at.max(Timestamp::default()), what: Happening::Ended(outcome) }
}

fn exited(outcome: &engine::ExitOutcome) -> Outcome {
    match outcome.code {
        Some(code) => Outcome::Exited { code, memory: if outcome.oom { Memory::Exceeded } else { Memory::Within } },
        None => Outcome::Lost(lost(outcome.reason.as_deref()).into()),
    }
}

fn lost(reason: Option<&str>) -> String {
    format!("Host EC2 (instance i-00000000000000000) terminated. {}", reason.unwrap_or_default()).trim_end().to_owned()
}

fn failed_to_start(cause: engine::StartFailure, reason: &str) -> Outcome {
    let reason = match cause {
        engine::StartFailure::Image => format!("CannotPullContainerError: {reason}"),
        engine::StartFailure::Container => format!("CannotStartContainerError: {reason}"),
        engine::StartFailure::Stopped => format!("TaskFailedToStart: {reason}"),
    };
    Outcome::FailedToStart(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::JobId;
    use barge_core::ports::LogTarget;
    use barge_engine::{ExitOutcome, StartFailure};

    fn id() -> AttemptId {
        AttemptId { job: JobId::new(1), number: 2 }
    }

    fn outcome(code: Option<i32>, oom: bool, reason: Option<&str>) -> Ending {
        let at = Timestamp::from_millis(5);
        let reason = reason.map(str::to_owned);
        Ending::Exited { started: at, at, outcome: ExitOutcome { code, signal: None, oom, stopped: false, reason } }
    }

    fn failure(cause: StartFailure) -> Ending {
        Ending::FailedToStart { at: Timestamp::from_millis(5), cause, reason: "why".to_owned() }
    }

    #[test]
    fn ends_in_the_cores_words() {
        let host = "Host EC2 (instance i-00000000000000000) terminated.";
        for (ending, expected) in [
            (outcome(Some(0), false, None), Outcome::Exited { code: 0, memory: Memory::Within }),
            (outcome(Some(137), true, None), Outcome::Exited { code: 137, memory: Memory::Exceeded }),
            (outcome(None, false, None), Outcome::Lost(host.into())),
            (outcome(None, false, Some("No shim.")), Outcome::Lost(format!("{host} No shim.").into())),
            (failure(StartFailure::Image), Outcome::FailedToStart("CannotPullContainerError: why".into())),
            (failure(StartFailure::Container), Outcome::FailedToStart("CannotStartContainerError: why".into())),
            (failure(StartFailure::Stopped), Outcome::FailedToStart("TaskFailedToStart: why".into())),
        ] {
            let News { attempt, at, what } = ended(id(), &ending);
            assert_eq!((attempt, at.millis(), what), (id(), 5, Happening::Ended(expected)));
        }
    }

    #[test]
    fn an_attempt_is_handed_over_whole() {
        let log = LogTarget { scope: Scope::default(), group: "g".to_owned(), stream: "s".to_owned() };
        let spec = AttemptSpec {
            id: id(),
            image: "i".to_owned(),
            command: Vec::new(),
            env: vec![("A".to_owned(), "1".to_owned())],
            vcpu: 0.25,
            memory_mib: 512,
            user: Some("65534".to_owned()),
            root: RootAccess::ReadOnly,
            log: log.clone(),
            log_group: LogGroup::Create,
            stop_grace: Duration::from_secs(30),
        };
        let image = LocalImage { digest: "sha256:0".to_owned() };
        let attempt = translate(spec.clone(), &image).unwrap();
        assert_eq!(attempt.id.as_str(), "00000000-0000-0000-0000-000000000001-2");
        assert_eq!((attempt.command, attempt.env.len(), attempt.memory_mib), (None, 1, 512));
        assert_eq!((attempt.user.as_deref(), attempt.root_access), (Some("65534"), engine::Access::ReadOnly));
        assert_eq!((attempt.output, attempt.stop_grace), (engine::OutputTo::Log(log), Duration::from_secs(30)));
        let command = vec!["x".to_owned()];
        let attempt = translate(AttemptSpec { command: command.clone(), ..spec }, &image).unwrap();
        assert_eq!(attempt.command, Some(command));
    }
}
