//! Stacks: making and removing what templates declare. Each stack that something is being done to has one task; it
//! takes what happened, lets the machine decide, commits, and only then calls providers. A restarted server takes up
//! every unfinished stack where it was.
//!
//! The operations' shapes and errors are the `api` module's.

mod calls;
mod context;
mod difference;
mod drift;
mod exports;
mod machine;
mod plan;
mod policy;
mod record;
mod runner;
mod tables;
mod task;

pub use plan::{Plan, PlannedResource};

pub(crate) use calls::PLAIN;
pub(crate) use difference::{Action, Comparison, Detail, Differences, Replacement, ResourceDifference, Source, Target};
pub(crate) use drift::{
    Detection, Drift, ResourceDrift, detection, drifts, latest_detection, save_detection, save_drift,
};
pub(crate) use exports::{export_values, exports, importers};
pub(crate) use machine::OnFailure;
pub(crate) use machine::Phase;
pub(crate) use policy::StackPolicy;
pub(crate) use record::{
    ChangeSetKind, ChangeSetRecord, Deployment, DeploymentMode, EventRecord, HIDDEN, NO_ECHO, ParameterRecord, Parent,
    ResourceRecord, StackRecord,
};
pub(crate) use runner::{Setting, UpdateOrder, stack_event, token, updatable};
pub(crate) use tables::{
    add_event, change_set, change_sets, change_sets_below, events, processed_template, remove_change_set, resources,
    save_change_set, save_stack, stack_by_id, stack_by_name, stack_of, stack_with_id, stacks, template,
};

use crate::Registry;
use barge_core::{Ambient, AwsError, Scope};
use barge_store::rusqlite::Transaction;
use barge_store::{Store, StoreError};
use barge_wire::cloudformation::{StackStatus, error};
use runner::{Changes, Happening, Runner};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use task::{Begun, Message, Task};
use tokio::sync::{mpsc, oneshot, watch};

/// How long a deleted stack can still be described, in days (API reference, DescribeStacks: "90 days").
const REMEMBERED_DAYS: u64 = 90;

/// Makes and removes stacks. Clones share the work.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    ambient: Ambient,
    registry: Registry,
    /// The tasks that run, by stack.
    tasks: Mutex<HashMap<String, mpsc::UnboundedSender<Message>>>,
    /// Counts commits, for those who wait for a stack to settle.
    commits: watch::Sender<u64>,
}

