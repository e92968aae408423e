//! The one task that owns the core's state: takes commands and news, commits, answers, acts. In that order, always.
//!
//! Whatever waits when a commit is done goes into the next one together. Where a commit fails, the state in memory is
//! thrown away and read again; commands are answered with the error, and news is taken again until it can be kept.
//! What an API operation means is not known here.

mod directory;
mod launch;
mod outbox;
mod pilots;
mod work;

pub(crate) use directory::Directory;
pub use launch::Operator;
pub(crate) use launch::{Launchpad, log_target, task_id, task_role};
pub(crate) use pilots::Pilots;
pub(crate) use work::{Alteration, Handle};

use crate::board::{Meter, Observation, observe};
use crate::core::{Effect, EnvironmentId, Event, JobId, Machine, QueueId, Saved, State, TaskId, apply};
use crate::runner::News;
use crate::store::{Changes, Loaded, Notice, Rows, Write};
use barge_core::ports::EventSink;
use barge_core::{AwsError, Clock, IdSource, Timestamp};
use barge_wire::batch::JobDetail;
use pilots::{Flight, Known};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use work::{Command, Pending};

/// Commands and news that share one commit, at most.
const BATCH: usize = 256;
/// The longest sleep for a deadline: a clock that was set forward is noticed after this.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Between tries to read or write a store that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Whether anybody wants to be told of jobs' states.
pub(crate) enum Audience {
    /// Nobody; nothing is kept for them.
    Nobody,
    /// Somebody, woken by this after states to tell are committed.
    Listening(mpsc::Sender<()>),
}

pub(crate) struct Dispatcher {
    pub(crate) rows: Rows,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) machine: Machine,
    /// How long instances may be idle.
    pub(crate) idle_time: Duration,
    pub(crate) audience: Audience,
    /// Counts what happens.
    pub(crate) meter: Arc<Meter>,
    pub(crate) pilots: Pilots,
    pub(crate) news: mpsc::UnboundedReceiver<News>,
}

/// Starts the dispatcher; it ends when the last [`Handle`] is gone.
pub(crate) async fn start(dispatcher: Dispatcher) -> Result<Handle, AwsError> {
    let (handle, commands) = work::channel();
    let loaded = dispatcher.rows.load().await?;
    let Dispatcher { rows, clock, machine, idle_time, audience, meter, pilots, news } = dispatcher;
    let (directory, state) = rebuild(machine, idle_time, loaded);
    let running = Running {
        rows,
        clock,
        audience,
        meter,
        pilots,
        state,
        directory,
        machine,
        idle_time,
        timer: None,
        again: VecDeque::new(),
        state_is: StateIs::Kept,
    };
    tokio::spawn(running.run(commands, news));
    Ok(handle)
}

/// Starts the task that tells an audience of jobs' states.
pub(crate) fn start_outbox(rows: Rows, sink: Arc<dyn EventSink>, ids: Arc<dyn IdSource>) -> Audience {
    // One waiting wake-up is as good as many: all rows are told at each.
    let (wake, woken) = mpsc::channel(1);
    tokio::spawn(outbox::run(rows, sink, ids, woken));
    Audience::Listening(wake)
}

fn rebuild(machine: Machine, idle_time: Duration, mut loaded: Loaded) -> (Directory, State) {
    let directory = Directory::new(&mut loaded, idle_time);
    let (queues, deleting) = directory.queue_specs();
    let Loaded { mut fleets, shares, quantities, jobs, settled, last_seq, .. } = loaded;
    let environments = directory.environment_specs().into_iter().map(|spec| {
        let fleet = fleets.remove(&spec.id).unwrap_or_default();
        (spec, fleet)
    });
    let environments = environments.collect();
    let saved = Saved { environments, queues, deleting, shares, consumables: quantities, jobs, settled, last_seq };
    (directory, State::restore(machine, saved))
}

