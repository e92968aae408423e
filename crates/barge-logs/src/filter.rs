//! FilterLogEvents: a group's streams in one order of time, those events that a pattern takes (Amazon CloudWatch Logs
//! API Reference, FilterLogEvents).

use crate::batch::OVERHEAD;
use crate::errors::{bad_token, invalid, no_stream};
use crate::merge::{Direction, Event, Merge, Place, Span};
use crate::pattern::Pattern;
use crate::read::{LARGEST, MOST};
use crate::{CloudWatchLogs, groups, names, tokens};
use barge_core::{AwsError, Context};
use barge_store::rusqlite::{Connection, Row, params};
use barge_store::sql;
use barge_wire::logs::{FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent};

/// Events looked at per page, at most: a pattern that takes nothing still answers soon, with a token to go on.
const LOOKED_AT: usize = 200_000;
/// Descending order needs a start at or after 2024-01-01 (milliseconds).
const DESCENDING_FROM: i64 = 1_704_067_200_000;

/// Which streams of a group.
enum Streams {
    All,
    Named(Vec<String>),
    Prefixed(String),
}

struct Query {
    streams: Streams,
    pattern: Pattern,
    direction: Direction,
    beyond: Option<Place>,
    /// First and last moment, both included, in milliseconds.
    range: (i64, i64),
    limit: usize,
}

impl Query {
    fn new(input: FilterLogEventsRequest) -> Result<Self, AwsError> {
        let streams = match (input.log_stream_names, input.log_stream_name_prefix) {
            (Some(_), Some(_)) => {
                return Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters."));
            }
            (Some(names), None) => Streams::Named(names),
            (None, Some(prefix)) => Streams::Prefixed(prefix),
            (None, None) => Streams::All,
        };
        let range = (input.start_time.unwrap_or(0), input.end_time.unwrap_or(i64::MAX));
        let token = input.next_token.as_deref().map(tokens::read_numbers::<3>).transpose()?;
        let (direction, beyond) = match token {
            Some(("f", place)) => (Direction::Forward, Some(place)),
            Some(("b", place)) => (Direction::Backward, Some(place)),
            Some(_) => return Err(bad_token()),
            None if input.start_from_head == Some(false) => (Direction::Backward, None),
            None => (Direction::Forward, None),
        };
        if direction == Direction::Backward && range.0 < DESCENDING_FROM {
            return Err(invalid(
                "startFromHead=false is supported only when startTime is on or after Jan 1, 2024 00:00:00 UTC.",
            ));
        }
        Ok(Self {
            streams,
            pattern: Pattern::parse(input.filter_pattern.as_deref().unwrap_or_default()).map_err(invalid)?,
            direction,
            beyond,
            range,
            limit: usize::try_from(input.limit.unwrap_or(MOST)).unwrap_or(0),
        })
    }

    /// The streams that may have events in the range and beyond the token's place.
    fn spans(&self, connection: &Connection, group: i64) -> Result<Vec<Span>, AwsError> {
        let (mut start, mut end) = self.range;
        match (self.direction, self.beyond) {
            (Direction::Forward, Some([at, ..])) => start = start.max(at),
            (Direction::Backward, Some([at, ..])) => end = end.min(at),
            (_, None) => {}
        }
        let in_range = "SELECT id, name, first, last FROM logs_streams WHERE grp = ?1 AND first <= ?3 AND last >= ?2";
        match &self.streams {
            Streams::All => collect(connection, in_range, params![group, start, end]),
            Streams::Prefixed(prefix) => {
                let query = format!("{in_range} AND substr(name, 1, length(?4)) = ?4");
                collect(connection, &query, params![group, start, end, prefix])
            }
            Streams::Named(names) => {
                let mut spans = Vec::new();
                for name in names {
                    let query = "SELECT id, name, coalesce(first, 0), coalesce(last, -1)
                                 FROM logs_streams WHERE grp = ?1 AND name = ?2";
                    let span = collect(connection, query, params![group, name])?.pop().ok_or_else(no_stream)?;
                    if span.first <= end && span.last >= start && !spans.iter().any(|other: &Span| other.id == span.id)
                    {
                        spans.push(span);
                    }
                }
                Ok(spans)
            }
        }
    }

    fn run(&self, connection: &Connection, group: i64) -> Result<FilterLogEventsResponse, AwsError> {
        let spans = self.spans(connection, group)?;
        let mut merge = Merge::new(connection, self.direction, self.range, self.beyond, spans);
        let (mut events, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
        let mut at = self.beyond;
        let ended = loop {
            if events.len() == self.limit || looked_at == LOOKED_AT {
                break false;
            }
            let Some(event) = merge.next()? else { break true };
            looked_at += 1;
            if self.pattern.takes(&event.message) {
                bytes += event.message.len() + OVERHEAD;
                if bytes > LARGEST && !events.is_empty() {
                    break false;
                }
                events.push(filtered(&event, merge.stream(&event)));
            }
            at = Some(event.place);
        };
        let kind = if self.direction == Direction::Forward { "f" } else { "b" };
        let next_token = if ended { None } else { at.map(|place| tokens::numbers(kind, place)) };
        Ok(FilterLogEventsResponse { events: Some(events), searched_log_streams: Some(Vec::new()), next_token })
    }
}

fn collect(
    connection: &Connection,
    query: &str,
    values: &[&dyn barge_store::rusqlite::ToSql],
) -> Result<Vec<Span>, AwsError> {
    let span = |row: &Row<'_>| Ok(Span { id: row.get(0)?, name: row.get(1)?, first: row.get(2)?, last: row.get(3)? });
    let mut statement = sql(connection.prepare_cached(query))?;
    sql(statement.query_map(values, span).and_then(Iterator::collect))
}

fn filtered(event: &Event, stream: &str) -> FilteredLogEvent {
    let [at, id, seq] = event.place;
    FilteredLogEvent {
        log_stream_name: Some(stream.to_owned()),
        timestamp: Some(at),
        message: Some(event.message.clone()),
        ingestion_time: Some(event.ingested),
        // AWS's ids are 56 digits too.
        event_id: Some(format!("{at:020}{id:016}{seq:020}")),
    }
}

impl CloudWatchLogs {
    pub(crate) async fn filter_events(
        &self,
        cx: &Context,
        mut input: FilterLogEventsRequest,
    ) -> Result<FilterLogEventsResponse, AwsError> {
        let group = names::group(&cx.scope, input.log_group_name.take(), input.log_group_identifier.take())?;
        let query = Query::new(input)?;
        let scope = cx.scope.clone();
        self.store
            .read(move |connection| {
                query.run(connection, groups::find(connection, &scope, &group)?.offering("FilterLogEvents")?.id)
            })
            .await
    }
}
