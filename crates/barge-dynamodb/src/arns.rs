//! ARNs: dynoxide names one fixed account and region, a client its own. Requests are made local before dynoxide sees
//! them, responses are given the client's account and region afterwards. Items are never touched.

use crate::error::no_such_table;
use barge_core::{Arn, Scope};
use bytes::Bytes;
use dynoxide::DynoxideError;
use dynoxide::actions::{
    TableDescription, batch_execute_statement, batch_get_item, batch_write_item, create_table, delete_item,
    delete_table, describe_stream, describe_table, describe_time_to_live, execute_statement, execute_transaction,
    get_item, get_records, get_shard_iterator, list_streams, list_tables, list_tags_of_resource, put_item, query, scan,
    search_vectors, tag_resource, transact_get_items, transact_write_items, untag_resource, update_item, update_table,
    update_time_to_live,
};
use serde_json::Value;

/// The service's part of an ARN of dynoxide's up to the resource.
fn local(service: &str) -> String {
    let (region, account) = (dynoxide::streams::LOCAL_REGION, dynoxide::streams::LOCAL_ACCOUNT);
    format!("arn:aws:{service}:{region}:{account}:")
}

/// `text` with dynoxide's account and region replaced by the scope's. For ARNs and messages, never for items.
pub(crate) fn to_client(text: &mut String, scope: &Scope) {
    for service in ["dynamodb", "kms"] {
        let local = local(service);
        if text.contains(&local) {
            *text = text.replace(&local, &scope.arn(service, String::new()).to_string());
        }
    }
}

/// The request with the ARNs in it made dynoxide's, and tables that it names by ARN named by name. dynoxide checks
/// table names while it reads a request, so this happens before.
pub(crate) fn to_dynoxide(body: &Bytes, scope: &Scope) -> Result<Bytes, DynoxideError> {
    if !body.windows(5).any(|window| window == b"\"arn:") {
        return Ok(body.clone());
    }
    // What isn't JSON is complained about by the decoder that follows.
    let Ok(mut request) = serde_json::from_slice::<Value>(body) else {
        return Ok(body.clone());
    };
    let Some(members) = request.as_object_mut() else {
        return Ok(body.clone());
    };
    table_name(members, scope)?;
    for name in ["ResourceArn", "StreamArn", "ExclusiveStartStreamArn"] {
        if let Some(Value::String(text)) = members.get_mut(name)
            && text.starts_with("arn:")
        {
            *text = local("dynamodb") + &ours(text, scope)?;
        }
    }
    if let Some(Value::Object(tables)) = members.get_mut("RequestItems") {
        for (name, items) in std::mem::take(tables) {
            tables.insert(bare_name(name, scope)?, items);
        }
    }
    for item in members.get_mut("TransactItems").and_then(Value::as_array_mut).into_iter().flatten() {
        for action in item.as_object_mut().into_iter().flat_map(|item| item.values_mut()) {
            if let Some(members) = action.as_object_mut() {
                table_name(members, scope)?;
            }
        }
    }
    Ok(Bytes::from(request.to_string()))
}

fn table_name(members: &mut serde_json::Map<String, Value>, scope: &Scope) -> Result<(), DynoxideError> {
    if let Some(Value::String(name)) = members.get_mut("TableName") {
        *name = bare_name(std::mem::take(name), scope)?;
    }
    Ok(())
}

/// The table that a name or ARN names, where the ARN is of this account and region.
fn bare_name(name: String, scope: &Scope) -> Result<String, DynoxideError> {
    if !name.starts_with("arn:") {
        return Ok(name);
    }
    ours(&name, scope)?.strip_prefix("table/").map(str::to_owned).ok_or_else(no_such_table)
}

/// The resource part of an ARN of this account and region.
fn ours(text: &str, scope: &Scope) -> Result<String, DynoxideError> {
    let arn: Arn = text.parse().map_err(|_| {
        DynoxideError::ValidationException(format!("Invalid TableArn: Invalid ResourceArn provided as input {text}"))
    })?;
    if arn.service == "dynamodb" && arn.scope().as_ref() == Some(scope) {
        Ok(arn.resource)
    } else {
        Err(no_such_table())
    }
}

/// A response that may hold ARNs.
pub(crate) trait Globalise {
    /// Makes its ARNs the client's.
    fn globalise(&mut self, scope: &Scope);
}

macro_rules! without_arns {
    ($($response:ty),* $(,)?) => {
        $(impl Globalise for $response {
            fn globalise(&mut self, _: &Scope) {}
        })*
    };
}

