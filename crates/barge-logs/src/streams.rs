//! Log streams (Amazon CloudWatch Logs API Reference, CreateLogStream, DescribeLogStreams).

use crate::errors::{bad_token, invalid, no_stream};
use crate::{CloudWatchLogs, groups, names, tokens};
use barge_core::{AwsError, Context, Scope};
use barge_store::rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};
use barge_store::sql;
use barge_wire::logs::{DescribeLogStreamsRequest, DescribeLogStreamsResponse, LogStream, OrderBy, error};

/// Log streams per page where the client asks for no number.
const PAGE: i64 = 50;

/// A log stream as others need it.
pub(crate) struct Stream {
    pub(crate) id: i64,
    /// The number of its next event.
    pub(crate) next_seq: i64,
    /// Position in its source, for sinks.
    pub(crate) position: i64,
}

/// The stream called `name`, where there is one.
pub(crate) fn lookup(connection: &Connection, group: i64, name: &str) -> Result<Option<Stream>, AwsError> {
    let mut statement =
        sql(connection.prepare_cached("SELECT id, next_seq, position FROM logs_streams WHERE grp = ?1 AND name = ?2"))?;
    let stream = statement.query_row(params![group, name], |row| {
        Ok(Stream { id: row.get(0)?, next_seq: row.get(1)?, position: row.get(2)? })
    });
    sql(stream.optional())
}

/// The stream called `name`.
pub(crate) fn find(connection: &Connection, group: i64, name: &str) -> Result<Stream, AwsError> {
    lookup(connection, group, name)?.ok_or_else(no_stream)
}

/// Makes a stream that isn't there; says whether it wasn't.
pub(crate) fn insert(
    connection: &Connection,
    group: i64,
    name: &str,
    created: i64,
    creation: Option<&str>,
) -> Result<bool, AwsError> {
    let changed = sql(connection.execute(
        "INSERT INTO logs_streams (grp, name, created, creation) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![group, name, created, creation],
    ))?;
    Ok(changed > 0)
}

impl CloudWatchLogs {
    /// Creates a stream. With a `creation`, for a template, one that the same creation made is no error.
    pub(crate) async fn make_stream(
        &self,
        cx: &Context,
        group: String,
        stream: String,
        creation: Option<String>,
    ) -> Result<(), AwsError> {
        let (scope, now) = (cx.scope.clone(), cx.now.millis());
        self.store
            .write(move |tx| {
                let group = groups::find(tx, &scope, &group)?;
                if insert(tx, group.id, &stream, now, creation.as_deref())? {
                    return Ok(());
                }
                let query = "SELECT creation FROM logs_streams WHERE grp = ?1 AND name = ?2";
                let made_by: Option<String> = sql(tx.query_row(query, params![group.id, stream], |row| row.get(0)))?;
                if creation.is_some() && made_by == creation {
                    return Ok(());
                }
                Err(error::resource_already_exists_exception("The specified log stream already exists"))
            })
            .await
    }

    pub(crate) async fn delete_stream(&self, cx: &Context, group: String, stream: String) -> Result<(), AwsError> {
        let scope = cx.scope.clone();
        self.store
            .write(move |tx| {
                let group = groups::find(tx, &scope, &group)?;
                let stream = find(tx, group.id, &stream)?;
                // The events go with the next sweep: a stream may have millions.
                for statement in [
                    "UPDATE logs_groups SET stored = stored - (SELECT stored FROM logs_streams WHERE id = ?1)
                     WHERE id = (SELECT grp FROM logs_streams WHERE id = ?1)",
                    "INSERT INTO logs_trash VALUES (?1)",
                    "DELETE FROM logs_streams WHERE id = ?1",
                ] {
                    sql(tx.execute(statement, [stream.id]))?;
                }
                Ok(())
            })
            .await
    }

