//! One dynoxide storage, opened so that several operations can share one durable commit.
//!
//! dynoxide commits each item by itself: a BatchWriteItem of 25 items would wait for the disk 25 times. Its storage
//! gives access to its SQLite connection, whose authorizer may turn a statement into nothing. While a group is open,
//! dynoxide's own BEGIN, COMMIT and ROLLBACK are turned into nothing; each operation runs in a savepoint of ours, which
//! is rolled back where the operation fails, and one commit follows the group.

use crate::error::{Failure, ready};
use barge_core::Clock;
use dynoxide::DynoxideError;
use dynoxide::actions::vector_lifecycle::VectorIndexLifecycle;
use dynoxide::storage::Storage;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a dynoxide operation runs on.
pub(crate) struct Engine {
    /// The database.
    pub(crate) storage: Storage,
    /// Where each vector index stands in its creation.
    pub(crate) vectors: VectorIndexLifecycle,
    /// The present moment, in milliseconds since the epoch.
    pub(crate) clock: Arc<dyn Clock>,
    in_group: Arc<AtomicBool>,
    rolled_back: Arc<AtomicBool>,
    path: PathBuf,
}

/// dynoxide's clock, told by Barge's.
struct Time(Arc<dyn Clock>);

impl dynoxide::storage_backend::Clock for Time {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(self.0.now().seconds()).unwrap_or(0)
    }

    #[allow(clippy::cast_precision_loss)] // milliseconds fit 53 bits for the next 285,000 years
    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().millis() as f64 / 1000.0
    }
}

impl Engine {
    /// Opens the database at `path` and makes it where there is none.
    pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let (in_group, rolled_back) = (Arc::default(), Arc::default());
        let storage = open_storage(path, &clock, &in_group, &rolled_back)?;
        crate::tokens::prepare(storage.conn())?;
        Ok(Self { storage, vectors: VectorIndexLifecycle::new(), clock, in_group, rolled_back, path: path.to_owned() })
    }

    /// Opens the storage again, and with it forgets what dynoxide remembered of tables: needed where a change to a
    /// table's description was rolled back behind its back.
    pub(crate) fn reopen(&mut self) -> Result<(), Failure> {
        self.storage = open_storage(&self.path, &self.clock, &self.in_group, &self.rolled_back)?;
        Ok(())
    }

    /// Starts a group.
    pub(crate) fn begin(&self) -> Result<(), Failure> {
        self.storage.conn().execute_batch("BEGIN IMMEDIATE")?;
        self.in_group.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Runs one operation of the group. The outer error means that the group itself is lost.
    pub(crate) fn run<T>(
        &self,
        operation: impl FnOnce(&Self) -> Result<T, DynoxideError>,
    ) -> Result<Result<T, DynoxideError>, Failure> {
        let connection = self.storage.conn();
        connection.execute_batch("SAVEPOINT operation")?;
        self.rolled_back.store(false, Ordering::Relaxed);
        let mut result = operation(self);
        if result.is_ok() && self.rolled_back.load(Ordering::Relaxed) {
            // dynoxide undid a part and carried on, but its rollback was turned into nothing: undo all of it.
            result = Err(DynoxideError::InternalServerError("a part of the operation failed".to_owned()));
        }
        if result.is_err() {
            connection.execute_batch("ROLLBACK TO operation")?;
        }
        connection.execute_batch("RELEASE operation")?;
        Ok(result)
    }

    /// Ends the group. Once it returns, the group's changes are on disk.
    pub(crate) fn commit(&self) -> Result<(), Failure> {
        self.in_group.store(false, Ordering::Relaxed);
        self.storage.conn().execute_batch("COMMIT")?;
        Ok(())
    }

    /// Gives a group up; nothing of it remains.
    pub(crate) fn abandon(&self) {
        self.in_group.store(false, Ordering::Relaxed);
        if !self.storage.conn().is_autocommit()
            && let Err(error) = self.storage.conn().execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a DynamoDB database could not undo a failed group");
        }
    }
}

fn open_storage(
    path: &Path,
    clock: &Arc<dyn Clock>,
    in_group: &Arc<AtomicBool>,
    rolled_back: &Arc<AtomicBool>,
) -> Result<Storage, Failure> {
    let storage = Storage::new(&path.to_string_lossy())?.with_clock(Arc::new(Time(Arc::clone(clock))));
    // FULL, because in WAL mode NORMAL may lose the last commits when the power fails. The larger checkpoint interval
    // keeps a bulk load from writing the same pages again and again.
    storage.conn().execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 16384; PRAGMA journal_size_limit = 67108864;",
    )?;
    let (in_group, rolled_back) = (Arc::clone(in_group), Arc::clone(rolled_back));
    storage.conn().authorizer(Some(move |context: AuthContext<'_>| match context.action {
        AuthAction::Transaction { operation } if in_group.load(Ordering::Relaxed) => {
            if operation == TransactionOperation::Rollback {
                rolled_back.store(true, Ordering::Relaxed);
            }
            Authorization::Ignore
        }
        _ => Authorization::Allow,
    }));
    Ok(storage)
}

/// Deletes the items whose time to live has passed, on a connection of its own, so that requests wait for one item's
/// deletion at most. Returns how many.
pub(crate) fn sweep(path: &Path, clock: Arc<dyn Clock>) -> Result<usize, Failure> {
    let storage = Storage::new(&path.to_string_lossy())?.with_clock(Arc::new(Time(clock)));
    // A deletion that is lost is found again by the next sweep, so it need not wait for the disk.
    storage.conn().execute_batch("PRAGMA synchronous = NORMAL")?;
    if storage.list_ttl_enabled_tables()?.is_empty() {
        return Ok(0);
    }
    Ok(ready(dynoxide::ttl::sweep_expired_items(&storage))?)
}
