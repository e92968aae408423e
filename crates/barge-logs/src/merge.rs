//! The events of many streams in one order of time, read a few at a time.
//!
//! Streams are opened when the merge reaches the time of their first event, so a group of thousands of short streams
//! costs what a page touches. Both directions are one algorithm: backwards, every number of the order is negated.

use barge_core::AwsError;
use barge_store::rusqlite::{Connection, params};
use barge_store::sql;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Which events come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The oldest.
    Forward,
    /// The newest.
    Backward,
}

impl Direction {
    fn sign(self) -> i64 {
        match self {
            Self::Forward => 1,
            Self::Backward => -1,
        }
    }
}

/// An event's place in the order: time, stream, number in the stream.
pub(crate) type Place = [i64; 3];

/// A stream that may have events in the range.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) id: i64,
    pub(crate) name: String,
    /// Time of its first event.
    pub(crate) first: i64,
    /// Time of its last event.
    pub(crate) last: i64,
}

/// An event, and which of the merge's spans it is from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) place: Place,
    pub(crate) span: usize,
    pub(crate) ingested: i64,
    pub(crate) message: String,
}

/// Events of one stream that were read ahead.
struct Cursor {
    ahead: VecDeque<Event>,
    /// How many to read next; grows, so that few reads serve a long stream and a short one reads little.
    batch: i64,
    exhausted: bool,
}

/// A merge in progress.
pub(crate) struct Merge<'a> {
    connection: &'a Connection,
    direction: Direction,
    /// First and last moment, both within the range.
    range: (i64, i64),
    /// Only events beyond this place.
    beyond: Option<Place>,
    spans: Vec<Span>,
    cursors: Vec<Cursor>,
    /// The next event of each open stream, by its signed place.
    next: BinaryHeap<Reverse<(Place, usize)>>,
}

impl<'a> Merge<'a> {
    /// A merge of `spans` over `range` in `direction`, starting beyond a place.
    pub(crate) fn new(
        connection: &'a Connection,
        direction: Direction,
        range: (i64, i64),
        beyond: Option<Place>,
        mut spans: Vec<Span>,
    ) -> Self {
        match direction {
            Direction::Forward => spans.sort_by_key(|span| span.first),
            Direction::Backward => spans.sort_by_key(|span| Reverse(span.last)),
        }
        Self { connection, direction, range, beyond, spans, cursors: Vec::new(), next: BinaryHeap::new() }
    }

    /// The stream that an event is from.
    pub(crate) fn stream(&self, event: &Event) -> &str {
        &self.spans[event.span].name
    }

