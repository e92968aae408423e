//! What can go wrong with the database, and how the client hears of it.

use barge_core::AwsError;

/// The database failed, or is gone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's own error: a full disk, a broken file, a wrong statement.
    #[error("database: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The writer has stopped: it could not start a transaction or commit, or the program is ending.
    #[error("the database has stopped")]
    Stopped,
    /// The group of changes that this one was in could not be committed.
    #[error("database: commit failed: {0}")]
    Commit(String),
    /// The operating system refused a thread.
    #[error("database: {0}")]
    Thread(#[from] std::io::Error),
}

impl From<StoreError> for AwsError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

/// SQLite's errors as a service's: for closures that return [`AwsError`].
pub fn sql<T>(result: Result<T, rusqlite::Error>) -> Result<T, AwsError> {
    result.map_err(|error| StoreError::Sql(error).into())
}
