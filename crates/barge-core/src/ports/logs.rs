//! CloudWatch Logs as functions and containers need it.

use crate::{AwsError, Scope, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A log stream's place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogTarget {
    /// Account and region.
    pub scope: Scope,
    /// Log group name.
    pub group: String,
    /// Log stream name.
    pub stream: String,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub timestamp: Timestamp,
    /// The line without its newline.
    pub message: String,
}

/// Takes lines.
#[async_trait]
pub trait LogSink: Send + Sync {
    /// Creates the log group where it does not exist.
    async fn ensure_group(&self, scope: &Scope, group: &str) -> Result<(), AwsError>;

    /// Appends `lines` durably; the stream is created where it does not exist, the group is not
    /// (`ResourceNotFoundException`).
    ///
    /// `read_to` is the source's position after these lines (a byte offset): it is committed with them, and lines of
    /// a source whose position is already at or past `read_to` are dropped, so that a source that is read again after
    /// a crash is stored once.
    async fn append(&self, target: &LogTarget, lines: Vec<LogLine>, read_to: Option<u64>) -> Result<(), AwsError>;

    /// The source position committed by the last append with one; 0 for a stream that has none.
    async fn position(&self, target: &LogTarget) -> Result<u64, AwsError>;
}