    /// The next event; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, AwsError> {
        self.open_due()?;
        let Some(Reverse((_, span))) = self.next.pop() else {
            return Ok(None);
        };
        let event = self.cursors[span].ahead.pop_front();
        if let Some(event) = &event {
            self.read_ahead(span, Some(event.place))?;
        }
        Ok(event)
    }

    /// Opens the streams whose events may come before all that is known.
    fn open_due(&mut self) -> Result<(), AwsError> {
        while self.cursors.len() < self.spans.len() {
            let span = &self.spans[self.cursors.len()];
            let earliest = match self.direction {
                Direction::Forward => span.first,
                Direction::Backward => -span.last,
            };
            if self.next.peek().is_some_and(|Reverse((place, _))| place[0] < earliest) {
                break;
            }
            self.cursors.push(Cursor { ahead: VecDeque::new(), batch: 32, exhausted: false });
            self.read_ahead(self.cursors.len() - 1, self.beyond)?;
        }
        Ok(())
    }

    /// Makes sure that a stream's next event is known, and queues it.
    fn read_ahead(&mut self, index: usize, beyond: Option<Place>) -> Result<(), AwsError> {
        if self.cursors[index].ahead.is_empty() && !self.cursors[index].exhausted {
            let from = self.from(self.spans[index].id, beyond);
            let batch = self.cursors[index].batch;
            let ahead = self.fetch(index, from, batch)?;
            let cursor = &mut self.cursors[index];
            cursor.exhausted = i64::try_from(ahead.len()).is_ok_and(|read| read < batch);
            cursor.batch = (batch * 4).min(4096);
            cursor.ahead = ahead;
        }
        if let Some(event) = self.cursors[index].ahead.front() {
            self.next.push(Reverse((event.place.map(|n| n * self.direction.sign()), index)));
        }
        Ok(())
    }

    /// The first `(time, number)` of a stream that lies beyond a place and within the range.
    fn from(&self, stream: i64, beyond: Option<Place>) -> (i64, i64) {
        let (sign, start) = match self.direction {
            Direction::Forward => (1, (self.range.0, 0)),
            Direction::Backward => (-1, (self.range.1, i64::MAX)),
        };
        let Some([at, beyond_stream, seq]) = beyond else {
            return start;
        };
        let behind = match (stream * sign).cmp(&(beyond_stream * sign)) {
            std::cmp::Ordering::Greater => (at, if sign > 0 { 0 } else { i64::MAX }),
            std::cmp::Ordering::Equal => (at, seq.saturating_add(sign)),
            std::cmp::Ordering::Less => (at.saturating_add(sign), if sign > 0 { 0 } else { i64::MAX }),
        };
        match self.direction {
            Direction::Forward => behind.max(start),
            Direction::Backward => behind.min(start),
        }
    }

    fn fetch(&self, span: usize, (at, seq): (i64, i64), batch: i64) -> Result<VecDeque<Event>, AwsError> {
        let (query, bound) = match self.direction {
            Direction::Forward => (
                "SELECT at, seq, ingested, message FROM logs_events
                 WHERE stream = ?1 AND (at, seq) >= (?2, ?3) AND at <= ?4 ORDER BY at, seq LIMIT ?5",
                self.range.1,
            ),
            Direction::Backward => (
                "SELECT at, seq, ingested, message FROM logs_events
                 WHERE stream = ?1 AND (at, seq) <= (?2, ?3) AND at >= ?4 ORDER BY at DESC, seq DESC LIMIT ?5",
                self.range.0,
            ),
        };
        let stream = self.spans[span].id;
        let mut statement = sql(self.connection.prepare_cached(query))?;
        let events = statement.query_map(params![stream, at, seq, bound, batch], |row| {
            let place = [row.get(0)?, stream, row.get(1)?];
            Ok(Event { place, span, ingested: row.get(2)?, message: row.get(3)? })
        });
        sql(events.and_then(Iterator::collect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A database with one row per `(stream, time)`, and the spans of its streams.
    fn database(events: &[(i64, i64)]) -> (Connection, Vec<Span>) {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::schema::STEPS[0]).unwrap();
        for (seq, (stream, at)) in events.iter().enumerate() {
            let row = params![stream, at, i64::try_from(seq).unwrap()];
            connection.execute("INSERT INTO logs_events VALUES (?1, ?2, ?3, 0, 'm')", row).unwrap();
        }
        let spans = (0..8).filter_map(|stream| {
            let times: Vec<i64> = events.iter().filter(|event| event.0 == stream).map(|event| event.1).collect();
            Some(Span { id: stream, name: stream.to_string(), first: *times.iter().min()?, last: *times.iter().max()? })
        });
        (connection, spans.collect())
    }

    proptest! {
        #[test]
        fn pages_joined_are_all_events_in_order(
            events in prop::collection::vec((0..8_i64, 0..40_i64), 0..120),
            start in 0..20_i64, length in 0..30_i64, page in 1..9_usize, backward: bool,
        ) {
            let (connection, spans) = database(&events);
            let range = (start, start + length);
            let direction = if backward { Direction::Backward } else { Direction::Forward };
            let mut want: Vec<Place> = events.iter().enumerate()
                .filter(|(_, (_, at))| (range.0..=range.1).contains(at))
                .map(|(seq, (stream, at))| [*at, *stream, i64::try_from(seq).unwrap()])
                .collect();
            want.sort_unstable();
            if backward {
                want.reverse();
            }
            let (mut found, mut beyond) = (Vec::new(), None);
            loop {
                let mut merge = Merge::new(&connection, direction, range, beyond, spans.clone());
                let before = found.len();
                while found.len() < before + page && let Some(event) = merge.next().unwrap() {
                    found.push(event.place);
                }
                if found.len() < before + page {
                    break;
                }
                beyond = found.last().copied();
            }
            prop_assert_eq!(found, want);
        }
    }
}
