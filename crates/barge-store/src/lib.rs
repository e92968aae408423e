//! One SQLite database under every service: migrations per room, writes that commit in groups, reads from snapshots.
//!
//! A write is acknowledged after the commit that holds it. Writers share a commit: whatever has queued while the disk
//! was busy with the last one goes into the next, each in its own savepoint, so that one's failure undoes only its own.
//! Nothing here knows what the tables mean.

mod error;
mod migrations;
mod readers;
mod writer;

pub use error::{StoreError, sql};
pub use rusqlite;

use readers::Readers;
use rusqlite::{Connection, OpenFlags, Transaction};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writer::Writer;

/// The database. Clones share it.
#[derive(Clone)]
pub struct Store {
    writer: Writer,
    readers: Arc<Readers>,
}

impl Store {
    /// Opens the database at `path` and makes it where there is none.
    ///
    /// # Errors
    /// [`StoreError`] where the file can't be opened or isn't a database.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let connection = connect(&path, OpenFlags::default())?;
        Ok(Self { writer: Writer::start(connection)?, readers: Arc::new(Readers::new(path)) })
    }

    /// Brings the tables of `room` up to date: runs each of `steps` that has not run yet, in order, each once for ever.
    /// Steps may be added at the end and never changed.
    ///
    /// # Errors
    /// [`StoreError::Sql`] where a step fails; the steps before it stay.
    pub fn migrate(&self, room: &'static str, steps: &'static [&'static str]) -> Result<(), StoreError> {
        self.writer.submit(move |tx| migrations::run(tx, room, steps)).wait_blocking()
    }

    /// Runs `change` in a transaction and returns its result after the commit is on disk. Where `change` gives an error,
    /// nothing that it did remains.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.submit(change).wait().await
    }

    /// Runs `query` on a snapshot of everything that was committed when it began. It may block on disk, so it runs on a
    /// thread meant for that.
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        match tokio::task::spawn_blocking(move || readers.with(query)).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Stopped.into()),
        }
    }

    /// [`Store::read`] for code outside the async runtime, at start-up.
    pub fn read_blocking<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E>,
        E: From<StoreError>,
    {
        self.readers.with(query)
    }

    /// [`Store::write`] for code outside the async runtime, at start-up.
    pub fn write_blocking<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.submit(change).wait_blocking()
    }
}

/// A connection with the pragmas that every one of ours has.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    // FULL, because in WAL mode NORMAL may lose the last commits when the power fails.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096;",
    )?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}
