//! Every operation: its request type, whether it may share a commit, and the dynoxide call behind it.

use crate::arns::{self, Globalise};
use crate::databases::Database;
use crate::engine::Engine;
use crate::error::ready;
use crate::worker::Manner;
use crate::{refused, tokens, wire};
use barge_core::Scope;
use bytes::Bytes;
use dynoxide::DynoxideError;
use dynoxide::actions::{
    batch_execute_statement, batch_get_item, batch_write_item, create_table, delete_item, delete_table,
    describe_stream, describe_table, describe_time_to_live, execute_statement, execute_transaction, get_item,
    get_records, get_shard_iterator, list_streams, list_tables, list_tags_of_resource, put_item, query, scan,
    search_vectors, tag_resource, transact_get_items, transact_write_items, untag_resource, update_item, update_table,
    update_time_to_live,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bodies above this many bytes are decoded off the async threads.
const LARGE: usize = 256 * 1024;

/// Operations of the published model that dynoxide does not have.
const LACKING: [&str; 38] = [
    "CancelBulkOperation",
    "CreateBackup",
    "CreateGlobalTable",
    "DeleteBackup",
    "DeleteResourcePolicy",
    "DescribeBackup",
    "DescribeBulkOperation",
    "DescribeContinuousBackups",
    "DescribeContributorInsights",
    "DescribeEndpoints",
    "DescribeExport",
    "DescribeGlobalTable",
    "DescribeGlobalTableSettings",
    "DescribeImport",
    "DescribeKinesisStreamingDestination",
    "DescribeLimits",
    "DescribeTableReplicaAutoScaling",
    "DisableKinesisStreamingDestination",
    "EnableKinesisStreamingDestination",
    "ExportTableToPointInTime",
    "GetResourcePolicy",
    "ImportTable",
    "ListBackups",
    "ListBulkOperations",
    "ListContributorInsights",
    "ListExports",
    "ListGlobalTables",
    "ListImports",
    "PutResourcePolicy",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "StartBulkPutItems",
    "UpdateContinuousBackups",
    "UpdateContributorInsights",
    "UpdateGlobalTable",
    "UpdateGlobalTableSettings",
    "UpdateKinesisStreamingDestination",
    "UpdateTableReplicaAutoScaling",
];

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// DynamoDB has no such operation.
    Unknown,
    /// DynamoDB has it, Barge does not.
    NotImplemented,
    /// The operation failed.
    Failed(DynoxideError),
}

impl From<DynoxideError> for Refusal {
    fn from(error: DynoxideError) -> Self {
        Self::Failed(error)
    }
}

/// A request on its way to a database.
pub(crate) struct Call<'a> {
    /// The account and region whose database it is.
    pub(crate) scope: &'a Scope,
    /// The database.
    pub(crate) database: &'a Database,
    /// The operation's name.
    pub(crate) operation: &'a str,
    /// The request's JSON.
    pub(crate) body: &'a Bytes,
}

