//! Which steps of which room's tables have run.

use crate::StoreError;
use rusqlite::{Transaction, params};

pub(crate) fn run(tx: &Transaction<'_>, room: &str, steps: &[&str]) -> Result<(), StoreError> {
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (room TEXT PRIMARY KEY, steps INTEGER NOT NULL) WITHOUT ROWID",
    )?;
    let done: usize =
        tx.query_row("SELECT coalesce(max(steps), 0) FROM migrations WHERE room = ?1", [room], |row| row.get(0))?;
    for step in steps.iter().skip(done) {
        tx.execute_batch(step)?;
    }
    tx.execute(
        "INSERT INTO migrations (room, steps) VALUES (?1, ?2)
         ON CONFLICT (room) DO UPDATE SET steps = max(steps, excluded.steps)",
        params![room, steps.len()],
    )?;
    Ok(())
}
