//! The table: batches of rows become BatchWriteItem calls, several in flight. Which may be is [`crate::batch`]'s.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use csv_to_table_client::{SdkConfig, explain};
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::batch::{Batch, Ticket, UnderWay};
use crate::row::{Columns, OWN_COLUMNS, Row};

/// The table can't be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to table {table}: {reason}")]
pub(crate) struct TableError {
    table: String,
    reason: String,
}

/// What all rows of a file have in common.
#[derive(Debug)]
pub(crate) struct Stamp {
    /// The file's columns.
    pub(crate) columns: Columns,
    /// The file's key in the bucket.
    pub(crate) filename: String,
    /// When the file was put there. Not the clock: a second run must give the same items.
    pub(crate) modified: String,
}

impl Stamp {
    /// The item that stands for a row.
    fn item(&self, row: Row) -> HashMap<String, AttributeValue> {
        let own = [&self.filename, &self.modified, &self.modified];
        let own = OWN_COLUMNS.iter().zip(own).map(|(name, value)| ((*name).to_owned(), value.clone()));
        let columns = self.columns.names().iter().cloned().zip(row.values);
        own.chain(columns).map(|(name, value)| (name, AttributeValue::S(value))).collect()
    }
}

/// A table, and the calls to it that are in flight.
#[derive(Debug)]
pub(crate) struct Table {
    client: Client,
    name: String,
    under_way: UnderWay,
    calls: JoinSet<Result<Ticket, TableError>>,
    written: u64,
}

impl Table {
    /// The table `name`, with at most `in_flight` calls at once.
    pub(crate) fn new(config: &SdkConfig, name: String, in_flight: u8) -> Self {
        let retries = RetryPartition::custom("loader").token_bucket(TokenBucket::unlimited()).build();
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_mins(1)).build();
        let config =
            aws_sdk_dynamodb::config::Builder::from(config).retry_partition(retries).timeout_config(timeouts).build();
        Self {
            client: Client::from_conf(config),
            name,
            under_way: UnderWay::new(in_flight.into()),
            calls: JoinSet::new(),
            written: 0,
        }
    }

    /// How many rows are in the table since this was last asked.
    pub(crate) fn take_written(&mut self) -> u64 {
        std::mem::take(&mut self.written)
    }

    /// Sends a batch on its way, as soon as there is room. An error may be an earlier batch's.
    pub(crate) async fn write(&mut self, stamp: &Arc<Stamp>, batch: Batch) -> Result<(), TableError> {
        while !self.under_way.admits(&batch) {
            self.land_one().await?;
        }
        let (rows, ticket) = batch.depart();
        self.under_way.depart(&ticket);
        let (client, name, stamp) = (self.client.clone(), self.name.clone(), Arc::clone(stamp));
        self.calls.spawn(async move {
            match put_all(&client, &name, &stamp, rows).await {
                Ok(()) => Ok(ticket),
                Err(reason) => Err(TableError { table: name, reason }),
            }
        });
        Ok(())
    }

    /// Waits until every batch is in the table.
    pub(crate) async fn flush(&mut self) -> Result<(), TableError> {
        while !self.calls.is_empty() {
            self.land_one().await?;
        }
        Ok(())
    }

    async fn land_one(&mut self) -> Result<(), TableError> {
        let ticket = match self.calls.join_next().await {
            Some(Ok(landed)) => landed?,
            Some(Err(error)) => return Err(TableError { table: self.name.clone(), reason: error.to_string() }),
            None => return Ok(()),
        };
        self.under_way.arrive(&ticket);
        self.written += ticket.taken;
        Ok(())
    }
}

/// Puts rows, and again those that DynamoDB gives back unprocessed, until none are left.
async fn put_all(client: &Client, table: &str, stamp: &Stamp, rows: Vec<Row>) -> Result<(), String> {
    let requests = rows.into_iter().map(|row| request(stamp.item(row))).collect::<Result<Vec<_>, _>>();
    let mut left = requests.map_err(|error| error.to_string())?;
    let mut backoff = Backoff::default();
    while !left.is_empty() {
        let sent = left.len();
        let call = client.batch_write_item().request_items(table, left).send().await;
        let output = call.map_err(|error| explain(&error))?;
        left = output.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
        if left.is_empty() {
            break;
        }
        if left.len() < sent {
            backoff.reset();
        }
        match backoff.next(fastrand::f64()) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(format!("{} items stay unprocessed: the table takes no more writes", left.len())),
        }
    }
    Ok(())
}

fn request(item: HashMap<String, AttributeValue>) -> Result<WriteRequest, BuildError> {
    let put = PutRequest::builder().set_item(Some(item)).build()?;
    Ok(WriteRequest::builder().put_request(put).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_the_rows_columns_and_the_files() {
        let names = ["Id", "Name"].map(str::to_owned).to_vec();
        let stamp = Stamp {
            columns: Columns::new(names, &["Id".to_owned()]).unwrap(),
            filename: "in/a.csv".to_owned(),
            modified: "2026-01-02T03:04:05Z".to_owned(),
        };
        let item = stamp.item(Row { values: vec!["1".to_owned(), String::new()], bytes: 0 });
        let expected = [
            ("Id", "1"),
            ("Name", ""),
            ("Filename", "in/a.csv"),
            ("CreatedTime", "2026-01-02T03:04:05Z"),
            ("LastModified", "2026-01-02T03:04:05Z"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
        assert_eq!(item, HashMap::from(expected));
    }
}