struct Running {
    rows: Rows,
    clock: Arc<dyn Clock>,
    audience: Audience,
    meter: Arc<Meter>,
    pilots: Pilots,
    machine: Machine,
    idle_time: Duration,
    state: State,
    directory: Directory,
    timer: Option<Timestamp>,
    /// News whose effects could not be kept yet.
    again: VecDeque<Event>,
    /// Whether the state is what is kept.
    state_is: StateIs,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StateIs {
    Kept,
    /// A commit failed: it is ahead of what is kept.
    Ahead,
}

/// What one batch came to.
#[derive(Default)]
struct Batch {
    changes: Changes,
    effects: Vec<Effect>,
    answers: Vec<Pending>,
    news: Vec<Event>,
    seen: Vec<Observation>,
}

impl Running {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut news: mpsc::UnboundedReceiver<News>) {
        self.resume().await;
        let mut taken = Vec::with_capacity(BATCH);
        loop {
            while self.state_is == StateIs::Ahead {
                self.start_over().await;
            }
            let mut batch = Batch::default();
            let now = tokio::select! {
                biased;
                count = commands.recv_many(&mut taken, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.clock.now()
                }
                Some(item) = news.recv() => {
                    let now = self.clock.now();
                    self.hear(now, item.into(), &mut batch);
                    now
                }
                () = sleep_until(&*self.clock, self.timer, !self.again.is_empty()) => self.clock.now(),
            };
            if self.timer.is_some_and(|at| at <= now) {
                self.hear(now, Event::Tick, &mut batch);
            }
            while let Some(event) = self.again.pop_front() {
                self.hear(now, event, &mut batch);
            }
            while let Ok(item) = news.try_recv() {
                self.hear(now, item.into(), &mut batch);
            }
            for command in taken.drain(..) {
                self.follow(now, command, &mut batch);
            }
            self.settle(now, batch).await;
        }
    }

    /// Takes up the work that the last run of the program left.
    async fn resume(&mut self) {
        let now = self.clock.now();
        let live = self.state.live_jobs().flat_map(|job| job.live_tasks().map(|(task, ..)| task));
        self.pilots.sweep(live.collect()).await;
        let mut batch = Batch::default();
        let effects = self.state.resume(now);
        self.note(effects, &mut batch);
        self.settle(now, batch).await;
    }

    fn hear(&mut self, now: Timestamp, event: Event, batch: &mut Batch) {
        batch.news.push(event.clone());
        match apply(&mut self.state, now, event) {
            Ok(effects) => self.note(effects, batch),
            Err(refusal) => tracing::error!(%refusal, "news was refused"),
        }
    }

    fn follow(&mut self, now: Timestamp, command: Command, batch: &mut Batch) {
        match command {
            Command::Submit { spec, job, reply } => match apply(&mut self.state, now, Event::Submit(spec)) {
                Ok(effects) => {
                    batch.changes.new_jobs.insert(job.id, job);
                    self.note(effects, batch);
                    batch.answers.push(Pending::Event(reply));
                }
                Err(refusal) => drop(reply.send(Ok(Err(refusal)))),
            },
            Command::Apply { event, reply } => match apply(&mut self.state, now, event) {
                Ok(effects) => {
                    self.note(effects, batch);
                    batch.answers.push(Pending::Event(reply));
                }
                Err(refusal) => drop(reply.send(Ok(Err(refusal)))),
            },
            Command::Alter { change, reply } => match self.alter(now, change, batch) {
                Ok(()) => batch.answers.push(Pending::Alter(reply)),
                Err(error) => drop(reply.send(Err(error))),
            },
            Command::Look(look) => look(&self.state, &self.directory),
        }
    }

    fn alter(&mut self, now: Timestamp, change: work::Change, batch: &mut Batch) -> Result<(), AwsError> {
        let Alteration { events, refused, writes } = change(&self.state, &self.directory)?;
        let mut effects = Vec::new();
        let mut applied = Ok(());
        for event in events {
            match apply(&mut self.state, now, event) {
                Ok(more) => effects.extend(more),
                Err(refusal) => {
                    applied = Err(refused(refusal));
                    break;
                }
            }
        }
        // Before the effects: a queue that goes at once goes after it was written.
        if applied.is_ok() {
            self.note_writes(writes, batch);
        }
        self.note(effects, batch);
        applied
    }

    fn note_writes(&mut self, writes: Vec<Write>, batch: &mut Batch) {
        for write in writes {
            self.directory.take(&write);
            batch.changes.writes.push(write);
        }
    }

    /// Sorts effects into what is committed and what is done afterwards.
    fn note(&mut self, effects: Vec<Effect>, batch: &mut Batch) {
        batch.seen.extend(observe(&effects));
        for effect in effects {
            match effect {
                Effect::Save(job) => drop(batch.changes.jobs.insert(job.id, job)),
                Effect::SaveFleet(id, fleet) => drop(batch.changes.fleets.insert(id, fleet)),
                Effect::SaveShare(queue, share, ledger) => {
                    batch.changes.shares.insert((queue, share), ledger);
                }
                Effect::SaveConsumable(id, consumable) => {
                    batch.changes.consumables.insert(id, consumable);
                }
                Effect::QueueGone(id) => self.note_queue_gone(id, batch),
                Effect::Emit(job) => self.note_told(Notice::StateChange, *job, batch),
                Effect::QueueBlocked(job) => self.note_told(Notice::QueueBlocked, *job, batch),
                other => batch.effects.push(other),
            }
        }
    }

