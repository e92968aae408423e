//! Every function, in memory for reading and in the database for good. A change is seen after its commit.

use crate::function::Function;
use crate::layers::Layers;
use crate::names::FunctionKey;
use barge_core::{AwsError, Scope};
use barge_store::{Store, rusqlite::params, sql};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

pub(crate) const FUNCTIONS_TABLE: &str = "CREATE TABLE lambda_functions (
    account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (account, region, name)
) WITHOUT ROWID";

/// What a change makes of a function.
pub(crate) enum Change<T> {
    /// It is stored so.
    Store(Box<Function>, T),
    /// It is removed.
    Remove(T),
    /// It stays.
    Keep(T),
}

pub(crate) struct Registry {
    store: Store,
    functions: RwLock<BTreeMap<FunctionKey, Arc<Function>>>,
    pub(crate) layers: Layers,
    /// Held from reading a function until its change is committed.
    changing: tokio::sync::Mutex<()>,
}

impl Registry {
    /// Reads all functions.
    pub(crate) fn open(store: Store) -> Result<Self, AwsError> {
        let bodies = store.read_blocking(|connection| {
            let mut statement = sql(connection.prepare("SELECT body FROM lambda_functions"))?;
            let rows = sql(statement.query_map([], |row| row.get::<_, String>(0)))?;
            sql(rows.collect::<Result<Vec<_>, _>>())
        })?;
        let functions = bodies
            .iter()
            .map(|body| {
                let function: Function = serde_json::from_str(body).map_err(AwsError::internal)?;
                Ok((function.key.clone(), Arc::new(function)))
            })
            .collect::<Result<_, AwsError>>()?;
        let layers = Layers::open(store.clone())?;
        Ok(Self { store, functions: RwLock::new(functions), layers, changing: tokio::sync::Mutex::default() })
    }

    fn functions(&self) -> RwLockReadGuard<'_, BTreeMap<FunctionKey, Arc<Function>>> {
        self.functions.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: &FunctionKey) -> Option<Arc<Function>> {
        self.functions().get(key).cloned()
    }

    /// The function, or AWS's answer where there is none.
    pub(crate) fn require(&self, key: &FunctionKey) -> Result<Arc<Function>, AwsError> {
        self.get(key).ok_or_else(|| key.not_found())
    }

    /// At most `limit` functions of `scope` after the one called `after`, by name.
    pub(crate) fn list(&self, scope: &Scope, after: Option<&str>, limit: usize) -> Vec<Arc<Function>> {
        let first = match after {
            Some(name) => Bound::Excluded(FunctionKey::new(scope, name)),
            None => Bound::Included(FunctionKey::new(scope, "")),
        };
        let functions = self.functions();
        let of_scope = functions.range((first, Bound::Unbounded)).take_while(|(key, _)| key.scope == *scope);
        of_scope.take(limit).map(|(_, function)| Arc::clone(function)).collect()
    }

    /// Whether a function, a version of one or a layer needs the code `sha256`.
    pub(crate) fn uses_code(&self, sha256: &str) -> bool {
        self.functions().values().any(|function| function.uses_code(sha256)) || self.layers.uses_code(sha256)
    }

    /// Every function of `scope`.
    pub(crate) fn all(&self, scope: &Scope) -> Vec<Arc<Function>> {
        self.list(scope, None, usize::MAX)
    }

    /// Changes one function as `decide` says, and returns once that is durable.
    pub(crate) async fn change<T>(
        &self,
        key: &FunctionKey,
        decide: impl FnOnce(Option<&Function>) -> Result<Change<T>, AwsError>,
    ) -> Result<T, AwsError> {
        let _changing = self.changing.lock().await;
        let old = self.get(key);
        match decide(old.as_deref())? {
            Change::Keep(value) => Ok(value),
            Change::Store(function, value) => {
                self.save(&function).await?;
                self.set(key, Some(Arc::new(*function)));
                Ok(value)
            }
            Change::Remove(value) => {
                self.erase(key).await?;
                self.set(key, None);
                Ok(value)
            }
        }
    }

    async fn save(&self, function: &Function) -> Result<(), AwsError> {
        let body = serde_json::to_string(function).map_err(AwsError::internal)?;
        let FunctionKey { scope, name, .. } = function.key.clone();
        self.store
            .write(move |tx| {
                let row = params![scope.account.as_str(), scope.region.as_str(), name, body];
                let statement = "INSERT OR REPLACE INTO lambda_functions (account, region, name, body)
                                 VALUES (?1, ?2, ?3, ?4)";
                sql(tx.execute(statement, row)).map(drop)
            })
            .await
    }

    async fn erase(&self, key: &FunctionKey) -> Result<(), AwsError> {
        let FunctionKey { scope, name, .. } = key.clone();
        self.store
            .write(move |tx| {
                let row = params![scope.account.as_str(), scope.region.as_str(), name];
                let gone = "DELETE FROM lambda_functions WHERE account = ?1 AND region = ?2 AND name = ?3";
                sql(tx.execute(gone, row)).map(drop)
            })
            .await
    }

    fn set(&self, key: &FunctionKey, function: Option<Arc<Function>>) {
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        match function {
            Some(function) => functions.insert(key.clone(), function),
            None => functions.remove(key),
        };
    }
}
