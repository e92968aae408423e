//! What the dispatcher writes, all of one batch in one transaction, and what it reads at start.

use super::{Rows, collect, parse, text};
use crate::core::{EnvironmentId, Job, JobId, QueueId, Status};
use barge_core::{AwsError, Scope, Timestamp};
use barge_store::rusqlite::{OptionalExtension, Transaction, params};
use barge_store::sql;
use barge_wire::batch::{ComputeEnvironmentDetail, JobDetail, JobQueueDetail};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A compute environment's row.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentRow {
    pub(crate) scope: Scope,
    /// The creation token of the template's resource that made it, where one did.
    pub(crate) token: Option<String>,
    pub(crate) detail: ComputeEnvironmentDetail,
}

/// A job queue's row.
#[derive(Clone, Debug)]
pub(crate) struct QueueRow {
    pub(crate) scope: Scope,
    /// The creation token of the template's resource that made it, where one did.
    pub(crate) token: Option<String>,
    pub(crate) detail: JobQueueDetail,
}

/// What a job's submission adds to what the core keeps.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub(crate) id: JobId,
    pub(crate) detail: Arc<JobDetail>,
    /// `detail` as JSON.
    pub(crate) body: String,
}

/// One change but to jobs' states.
#[derive(Debug)]
pub(crate) enum Write {
    PutEnvironment(Box<EnvironmentRow>),
    DeleteEnvironment(EnvironmentId),
    PutQueue(Box<QueueRow>),
    DeleteQueue(QueueId),
}

/// Everything that one batch of events changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) writes: Vec<Write>,
    pub(crate) new_jobs: BTreeMap<JobId, NewJob>,
    /// The last state of every job that changed.
    pub(crate) jobs: BTreeMap<JobId, Box<Job>>,
    /// States that the world is to be told of, in order.
    pub(crate) told: Vec<Job>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.jobs.is_empty() && self.told.is_empty()
    }
}

/// Everything that the core's state is rebuilt from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) environments: Vec<EnvironmentRow>,
    pub(crate) queues: Vec<QueueRow>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) last_seq: u64,
}

/// A state of a job that the world has not been told of.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) number: i64,
    pub(crate) at: Timestamp,
    pub(crate) job: Job,
    pub(crate) detail: JobDetail,
}

pub(super) const fn ordinal(status: Status) -> i64 {
    status as i64
}

impl Rows {
    /// Commits a batch.
    pub(crate) async fn commit(&self, changes: Changes, now: Timestamp) -> Result<(), AwsError> {
        self.store.write(move |tx| write(tx, &changes, now)).await
    }

    /// Reads what the core's state is rebuilt from.
    pub(crate) async fn load(&self) -> Result<Loaded, AwsError> {
        self.store
            .read(|conn| {
                let mut environments =
                    sql(conn.prepare("SELECT account, region, token, body FROM batch_environments"))?;
                let environments = collect(&mut environments, [], resource)?;
                let mut queues = sql(conn.prepare("SELECT account, region, token, body FROM batch_queues"))?;
                let queues = collect(&mut queues, [], resource)?;
                let mut jobs = sql(conn.prepare("SELECT state FROM batch_jobs WHERE status < 5 ORDER BY seq"))?;
                let jobs = collect(&mut jobs, [], |row| row.get::<_, String>(0))?;
                let last: Option<u64> = sql(conn
                    .query_row("SELECT seq FROM batch_jobs ORDER BY seq DESC LIMIT 1", [], |row| row.get(0))
                    .optional())?;
                Ok(Loaded {
                    environments: environments
                        .into_iter()
                        .map(|(scope, token, body)| Ok(EnvironmentRow { scope, token, detail: parse(&body)? }))
                        .collect::<Result<_, AwsError>>()?,
                    queues: queues
                        .into_iter()
                        .map(|(scope, token, body)| Ok(QueueRow { scope, token, detail: parse(&body)? }))
                        .collect::<Result<_, AwsError>>()?,
                    jobs: jobs.iter().map(|state| parse(state)).collect::<Result<_, AwsError>>()?,
                    last_seq: last.unwrap_or(0),
                })
            })
            .await
    }

    /// The compute environments of a scope, by name.
    pub(crate) async fn environments(&self, scope: Scope) -> Result<Vec<EnvironmentRow>, AwsError> {
        let rows = self.resources("batch_environments", scope).await?;
        rows.into_iter()
            .map(|(scope, token, body)| Ok(EnvironmentRow { scope, token, detail: parse(&body)? }))
            .collect()
    }

    /// The job queues of a scope, by name.
    pub(crate) async fn queues(&self, scope: Scope) -> Result<Vec<QueueRow>, AwsError> {
        let rows = self.resources("batch_queues", scope).await?;
        rows.into_iter().map(|(scope, token, body)| Ok(QueueRow { scope, token, detail: parse(&body)? })).collect()
    }