    fn note_told(&self, notice: Notice, job: crate::core::Job, batch: &mut Batch) {
        if matches!(self.audience, Audience::Listening(_)) {
            batch.changes.told.push((notice, job));
        }
    }

    fn note_queue_gone(&mut self, id: QueueId, batch: &mut Batch) {
        self.note_writes(vec![Write::DeleteQueue(id)], batch);
    }

    /// Commits, answers, acts.
    async fn settle(&mut self, now: Timestamp, batch: Batch) {
        let Batch { changes, effects, answers, news, seen } = batch;
        let told = !changes.told.is_empty();
        let fresh = changes.new_jobs.iter().map(|(id, new)| (*id, Arc::clone(&new.detail))).collect();
        let committed = if changes.is_empty() { Ok(()) } else { self.rows.commit(changes, now).await };
        match committed {
            Ok(()) => {
                self.meter.add(seen);
                for answer in answers {
                    answer.send(Ok(()));
                }
                self.act(effects, &fresh);
                if let (true, Audience::Listening(wake)) = (told, &self.audience) {
                    let _ = wake.try_send(());
                }
            }
            Err(error) => {
                tracing::error!(%error, "a batch of changes was not kept");
                for answer in answers {
                    answer.send(Err(error.clone()));
                }
                self.again.extend(news);
                self.state_is = StateIs::Ahead;
            }
        }
    }

    fn act(&mut self, effects: Vec<Effect>, fresh: &HashMap<JobId, Arc<JobDetail>>) {
        for effect in effects {
            match effect {
                Effect::Launch(task, environment) => {
                    self.start(task, environment, Known::Never, fresh.get(&task.attempt.job.root()));
                }
                Effect::Adopt(task, environment) => self.start(task, environment, Known::HasRun, None),
                Effect::Stop(task) => self.pilots.stop(task),
                Effect::Forget(task) => self.pilots.forget(task),
                Effect::SetTimer(at) => self.timer = at,
                Effect::Save(_)
                | Effect::SaveFleet(..)
                | Effect::SaveShare(..)
                | Effect::SaveConsumable(..)
                | Effect::QueueGone(_)
                | Effect::Emit(_)
                | Effect::QueueBlocked(_) => {}
            }
        }
    }

    fn start(&mut self, task: TaskId, environment: EnvironmentId, known: Known, detail: Option<&Arc<JobDetail>>) {
        let Some(job) = self.state.job(task.attempt.job) else { return };
        let live = job.live.as_ref().and_then(|live| live.tasks.get(usize::from(task.node)));
        let instance = live.and_then(|live| live.instance);
        let terms = Arc::clone(&job.terms);
        self.pilots.start(task, Flight { environment, instance, terms, detail: detail.cloned(), known });
    }

    /// Reads the state again from what is kept. Attempts go on meanwhile; what the kept state says of them is done
    /// again, which changes nothing for those that run.
    async fn start_over(&mut self) {
        tokio::time::sleep(RETRY).await;
        match self.rows.load().await {
            Ok(loaded) => (self.directory, self.state) = rebuild(self.machine, self.idle_time, loaded),
            Err(error) => return tracing::error!(%error, "what is kept can't be read"),
        }
        self.state_is = StateIs::Kept;
        let now = self.clock.now();
        self.timer = self.state.next_deadline();
        // Not `resume` with its launches for all: pilots of attempts under way have their orders already.
        let mut batch = Batch::default();
        match apply(&mut self.state, now, Event::SetMachine(self.machine)) {
            Ok(effects) => self.note(effects, &mut batch),
            Err(refusal) => tracing::error!(%refusal, "the machine was refused"),
        }
        self.settle(now, batch).await;
    }
}

/// Sleeps until `at`, or for ever where there is nothing to wait for; shortly where something is to be tried again.
async fn sleep_until(clock: &dyn Clock, at: Option<Timestamp>, retry: bool) {
    match at {
        _ if retry => tokio::time::sleep(RETRY).await,
        Some(at) => tokio::time::sleep(at.since(clock.now()).min(LONGEST_SLEEP)).await,
        None => std::future::pending().await,
    }
}
