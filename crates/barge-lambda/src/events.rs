//! Events that nobody waits for: stored before they are accepted, run by a few workers, tried again where the function
//! fails (Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation").

use crate::destinations::{Condition, Finished, target};
use crate::function::EventConfig;
use crate::instance::{Outcome, Verdict};
use crate::names::{FunctionKey, LATEST, Qualifier, Target};
use crate::shared::{Event, Shared};
use barge_core::ports::{LogLine, LogTarget};
use barge_core::{AccountId, AwsError, Region, Scope, Timestamp};
use barge_store::rusqlite::{Connection, Row, params};
use barge_store::{Store, sql};
use bytes::Bytes;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const EVENTS_TABLE: &str = "CREATE TABLE lambda_events (
    id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, function TEXT NOT NULL,
    payload BLOB NOT NULL, accepted INTEGER NOT NULL, failures INTEGER NOT NULL, throttles INTEGER NOT NULL,
    due INTEGER NOT NULL
);
CREATE INDEX lambda_events_due ON lambda_events (due)";

/// What an event was sent to beside the function: a version or an alias.
pub(crate) const QUALIFIER_COLUMN: &str = "ALTER TABLE lambda_events ADD COLUMN qualifier TEXT";

/// Throttled events are tried again at least so often.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

/// How long the queue rests after the database failed, and how long it sleeps where nothing is due.
const REST: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_hours(1);

/// An event in the queue.
#[derive(Clone, Debug)]
struct Queued {
    id: String,
    key: FunctionKey,
    qualifier: Qualifier,
    payload: Bytes,
    accepted: Timestamp,
    /// How often the function failed on it.
    failures: u32,
    /// How often it found no instance since it last ran.
    throttles: u32,
}

/// What becomes of an event after a try.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// It leaves the queue.
    Done,
    /// It leaves the queue unfinished.
    Drop(Reason),
    /// It is tried again at `due`.
    Again { failures: u32, throttles: u32, due: Timestamp },
}

/// Why an event is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    FunctionGone,
    QualifierGone,
    TooOld,
    /// The function failed so many times.
    Failed(u32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FunctionGone => f.write_str("the function is gone"),
            Self::QualifierGone => f.write_str("the version or alias is gone"),
            Self::TooOld => f.write_str("it is too old"),
            Self::Failed(times) => write!(f, "the function failed {times} times"),
        }
    }
}

impl Next {
    /// What destinations call it; `None` where they hear nothing.
    fn condition(&self) -> Option<Condition> {
        match self {
            Self::Done => Some(Condition::Success),
            Self::Drop(Reason::Failed(_)) => Some(Condition::RetriesExhausted),
            Self::Drop(Reason::TooOld) => Some(Condition::EventAgeExceeded),
            Self::Drop(_) | Self::Again { .. } => None,
        }
    }
}

/// An event that is to be queued.
struct Accepted {
    id: String,
    key: FunctionKey,
    qualifier: Qualifier,
    payload: Bytes,
    at: Timestamp,
}

impl Accepted {
    fn insert(&self, tx: &Connection) -> Result<(), AwsError> {
        let FunctionKey { scope, name, .. } = &self.key;
        let (account, region) = (scope.account.as_str(), scope.region.as_str());
        let qualifier = self.qualifier.text();
        let row = params![self.id, account, region, name, self.payload.as_ref(), self.at.millis(), qualifier];
        let insert = "INSERT OR IGNORE INTO lambda_events
            (id, account, region, function, payload, accepted, failures, throttles, due, qualifier)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?6, ?7)";
        let mut statement = sql(tx.prepare_cached(insert))?;
        sql(statement.execute(row)).map(drop)
    }
}

/// How a try went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Try {
    Succeeded,
    Failed,
    /// The function did not run.
    NotRun(AwsError),
}

/// The queue.
pub(crate) struct Events {
    store: Store,
    shared: Arc<Shared>,
    arrived: Notify,
}