    async fn resources(&self, table: &'static str, scope: Scope) -> Result<Vec<Resource>, AwsError> {
        self.store
            .read(move |conn| {
                let mut statement = sql(conn.prepare_cached(&format!(
                    "SELECT account, region, token, body FROM {table} WHERE account = ?1 AND region = ?2 ORDER BY name"
                )))?;
                collect(&mut statement, params![scope.account.as_str(), scope.region.as_str()], resource)
            })
            .await
    }

    /// The oldest states that the world has not been told of.
    pub(crate) async fn untold(&self) -> Result<Vec<Told>, AwsError> {
        self.store
            .read(|conn| {
                let mut statement =
                    sql(conn.prepare_cached("SELECT number, at, state FROM batch_outbox ORDER BY number LIMIT 64"))?;
                let rows = collect(&mut statement, [], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
                })?;
                let mut body = sql(conn.prepare_cached("SELECT body FROM batch_jobs WHERE id = ?1"))?;
                rows.into_iter()
                    .map(|(number, at, state)| {
                        let job: Job = parse(&state)?;
                        let body: String = sql(body.query_row([job.id.to_string()], |row| row.get(0)))?;
                        Ok(Told { number, at: Timestamp::from_millis(at), job, detail: parse(&body)? })
                    })
                    .collect()
            })
            .await
    }

    /// Notes that the world has been told of everything up to `number`.
    pub(crate) async fn forget_told(&self, number: i64) -> Result<(), AwsError> {
        self.store
            .write(move |tx| sql(tx.execute("DELETE FROM batch_outbox WHERE number <= ?1", [number])).map(drop))
            .await
    }
}

type Resource = (Scope, Option<String>, String);

fn resource(row: &barge_store::rusqlite::Row<'_>) -> barge_store::rusqlite::Result<Resource> {
    let (account, region): (String, String) = (row.get(0)?, row.get(1)?);
    let account = barge_core::AccountId::new(&account).unwrap_or_default();
    let region = barge_core::Region::new(&region).unwrap_or_default();
    Ok((Scope { account, region }, row.get(2)?, row.get(3)?))
}

fn write(tx: &Transaction<'_>, changes: &Changes, now: Timestamp) -> Result<(), AwsError> {
    for change in &changes.writes {
        write_resource(tx, change)?;
    }
    for job in changes.jobs.values() {
        write_job(tx, changes.new_jobs.get(&job.id), job)?;
    }
    if !changes.told.is_empty() {
        let mut insert = sql(tx.prepare_cached("INSERT INTO batch_outbox (at, state) VALUES (?1, ?2)"))?;
        for job in &changes.told {
            sql(insert.execute(params![now.millis(), text(job)?]))?;
        }
    }
    Ok(())
}

fn write_job(tx: &Transaction<'_>, new: Option<&NewJob>, job: &Job) -> Result<(), AwsError> {
    let (status, state) = (ordinal(job.status), text(job)?);
    let changed = match new {
        Some(NewJob { detail, body, .. }) => sql(tx.prepare_cached(
            "INSERT INTO batch_jobs (seq, id, queue, status, created_at, name, definition, body, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        ))?
        .execute(params![
            job.seq,
            job.id.to_string(),
            job.queue.as_str(),
            status,
            job.created_at.millis(),
            detail.job_name,
            detail.job_definition,
            body,
            state
        ]),
        None => sql(tx.prepare_cached("UPDATE batch_jobs SET status = ?2, state = ?3 WHERE seq = ?1"))?
            .execute(params![job.seq, status, state]),
    };
    match sql(changed)? {
        1 => Ok(()),
        _ => Err(AwsError::internal(format!("job {} has no row", job.id))),
    }
}

fn write_resource(tx: &Transaction<'_>, change: &Write) -> Result<(), AwsError> {
    let done = match change {
        Write::PutEnvironment(row) => tx.execute(
            "INSERT OR REPLACE INTO batch_environments (arn, account, region, name, token, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                row.detail.compute_environment_arn,
                row.scope.account.as_str(),
                row.scope.region.as_str(),
                row.detail.compute_environment_name,
                row.token,
                text(&row.detail)?
            ],
        ),
        Write::PutQueue(row) => tx.execute(
            "INSERT OR REPLACE INTO batch_queues (arn, account, region, name, token, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                row.detail.job_queue_arn,
                row.scope.account.as_str(),
                row.scope.region.as_str(),
                row.detail.job_queue_name,
                row.token,
                text(&row.detail)?
            ],
        ),
        Write::DeleteEnvironment(id) => tx.execute("DELETE FROM batch_environments WHERE arn = ?1", [id.as_str()]),
        Write::DeleteQueue(id) => tx.execute("DELETE FROM batch_queues WHERE arn = ?1", [id.as_str()]),
    };
    sql(done).map(drop)
}