without_arns! {
    list_tables::ListTablesResponse, put_item::PutItemResponse, get_item::GetItemResponse,
    delete_item::DeleteItemResponse, update_item::UpdateItemResponse, query::QueryResponse, scan::ScanResponse,
    search_vectors::SearchVectorsResponse, batch_get_item::BatchGetItemResponse,
    batch_write_item::BatchWriteItemResponse, transact_get_items::TransactGetItemsResponse,
    transact_write_items::TransactWriteItemsResponse, get_shard_iterator::GetShardIteratorResponse,
    update_time_to_live::UpdateTimeToLiveResponse, describe_time_to_live::DescribeTimeToLiveResponse,
    execute_statement::ExecuteStatementResponse, execute_transaction::ExecuteTransactionResponse,
    batch_execute_statement::BatchExecuteStatementResponse, tag_resource::TagResourceResponse,
    untag_resource::UntagResourceResponse, list_tags_of_resource::ListTagsOfResourceResponse,
}

impl Globalise for TableDescription {
    fn globalise(&mut self, scope: &Scope) {
        to_client(&mut self.table_arn, scope);
        if let Some(arn) = &mut self.latest_stream_arn {
            to_client(arn, scope);
        }
        for index in self.global_secondary_indexes.iter_mut().flatten() {
            to_client(&mut index.index_arn, scope);
        }
        for index in self.local_secondary_indexes.iter_mut().flatten() {
            to_client(&mut index.index_arn, scope);
        }
        for index in self.vector_indexes.iter_mut().flatten() {
            to_client(&mut index.index_arn, scope);
        }
        if let Some(arn) = self.sse_description.as_mut().and_then(|sse| sse.kms_master_key_arn.as_mut()) {
            to_client(arn, scope);
        }
    }
}

macro_rules! with_description {
    ($($response:ty => $member:ident),* $(,)?) => {
        $(impl Globalise for $response {
            fn globalise(&mut self, scope: &Scope) {
                self.$member.globalise(scope);
            }
        })*
    };
}

with_description! {
    create_table::CreateTableResponse => table_description,
    delete_table::DeleteTableResponse => table_description,
    update_table::UpdateTableResponse => table_description,
    describe_table::DescribeTableResponse => table,
}

impl Globalise for list_streams::ListStreamsResponse {
    fn globalise(&mut self, scope: &Scope) {
        for stream in &mut self.streams {
            to_client(&mut stream.stream_arn, scope);
        }
        if let Some(arn) = &mut self.last_evaluated_stream_arn {
            to_client(arn, scope);
        }
    }
}

impl Globalise for describe_stream::DescribeStreamResponse {
    fn globalise(&mut self, scope: &Scope) {
        to_client(&mut self.stream_description.stream_arn, scope);
    }
}

impl Globalise for get_records::GetRecordsResponse {
    fn globalise(&mut self, scope: &Scope) {
        for record in &mut self.records {
            scope.region.as_str().clone_into(&mut record.aws_region);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::{AccountId, Region};
    use serde_json::json;

    fn scope() -> Scope {
        Scope {
            account: AccountId::new("123456789012").unwrap_or_default(),
            region: Region::new("eu-west-1").unwrap_or_default(),
        }
    }

    fn sent(request: &Value) -> Option<Value> {
        let body = to_dynoxide(&Bytes::from(request.to_string()), &scope()).ok()?;
        serde_json::from_slice(&body).ok()
    }

    #[test]
    fn a_table_may_be_named_by_its_arn_and_items_stay_as_they_are() {
        let ours = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders";
        for (request, want) in [
            (json!({"TableName": "orders"}), Some(json!({"TableName": "orders"}))),
            (json!({"TableName": ours}), Some(json!({"TableName": "orders"}))),
            (
                json!({"TableName": ours, "Item": {"a": {"S": ours}}}),
                Some(json!({"TableName": "orders", "Item": {"a": {"S": ours}}})),
            ),
            (json!({"RequestItems": {ours: [1]}}), Some(json!({"RequestItems": {"orders": [1]}}))),
            (
                json!({"TransactItems": [{"Put": {"TableName": ours}}]}),
                Some(json!({"TransactItems": [{"Put": {"TableName": "orders"}}]})),
            ),
            (json!({"TableName": ours.replace("eu-west-1", "us-east-1")}), None),
            (json!({"TableName": ours.replace("123456789012", "000000000000")}), None),
            (json!({"TableName": "arn:nonsense"}), None),
        ] {
            assert_eq!(sent(&request), want, "{request}");
        }
    }

    #[test]
    fn stream_arns_go_in_and_come_back_out() {
        let theirs = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/1.5";
        let local = dynoxide::streams::stream_arn("orders", "1.5");
        assert_eq!(sent(&json!({"StreamArn": theirs})), Some(json!({"StreamArn": local})));
        let mut text = local;
        to_client(&mut text, &scope());
        assert_eq!(text, theirs);
    }
}
