//! The databases: one per account and region, opened when first needed.

use crate::engine::{self, Engine};
use crate::error::Failure;
use crate::worker::{Manner, Worker};
use barge_core::{AccountId, Clock, Region, Scope};
use dynoxide::DynoxideError;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell};

/// An open database. Clones share it.
#[derive(Clone)]
pub(crate) struct Database {
    worker: Worker,
}

impl Database {
    /// Runs `operation` and returns its result once what it changed is on disk.
    pub(crate) async fn run<T, F>(&self, manner: Manner, operation: F) -> Result<T, DynoxideError>
    where
        F: FnOnce(&Engine) -> Result<T, DynoxideError> + Send + 'static,
        T: Send + 'static,
    {
        self.worker.run(manner, operation).await
    }
}

/// All databases under one directory, at `ACCOUNT/REGION.db`.
pub(crate) struct Databases {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    open: Mutex<HashMap<Scope, Arc<OnceCell<Database>>>>,
}

impl Databases {
    pub(crate) fn new(directory: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { directory, clock, open: Mutex::default() }
    }

    /// The database of an account and region.
    pub(crate) async fn get(&self, scope: &Scope) -> Result<Database, DynoxideError> {
        let cell = Arc::clone(self.open.lock().await.entry(scope.clone()).or_default());
        let database = cell
            .get_or_try_init(|| async {
                let (path, clock) = (self.path(scope), Arc::clone(&self.clock));
                let open = move || Worker::start(Engine::open(&path, clock)?);
                let worker = blocking(open).await?;
                Ok::<_, Failure>(Database { worker })
            })
            .await?;
        Ok(database.clone())
    }

    /// Deletes the items of every database whose time to live has passed; returns how many.
    pub(crate) async fn sweep(&self) -> Result<usize, Failure> {
        let mut deleted = 0;
        for scope in self.existing()? {
            let (path, clock) = (self.path(&scope), Arc::clone(&self.clock));
            deleted += blocking(move || engine::sweep(&path, clock)).await?;
        }
        Ok(deleted)
    }

    fn path(&self, scope: &Scope) -> PathBuf {
        self.directory.join(scope.account.as_str()).join(format!("{}.db", scope.region))
    }

    /// The accounts and regions that have a database.
    fn existing(&self) -> Result<Vec<Scope>, Failure> {
        let mut scopes = Vec::new();
        for account in entries(&self.directory)? {
            let Some(account_id) = AccountId::new(&account) else { continue };
            for file in entries(&self.directory.join(&account))? {
                if let Some(region) = file.strip_suffix(".db").and_then(Region::new) {
                    scopes.push(Scope { account: account_id.clone(), region });
                }
            }
        }
        Ok(scopes)
    }
}

/// The names in a directory; none where there is no such directory.
fn entries(directory: &std::path::Path) -> Result<Vec<String>, Failure> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Runs `work` on a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
