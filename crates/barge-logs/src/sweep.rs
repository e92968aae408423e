//! Removing what is over: events past their group's retention, and events of deleted streams. A few thousand at a time,
//! so that nothing else waits long.

use crate::CloudWatchLogs;
use barge_core::AwsError;
use barge_store::rusqlite::{Connection, OptionalExtension as _, params};
use barge_store::sql;

/// Events removed in one transaction.
const STEP: i64 = 5_000;
const DAY: i64 = 86_400_000;

impl CloudWatchLogs {
    /// Removes expired events and those of deleted streams; returns how many.
    ///
    /// # Errors
    /// `InternalFailure` where the database fails.
    pub async fn sweep(&self) -> Result<usize, AwsError> {
        let mut removed = 0;
        loop {
            let step = self.store.write(empty_trash).await?;
            match step {
                Some(events) => removed += events,
                None => break,
            }
        }
        let now = self.ambient.clock.now().millis();
        while let Some(events) = self.store.write(move |tx| expire(tx, now)).await? {
            removed += events;
        }
        Ok(removed)
    }
}

/// Removes some events of a deleted stream; `None` where there is nothing left to remove.
fn empty_trash(connection: &barge_store::rusqlite::Transaction<'_>) -> Result<Option<usize>, AwsError> {
    let stream: Option<i64> =
        sql(connection.query_row("SELECT stream FROM logs_trash LIMIT 1", [], |row| row.get(0)).optional())?;
    let Some(stream) = stream else {
        return Ok(None);
    };
    let removed = remove(connection, stream, i64::MAX)?.events;
    if removed == 0 {
        sql(connection.execute("DELETE FROM logs_trash WHERE stream = ?1", [stream]))?;
    }
    Ok(Some(removed))
}

/// Removes some expired events of a stream; `None` where no stream has any.
fn expire(connection: &barge_store::rusqlite::Transaction<'_>, now: i64) -> Result<Option<usize>, AwsError> {
    let query = "SELECT s.id, g.id, ?1 - g.retention * ?2 FROM logs_groups g JOIN logs_streams s ON s.grp = g.id
                 WHERE g.retention IS NOT NULL AND s.first < ?1 - g.retention * ?2 LIMIT 1";
    let due: Option<(i64, i64, i64)> =
        sql(connection.query_row(query, [now, DAY], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional())?;
    let Some((stream, group, before)) = due else {
        return Ok(None);
    };
    let removed = remove(connection, stream, before)?;
    for (table, id) in [("logs_streams", stream), ("logs_groups", group)] {
        let update = format!("UPDATE {table} SET stored = stored - ?2 WHERE id = ?1");
        sql(connection.execute(&update, params![id, removed.bytes]))?;
    }
    sql(connection.execute(
        "UPDATE logs_streams SET first = (SELECT min(at) FROM logs_events WHERE stream = ?1),
         last = CASE WHEN EXISTS (SELECT 1 FROM logs_events WHERE stream = ?1) THEN last END WHERE id = ?1",
        [stream],
    ))?;
    Ok(Some(removed.events))
}

struct Removed {
    events: usize,
    bytes: i64,
}

/// Removes the oldest events of a stream from before a moment, at most [`STEP`] of them.
fn remove(connection: &Connection, stream: i64, before: i64) -> Result<Removed, AwsError> {
    let query = "SELECT at, seq, length(CAST(message AS BLOB)) + 26 FROM logs_events
                 WHERE stream = ?1 AND at < ?2 ORDER BY at, seq LIMIT ?3";
    let mut statement = sql(connection.prepare_cached(query))?;
    let mut rows = sql(statement.query(params![stream, before, STEP]))?;
    let (mut bytes, mut last) = (0_i64, None);
    while let Some(row) = sql(rows.next())? {
        let read = |row: &barge_store::rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?));
        let (at, seq, size): (i64, i64, i64) = sql(read(row))?;
        bytes += size;
        last = Some((at, seq));
    }
    let Some((at, seq)) = last else {
        return Ok(Removed { events: 0, bytes: 0 });
    };
    let delete = "DELETE FROM logs_events WHERE stream = ?1 AND (at, seq) <= (?2, ?3)";
    Ok(Removed { events: sql(connection.execute(delete, params![stream, at, seq]))?, bytes })
}
