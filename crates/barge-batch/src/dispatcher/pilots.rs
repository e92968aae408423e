//! One small task for each live attempt, which carries out what is to be done with it, one thing after the other: a stop
//! never overtakes the launch before it.

use super::launch::{Launchpad, attempt_spec};
use crate::core::{AttemptId, EnvironmentId, Needs, Outcome};
use crate::runner::{AttemptRunner, Happening, News};
use crate::store::Rows;
use barge_core::Clock;
use barge_wire::batch::JobDetail;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The status reason of an attempt that a restart did not find again.
const GONE: &str = "Host EC2 (instance i-00000000000000000) terminated.";

enum Order {
    Launch { environment: EnvironmentId, needs: Needs, detail: Option<Arc<JobDetail>> },
    Adopt,
    Stop,
    Forget,
}

/// What every pilot needs.
struct Cockpit {
    runner: Arc<dyn AttemptRunner>,
    rows: Rows,
    clock: Arc<dyn Clock>,
    launchpad: Launchpad,
    news: mpsc::UnboundedSender<News>,
}

/// Every attempt's task.
pub(crate) struct Pilots {
    cockpit: Arc<Cockpit>,
    orders: HashMap<AttemptId, mpsc::UnboundedSender<Order>>,
}

impl Pilots {
    /// Pilots over `runner`, and all news of attempts.
    pub(crate) fn new(
        runner: Arc<dyn AttemptRunner>,
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
        let cockpit = Arc::new(Cockpit { runner, rows, clock, launchpad, news });
        (Self { cockpit, orders: HashMap::new() }, receiver)
    }

    pub(super) fn launch(
        &mut self,
        attempt: AttemptId,
        environment: EnvironmentId,
        needs: Needs,
        detail: Option<Arc<JobDetail>>,
    ) {
        self.order(attempt, Order::Launch { environment, needs, detail });
    }

    pub(super) fn adopt(&mut self, attempt: AttemptId) {
        self.order(attempt, Order::Adopt);
    }

    pub(super) fn stop(&mut self, attempt: AttemptId) {
        self.order(attempt, Order::Stop);
    }

    pub(super) fn forget(&mut self, attempt: AttemptId) {
        self.order(attempt, Order::Forget);
        self.orders.remove(&attempt);
    }

    fn order(&mut self, attempt: AttemptId, order: Order) {
        let orders = self.orders.entry(attempt).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(fly(Arc::clone(&self.cockpit), attempt, receiver));
            sender
        });
        // A pilot leaves only after its last order.
        let _ = orders.send(order);
    }
}

async fn fly(cockpit: Arc<Cockpit>, attempt: AttemptId, mut orders: mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Launch { environment, needs, detail } => {
                if let Err(reason) = cockpit.launch(attempt, &environment, needs, detail).await {
                    cockpit.tell_end(attempt, Outcome::FailedToStart(reason.into()));
                }
            }
            Order::Adopt => {
                if cockpit.runner.adopt(attempt).await.is_err() {
                    cockpit.tell_end(attempt, Outcome::Lost(GONE.into()));
                }
            }
            Order::Stop => cockpit.runner.stop(attempt).await,
            Order::Forget => cockpit.runner.forget(attempt).await,
        }
    }
}

impl Cockpit {
    async fn launch(
        &self,
        attempt: AttemptId,
        environment: &EnvironmentId,
        needs: Needs,
        detail: Option<Arc<JobDetail>>,
    ) -> Result<(), String> {
        let detail = match detail {
            Some(detail) => detail,
            None => Arc::new(self.stored(attempt).await?),
        };
        let spec = attempt_spec(&self.launchpad, &detail, attempt, environment, needs)?;
        self.runner.launch(spec).await.map_err(|error| error.0)
    }

    async fn stored(&self, attempt: AttemptId) -> Result<JobDetail, String> {
        match self.rows.job(attempt.job).await {
            Ok(Some(stored)) => Ok(stored.detail),
            Ok(None) => Err("ResourceInitializationError: the job's record is gone".to_owned()),
            Err(error) => Err(format!("ResourceInitializationError: {error}")),
        }
    }

    fn tell_end(&self, attempt: AttemptId, outcome: Outcome) {
        let item = News { attempt, at: self.clock.now(), what: Happening::Ended(outcome) };
        // Where nobody hears it the program is ending; the next one finds out anew.
        let _ = self.news.send(item);
    }
}
