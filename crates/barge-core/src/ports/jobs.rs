//! Batch as other services need it (EventBridge rules and Step Functions start jobs).

use crate::{AwsError, Context, Document};
use async_trait::async_trait;

/// Submits jobs.
#[async_trait]
pub trait JobSubmitter: Send + Sync {
    /// Submits one job; `request` has the members of Batch's SubmitJob. Gives the job's id once it is durable.
    async fn submit(&self, cx: &Context, request: Document) -> Result<String, AwsError>;
}
