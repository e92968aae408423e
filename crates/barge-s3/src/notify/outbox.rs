//! Delivery: notifications that were committed with the changes they tell of go out, again and again until they
//! arrive. Each arrives at least once, in no order.

use crate::core::Core;
use crate::error::Result;
use barge_core::ports::{Event, InvocationMode};
use barge_core::{AccountId, Arn, AwsError, Document, Scope, Timestamp};
use barge_store::rusqlite::{Connection, Transaction, params};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Deliveries taken from the outbox at once.
const BATCH: usize = 64;
/// Deliveries under way at once.
const CONCURRENCY: usize = 16;
/// A delivery that takes longer counts as failed and is tried again.
const PATIENCE: Duration = Duration::from_secs(30);
/// After this long an undeliverable notification is dropped, as AWS drops it.
const LIFETIME: Duration = Duration::from_hours(24);
/// The wait after the first failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// One notification to one receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Delivery {
    /// Invoke a function.
    Function { function: Arn, bucket: String, account: AccountId, payload: String },
    /// Hand an event to EventBridge.
    Bridge(BridgeEvent),
}

/// An EventBridge event at rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BridgeEvent {
    pub(crate) id: String,
    pub(crate) detail_type: String,
    pub(crate) scope: Scope,
    pub(crate) time: Timestamp,
    pub(crate) resource: String,
    /// JSON.
    pub(crate) detail: String,
}

struct Due {
    id: i64,
    delivery: Delivery,
    created: Timestamp,
    attempts: u32,
}

/// What becomes of a notification after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It arrived, or never can.
    Done,
    /// It is tried again then.
    Again(Timestamp),
}

/// Delivers notifications for ever.
pub(crate) async fn deliver_forever(core: Arc<Core>) {
    loop {
        match deliver_due(&core).await {
            Ok(Some(wait)) => {
                // The permit of a notification that came meanwhile is kept, so none is missed.
                let _ = tokio::time::timeout(wait, core.outbox.notified()).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "notifications can't be read");
                tokio::time::sleep(FIRST_WAIT).await;
            }
        }
    }
}

/// Delivers what is due. `None` where there may be more, otherwise how long nothing will be due.
async fn deliver_due(core: &Arc<Core>) -> Result<Option<Duration>> {
    let now = core.now();
    let due = core.read(move |connection| due(connection, now)).await?;
    if due.is_empty() {
        let next = core.read(next_due).await?;
        return Ok(Some(next.map_or(LIFETIME, |next| next.since(core.now()))));
    }
    let attempts = due.into_iter().map(|due| attempt(core, due));
    let fates: Vec<_> = futures::stream::iter(attempts).buffer_unordered(CONCURRENCY).collect().await;
    core.store.write(move |tx: &Transaction<'_>| settle(tx, &fates)).await?;
    Ok(None)
}

async fn attempt(core: &Arc<Core>, due: Due) -> (i64, Fate) {
    let now = core.now();
    let failure = match tokio::time::timeout(PATIENCE, deliver(core, &due.delivery)).await {
        Ok(Ok(())) => return (due.id, Fate::Done),
        Ok(Err(error)) => error,
        Err(_) => AwsError::internal("no answer in time"),
    };
    let fate = after_failure(&failure, due.attempts, due.created, now);
    tracing::warn!(%failure, ?fate, attempts = due.attempts + 1, "a notification was not delivered");
    (due.id, fate)
}

fn after_failure(failure: &AwsError, attempts: u32, created: Timestamp, now: Timestamp) -> Fate {
    let hopeless = failure.is("ResourceNotFoundException") || failure.is("AccessDeniedException");
    if hopeless || now.since(created) > LIFETIME {
        return Fate::Done;
    }
    let wait = FIRST_WAIT.saturating_mul(1 << attempts.min(16)).min(LONGEST_WAIT);
    Fate::Again(now + wait)
}

async fn deliver(core: &Core, delivery: &Delivery) -> std::result::Result<(), AwsError> {
    match delivery {
        Delivery::Function { function, bucket, account, payload } => {
            let source = bucket_arn(bucket);
            if !core.functions.permits(function, SERVICE, &source, account.as_str()).await? {
                let message = format!("{function} does not permit {source} to invoke it any more");
                return Err(AwsError::new("AccessDeniedException", 403, message));
            }
            let payload = payload.clone().into_bytes().into();
            core.functions.invoke(function, payload, InvocationMode::Event).await.map(drop)
        }
        Delivery::Bridge(event) => {
            let Some(events) = &core.events else {
                return Err(AwsError::internal("EventBridge is not there"));
            };
            let detail = Document::from_json(event.detail.as_bytes()).map_err(AwsError::internal)?;
            let event = Event {
                id: event.id.clone(),
                source: "aws.s3".into(),
                detail_type: event.detail_type.clone(),
                scope: event.scope.clone(),
                time: event.time,
                resources: vec![event.resource.clone()],
                detail,
            };
            events.put(vec![event]).await
        }
    }
}

/// S3's name as functions' policies know it.
pub(crate) const SERVICE: &str = "s3.amazonaws.com";

/// A bucket's ARN.
pub(crate) fn bucket_arn(name: &str) -> Arn {
    Arn {
        partition: Arn::PARTITION.to_owned(),
        service: "s3".to_owned(),
        region: String::new(),
        account: String::new(),
        resource: name.to_owned(),
    }
}

fn due(connection: &Connection, now: Timestamp) -> Result<Vec<Due>> {
    let mut query = connection.prepare_cached(
        "SELECT id, delivery, created, attempts FROM s3_outbox WHERE due <= ?1 ORDER BY due, id LIMIT ?2",
    )?;
    let mut rows = query.query(params![now.millis(), BATCH])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        due.push(Due {
            id: row.get(0)?,
            delivery: serde_json::from_str(row.get_ref(1)?.as_str().unwrap_or_default())?,
            created: Timestamp::from_millis(row.get(2)?),
            attempts: row.get(3)?,
        });
    }
    Ok(due)
}

fn next_due(connection: &Connection) -> Result<Option<Timestamp>> {
    let next: Option<i64> = connection.query_row("SELECT min(due) FROM s3_outbox", [], |row| row.get(0))?;
    Ok(next.map(Timestamp::from_millis))
}

fn settle(tx: &Transaction<'_>, fates: &[(i64, Fate)]) -> Result<()> {
    for (id, fate) in fates {
        match fate {
            Fate::Done => tx.prepare_cached("DELETE FROM s3_outbox WHERE id = ?1")?.execute([id])?,
            Fate::Again(due) => tx
                .prepare_cached("UPDATE s3_outbox SET attempts = attempts + 1, due = ?2 WHERE id = ?1")?
                .execute(params![id, due.millis()])?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_retried_ever_more_slowly_for_a_day() {
        let day = Timestamp::from_millis(24 * 3600 * 1000);
        let start = Timestamp::default();
        let throttled = AwsError::new("TooManyRequestsException", 429, "");
        let gone = AwsError::new("ResourceNotFoundException", 404, "");
        for (failure, attempts, now, fate) in [
            (&throttled, 0, start, Fate::Again(Timestamp::from_millis(500))),
            (&throttled, 3, start, Fate::Again(Timestamp::from_millis(4000))),
            (&throttled, 40, start, Fate::Again(Timestamp::from_millis(300_000))),
            (&throttled, 40, day + Duration::from_millis(1), Fate::Done),
            (&gone, 0, start, Fate::Done),
        ] {
            assert_eq!(after_failure(failure, attempts, start, now), fate, "{failure} {attempts}");
        }
    }
}
