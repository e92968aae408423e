//! Storing events: from PutLogEvents, and from Barge's own functions and containers through the sink port.

use crate::batch::{self, OVERHEAD};
use crate::streams::{self, Stream};
use crate::{CloudWatchLogs, groups};
use async_trait::async_trait;
use barge_core::ports::{LogLine, LogSink, LogTarget};
use barge_core::{AwsError, Context, Scope};
use barge_store::rusqlite::{Connection, params};
use barge_store::sql;
use barge_wire::logs::{PutLogEventsRequest, PutLogEventsResponse};

/// Bytes of one event's message, at most. Longer lines of containers are cut into several events, as the `awslogs`
/// driver cuts them (Docker documentation, "Amazon CloudWatch Logs logging driver").
const LONGEST: usize = 262_144 - OVERHEAD;

/// Appends `(timestamp, message)` to a stream and keeps the stream's and group's totals.
fn append(
    connection: &Connection,
    group: i64,
    stream: &Stream,
    ingested: i64,
    events: impl Iterator<Item = (i64, String)>,
) -> Result<i64, AwsError> {
    let mut insert = sql(connection
        .prepare_cached("INSERT INTO logs_events (stream, at, seq, ingested, message) VALUES (?1, ?2, ?3, ?4, ?5)"))?;
    let (mut seq, mut bytes, mut first, mut last) = (stream.next_seq, 0_usize, i64::MAX, i64::MIN);
    for (at, message) in events {
        sql(insert.execute(params![stream.id, at, seq, ingested, message]))?;
        (seq, bytes) = (seq + 1, bytes + message.len() + OVERHEAD);
        (first, last) = (first.min(at), last.max(at));
    }
    if seq == stream.next_seq {
        return Ok(seq);
    }
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    sql(connection
        .prepare_cached(
            "UPDATE logs_streams SET next_seq = ?2, stored = stored + ?3, ingested = ?4,
                 first = min(coalesce(first, ?5), ?5), last = max(coalesce(last, ?6), ?6) WHERE id = ?1",
        )
        .and_then(|mut update| update.execute(params![stream.id, seq, bytes, ingested, first, last])))?;
    sql(connection
        .prepare_cached("UPDATE logs_groups SET stored = stored + ?2 WHERE id = ?1")
        .and_then(|mut update| update.execute(params![group, bytes])))?;
    Ok(seq)
}

impl CloudWatchLogs {
    pub(crate) async fn put_events(
        &self,
        cx: &Context,
        input: PutLogEventsRequest,
    ) -> Result<PutLogEventsResponse, AwsError> {
        if input.entity.is_some() {
            return Err(crate::errors::invalid("Barge does not support entity."));
        }
        let (scope, now) = (cx.scope.clone(), cx.now.millis());
        self.store
            .write(move |tx| {
                let group = groups::find(tx, &scope, &input.log_group_name)?;
                let stream = streams::find(tx, group.id, &input.log_stream_name)?;
                let accepted = batch::judge(&input.log_events, now, group.retention)?;
                let events = input.log_events.into_iter().take(accepted.events.end).skip(accepted.events.start);
                let events = events.map(|event| (event.timestamp, event.message));
                let next = append(tx, group.id, &stream, now, events)?;
                Ok(PutLogEventsResponse {
                    next_sequence_token: Some(streams::sequence_token(next)),
                    rejected_log_events_info: accepted.rejected,
                    rejected_entity_info: None,
                })
            })
            .await
    }
}

/// A line as events: none where it is empty, several where it is too long.
fn pieces(line: LogLine) -> impl Iterator<Item = (i64, String)> {
    let at = line.timestamp.millis();
    let mut rest = line.message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let cut = rest.floor_char_boundary(LONGEST);
        let tail = rest.split_off(cut);
        Some((at, std::mem::replace(&mut rest, tail)))
    })
}

#[async_trait]
impl LogSink for CloudWatchLogs {
    async fn ensure_group(&self, scope: &Scope, group: &str) -> Result<(), AwsError> {
        let (scope, group, now) = (scope.clone(), group.to_owned(), self.ambient.clock.now().millis());
        self.store.write(move |tx| groups::insert(tx, &scope, &group, now, None).map(drop)).await
    }

    async fn append(&self, target: &LogTarget, lines: Vec<LogLine>, read_to: Option<u64>) -> Result<(), AwsError> {
        let (target, now) = (target.clone(), self.ambient.clock.now().millis());
        let read_to = read_to.map(|position| i64::try_from(position).unwrap_or(i64::MAX));
        self.store
            .write(move |tx| {
                let group = groups::find(tx, &target.scope, &target.group)?;
                streams::insert(tx, group.id, &target.stream, now, None)?;
                let stream = streams::find(tx, group.id, &target.stream)?;
                if read_to.is_some_and(|position| position <= stream.position) {
                    return Ok(());
                }
                append(tx, group.id, &stream, now, lines.into_iter().flat_map(pieces))?;
                if let Some(position) = read_to {
                    let update = "UPDATE logs_streams SET position = ?2 WHERE id = ?1";
                    sql(tx.execute(update, params![stream.id, position]))?;
                }
                Ok(())
            })
            .await
    }

    async fn position(&self, target: &LogTarget) -> Result<u64, AwsError> {
        let target = target.clone();
        self.store
            .read(move |connection| {
                let group = groups::find(connection, &target.scope, &target.group)?;
                let stream = streams::lookup(connection, group.id, &target.stream)?;
                Ok(stream.and_then(|stream| u64::try_from(stream.position).ok()).unwrap_or(0))
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::Timestamp;

    fn cut(message: &str) -> Vec<String> {
        let line = LogLine { timestamp: Timestamp::from_millis(7), message: message.to_owned() };
        pieces(line).map(|(_, piece)| piece).collect()
    }

    #[test]
    fn long_lines_become_several_events_and_empty_ones_none() {
        assert_eq!(cut(""), Vec::<String>::new());
        assert_eq!(cut("short"), ["short"]);
        // A character of three bytes lies across the limit.
        let long = "x".repeat(LONGEST - 1) + "€uro";
        assert_eq!(cut(&long), [&long[..LONGEST - 1], "€uro"]);
    }
}
