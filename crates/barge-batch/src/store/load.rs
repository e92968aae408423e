//! What the core's state is rebuilt from at start.

use super::resources::all;
use super::{ConsumableRow, EnvironmentRow, PolicyRow, QueueRow, Rows, collect, parse};
use crate::core::{
    Consumable, ConsumableId, EnvironmentId, Fleet, Job, JobId, Ledger, QueueId, Settled, ShareId, Status, Terms,
};
use barge_core::AwsError;
use barge_store::rusqlite::{Connection, OptionalExtension, params};
use barge_store::sql;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that the core's state is rebuilt from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) environments: Vec<EnvironmentRow>,
    pub(crate) queues: Vec<QueueRow>,
    pub(crate) policies: Vec<PolicyRow>,
    pub(crate) consumables: Vec<ConsumableRow>,
    pub(crate) fleets: BTreeMap<EnvironmentId, Fleet>,
    pub(crate) shares: Vec<(QueueId, ShareId, Ledger)>,
    pub(crate) quantities: Vec<(ConsumableId, Consumable)>,
    /// Arrays before their children.
    pub(crate) jobs: Vec<Job>,
    pub(crate) settled: Vec<Settled>,
    pub(crate) last_seq: u64,
}

impl Rows {
    /// Reads what the core's state is rebuilt from.
    pub(crate) async fn load(&self) -> Result<Loaded, AwsError> {
        self.store.read(load).await
    }
}

fn load(conn: &Connection) -> Result<Loaded, AwsError> {
    let last: Option<u64> =
        sql(conn.query_row("SELECT seq FROM batch_jobs ORDER BY seq DESC LIMIT 1", [], |row| row.get(0)).optional())?;
    let mut jobs = live_jobs(conn)?;
    let arrays: Vec<(u64, JobId, Arc<Terms>)> =
        jobs.iter().filter(|job| job.array.is_some()).map(|job| (job.seq, job.id, Arc::clone(&job.terms))).collect();
    let mut settled = Vec::new();
    for (seq, id, terms) in arrays {
        let (children, ended) = children(conn, seq, id, &terms)?;
        jobs.extend(children);
        settled.extend(ended);
    }
    Ok(Loaded {
        environments: all(conn)?,
        queues: all(conn)?,
        policies: all(conn)?,
        consumables: all(conn)?,
        fleets: pairs(conn, "SELECT environment, state FROM batch_fleets")?
            .into_iter()
            .map(|(id, state)| Ok((EnvironmentId::new(id), parse(&state)?)))
            .collect::<Result<_, AwsError>>()?,
        shares: shares(conn)?,
        quantities: pairs(conn, "SELECT consumable, state FROM batch_quantities")?
            .into_iter()
            .map(|(id, state)| Ok((ConsumableId::new(id), parse(&state)?)))
            .collect::<Result<_, AwsError>>()?,
        jobs,
        settled,
        last_seq: last.unwrap_or(0),
    })
}

fn pairs(conn: &Connection, query: &str) -> Result<Vec<(String, String)>, AwsError> {
    collect(&mut sql(conn.prepare(query))?, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn live_jobs(conn: &Connection) -> Result<Vec<Job>, AwsError> {
    let mut statement = sql(conn.prepare("SELECT terms, state FROM batch_jobs WHERE status < 5 ORDER BY seq"))?;
    let mut rows = sql(statement.query([]))?;
    let mut jobs = Vec::new();
    // Read one by one: a million texts at once would need more memory than the jobs themselves.
    while let Some(row) = sql(rows.next())? {
        let (terms, state) = (sql(row.get_ref(0))?, sql(row.get_ref(1))?);
        let terms: Terms = parse(terms.as_str().map_err(AwsError::internal)?)?;
        let mut job: Job = parse(state.as_str().map_err(AwsError::internal)?)?;
        job.terms = Arc::new(terms);
        jobs.push(job);
    }
    Ok(jobs)
}

/// An array's children: those that live and have a record, and those that have ended.
fn children(
    conn: &Connection,
    seq: u64,
    id: JobId,
    terms: &Arc<Terms>,
) -> Result<(Vec<Job>, Option<Settled>), AwsError> {
    let query = "SELECT state FROM batch_children WHERE parent = ?1 AND status < 5 ORDER BY idx";
    let mut statement = sql(conn.prepare_cached(query))?;
    let states = collect(&mut statement, [seq], |row| row.get::<_, String>(0))?;
    let live = states.into_iter().map(|state| {
        let job: Job = parse(&state)?;
        Ok(Job { terms: Arc::clone(terms), ..job })
    });
    let live = live.collect::<Result<Vec<Job>, AwsError>>()?;
    let ended = |status: Status| -> Result<_, AwsError> {
        let query = "SELECT idx FROM batch_children WHERE parent = ?1 AND status = ?2 ORDER BY idx";
        let mut statement = sql(conn.prepare_cached(query))?;
        let indexes = collect(&mut statement, params![seq, super::ordinal(status)], |row| row.get::<_, u32>(0))?;
        Ok(indexes.into_iter().collect::<crate::core::IndexSet>())
    };
    let settled = Settled { array: id, succeeded: ended(Status::Succeeded)?, failed: ended(Status::Failed)? };
    let any = !settled.succeeded.is_empty() || !settled.failed.is_empty();
    Ok((live, any.then_some(settled)))
}

fn shares(conn: &Connection) -> Result<Vec<(QueueId, ShareId, Ledger)>, AwsError> {
    let mut statement = sql(conn.prepare("SELECT queue, share, ledger FROM batch_shares"))?;
    let rows = collect(&mut statement, [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    rows.into_iter()
        .map(|(queue, share, ledger)| Ok((QueueId::new(queue), ShareId::new(share), parse(&ledger)?)))
        .collect()
}
