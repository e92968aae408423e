//! What the dispatcher is asked: submissions, events, and changes to queues and environments.

use crate::core::{
    EnvironmentId, EnvironmentKind, EnvironmentSpec, Event, JobSpec, QueueId, QueueSpec, Refusal, Switch,
};
use crate::store::{EnvironmentRow, NewJob, QueueRow, Write};
use barge_core::AwsError;
use barge_wire::batch::{CEState, CRType, JQState, JQStatus};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// Commands that may wait for the dispatcher; more make their callers wait.
const WAITING: usize = 4096;

/// Outer error: it could not be kept. Inner error: the core refused.
pub(super) type EventReply = oneshot::Sender<Result<Result<(), Refusal>, AwsError>>;
pub(super) type AlterReply = oneshot::Sender<Result<(), AwsError>>;
/// Decides a change from what is there.
pub(super) type Change = Box<dyn FnOnce(&Directory) -> Result<Alteration, AwsError> + Send>;

pub(super) enum Command {
    Submit { spec: JobSpec, job: NewJob, reply: EventReply },
    Apply { event: Event, reply: EventReply },
    Alter { change: Change, reply: AlterReply },
}

/// A change to queues or environments.
pub(crate) struct Alteration {
    /// What the core is told, where it cares.
    pub(crate) event: Option<Event>,
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
    /// Submits a job: returns once it is durable.
    pub(crate) async fn submit(&self, spec: JobSpec, job: NewJob) -> Result<Result<(), Refusal>, AwsError> {
        self.ask(|reply| Command::Submit { spec, job, reply }).await?
    }

    /// Has the core take an event: returns once what it does is durable.
    pub(crate) async fn apply(&self, event: Event) -> Result<Result<(), Refusal>, AwsError> {
        self.ask(|reply| Command::Apply { event, reply }).await?
    }

    /// Changes queues or environments: returns once the change is durable.
    pub(crate) async fn alter(
        &self,
        change: impl FnOnce(&Directory) -> Result<Alteration, AwsError> + Send + 'static,
    ) -> Result<(), AwsError> {
        self.ask(|reply| Command::Alter { change: Box::new(change), reply }).await?
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, AwsError> {
        let stopped = || AwsError::internal("Batch has stopped");
        let (reply, answer) = oneshot::channel();
        self.0.send(command(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }
}

/// Every queue and environment as the API shows it.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    environments: BTreeMap<EnvironmentId, EnvironmentRow>,
    queues: BTreeMap<QueueId, QueueRow>,
}

impl Directory {
    pub(super) fn new(environments: Vec<EnvironmentRow>, queues: Vec<QueueRow>) -> Self {
        let mut directory = Self::default();
        for row in environments {
            directory.take(&Write::PutEnvironment(Box::new(row)));
        }
        for row in queues {
            directory.take(&Write::PutQueue(Box::new(row)));
        }
        directory
    }

    pub(crate) fn environment(&self, id: &EnvironmentId) -> Option<&EnvironmentRow> {
        self.environments.get(id)
    }

    pub(crate) fn queue(&self, id: &QueueId) -> Option<&QueueRow> {
        self.queues.get(id)
    }

    pub(super) fn take(&mut self, write: &Write) {
        match write {
            Write::PutEnvironment(row) => {
                let id = EnvironmentId::new(row.detail.compute_environment_arn.as_str());
                self.environments.insert(id, (**row).clone());
            }
            Write::PutQueue(row) => {
                let id = QueueId::new(row.detail.job_queue_arn.as_str());
                self.queues.insert(id, (**row).clone());
            }
            Write::DeleteEnvironment(id) => drop(self.environments.remove(id)),
            Write::DeleteQueue(id) => drop(self.queues.remove(id)),
        }
    }

    pub(super) fn environment_specs(&self) -> Vec<EnvironmentSpec> {
        self.environments.values().map(EnvironmentRow::spec).collect()
    }

    /// Queues that live, and those being deleted.
    pub(super) fn queue_specs(&self) -> (Vec<QueueSpec>, Vec<QueueSpec>) {
        let (deleting, living): (Vec<_>, Vec<_>) =
            self.queues.values().partition(|row| row.detail.status == Some(JQStatus::Deleting));
        let specs = |rows: Vec<&QueueRow>| rows.into_iter().map(QueueRow::spec).collect();
        (specs(living), specs(deleting))
    }
}

impl EnvironmentRow {
    /// What the core knows of it.
    pub(crate) fn spec(&self) -> EnvironmentSpec {
        let resources = self.detail.compute_resources.clone().unwrap_or_default();
        EnvironmentSpec {
            id: EnvironmentId::new(self.detail.compute_environment_arn.as_str()),
            kind: match resources.r#type {
                CRType::Fargate => EnvironmentKind::Fargate,
                CRType::FargateSpot => EnvironmentKind::FargateSpot,
                CRType::Spot => EnvironmentKind::Spot,
                CRType::Ec2 | CRType::EcsManagedInstances => EnvironmentKind::Ec2,
            },
            switch: match self.detail.state {
                Some(CEState::Disabled) => Switch::Disabled,
                Some(CEState::Enabled) | None => Switch::Enabled,
            },
            max_vcpu_milli: u64::try_from(resources.maxv_cpus).unwrap_or(0).saturating_mul(1000),
        }
    }
}

impl QueueRow {
    /// What the core knows of it.
    pub(crate) fn spec(&self) -> QueueSpec {
        let mut order = self.detail.compute_environment_order.clone();
        order.sort_by_key(|entry| entry.order);
        QueueSpec {
            id: QueueId::new(self.detail.job_queue_arn.as_str()),
            priority: i32::try_from(self.detail.priority).unwrap_or(i32::MAX),
            switch: match self.detail.state {
                JQState::Enabled => Switch::Enabled,
                JQState::Disabled => Switch::Disabled,
            },
            environments: order.into_iter().map(|entry| EnvironmentId::new(entry.compute_environment)).collect(),
        }
    }
}
