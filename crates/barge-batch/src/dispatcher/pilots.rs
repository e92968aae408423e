//! One small task for each live attempt, which carries out what is to be done with it, one thing after the other: a stop
//! never overtakes the launch before it.

use super::launch::{Launchpad, task_spec};
use crate::core::lifecycle::host_terminated;
use crate::core::{EnvironmentId, InstanceId, JobId, Outcome, TaskId, Terms};
use crate::runner::{Happening, News, TaskRunner, TaskSpec};
use crate::store::Rows;
use barge_core::Clock;
use barge_wire::batch::JobDetail;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// The instance named where a task that no instance is known of is lost.
const UNKNOWN_INSTANCE: InstanceId = InstanceId(0);

enum Order {
    Start(Box<Flight>),
    Stop,
    Forget,
}

/// Everything that must be known to start a task, or to find it again.
pub(super) struct Flight {
    pub(super) environment: EnvironmentId,
    pub(super) instance: Option<InstanceId>,
    pub(super) terms: Arc<Terms>,
    /// What its job's submission wrote; read from its row where it is not at hand.
    pub(super) detail: Option<Arc<JobDetail>>,
    pub(super) known: Known,
}

/// Whether a task may run already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It was not known to; it is started where it does not.
    Never,
    /// It has run: it is looked for, and never started.
    HasRun,
}

/// What every pilot needs.
struct Cockpit {
    runner: Arc<dyn TaskRunner>,
    rows: Rows,
    clock: Arc<dyn Clock>,
    launchpad: Launchpad,
    news: mpsc::UnboundedSender<News>,
    arrays: Arrays,
}

/// What was submitted of arrays whose children were started lately: they are read once, not once a child.
#[derive(Default)]
struct Arrays(Mutex<HashMap<JobId, Arc<JobDetail>>>);

impl Arrays {
    /// How many are remembered.
    const MOST: usize = 64;

    fn get(&self, array: JobId) -> Option<Arc<JobDetail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&array).cloned()
    }

    fn put(&self, array: JobId, detail: &Arc<JobDetail>) {
        let mut arrays = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if arrays.len() >= Self::MOST {
            arrays.clear();
        }
        arrays.insert(array, Arc::clone(detail));
    }
}

/// Every attempt's task.
pub(crate) struct Pilots {
    cockpit: Arc<Cockpit>,
    orders: HashMap<TaskId, mpsc::UnboundedSender<Order>>,
}

impl Pilots {
    /// Pilots over `runner`, and all news of attempts.
    pub(crate) fn new(
        runner: Arc<dyn TaskRunner>,
        rows: Rows,
        clock: Arc<dyn Clock>,
        launchpad: Launchpad,
    ) -> (Self, mpsc::UnboundedReceiver<News>) {
        let mut heard = runner.news();
        let (news, receiver) = mpsc::unbounded_channel();
        let forward = news.clone();
        tokio::spawn(async move {
            while let Some(item) = heard.recv().await {
                if forward.send(item).is_err() {
                    break;
                }
            }
        });
        let cockpit = Arc::new(Cockpit { runner, rows, clock, launchpad, news, arrays: Arrays::default() });
        (Self { cockpit, orders: HashMap::new() }, receiver)
    }

    /// Starts a task, or finds it again.
    pub(super) fn start(&mut self, task: TaskId, flight: Flight) {
        self.order(task, Order::Start(Box::new(flight)));
    }

    /// After a restart, before anything else: has the runner clear away what is left of tasks but these.
    pub(super) async fn sweep(&self, live: HashSet<TaskId>) {
        self.cockpit.runner.sweep(&live).await;
    }

    pub(super) fn stop(&mut self, task: TaskId) {
        self.order(task, Order::Stop);
    }

    pub(super) fn forget(&mut self, task: TaskId) {
        self.order(task, Order::Forget);
        self.orders.remove(&task);
    }

    fn order(&mut self, task: TaskId, order: Order) {
        let orders = self.orders.entry(task).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(fly(Arc::clone(&self.cockpit), task, receiver));
            sender
        });
        // A pilot leaves only after its last order.
        let _ = orders.send(order);
    }
}

async fn fly(cockpit: Arc<Cockpit>, task: TaskId, mut orders: mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Start(flight) => cockpit.start(task, *flight).await,
            Order::Stop => cockpit.runner.stop(task).await,
            Order::Forget => cockpit.runner.forget(task).await,
        }
    }
}

impl Cockpit {
    async fn start(&self, task: TaskId, flight: Flight) {
        let (known, instance) = (flight.known, flight.instance.unwrap_or(UNKNOWN_INSTANCE));
        let outcome = match (self.spec(task, flight).await, known) {
            (Ok(spec), Known::Never) => self.runner.launch(spec).await.map_err(|error| failed(error.0)),
            (Ok(spec), Known::HasRun) => {
                let gone = |_| Outcome::Lost(host_terminated(&instance.to_string()).into());
                self.runner.adopt(task, &spec).await.map_err(gone)
            }
            (Err(reason), _) => Err(failed(reason)),
        };
        if let Err(outcome) = outcome {
            let item = News { task, at: self.clock.now(), what: Happening::Ended(outcome) };
            // Where nobody hears it the program is ending; the next one finds out anew.
            let _ = self.news.send(item);
        }
    }

    async fn spec(&self, task: TaskId, flight: Flight) -> Result<TaskSpec, String> {
        let Flight { environment, instance, terms, detail, .. } = flight;
        let detail = match detail {
            Some(detail) => detail,
            None => self.stored(task).await?,
        };
        task_spec(&self.launchpad, &detail, &terms, task, &environment, instance)
    }

    async fn stored(&self, task: TaskId) -> Result<Arc<JobDetail>, String> {
        let array = task.attempt.job.parent().map(|(array, _)| array);
        if let Some(detail) = array.and_then(|array| self.arrays.get(array)) {
            return Ok(detail);
        }
        let stored = self.rows.job(task.attempt.job.root()).await;
        let stored = stored.map_err(|error| format!("ResourceInitializationError: {error}"))?;
        let stored = stored.ok_or("ResourceInitializationError: the job's record is gone")?;
        let detail = Arc::new(stored.detail);
        if let Some(array) = array {
            self.arrays.put(array, &detail);
        }
        Ok(detail)
    }
}

fn failed(reason: String) -> Outcome {
    Outcome::FailedToStart(reason.into())
}