impl Events {
    pub(crate) fn new(store: Store, shared: Arc<Shared>) -> Self {
        Self { store, shared, arrived: Notify::new() }
    }

    /// Takes an event; returns once it is durable. An id that is in the queue is not taken twice.
    pub(crate) async fn accept(
        &self,
        key: &FunctionKey,
        qualifier: &Qualifier,
        id: &str,
        payload: Bytes,
    ) -> Result<(), AwsError> {
        let (key, qualifier, at) = (key.clone(), qualifier.clone(), self.shared.ambient.clock.now());
        let accepted = Accepted { id: id.to_owned(), key, qualifier, payload, at };
        self.store.write(move |tx| accepted.insert(tx)).await?;
        self.arrived.notify_one();
        Ok(())
    }

    /// Runs events until `stop`.
    pub(crate) async fn work(self: Arc<Self>, stop: CancellationToken) {
        let mut running: HashSet<String> = HashSet::new();
        let mut tries = JoinSet::new();
        loop {
            let room = self.shared.config.event_workers.max(1) - running.len();
            let mut pause = IDLE;
            if room > 0 {
                match self.due(&running, room).await {
                    Ok((due, next)) => {
                        for queued in due {
                            running.insert(queued.id.clone());
                            let events = Arc::clone(&self);
                            tries.spawn(async move { events.attempt(queued).await });
                        }
                        let now = self.shared.ambient.clock.now();
                        pause = next.map_or(IDLE, |next| next.since(now).max(Duration::from_millis(1)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "queued events could not be read");
                        pause = REST;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.arrived.notified() => {}
                Some(finished) = tries.join_next(), if !tries.is_empty() => {
                    if let Ok(id) = finished {
                        running.remove(&id);
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// At most `room` events that are due and not `running`, and when the next one will be.
    async fn due(&self, running: &HashSet<String>, room: usize) -> Result<(Vec<Queued>, Option<Timestamp>), AwsError> {
        let now = self.shared.ambient.clock.now().millis();
        let running = running.clone();
        self.store
            .read(move |connection| {
                let due = "SELECT id, account, region, function, payload, accepted, failures, throttles, qualifier
                           FROM lambda_events WHERE due <= ?1 ORDER BY due LIMIT ?2";
                let mut statement = sql(connection.prepare_cached(due))?;
                let rows = sql(statement.query_map(params![now, running.len() + room], queued))?;
                let rows: Vec<Queued> = sql(rows.collect::<Result<_, _>>())?;
                let rows = rows.into_iter().filter(|queued| !running.contains(&queued.id)).take(room).collect();
                let next = "SELECT min(due) FROM lambda_events WHERE due > ?1";
                let next: Option<i64> = sql(connection.query_row(next, [now], |row| row.get(0)))?;
                Ok((rows, next.map(Timestamp::from_millis)))
            })
            .await
    }

    /// Tries an event once and notes what comes of it; gives its id.
    async fn attempt(&self, queued: Queued) -> String {
        let (next, told) = self.try_once(&queued).await;
        if let Next::Drop(reason) = &next {
            self.tell_of_drop(&queued, *reason).await;
        }
        if let Err(error) = self.note(&queued.id, next, told).await {
            tracing::warn!(%error, event = %queued.id, "an event's outcome was not stored; it will run again");
        }
        queued.id
    }

    /// What becomes of the event, and the event of the function that hears of it.
    async fn try_once(&self, queued: &Queued) -> (Next, Option<Accepted>) {
        let Some(whole) = self.shared.registry.get(&queued.key) else {
            return (Next::Drop(Reason::FunctionGone), None);
        };
        let Some(function) = whole.pointed(&queued.qualifier, self.shared.chance()) else {
            return (Next::Drop(Reason::QualifierGone), None);
        };
        let configured = whole.event_configs.get(&queued.qualifier.text().unwrap_or_else(|| LATEST.to_owned()));
        let event = Event { request_id: queued.id.clone(), payload: queued.payload.clone(), client_context: None };
        let (went, outcome) = match self.shared.run(&function, event).await {
            Ok(outcome) if outcome.verdict == Verdict::Succeeded => (Try::Succeeded, Some(outcome)),
            Ok(outcome) => (Try::Failed, Some(outcome)),
            Err(error) => (Try::NotRun(error), None),
        };
        let next = self.next(queued, &went, configured);
        let version = function.key.version_name();
        let told = configured.and_then(|config| self.told(queued, &next, config, outcome.as_ref(), version));
        (next, told)
    }

    fn next(&self, queued: &Queued, went: &Try, configured: Option<&EventConfig>) -> Next {
        let config = &self.shared.config;
        let (delays, oldest) = patience(configured, &config.retry_delays, config.max_event_age);
        let next = after(queued, went, self.shared.ambient.clock.now(), delays, config.throttle_delay);
        match next {
            Next::Again { due, .. } if due.since(queued.accepted) > oldest => Next::Drop(Reason::TooOld),
            next => next,
        }
    }

    /// The event of the function that hears what became of this one.
    fn told(
        &self,
        queued: &Queued,
        next: &Next,
        config: &EventConfig,
        outcome: Option<&Outcome>,
        version: String,
    ) -> Option<Accepted> {
        let condition = next.condition()?;
        // It was looked at when it was configured.
        let Target { key, qualifier } = target(&queued.key.scope, config.destinations.of(condition)?).ok()?;
        let at = self.shared.ambient.clock.now();
        let finished = Finished {
            id: &queued.id,
            function: &queued.key,
            qualifier: &queued.qualifier,
            payload: &queued.payload,
            condition,
            runs: queued.failures + u32::from(outcome.is_some()),
            last: outcome.map(|outcome| (outcome, version)),
        };
        let id = self.shared.ambient.ids.uuid();
        Some(Accepted { id, key, qualifier, payload: finished.record(at).into(), at })
    }

    /// Stores what becomes of an event, and what another function is told of it, in one step.
    async fn note(&self, id: &str, next: Next, told: Option<Accepted>) -> Result<(), AwsError> {
        let id = id.to_owned();
        let tells = told.is_some();
        self.store
            .write(move |tx| {
                if let Some(told) = told {
                    told.insert(tx)?;
                }
                sql(match next {
                    Next::Done | Next::Drop(_) => tx.execute("DELETE FROM lambda_events WHERE id = ?1", [id]),
                    Next::Again { failures, throttles, due } => tx.execute(
                        "UPDATE lambda_events SET failures = ?2, throttles = ?3, due = ?4 WHERE id = ?1",
                        params![id, failures, throttles, due.millis()],
                    ),
                })
                .map(drop)
            })
            .await?;
        if tells {
            self.arrived.notify_one();
        }
        Ok(())
    }

    async fn tell_of_drop(&self, queued: &Queued, reason: Reason) {
        let message = format!("RequestId: {} Error: the event was dropped: {reason}", queued.id);
        tracing::warn!(function = %queued.key.name, "{message}");
        let Some(function) = self.shared.registry.get(&queued.key) else { return };
        let now = self.shared.ambient.clock.now();
        let date = now.iso8601().get(..10).unwrap_or_default().replace('-', "/");
        let target = LogTarget {
            scope: queued.key.scope.clone(),
            group: function.settings.log_group(&queued.key.name),
            stream: format!("{date}/[$LATEST]dropped-events"),
        };
        let line = LogLine { timestamp: now, message };
        if let Err(error) = self.shared.logs.append(&target, vec![line], None).await {
            tracing::warn!(%error, "a dropped event was not noted in the function's log");
        }
    }
}

/// The delays before further tries and the age at which an event is dropped: the function's, within the service's.
fn patience<'d>(
    configured: Option<&EventConfig>,
    delays: &'d [Duration],
    oldest: Duration,
) -> (&'d [Duration], Duration) {
    let retries = configured.and_then(|config| config.retries).map_or(delays.len(), |retries| retries as usize);
    let age = configured.and_then(|config| config.max_age_seconds);
    let oldest = age.map_or(oldest, |seconds| Duration::from_secs(seconds.into()).min(oldest));
    (&delays[..retries.min(delays.len())], oldest)
}

/// What becomes of an event after a try that ended `now`.
fn after(queued: &Queued, went: &Try, now: Timestamp, delays: &[Duration], throttle_delay: Duration) -> Next {
    match went {
        Try::Succeeded => Next::Done,
        Try::Failed => match delays.get(queued.failures as usize) {
            Some(delay) => Next::Again { failures: queued.failures + 1, throttles: 0, due: now + *delay },
            None => Next::Drop(Reason::Failed(queued.failures + 1)),
        },
        Try::NotRun(_) => {
            let backoff = throttle_delay.saturating_mul(1 << queued.throttles.min(16)).min(LONGEST_BACKOFF);
            Next::Again { failures: queued.failures, throttles: queued.throttles + 1, due: now + backoff }
        }
    }
}

fn queued(row: &Row<'_>) -> barge_store::rusqlite::Result<Queued> {
    let (account, region): (String, String) = (row.get(1)?, row.get(2)?);
    let scope = Scope {
        account: AccountId::new(&account).unwrap_or_default(),
        region: Region::new(&region).unwrap_or_default(),
    };
    Ok(Queued {
        id: row.get(0)?,
        key: FunctionKey::new(&scope, row.get::<_, String>(3)?),
        qualifier: row.get::<_, Option<String>>(8)?.map_or(Qualifier::Plain, |text| Qualifier::parse(&text)),
        payload: row.get::<_, Vec<u8>>(4)?.into(),
        accepted: Timestamp::from_millis(row.get(5)?),
        failures: row.get(6)?,
        throttles: row.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::Destinations;

    #[test]
    fn what_becomes_of_an_event() {
        let at = Timestamp::from_millis;
        let (minute, second) = (Duration::from_mins(1), Duration::from_secs(1));
        let queued = |failures, throttles| Queued {
            id: "e".to_owned(),
            key: FunctionKey::new(&Scope::default(), "f"),
            qualifier: Qualifier::Plain,
            payload: Bytes::new(),
            accepted: at(0),
            failures,
            throttles,
        };
        let busy = || Try::NotRun(AwsError::new("TooManyRequestsException", 429, ""));
        let again = |failures, throttles, due| Next::Again { failures, throttles, due: at(due) };
        for (queued, went, expected) in [
            (queued(0, 0), Try::Succeeded, Next::Done),
            (queued(0, 0), Try::Failed, again(1, 0, 60_000)),
            (queued(1, 3), Try::Failed, again(2, 0, 120_000)),
            (queued(2, 0), Try::Failed, Next::Drop(Reason::Failed(3))),
            (queued(1, 0), busy(), again(1, 1, 1_000)),
            (queued(1, 3), busy(), again(1, 4, 8_000)),
            (queued(0, 40), busy(), again(0, 41, 300_000)),
        ] {
            assert_eq!(after(&queued, &went, at(0), &[minute, minute * 2], second), expected);
        }
    }

    #[test]
    fn a_function_may_ask_for_less_patience() {
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        let config = |retries, max_age_seconds| EventConfig {
            retries,
            max_age_seconds,
            destinations: Destinations::default(),
            last_modified: Timestamp::from_millis(0),
        };
        let delays = [minute, minute];
        assert_eq!(patience(None, &delays, hour), (&delays[..], hour));
        assert_eq!(patience(Some(&config(Some(0), Some(60))), &delays, hour), (&[][..], minute));
        assert_eq!(patience(Some(&config(Some(1), None)), &delays, hour), (&delays[..1], hour));
    }
}
