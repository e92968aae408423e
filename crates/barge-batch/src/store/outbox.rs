//! What the world is to be told, kept with the change that it tells of until it was.

use super::{Rows, collect, parse, text};
use crate::core::{Job, JobId};
use barge_core::{AwsError, Timestamp};
use barge_store::rusqlite::{Connection, OptionalExtension, Transaction, params};
use barge_store::sql;
use barge_wire::batch::JobDetail;
use std::sync::Arc;

/// What the world is told of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// It has come to its state.
    StateChange,
    /// It blocks its queue.
    QueueBlocked,
}

/// Something that the world has not been told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) number: i64,
    pub(crate) at: Timestamp,
    pub(crate) notice: Notice,
    pub(crate) job: Job,
    pub(crate) detail: JobDetail,
}

pub(super) fn put_told(tx: &Transaction<'_>, told: &[(Notice, Job)], now: Timestamp) -> Result<(), AwsError> {
    if told.is_empty() {
        return Ok(());
    }
    let mut insert = sql(tx.prepare_cached("INSERT INTO batch_outbox (at, notice, state) VALUES (?1, ?2, ?3)"))?;
    for (notice, job) in told {
        let notice = match notice {
            Notice::StateChange => 0,
            Notice::QueueBlocked => 1,
        };
        sql(insert.execute(params![now.millis(), notice, text(job)?]))?;
    }
    Ok(())
}

impl Rows {
    /// The oldest of what the world has not been told.
    pub(crate) async fn untold(&self) -> Result<Vec<Told>, AwsError> {
        self.store
            .read(|conn| {
                let query = "SELECT number, at, notice, state FROM batch_outbox ORDER BY number LIMIT 64";
                let mut statement = sql(conn.prepare_cached(query))?;
                let rows = collect(&mut statement, [], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, String>(3)?))
                })?;
                let mut told = Vec::with_capacity(rows.len());
                for (number, at, notice, state) in rows {
                    let mut job: Job = parse(&state)?;
                    let Some((detail, terms)) = submitted(conn, job.id)? else { continue };
                    job.terms = Arc::new(terms);
                    let notice = if notice == 0 { Notice::StateChange } else { Notice::QueueBlocked };
                    told.push(Told { number, at: Timestamp::from_millis(at), notice, job, detail });
                }
                Ok(told)
            })
            .await
    }

    /// Notes that the world has been told everything up to `number`.
    pub(crate) async fn forget_told(&self, number: i64) -> Result<(), AwsError> {
        self.store
            .write(move |tx| sql(tx.execute("DELETE FROM batch_outbox WHERE number <= ?1", [number])).map(drop))
            .await
    }
}

fn submitted(conn: &Connection, id: JobId) -> Result<Option<(JobDetail, crate::core::Terms)>, AwsError> {
    let mut statement = sql(conn.prepare_cached("SELECT body, terms FROM batch_jobs WHERE id = ?1"))?;
    let texts = |row: &barge_store::rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let found = sql(statement.query_row([id.root().to_string()], texts).optional())?;
    found.map(|(body, terms)| Ok((parse(&body)?, parse(&terms)?))).transpose()
}
