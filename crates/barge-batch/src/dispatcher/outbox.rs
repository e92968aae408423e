//! Tells the world of jobs' states, from rows that were committed with them: at least once, in order.

use crate::store::{Rows, Told};
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

/// One state as an event (Batch User Guide, "Job state change events").
fn event(told: Told, ids: &dyn IdSource) -> Event {
    let scope = told.detail.job_queue.parse::<Arn>().ok().and_then(|arn| arn.scope());
    let scope: Scope = scope.unwrap_or_default();
    let detail = view::job_detail(told.detail, &told.job);
    let resources = detail.job_arn.iter().cloned().collect();
    Event {
        id: ids.uuid(),
        source: "aws.batch".to_owned(),
        detail_type: "Batch Job State Change".to_owned(),
        scope,
        time: told.at,
        resources,
        detail: detail.into_document(),
    }
}
