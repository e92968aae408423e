//! Tells the world of jobs' states, from rows that were committed with them: at least once, in order.

use crate::store::{Notice, Rows, Told};
use crate::view;
use barge_core::ports::{Event, EventSink};
use barge_core::{Arn, IdSource, Scope};
use barge_wire::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const RETRY: Duration = Duration::from_secs(5);

/// Runs until whoever wakes it is gone.
pub(super) async fn run(rows: Rows, sink: Arc<dyn EventSink>, ids: Arc<dyn IdSource>, mut wake: mpsc::Receiver<()>) {
    loop {
        match deliver(&rows, &*sink, &*ids).await {
            Ok(Delivered::Some) => {}
            Ok(Delivered::Nothing) => {
                if wake.recv().await.is_none() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "jobs' states could not be told");
                tokio::time::sleep(RETRY).await;
                if wake.is_closed() {
                    return;
                }
            }
        }
    }
}

enum Delivered {
    Some,
    Nothing,
}

async fn deliver(rows: &Rows, sink: &dyn EventSink, ids: &dyn IdSource) -> Result<Delivered, barge_core::AwsError> {
    let told = rows.untold().await?;
    let Some(last) = told.last().map(|told| told.number) else { return Ok(Delivered::Nothing) };
    sink.put(told.into_iter().map(|told| event(told, ids)).collect()).await?;
    rows.forget_told(last).await?;
    Ok(Delivered::Some)
}

/// What the world is told, as an event (Batch User Guide, "Job state change events", "Job queue blocked events").
fn event(told: Told, ids: &dyn IdSource) -> Event {
    let scope = told.detail.job_queue.parse::<Arn>().ok().and_then(|arn| arn.scope());
    let scope: Scope = scope.unwrap_or_default();
    let detail = view::job_detail(told.detail, &told.job);
    let (detail_type, resource) = match told.notice {
        Notice::StateChange => ("Batch Job State Change", detail.job_arn.clone()),
        Notice::QueueBlocked => ("Batch Job Queue Blocked", detail.job_arn.clone()),
    };
    Event {
        id: ids.uuid(),
        source: "aws.batch".to_owned(),
        detail_type: detail_type.to_owned(),
        scope,
        time: told.at,
        resources: resource.into_iter().collect(),
        detail: detail.into_document(),
    }
}
