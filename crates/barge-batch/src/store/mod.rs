//! Batch's rows: what is kept, and how the core's state comes back from it. No decisions.
//!
//! A job's row holds three texts: `body`, which its submission wrote and nothing changes but its tags; `terms`, what the core was
//! told of it, which nothing changes; and `state`, the core's [`crate::core::Job`]. A child of an array has a row of its own, with its state
//! alone, once it has started or differs. Rows of ended jobs stay; only those of live jobs are read at start.

mod changes;
mod definitions;
mod history;
mod jobs;
mod load;
mod outbox;
mod resources;

pub(crate) use changes::{Changes, NewJob, Write};
pub(crate) use definitions::{DefinitionPage, Former, Origin, StoredDefinition};
pub(crate) use jobs::{ChildFilter, JobFilter, StoredJob};
pub(crate) use load::Loaded;
pub(crate) use outbox::{Notice, Told};
pub(crate) use resources::{ConsumableDetail, ConsumableRow, EnvironmentRow, PolicyRow, QueueRow};

use crate::core::Status;
use barge_core::{AwsError, IdSource};
use barge_store::{Store, StoreError, rusqlite, sql};

const STEPS: &[&str] = &[
    "
    CREATE TABLE batch_environments (
        arn TEXT PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
        token TEXT, body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE batch_queues (
        arn TEXT PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
        token TEXT, body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE batch_definitions (
        account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
        active INTEGER NOT NULL, token TEXT, body TEXT NOT NULL,
        PRIMARY KEY (account, region, name, revision)
    ) WITHOUT ROWID;
    CREATE INDEX batch_definitions_by_token ON batch_definitions (token) WHERE token IS NOT NULL;
    CREATE TABLE batch_jobs (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, status INTEGER NOT NULL,
        created_at INTEGER NOT NULL, name TEXT NOT NULL, definition TEXT NOT NULL,
        body TEXT NOT NULL, state TEXT NOT NULL
    );
    CREATE INDEX batch_jobs_by_queue ON batch_jobs (queue, status, seq);
    CREATE INDEX batch_jobs_live ON batch_jobs (seq) WHERE status < 5;
    CREATE TABLE batch_outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, state TEXT NOT NULL);
    CREATE TABLE batch_secret (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL);
",
    // The first layout of jobs was in no release; its jobs are not carried over.
    "
    DROP TABLE batch_jobs;
    DROP TABLE batch_outbox;
    CREATE TABLE batch_jobs (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, status INTEGER NOT NULL,
        created_at INTEGER NOT NULL, name TEXT NOT NULL, definition TEXT NOT NULL, share TEXT NOT NULL,
        body TEXT NOT NULL, terms TEXT NOT NULL, state TEXT NOT NULL
    );
    CREATE INDEX batch_jobs_by_queue ON batch_jobs (queue, status, seq);
    CREATE INDEX batch_jobs_live ON batch_jobs (seq) WHERE status < 5;
    CREATE TABLE batch_children (
        parent INTEGER NOT NULL, idx INTEGER NOT NULL, status INTEGER NOT NULL, state TEXT NOT NULL,
        PRIMARY KEY (parent, idx)
    ) WITHOUT ROWID;
    CREATE INDEX batch_children_live ON batch_children (parent, idx) WHERE status < 5;
    CREATE TABLE batch_outbox (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, notice INTEGER NOT NULL, state TEXT NOT NULL
    );
    CREATE TABLE batch_fleets (environment TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE batch_shares (
        queue TEXT NOT NULL, share TEXT NOT NULL, ledger TEXT NOT NULL, PRIMARY KEY (queue, share)
    ) WITHOUT ROWID;
    CREATE TABLE batch_policies (
        arn TEXT PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
        token TEXT, body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE batch_consumables (
        arn TEXT PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
        token TEXT, body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE batch_quantities (consumable TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
",
    "
    ALTER TABLE batch_definitions ADD COLUMN inactive_since INTEGER;
",
    "
    ALTER TABLE batch_definitions ADD COLUMN keeps_former INTEGER NOT NULL DEFAULT 0;
",
];

/// Batch's tables.
#[derive(Clone)]
pub(crate) struct Rows {
    store: Store,
}

impl Rows {
    pub(crate) fn open(store: Store) -> Result<Self, AwsError> {
        store.migrate("batch", STEPS)?;
        Ok(Self { store })
    }

    /// The secret that attempts' tokens are derived from; made at the first call, the same ever after.
    pub(crate) async fn secret(&self, ids: &dyn IdSource) -> Result<Vec<u8>, AwsError> {
        let mut fresh = vec![0; 32];
        ids.fill(&mut fresh);
        self.store
            .write(move |tx| -> Result<Vec<u8>, StoreError> {
                tx.execute("INSERT OR IGNORE INTO batch_secret (id, value) VALUES (1, ?1)", [fresh])?;
                Ok(tx.query_row("SELECT value FROM batch_secret WHERE id = 1", [], |row| row.get(0))?)
            })
            .await
            .map_err(AwsError::from)
    }
}

/// A state as its column has it: in AWS's order, final ones from 5 on.
const fn ordinal(status: Status) -> i64 {
    status as i64
}

/// A JSON text of a row, read.
fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, AwsError> {
    serde_json::from_str(text).map_err(AwsError::internal)
}

/// A value as a row's JSON text.
fn text<T: serde::Serialize>(value: &T) -> Result<String, AwsError> {
    serde_json::to_string(value).map_err(AwsError::internal)
}

/// The rows of a query as values.
fn collect<T>(
    statement: &mut rusqlite::Statement<'_>,
    params: impl rusqlite::Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, AwsError> {
    let rows = sql(statement.query_map(params, read))?;
    rows.map(sql).collect()
}