    pub(crate) async fn describe_streams(
        &self,
        cx: &Context,
        input: DescribeLogStreamsRequest,
    ) -> Result<DescribeLogStreamsResponse, AwsError> {
        let name = names::group(&cx.scope, input.log_group_name, input.log_group_identifier)?;
        let order = Order::new(input.order_by.unwrap_or(OrderBy::LogStreamName), input.descending.unwrap_or(false));
        let prefix = input.log_stream_name_prefix.unwrap_or_default();
        if !prefix.is_empty() && order.by == OrderBy::LastEventTime {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let from = input.next_token.as_deref().map(Order::read).transpose()?;
        let limit = input.limit.unwrap_or(PAGE);
        let scope = cx.scope.clone();
        self.store
            .read(move |connection| {
                let group = groups::find(connection, &scope, &name)?;
                let mut statement = sql(connection.prepare_cached(&order.query(from.is_some())))?;
                let more = limit + 1;
                let mut values: Vec<&dyn ToSql> = vec![&group.id, &prefix, &more];
                if let Some((time, name)) = &from {
                    values.push(name);
                    if order.by == OrderBy::LastEventTime {
                        values.push(time);
                    }
                }
                let rows = statement.query_map(values.as_slice(), |row| describe(&scope, &name, row));
                let mut streams: Vec<LogStream> = sql(rows.and_then(Iterator::collect))?;
                let next_token = groups::last_within(&mut streams, limit).map(Order::token);
                Ok(DescribeLogStreamsResponse { log_streams: Some(streams), next_token })
            })
            .await
    }
}

/// The order of a list of streams.
struct Order {
    by: OrderBy,
    descending: bool,
}

impl Order {
    fn new(by: OrderBy, descending: bool) -> Self {
        Self { by, descending }
    }

    /// The query of a page: from the start, or after the stream in `?4` (and its time in `?5`).
    fn query(&self, from: bool) -> String {
        let (after, direction) = if self.descending { ("<", "DESC") } else { (">", "ASC") };
        let (key, condition) = match self.by {
            OrderBy::LogStreamName => (format!("name {direction}"), format!("name {after} ?4")),
            OrderBy::LastEventTime => (
                format!("coalesce(last, 0) {direction}, name {direction}"),
                format!("(coalesce(last, 0), name) {after} (?5, ?4)"),
            ),
        };
        let condition = if from { format!("AND {condition}") } else { String::new() };
        format!(
            "SELECT name, created, first, last, ingested, next_seq FROM logs_streams
             WHERE grp = ?1 AND substr(name, 1, length(?2)) = ?2 {condition} ORDER BY {key} LIMIT ?3"
        )
    }

    fn token(last: &LogStream) -> String {
        let (time, name) =
            (last.last_event_timestamp.unwrap_or(0), last.log_stream_name.as_deref().unwrap_or_default());
        tokens::after(&format!("{time} {name}"))
    }

    fn read(token: &str) -> Result<(i64, String), AwsError> {
        let text = tokens::read_after(token)?;
        let (time, name) = text.split_once(' ').ok_or_else(bad_token)?;
        Ok((time.parse().map_err(|_| bad_token())?, name.to_owned()))
    }
}

fn describe(scope: &Scope, group: &str, row: &Row<'_>) -> Result<LogStream, barge_store::rusqlite::Error> {
    let name: String = row.get(0)?;
    Ok(LogStream {
        arn: Some(names::stream_arn(scope, group, &name)),
        log_stream_name: Some(name),
        creation_time: Some(row.get(1)?),
        first_event_timestamp: row.get(2)?,
        last_event_timestamp: row.get(3)?,
        last_ingestion_time: row.get(4)?,
        upload_sequence_token: Some(sequence_token(row.get(5)?)),
        stored_bytes: Some(0),
    })
}

/// AWS still answers with a sequence token, and ignores those that come.
pub(crate) fn sequence_token(next_seq: i64) -> String {
    format!("{next_seq:056}")
}
