//! What can go wrong, and how a client hears of it.

use barge_core::AwsError;
use dynoxide::DynoxideError;
use futures::FutureExt as _;

/// The database itself failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// SQLite's own error: a full disk, a broken file.
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    /// dynoxide could not open it.
    #[error("{0}")]
    Open(#[from] DynoxideError),
    /// The operating system refused a file or a thread.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl From<Failure> for DynoxideError {
    fn from(failure: Failure) -> Self {
        Self::InternalServerError(failure.to_string())
    }
}

/// The result of a dynoxide operation. On the native storage its futures never wait for anything.
pub(crate) fn ready<T>(operation: impl Future<Output = Result<T, DynoxideError>>) -> Result<T, DynoxideError> {
    operation
        .now_or_never()
        .unwrap_or_else(|| Err(DynoxideError::InternalServerError("the storage did not answer".to_owned())))
}

/// The error as other services and CloudFormation see it.
pub(crate) fn aws_error(error: &DynoxideError) -> AwsError {
    let response = error.to_response();
    let code = response.error_type.rsplit('#').next().unwrap_or_default().to_owned();
    AwsError::new(code, error.status_code(), response.message)
}

/// The error of an operation on a table that isn't there, as DynamoDB words it.
pub(crate) fn no_such_table() -> DynoxideError {
    DynoxideError::ResourceNotFoundException("Requested resource not found".to_owned())
}
