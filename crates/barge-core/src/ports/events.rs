//! EventBridge as event sources need it.

use crate::{AwsError, Document, Scope, Timestamp};
use async_trait::async_trait;

/// One event as EventBridge carries it (EventBridge User Guide, "Events in Amazon EventBridge").
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// A UUID.
    pub id: String,
    /// e.g. `aws.batch`.
    pub source: String,
    /// e.g. `Batch Job State Change`.
    pub detail_type: String,
    /// Account and region.
    pub scope: Scope,
    /// When it happened.
    pub time: Timestamp,
    /// ARNs of what it is about.
    pub resources: Vec<String>,
    /// A map; its members depend on the detail type.
    pub detail: Document,
}

/// Takes events.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Accepts events durably.
    async fn put(&self, events: Vec<Event>) -> Result<(), AwsError>;
}
