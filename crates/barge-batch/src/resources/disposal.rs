//! Deleting what must be disabled before it can be deleted, and goes when the last that uses it has: queues and environments.

use async_trait::async_trait;
use barge_core::resource::{Properties, ResourceProvider};
use barge_core::{AwsError, Context};
use std::time::Duration;

/// Between looks at something that is going, or changing.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// Looks: five minutes, ten times an attempt's grace.
const LOOKS: usize = 6000;

/// A resource that can be disabled.
#[async_trait]
pub(super) trait Disposable: ResourceProvider {
    /// Has it take no more work.
    async fn disable(&self, cx: &Context, arn: &str) -> Result<(), AwsError>;

    /// Has it go.
    async fn start_deletion(&self, cx: &Context, arn: &str) -> Result<(), AwsError>;
}

/// Disables and deletes, and waits until it is gone. Repeated after a crash it goes on where it was.
pub(super) async fn dispose(
    resource: &impl Disposable,
    cx: &Context,
    arn: &str,
    properties: &Properties,
) -> Result<(), AwsError> {
    if resource.read(cx, arn, properties).await?.is_none() {
        return Ok(());
    }
    match resource.disable(cx, arn).await {
        Ok(()) => resource.start_deletion(cx, arn).await?,
        // It is being deleted already: only its end is to be awaited.
        Err(error) if error.is("ClientException") => {}
        Err(error) => return Err(error),
    }
    for _ in 0..LOOKS {
        if resource.read(cx, arn, properties).await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(AwsError::internal(format!("What uses {arn} has not ended")))
}
