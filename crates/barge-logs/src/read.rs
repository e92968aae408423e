//! GetLogEvents: one stream, forwards or backwards (Amazon CloudWatch Logs API Reference, GetLogEvents).
//!
//! A token is a boundary between events: forward tokens ask for what comes from it on, backward tokens for what comes
//! before it. At the end of a stream the boundary does not move, so the client gets back the token it sent.

use crate::batch::OVERHEAD;
use crate::errors::{bad_token, no_stream};
use crate::{CloudWatchLogs, groups, names, streams, tokens};
use barge_core::{AwsError, Context};
use barge_store::rusqlite::{Connection, params};
use barge_store::sql;
use barge_wire::logs::{GetLogEventsRequest, GetLogEventsResponse, OutputLogEvent};

/// Events per page, at most.
pub(crate) const MOST: i64 = 10_000;
/// Bytes per page, at most.
pub(crate) const LARGEST: usize = 1_048_576;

/// A place between events: before the event of this time and number.
type Boundary = (i64, i64);

#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Backward,
}

/// What is asked of one stream.
struct Page {
    direction: Direction,
    boundary: Boundary,
    /// First moment, in milliseconds.
    start: i64,
    /// First moment that is too late, in milliseconds.
    end: i64,
    limit: i64,
}

impl Page {
    fn new(input: &GetLogEventsRequest) -> Result<Self, AwsError> {
        let (start, end) = (input.start_time.unwrap_or(0), input.end_time.unwrap_or(i64::MAX));
        let (direction, boundary) = match input.next_token.as_deref().map(tokens::read_numbers::<2>).transpose()? {
            Some(("f", [at, seq])) => (Direction::Forward, (at, seq)),
            Some(("b", [at, seq])) => (Direction::Backward, (at, seq)),
            Some(_) => return Err(bad_token()),
            None if input.start_from_head == Some(true) => (Direction::Forward, (start, 0)),
            None => (Direction::Backward, (end, 0)),
        };
        Ok(Self { direction, boundary, start, end, limit: input.limit.unwrap_or(MOST) })
    }

    fn read(&self, connection: &Connection, stream: i64) -> Result<GetLogEventsResponse, AwsError> {
        let query = match self.direction {
            Direction::Forward => {
                "SELECT at, seq, ingested, message FROM logs_events WHERE stream = ?1 AND (at, seq) >= (?2, ?3)
                 AND at >= ?4 AND at < ?5 ORDER BY at, seq LIMIT ?6"
            }
            Direction::Backward => {
                "SELECT at, seq, ingested, message FROM logs_events WHERE stream = ?1 AND (at, seq) < (?2, ?3)
                 AND at >= ?4 AND at < ?5 ORDER BY at DESC, seq DESC LIMIT ?6"
            }
        };
        let (at, seq) = self.boundary;
        let mut statement = sql(connection.prepare_cached(query))?;
        let mut rows = sql(statement.query(params![stream, at, seq, self.start, self.end, self.limit]))?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(row) = sql(rows.next())? {
            let event = sql(Event::read(row))?;
            bytes += event.message.len() + OVERHEAD;
            if bytes > LARGEST && !events.is_empty() {
                break;
            }
            events.push(event);
        }
        if matches!(self.direction, Direction::Backward) {
            events.reverse();
        }
        Ok(self.response(events))
    }

    fn response(&self, events: Vec<Event>) -> GetLogEventsResponse {
        let nothing = match self.boundary {
            // Nothing was there before the end of time: what comes later lies after the start.
            (i64::MAX, _) => (self.start, 0),
            boundary => boundary,
        };
        let before = events.first().map_or(nothing, |event| (event.at, event.seq));
        let after = events.last().map_or(nothing, |event| (event.at, event.seq + 1));
        GetLogEventsResponse {
            events: Some(events.into_iter().map(Event::output).collect()),
            next_forward_token: Some(tokens::numbers("f", [after.0, after.1])),
            next_backward_token: Some(tokens::numbers("b", [before.0, before.1])),
        }
    }
}

struct Event {
    at: i64,
    seq: i64,
    ingested: i64,
    message: String,
}

impl Event {
    fn read(row: &barge_store::rusqlite::Row<'_>) -> Result<Self, barge_store::rusqlite::Error> {
        Ok(Self { at: row.get(0)?, seq: row.get(1)?, ingested: row.get(2)?, message: row.get(3)? })
    }

    fn output(self) -> OutputLogEvent {
        OutputLogEvent { timestamp: Some(self.at), message: Some(self.message), ingestion_time: Some(self.ingested) }
    }
}

impl CloudWatchLogs {
    pub(crate) async fn get_events(
        &self,
        cx: &Context,
        input: GetLogEventsRequest,
    ) -> Result<GetLogEventsResponse, AwsError> {
        let page = Page::new(&input)?;
        let group = names::group(&cx.scope, input.log_group_name, input.log_group_identifier)?;
        let scope = cx.scope.clone();
        self.store
            .read(move |connection| {
                let group = groups::find(connection, &scope, &group)?.offering("GetLogEvents")?;
                let stream = streams::lookup(connection, group.id, &input.log_stream_name)?.ok_or_else(no_stream)?;
                page.read(connection, stream.id)
            })
            .await
    }
}
