//! The one task of a stack that something is being done to.

use super::runner::{Call, Changes, ExportChange, Happening, Runner, TemplateChange};
use super::{Engine, calls, exports, tables};
use barge_core::ids::SeededIds;
use barge_core::{AwsError, Context, IdSource as _};
use barge_store::rusqlite::Transaction;
use std::sync::PoisonError;
use tokio::sync::{mpsc, oneshot};

/// What a stack's task is told.
pub(super) enum Message {
    /// Begin a new stack.
    Begin(Begun),
    /// Take up the stored stack.
    Resume,
    /// A call ended, or the time is up.
    Happened(Happening),
    /// A client's wish; answer once what comes of it is stored.
    Asked(Happening, oneshot::Sender<Result<(), AwsError>>),
}

/// A change to the database.
pub(super) type Write = Box<dyn FnOnce(&Transaction<'_>) -> Result<(), AwsError> + Send>;

/// A stack about to begin.
pub(super) struct Begun {
    pub(super) runner: Box<Runner>,
    /// To be made once it is stored.
    pub(super) calls: Vec<Call>,
    pub(super) write: Write,
    /// Answered once it is stored.
    pub(super) reply: oneshot::Sender<Result<(), AwsError>>,
}

pub(super) struct Task {
    engine: Engine,
    stack_id: String,
    sender: mpsc::UnboundedSender<Message>,
    receiver: mpsc::UnboundedReceiver<Message>,
    runner: Option<Box<Runner>>,
}

impl Task {
    pub(super) fn new(
        engine: Engine,
        stack_id: String,
        sender: mpsc::UnboundedSender<Message>,
        receiver: mpsc::UnboundedReceiver<Message>,
    ) -> Self {
        Self { engine, stack_id, sender, receiver, runner: None }
    }

    pub(super) async fn run(mut self) {
        while let Some(message) = self.receiver.recv().await {
            if let Err(error) = self.take(message).await {
                // What could not be stored must not be acted upon: the stack stays as stored, until a restart takes it
                // up or a client deletes it.
                if error.status >= 500 {
                    tracing::error!(stack = self.stack_id, %error, "a stack's work stops");
                }
                self.runner = None;
            }
            if self.runner.as_ref().is_none_or(|runner| runner.settled()) && self.leave() {
                return;
            }
        }
    }

    /// Ends this task's entry, unless a message has come in the meantime.
    fn leave(&mut self) -> bool {
        let mut tasks = self.engine.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.receiver.is_empty() {
            tasks.remove(&self.stack_id);
            return true;
        }
        false
    }

    async fn take(&mut self, message: Message) -> Result<(), AwsError> {
        match message {
            Message::Begin(Begun { runner, calls, write, reply }) => {
                let stored = self.engine.inner.store.write(write).await;
                if stored.is_ok() {
                    self.engine.committed();
                    self.start_clock(&runner);
                    self.runner = Some(runner);
                    self.call(calls);
                }
                // A client that hung up hears nothing; what it began goes on.
                let _ = reply.send(stored);
                Ok(())
            }
            Message::Resume if self.runner.is_some() => Ok(()),
            Message::Resume => self.load().await.map(drop),
            // A message of a call from before the runner was given up has nothing to be applied to.
            Message::Happened(_) if self.runner.is_none() => Ok(()),
            Message::Happened(happening) => self.happened(happening).await,
            Message::Asked(happening, reply) => {
                if !self.load().await? {
                    let _ = reply.send(Err(AwsError::new("ValidationError", 400, "The stack does not exist")));
                    return Ok(());
                }
                if let Some(answer) = self.answer(&happening) {
                    let _ = reply.send(answer);
                    return Ok(());
                }
                let outcome = self.happened(happening).await;
                // A client that hung up hears nothing; what it began goes on.
                let _ = reply.send(outcome.clone());
                outcome
            }
        }
    }

    /// What a client is told of a wish that comes to nothing.
    fn answer(&self, happening: &Happening) -> Option<Result<(), AwsError>> {
        let runner = self.runner.as_ref()?;
        match happening {
            Happening::Delete { .. } if !runner.stack.live() => Some(Ok(())),
            _ => runner.refusal(happening).map(Err),
        }
    }

    /// Makes sure that the stack is in memory, its unfinished calls made again; false where there is no such stack.
    async fn load(&mut self) -> Result<bool, AwsError> {
        if self.runner.is_some() {
            return Ok(true);
        }
        let id = self.stack_id.clone();
        let Some((stack, resources, template)) = self.engine.inner.store.read(move |db| tables::whole(db, &id)).await?
        else {
            return Ok(false);
        };
        let runner = Runner::stored(stack, resources, &template, self.engine.inner.registry.clone());
        self.start_clock(&runner);
        let unfinished = !runner.settled();
        self.runner = Some(Box::new(runner));
        if unfinished {
            self.happened(Happening::Resume).await?;
        }
        Ok(true)
    }

    async fn happened(&mut self, happening: Happening) -> Result<(), AwsError> {
        let ambient = &self.engine.inner.ambient;
        let Some(runner) = self.runner.as_mut() else { return Ok(()) };
        let mut happenings = vec![happening];
        // What else has come shares the commit.
        while let Ok(message) = self.receiver.try_recv() {
            match message {
                Message::Happened(happening) => happenings.push(happening),
                other => {
                    // Its turn comes after this commit.
                    let _ = self.sender.send(other);
                    break;
                }
            }
        }
        let mut changes = Changes::default();
        for happening in happenings {
            changes.join(runner.apply(happening, ambient.clock.now(), ambient.ids.as_ref()));
        }
        let calls = std::mem::take(&mut changes.calls);
        self.engine.commit(runner, changes).await?;
        self.call(calls);
        Ok(())
    }

    /// Makes each call in a task of its own, which tells this one how it ended.
    fn call(&self, calls: Vec<Call>) {
        let Some(runner) = &self.runner else { return };
        for call in calls {
            let ambient = &self.engine.inner.ambient;
            let cx = Context {
                scope: runner.stack.scope.clone(),
                principal: runner.stack.principal.clone(),
                request_id: request_id(runner, &call),
                now: ambient.clock.now(),
                endpoint: ambient.endpoint.clone(),
            };
            let type_name = call.index().map_or("", |index| runner.type_name(index)).to_owned();
            let (engine, sender, stack_id) = (self.engine.clone(), self.sender.clone(), self.stack_id.clone());
            tokio::spawn(async move {
                let happening = calls::make(engine, cx, stack_id, type_name, call).await;
                // The task is gone only where its stack could not be stored.
                let _ = sender.send(Message::Happened(happening));
            });
        }
    }

    fn start_clock(&self, runner: &Runner) {
        if let Some(deadline) = runner.deadline().filter(|_| !runner.settled()) {
            let left = deadline.since(self.engine.inner.ambient.clock.now());
            let sender = self.sender.downgrade();
            tokio::spawn(async move {
                tokio::time::sleep(left).await;
                if let Some(sender) = sender.upgrade() {
                    let _ = sender.send(Message::Happened(Happening::TimedOut));
                }
            });
        }
    }
}

/// The id of a call: the same for every try of it, and for no other call.
fn request_id(runner: &Runner, call: &Call) -> String {
    let (kind, index) = match call {
        Call::Create { index, .. } => ("create", *index),
        Call::Import { index, .. } => ("import", *index),
        Call::Update { index, .. } => ("update", *index),
        Call::Delete { index, .. } => ("delete", *index),
        Call::Publish { .. } => ("publish", 0),
    };
    let seed = format!("{}/{}/{kind}/{index}", runner.stack.id, runner.stack.operation);
    SeededIds::new(seed).uuid()
}

/// The write of what `runner` changed.
pub(super) fn writes(
    runner: &Runner,
    changes: Changes,
) -> impl FnOnce(&Transaction<'_>) -> Result<(), AwsError> + Send + use<> {
    let settled = runner.settled();
    let stack = runner.stack.clone();
    let resources: Vec<_> =
        changes.resources.iter().map(|&position| (position, runner.resources[position].clone())).collect();
    move |tx| {
        if changes.stack {
            tables::save_stack(tx, &stack, settled)?;
        }
        for change in &changes.template {
            match change {
                TemplateChange::Propose { body, processed } => {
                    tables::propose_template(tx, &stack.id, body, processed.as_deref())?;
                }
                TemplateChange::Restore => tables::restore_template(tx, &stack.id)?,
                TemplateChange::Settle => tables::settle_template(tx, &stack.id)?,
            }
        }
        for change in &changes.exports {
            match change {
                ExportChange::Import => exports::import(tx, &stack)?,
                ExportChange::Settle => exports::settle(tx, &stack)?,
                ExportChange::Withdraw => exports::withdraw(tx, &stack)?,
                ExportChange::Forget => exports::forget(tx, &stack)?,
            }
        }
        if let Some(set) = &changes.executed {
            tables::save_change_set(tx, set)?;
            tables::remove_other_change_sets(tx, set)?;
        }
        if changes.renumbered {
            tables::clear_resources(tx, &stack.id)?;
        }
        for (position, resource) in &resources {
            tables::save_resource(tx, &stack.id, *position, resource)?;
        }
        for event in &changes.events {
            tables::add_event(tx, &stack.id, event)?;
        }
        Ok(())
    }
}
