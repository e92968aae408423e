//! What the dispatcher is asked: submissions, events, changes to resources, and looks at the state.

use super::directory::Directory;
use crate::core::{Event, JobSpec, Refusal, State};
use crate::store::{NewJob, Write};
use barge_core::AwsError;
use tokio::sync::{mpsc, oneshot};

/// Commands that may wait for the dispatcher; more make their callers wait.
const WAITING: usize = 4096;

/// Outer error: it could not be kept. Inner error: the core refused.
pub(super) type EventReply = oneshot::Sender<Result<Result<(), Refusal>, AwsError>>;
pub(super) type AlterReply = oneshot::Sender<Result<(), AwsError>>;
/// Decides a change from what is there.
pub(super) type Change = Box<dyn FnOnce(&State, &Directory) -> Result<Alteration, AwsError> + Send>;
/// Looks at what is there.
pub(super) type Look = Box<dyn FnOnce(&State, &Directory) + Send>;

pub(super) enum Command {
    Submit { spec: JobSpec, job: NewJob, reply: EventReply },
    Apply { event: Event, reply: EventReply },
    Alter { change: Change, reply: AlterReply },
    Look(Look),
}

/// A change to resources.
pub(crate) struct Alteration {
    /// What the core is told, where it cares. Where it refuses one of several, the ones before stand.
    pub(crate) events: Vec<Event>,
    /// The core's refusal in AWS's words.
    pub(crate) refused: fn(Refusal) -> AwsError,
    /// What is kept.
    pub(crate) writes: Vec<Write>,
}

/// An answer that waits for the commit.
pub(super) enum Pending {
    Event(EventReply),
    Alter(AlterReply),
}

impl Pending {
    /// Sends the answer. Nobody may be waiting any more; what was done stands.
    pub(super) fn send(self, committed: Result<(), AwsError>) {
        match self {
            Self::Event(reply) => drop(reply.send(committed.map(Ok))),
            Self::Alter(reply) => drop(reply.send(committed)),
        }
    }
}

/// The way to the dispatcher.
#[derive(Clone)]
pub(crate) struct Handle(mpsc::Sender<Command>);

pub(super) fn channel() -> (Handle, mpsc::Receiver<Command>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Handle(sender), receiver)
}

impl Handle {
    /// Submits a job. Once this gives `Ok(Ok(()))` the job is durable.
    pub(crate) async fn submit(&self, spec: JobSpec, job: NewJob) -> Result<Result<(), Refusal>, AwsError> {
        self.ask(|reply| Command::Submit { spec, job, reply }).await?
    }

    /// Has the core take an event. Once this gives `Ok(Ok(()))` its outcome is durable.
    pub(crate) async fn apply(&self, event: Event) -> Result<Result<(), Refusal>, AwsError> {
        self.ask(|reply| Command::Apply { event, reply }).await?
    }

    /// Changes resources. Once this gives `Ok` the change is durable.
    pub(crate) async fn alter(
        &self,
        change: impl FnOnce(&State, &Directory) -> Result<Alteration, AwsError> + Send + 'static,
    ) -> Result<(), AwsError> {
        self.ask(|reply| Command::Alter { change: Box::new(change), reply }).await?
    }

    /// What `look` sees in the state as it is now. It may be ahead of what is durable by one commit. Everything waits for
    /// `look`: it must be quick.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State, &Directory) -> T + Send + 'static,
    ) -> Result<T, AwsError> {
        self.ask(|reply: oneshot::Sender<T>| {
            Command::Look(Box::new(move |state, directory| drop(reply.send(look(state, directory)))))
        })
        .await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, AwsError> {
        let stopped = || AwsError::internal("Batch has stopped");
        let (reply, answer) = oneshot::channel();
        self.0.send(command(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }
}