impl Engine {
    /// The engine over `store`, with the resource types of `registry`. Nothing runs before [`Engine::resume`].
    pub fn open(store: Store, ambient: Ambient, registry: Registry) -> Result<Self, StoreError> {
        store.migrate(tables::ROOM, tables::STEPS)?;
        let inner = Inner { store, ambient, registry, tasks: Mutex::default(), commits: watch::Sender::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes up every stack that was being made or removed when the server stopped, and gives their number. Call once,
    /// inside the async runtime, when every provider's service is ready.
    pub async fn resume(&self) -> Result<usize, AwsError> {
        let days = std::time::Duration::from_secs(REMEMBERED_DAYS * 86_400);
        let millis = i64::try_from(days.as_millis()).unwrap_or(i64::MAX);
        let oldest = barge_core::Timestamp::from_millis(self.inner.ambient.clock.now().millis() - millis);
        self.inner.store.write(move |tx| tables::forget_deleted(tx, oldest)).await?;
        let ids = self.inner.store.read(tables::unsettled).await?;
        let count = ids.len();
        for id in ids {
            self.send(&id, Message::Resume);
        }
        Ok(count)
    }

    /// The resource types that there are.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Waits until nothing is being done to the stack any more; at once where there is no such stack.
    pub async fn settled(&self, stack_id: &str) -> Result<(), AwsError> {
        let mut commits = self.inner.commits.subscribe();
        loop {
            let id = stack_id.to_owned();
            let unsettled = self.inner.store.read(move |db| Ok::<_, StoreError>(tables::unsettled(db)?.contains(&id)));
            if !unsettled.await? || commits.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn ambient(&self) -> &Ambient {
        &self.inner.ambient
    }

    /// Makes the stack of `plan` after the settings in `stack`; `body` is the template's text. Returns once the stack is
    /// stored and its making has begun. `AlreadyExistsException` where another stack has its name. `executed` is the
    /// change set that this carries out: it is recorded as such together with the beginning.
    pub(crate) async fn create(
        &self,
        stack: StackRecord,
        plan: Plan,
        body: String,
        executed: Option<ChangeSetRecord>,
    ) -> Result<(), AwsError> {
        let Ambient { clock, ids, .. } = &self.inner.ambient;
        let now = clock.now();
        let processed = plan.processed.clone();
        let mut runner = Runner::planned(stack, plan, self.registry().clone(), now);
        let mut changes = runner.apply(Happening::Start, now, ids.as_ref());
        changes.stack = true;
        changes.resources = (0..runner.resources.len()).collect();
        changes.executed = executed.clone().map(Box::new);
        let calls = std::mem::take(&mut changes.calls);
        let write = task::writes(&runner, changes);
        let (id, name, scope) = (runner.stack.id.clone(), runner.stack.name.clone(), runner.stack.scope.clone());
        let stack_id = id.clone();
        let write = move |tx: &Transaction<'_>| {
            check_name(tx, &scope, &name, &id, executed.as_ref())?;
            tables::save_template(tx, &id, &body, processed.as_deref())?;
            write(tx)
        };
        let (reply, answer) = oneshot::channel();
        let begun = Begun { runner: Box::new(runner), calls, write: Box::new(write), reply };
        self.send(&stack_id, Message::Begin(begun));
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Begins to delete a stack; the resources named in `keep` stay. Returns once that is stored.
    pub(crate) async fn delete(
        &self,
        stack_id: &str,
        keep: BTreeSet<String>,
        token: Option<String>,
    ) -> Result<(), AwsError> {
        self.ask(stack_id, Happening::Delete { keep, token }).await
    }

    /// Begins to update a stack. Returns once that is stored; `ValidationError` where the stack can't be updated now.
    pub(crate) async fn update(&self, stack_id: &str, order: UpdateOrder) -> Result<(), AwsError> {
        self.ask(stack_id, Happening::Update(Box::new(order))).await
    }

    /// Begins to undo the update that runs.
    pub(crate) async fn cancel_update(&self, stack_id: &str, token: Option<String>) -> Result<(), AwsError> {
        self.ask(stack_id, Happening::Cancel { token }).await
    }

    /// Begins to undo what failed and stayed as it was.
    pub(crate) async fn roll_back(
        &self,
        stack_id: &str,
        token: Option<String>,
        retain_except_on_create: bool,
    ) -> Result<(), AwsError> {
        self.ask(stack_id, Happening::RollBack { token, retain_except_on_create }).await
    }

    /// Goes on with a rollback that failed, without the resources in `skip`.
    pub(crate) async fn continue_rollback(
        &self,
        stack_id: &str,
        skip: BTreeSet<String>,
        token: Option<String>,
    ) -> Result<(), AwsError> {
        self.ask(stack_id, Happening::Continue { skip, token }).await
    }

    /// Changes a setting of a stack that its resources don't know.
    pub(crate) async fn set(&self, stack_id: &str, setting: Setting) -> Result<(), AwsError> {
        self.ask(stack_id, Happening::Set(setting)).await
    }

    /// Has the stack's task take `happening`, and waits until what comes of it is stored.
    async fn ask(&self, stack_id: &str, happening: Happening) -> Result<(), AwsError> {
        let (reply, answer) = oneshot::channel();
        self.send(stack_id, Message::Asked(happening, reply));
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Gives the stack's task a message, and starts the task where there is none.
    fn send(&self, stack_id: &str, message: Message) {
        let mut tasks = self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let message = match tasks.get(stack_id) {
            Some(task) => match task.send(message) {
                Ok(()) => return,
                Err(mpsc::error::SendError(message)) => message,
            },
            None => message,
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        // The receiver is alive: it is in this function.
        let _ = sender.send(message);
        tasks.insert(stack_id.to_owned(), sender.clone());
        tokio::spawn(Task::new(self.clone(), stack_id.to_owned(), sender, receiver).run());
    }

    fn committed(&self) {
        self.inner.commits.send_modify(|count| *count += 1);
    }

    /// Stores what `runner` changed, in one commit.
    async fn commit(&self, runner: &Runner, changes: Changes) -> Result<(), AwsError> {
        let write = task::writes(runner, changes);
        self.inner.store.write(write).await?;
        self.committed();
        Ok(())
    }
}

fn stopping() -> AwsError {
    AwsError::internal("the server is stopping")
}

/// Whether the stack `id` may be begun under `name`: the name is free, or the stack is the one under review that the
/// change set is for.
fn check_name(
    tx: &Transaction<'_>,
    scope: &Scope,
    name: &str,
    id: &str,
    executed: Option<&ChangeSetRecord>,
) -> Result<(), AwsError> {
    let holder = tables::stack_by_name(tx, scope, name)?;
    match (holder, executed) {
        (None, None) => Ok(()),
        (Some(stack), Some(_)) if stack.id == id && stack.status == StackStatus::ReviewInProgress => Ok(()),
        (None, Some(set)) => {
            Err(error::change_set_not_found_exception(format!("ChangeSet [{}] does not exist", set.name)))
        }
        (Some(_), _) => Err(error::already_exists_exception(format!("Stack [{name}] already exists"))),
    }
}