impl Call<'_> {
    /// Runs the operation and returns the response's JSON.
    pub(crate) async fn run(&self) -> Result<String, Refusal> {
        use Manner::{Alone, Grouped, Schema};
        refused::check(self.operation, self.body)?;
        let response = match self.operation {
            "CreateTable" => self.on(Schema, |e, r| ready(create_table::execute(&e.storage, r))).await,
            "DeleteTable" => self.on(Schema, |e, r| ready(delete_table::execute(&e.storage, r, &e.vectors))).await,
            "UpdateTable" => self.on(Schema, |e, r| ready(update_table::execute(&e.storage, r, &e.vectors))).await,
            "UpdateTimeToLive" => self.on(Schema, |e, r| ready(update_time_to_live::execute(&e.storage, r))).await,
            "TagResource" => self.on(Schema, |e, r| ready(tag_resource::execute(&e.storage, r))).await,
            "UntagResource" => self.on(Schema, |e, r| ready(untag_resource::execute(&e.storage, r))).await,
            "DescribeTable" => self.on(Grouped, |e, r| ready(describe_table::execute(&e.storage, r, &e.vectors))).await,
            "ListTables" => self.on(Grouped, |e, r| ready(list_tables::execute(&e.storage, r))).await,
            "DescribeTimeToLive" => self.on(Grouped, |e, r| ready(describe_time_to_live::execute(&e.storage, r))).await,
            "ListTagsOfResource" => self.on(Grouped, |e, r| ready(list_tags_of_resource::execute(&e.storage, r))).await,
            "PutItem" => self.on(Grouped, |e, r| ready(put_item::execute(&e.storage, r))).await,
            "GetItem" => self.on(Grouped, |e, r| ready(get_item::execute(&e.storage, r))).await,
            "DeleteItem" => self.on(Grouped, |e, r| ready(delete_item::execute(&e.storage, r))).await,
            "UpdateItem" => self.on(Grouped, |e, r| ready(update_item::execute(&e.storage, r))).await,
            "Query" => self.on(Grouped, |e, r| ready(query::execute(&e.storage, r))).await,
            "Scan" => self.on(Grouped, |e, r| ready(scan::execute(&e.storage, r))).await,
            "SearchVectors" => self.on(Grouped, |e, r| ready(search_vectors::execute(&e.storage, r, &e.vectors))).await,
            "BatchGetItem" => self.on(Grouped, |e, r| ready(batch_get_item::execute(&e.storage, r))).await,
            "BatchWriteItem" => self.on(Grouped, |e, r| ready(batch_write_item::execute(&e.storage, r))).await,
            "TransactGetItems" => self.on(Grouped, |e, r| ready(transact_get_items::execute(&e.storage, r))).await,
            "TransactWriteItems" => self.transact_write_items().await,
            "ListStreams" => self.on(Grouped, |e, r| ready(list_streams::execute(&e.storage, r))).await,
            "DescribeStream" => self.on(Grouped, |e, r| ready(describe_stream::execute(&e.storage, r))).await,
            "GetShardIterator" => self.on(Grouped, |e, r| ready(get_shard_iterator::execute(&e.storage, r))).await,
            "GetRecords" => self.on(Grouped, |e, r| ready(get_records::execute(&e.storage, r))).await,
            "ExecuteStatement" => self.on(Alone, |e, r| ready(execute_statement::execute(&e.storage, r))).await,
            "BatchExecuteStatement" => {
                self.on(Alone, |e, r| ready(batch_execute_statement::execute(&e.storage, r))).await
            }
            "ExecuteTransaction" => self.execute_transaction().await,
            name if LACKING.contains(&name) => return Err(Refusal::NotImplemented),
            _ => return Err(Refusal::Unknown),
        };
        Ok(response?)
    }

    async fn on<Request, Response>(
        &self,
        manner: Manner,
        operation: fn(&Engine, Request) -> Result<Response, DynoxideError>,
    ) -> Result<String, DynoxideError>
    where
        Request: DeserializeOwned + Send + 'static,
        Response: Globalise + Serialize + Send + 'static,
    {
        let request: Request = self.decode().await?;
        let mut response = self.database.run(manner, move |engine| operation(engine, request)).await?;
        response.globalise(self.scope);
        wire::encode(&response)
    }

    async fn transact_write_items(&self) -> Result<String, DynoxideError> {
        let request: transact_write_items::TransactWriteItemsRequest = self.decode().await?;
        let digest = self.digest(request.client_request_token.as_ref());
        self.database
            .run(Manner::Grouped, move |engine| {
                tokens::once(engine, request.client_request_token.clone().as_deref(), &digest, || {
                    wire::encode(&ready(transact_write_items::execute(&engine.storage, request))?)
                })
            })
            .await
    }

    async fn execute_transaction(&self) -> Result<String, DynoxideError> {
        let request: execute_transaction::ExecuteTransactionRequest = self.decode().await?;
        let digest = self.digest(request.client_request_token.as_ref());
        self.database
            .run(Manner::Grouped, move |engine| {
                tokens::once(engine, request.client_request_token.clone().as_deref(), &digest, || {
                    wire::encode(&ready(execute_transaction::execute(&engine.storage, request))?)
                })
            })
            .await
    }

    /// Reads the request; a large one on a thread where that holds nobody up.
    async fn decode<T: DeserializeOwned + Send + 'static>(&self) -> Result<T, DynoxideError> {
        let body = arns::to_dynoxide(self.body, self.scope)?;
        if body.len() <= LARGE {
            return wire::decode(self.operation, &body);
        }
        let operation = self.operation.to_owned();
        tokio::task::spawn_blocking(move || wire::decode(&operation, &body))
            .await
            .unwrap_or_else(|error| Err(DynoxideError::InternalServerError(error.to_string())))
    }

    /// What a request with a token says; empty for one without, which nothing compares.
    fn digest(&self, token: Option<&String>) -> Vec<u8> {
        token.map_or_else(Vec::new, |_| tokens::digest(self.operation, self.body, "ClientRequestToken"))
    }
}
