//! What the dispatcher writes: all of one batch of events in one transaction.

use super::outbox::{Notice, put_told};
use super::resources::{ConsumableDetail, delete, put};
use super::{ConsumableRow, EnvironmentRow, PolicyRow, QueueRow, Rows, ordinal, text};
use crate::core::{Consumable, ConsumableId, EnvironmentId, Fleet, Job, JobId, Ledger, QueueId, ShareId};
use barge_core::{AwsError, Timestamp};
use barge_store::rusqlite::{Transaction, params};
use barge_store::sql;
use barge_wire::batch::{ComputeEnvironmentDetail, JobDetail, JobQueueDetail, SchedulingPolicyDetail};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a job's submission adds to what the core keeps.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub(crate) id: JobId,
    pub(crate) detail: Arc<JobDetail>,
    /// `detail` as JSON.
    pub(crate) body: String,
}

/// One change to what the API shows of resources.
#[derive(Debug)]
pub(crate) enum Write {
    PutEnvironment(Box<EnvironmentRow>),
    DeleteEnvironment(EnvironmentId),
    PutQueue(Box<QueueRow>),
    DeleteQueue(QueueId),
    PutPolicy(Box<PolicyRow>),
    /// By ARN.
    DeletePolicy(String),
    PutConsumable(Box<ConsumableRow>),
    DeleteConsumable(ConsumableId),
}

/// Everything that one batch of events changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) writes: Vec<Write>,
    pub(crate) new_jobs: BTreeMap<JobId, NewJob>,
    /// The last state of every job that changed.
    pub(crate) jobs: BTreeMap<JobId, Box<Job>>,
    pub(crate) fleets: BTreeMap<EnvironmentId, Fleet>,
    pub(crate) shares: BTreeMap<(QueueId, ShareId), Option<Box<Ledger>>>,
    pub(crate) consumables: BTreeMap<ConsumableId, Option<Consumable>>,
    /// What the world is to be told, in order.
    pub(crate) told: Vec<(Notice, Job)>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { writes, new_jobs, jobs, fleets, shares, consumables, told } = self;
        writes.is_empty()
            && new_jobs.is_empty()
            && jobs.is_empty()
            && fleets.is_empty()
            && shares.is_empty()
            && consumables.is_empty()
            && told.is_empty()
    }
}

impl Rows {
    /// Commits a batch.
    pub(crate) async fn commit(&self, changes: Changes, now: Timestamp) -> Result<(), AwsError> {
        self.store.write(move |tx| write(tx, &changes, now)).await
    }
}

fn write(tx: &Transaction<'_>, changes: &Changes, now: Timestamp) -> Result<(), AwsError> {
    for change in &changes.writes {
        write_resource(tx, change)?;
    }
    for job in changes.jobs.values() {
        write_job(tx, changes.new_jobs.get(&job.id), job)?;
    }
    for (id, fleet) in &changes.fleets {
        let query = "INSERT OR REPLACE INTO batch_fleets (environment, state) VALUES (?1, ?2)";
        sql(sql(tx.prepare_cached(query))?.execute([id.as_str(), &text(fleet)?]))?;
    }
    for ((queue, share), ledger) in &changes.shares {
        write_share(tx, queue, share, ledger.as_deref())?;
    }
    for (id, consumable) in &changes.consumables {
        if let Some(consumable) = consumable {
            let query = "INSERT OR REPLACE INTO batch_quantities (consumable, state) VALUES (?1, ?2)";
            sql(tx.execute(query, [id.as_str(), &text(consumable)?]))?;
        } else {
            sql(tx.execute("DELETE FROM batch_quantities WHERE consumable = ?1", [id.as_str()]))?;
        }
    }
    put_told(tx, &changes.told, now)
}

fn write_share(
    tx: &Transaction<'_>,
    queue: &QueueId,
    share: &ShareId,
    ledger: Option<&Ledger>,
) -> Result<(), AwsError> {
    let (queue, share) = (queue.as_str(), share.as_str());
    if let Some(ledger) = ledger {
        let query = "INSERT OR REPLACE INTO batch_shares (queue, share, ledger) VALUES (?1, ?2, ?3)";
        sql(sql(tx.prepare_cached(query))?.execute([queue, share, &text(ledger)?]))?;
    } else {
        let query = "DELETE FROM batch_shares WHERE queue = ?1 AND share = ?2";
        sql(sql(tx.prepare_cached(query))?.execute([queue, share]))?;
    }
    Ok(())
}

fn write_job(tx: &Transaction<'_>, new: Option<&NewJob>, job: &Job) -> Result<(), AwsError> {
    let (status, state) = (ordinal(job.status), text(job)?);
    let changed = match (new, job.id.parent()) {
        (_, Some((_, index))) => sql(tx.prepare_cached(
            "INSERT INTO batch_children (parent, idx, status, state) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (parent, idx) DO UPDATE SET status = excluded.status, state = excluded.state",
        ))?
        .execute(params![job.seq, index, status, state]),
        (Some(NewJob { detail, body, .. }), None) => sql(tx.prepare_cached(
            "INSERT INTO batch_jobs (seq, id, queue, status, created_at, name, definition, share, body, terms, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        ))?
        .execute(params![
            job.seq,
            job.id.to_string(),
            job.terms.queue.as_str(),
            status,
            job.created_at.millis(),
            detail.job_name,
            detail.job_definition,
            job.terms.share.as_str(),
            body,
            text(&*job.terms)?,
            state
        ]),
        (None, None) => sql(tx.prepare_cached("UPDATE batch_jobs SET status = ?2, state = ?3 WHERE seq = ?1"))?
            .execute(params![job.seq, status, state]),
    };
    match sql(changed)? {
        1 => Ok(()),
        _ => Err(AwsError::internal(format!("job {} has no row", job.id))),
    }
}

fn write_resource(tx: &Transaction<'_>, change: &Write) -> Result<(), AwsError> {
    match change {
        Write::PutEnvironment(row) => put(tx, row),
        Write::PutQueue(row) => put(tx, row),
        Write::PutPolicy(row) => put(tx, row),
        Write::PutConsumable(row) => put(tx, row),
        Write::DeleteEnvironment(id) => {
            sql(tx.execute("DELETE FROM batch_fleets WHERE environment = ?1", [id.as_str()]))?;
            delete::<ComputeEnvironmentDetail>(tx, id.as_str())
        }
        Write::DeleteQueue(id) => {
            sql(tx.execute("DELETE FROM batch_shares WHERE queue = ?1", [id.as_str()]))?;
            delete::<JobQueueDetail>(tx, id.as_str())
        }
        Write::DeletePolicy(arn) => delete::<SchedulingPolicyDetail>(tx, arn),
        Write::DeleteConsumable(id) => delete::<ConsumableDetail>(tx, id.as_str()),
    }
}
