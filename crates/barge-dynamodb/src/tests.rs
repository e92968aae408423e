//! The service as a client meets it: JSON over HTTP messages, restarts, tokens, time to live, and its resource type.

use crate::DynamoDb;
use barge_core::clock::ManualClock;
use barge_core::resource::Creation;
use barge_core::{AccountId, Ambient, Context, Document, Principal, RandomIds, Region, Scope, Timestamp};
use barge_wire::Service as _;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Fixture {
    service: Arc<DynamoDb>,
    clock: Arc<ManualClock>,
    directory: TempDir,
    cx: Context,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let ambient = ambient(&clock);
        let scope =
            Scope { account: AccountId::new("123456789012").unwrap(), region: Region::new("eu-west-1").unwrap() };
        let account = scope.account.clone();
        let cx = Context { principal: Principal::Root { account }, ..ambient.context(scope, "test") };
        Self { service: Arc::new(DynamoDb::new(directory.path(), &ambient)), clock, directory, cx }
    }

    /// The same data behind a new service, as after a kill: nothing was closed in order.
    fn restarted(&mut self) {
        self.service = Arc::new(DynamoDb::new(self.directory.path(), &ambient(&self.clock)));
    }

    async fn send(&self, operation: &str, body: &str) -> Response<Bytes> {
        let request = Request::builder()
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .body(Bytes::from(body.to_owned()))
            .unwrap();
        self.service.call(&self.cx, request).await
    }

    async fn ask(&self, operation: &str, body: Value) -> Value {
        let response = self.send(operation, &body.to_string()).await;
        let answer = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.status(), 200, "{operation}: {answer}");
        answer
    }

    async fn refused(&self, operation: &str, body: &Value) -> (u16, String, String) {
        let response = self.send(operation, &body.to_string()).await;
        let answer: Value = serde_json::from_slice(response.body()).unwrap();
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let code = text("__type").rsplit('#').next().unwrap_or_default().to_owned();
        (response.status().as_u16(), code, text("message") + &text("Message"))
    }

    async fn table(&self, name: &str) -> Value {
        self.ask("CreateTable", table(name)).await
    }
}

fn ambient(clock: &Arc<ManualClock>) -> Ambient {
    Ambient { clock: clock.clone(), ids: Arc::new(RandomIds), endpoint: "http://127.0.0.1:4566".to_owned() }
}

fn table(name: &str) -> Value {
    json!({
        "TableName": name,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "at", "AttributeType": "S"}
        ],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-time", "Projection": {"ProjectionType": "KEYS_ONLY"},
            "KeySchema": [{"AttributeName": "at", "KeyType": "HASH"}],
        }],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
    })
}

fn item(id: &str) -> Value {
    json!({"id": {"S": id}, "at": {"S": "2026"}, "n": {"N": "1"}})
}

#[tokio::test]
async fn arns_carry_the_requests_account_and_region() {
    let f = Fixture::new();
    let table = f.table("orders").await["TableDescription"].clone();
    let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders";
    assert_eq!(table["TableArn"], arn);
    assert_eq!(table["GlobalSecondaryIndexes"][0]["IndexArn"], format!("{arn}/index/by-time"));
    let stream = table["LatestStreamArn"].as_str().unwrap();
    assert!(stream.starts_with(&format!("{arn}/stream/")), "{stream}");

    f.ask("PutItem", json!({"TableName": arn, "Item": item("a")})).await;
    let shards = f.ask("DescribeStream", json!({"StreamArn": stream})).await["StreamDescription"].clone();
    assert_eq!(shards["StreamArn"], stream);
    let shard = &shards["Shards"][0]["ShardId"];
    let iterator = json!({"StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = f.ask("GetShardIterator", iterator).await["ShardIterator"].clone();
    let records = f.ask("GetRecords", json!({"ShardIterator": iterator})).await["Records"].clone();
    assert_eq!((&records[0]["awsRegion"], &records[0]["eventName"]), (&json!("eu-west-1"), &json!("INSERT")));

    f.ask("TagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "k", "Value": "v"}]})).await;
    let tags = f.ask("ListTagsOfResource", json!({"ResourceArn": arn})).await;
    assert_eq!(tags["Tags"][0]["Value"], "v");
}

#[tokio::test]
async fn another_account_or_region_has_its_own_tables() {
    let mut f = Fixture::new();
    f.table("orders").await;
    f.cx.scope.region = Region::new("us-east-1").unwrap();
    assert_eq!(f.ask("ListTables", json!({})).await["TableNames"], json!([]));
    let theirs = json!({"TableName": "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"});
    assert_eq!(f.refused("DescribeTable", &theirs).await.1, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let mut f = Fixture::new();
    f.table("orders").await;
    let puts: Vec<Value> = (0..25).map(|n| json!({"PutRequest": {"Item": item(&n.to_string())}})).collect();
    f.ask("BatchWriteItem", json!({"RequestItems": {"orders": puts}})).await;
    f.ask("DeleteItem", json!({"TableName": "orders", "Key": {"id": {"S": "3"}}})).await;
    f.restarted();
    assert_eq!(f.ask("Scan", json!({"TableName": "orders"})).await["Count"], 24);
    let by_time = json!({
        "TableName": "orders", "IndexName": "by-time", "KeyConditionExpression": "#a = :a",
        "ExpressionAttributeNames": {"#a": "at"}, "ExpressionAttributeValues": {":a": {"S": "2026"}},
    });
    assert_eq!(f.ask("Query", by_time).await["Count"], 24);
}

#[tokio::test]
async fn operations_that_share_a_commit_fail_by_themselves() {
    let f = Arc::new(Fixture::new());
    f.table("orders").await;
    let mut tasks = Vec::new();
    for n in 0..60 {
        let f = Arc::clone(&f);
        tasks.push(tokio::spawn(async move {
            // Every third repeats a key, under the condition that there is none.
            let id = if n % 3 == 0 { "same".to_owned() } else { format!("key-{n}") };
            let put = json!({
                "TableName": "orders", "Item": item(&id), "ConditionExpression": "attribute_not_exists(id)"
            });
            f.send("PutItem", &put.to_string()).await.status().as_u16()
        }));
    }
    let mut refused = 0;
    for task in tasks {
        refused += usize::from(task.await.unwrap() == 400);
    }
    assert_eq!(refused, 19);
    assert_eq!(f.ask("Scan", json!({"TableName": "orders"})).await["Count"], 41);
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing_and_its_token_makes_it_once() {
    let mut f = Fixture::new();
    f.table("orders").await;
    let put = |id: &str| json!({"Put": {"TableName": "orders", "Item": item(id)}});
    let check = json!({"ConditionCheck": {
        "TableName": "orders", "Key": {"id": {"S": "gone"}}, "ConditionExpression": "attribute_exists(id)",
    }});
    let failing = f.refused("TransactWriteItems", &json!({"TransactItems": [put("a"), check]})).await;
    assert_eq!(failing.1, "TransactionCanceledException");
    assert_eq!(f.ask("Scan", json!({"TableName": "orders"})).await["Count"], 0);

    let add = json!({"TransactItems": [{"Update": {
        "TableName": "orders", "Key": {"id": {"S": "a"}}, "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }}], "ClientRequestToken": "once"});
    f.ask("TransactWriteItems", add.clone()).await;
    f.restarted();
    f.ask("TransactWriteItems", add).await;
    let stored = f.ask("GetItem", json!({"TableName": "orders", "Key": {"id": {"S": "a"}}})).await;
    assert_eq!(stored["Item"]["n"]["N"], "1");
    let other = json!({"TransactItems": [put("b")], "ClientRequestToken": "once"});
    assert_eq!(f.refused("TransactWriteItems", &other).await.1, "IdempotentParameterMismatchException");
}

#[tokio::test]
async fn partiql_works_too() {
    let f = Fixture::new();
    f.table("orders").await;
    let insert = |id: &str| json!({"Statement": format!("INSERT INTO \"orders\" VALUE {{'id': '{id}'}}")});
    f.ask("ExecuteStatement", insert("a")).await;
    let batch = f.ask("BatchExecuteStatement", json!({"Statements": [insert("a"), insert("b")]})).await;
    assert_eq!(batch["Responses"][0]["Error"]["Code"], "DuplicateItem");
    f.ask("ExecuteTransaction", json!({"TransactStatements": [insert("c"), insert("d")]})).await;
    assert_eq!(f.ask("Scan", json!({"TableName": "orders"})).await["Count"], 4);
}

#[tokio::test]
async fn refusals_have_dynamodbs_codes() {
    let f = Fixture::new();
    f.table("orders").await;
    for (operation, body, status, code) in [
        ("GetItem", json!({"TableName": "nowhere", "Key": {"id": {"S": "a"}}}), 400, "ResourceNotFoundException"),
        ("CreateTable", table("orders"), 400, "ResourceInUseException"),
        ("CreateTable", json!({"TableName": "x"}), 400, "ValidationException"),
        ("CreateTable", json!({"TableName": "xyz", "ResourcePolicy": "{}"}), 400, "ValidationException"),
        ("PutItem", json!({"TableName": "orders", "Item": {}}), 400, "ValidationException"),
        ("PutItem", json!({"TableName": 7, "Item": {}}), 400, "SerializationException"),
        ("BatchWriteItem", json!({}), 400, "ValidationException"),
        ("CreateBackup", json!({}), 501, "NotImplemented"),
        ("Dance", json!({}), 400, "UnknownOperationException"),
    ] {
        let refused = f.refused(operation, &body).await;
        assert_eq!((refused.0, refused.1.as_str()), (status, code), "{operation} {body}: {}", refused.2);
        assert!(!refused.2.contains("dynoxide"), "{}", refused.2);
    }
    assert_eq!(f.send("PutItem", "{").await.status(), 400);
}

#[tokio::test]
async fn a_failed_create_leaves_nothing() {
    let f = Fixture::new();
    let tags: Vec<Value> = (0..60).map(|n| json!({"Key": n.to_string(), "Value": "v"})).collect();
    let mut request = table("orders");
    request["Tags"] = json!(tags);
    assert_eq!(f.refused("CreateTable", &request).await.1, "ValidationException");
    f.table("orders").await;
    f.ask("PutItem", json!({"TableName": "orders", "Item": item("a")})).await;
}

#[tokio::test]
async fn expired_items_go() {
    let f = Fixture::new();
    f.table("orders").await;
    let specification = json!({"AttributeName": "gone", "Enabled": true});
    f.ask("UpdateTimeToLive", json!({"TableName": "orders", "TimeToLiveSpecification": specification})).await;
    for (id, expires) in [("early", "1800000010"), ("late", "1900000000")] {
        f.ask("PutItem", json!({"TableName": "orders", "Item": {"id": {"S": id}, "gone": {"N": expires}}})).await;
    }
    assert_eq!(f.service.sweep_expired().await, Ok(0));
    f.clock.advance(Duration::from_mins(1));
    assert_eq!(f.service.sweep_expired().await, Ok(1));
    assert_eq!(f.ask("Scan", json!({"TableName": "orders"})).await["Items"][0]["id"]["S"], "late");
}

#[tokio::test]
async fn responses_carry_their_checksum_and_request_id() {
    let f = Fixture::new();
    let response = f.send("ListTables", "{}").await;
    let crc = crc32fast::hash(response.body()).to_string();
    assert_eq!(response.headers()["x-amz-crc32"], crc.as_str());
    assert_eq!(response.headers()["x-amzn-requestid"], f.cx.request_id.as_str());
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
}

fn creation(token: &str, properties: &Value) -> Creation {
    Creation {
        properties: Document::from_json(properties.to_string().as_bytes()).unwrap(),
        logical_id: "Table".to_owned(),
        stack_name: "stack".to_owned(),
        stack_id: "arn:aws:cloudformation:eu-west-1:123456789012:stack/stack/1".to_owned(),
        token: token.to_owned(),
        tags: BTreeMap::from([("team".to_owned(), "data".to_owned())]),
    }
}

#[tokio::test]
async fn a_template_makes_changes_and_removes_a_table() {
    let f = Fixture::new();
    let provider = crate::resources::resources(&f.service).remove(0);
    let properties = |throughput: &str, view: &str, index: &str| {
        json!({
            "TableName": "orders",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "at", "AttributeType": "S"}
            ],
            "ProvisionedThroughput": {"ReadCapacityUnits": throughput, "WriteCapacityUnits": 5},
            "GlobalSecondaryIndexes": [{
                "IndexName": index, "Projection": {"ProjectionType": "KEYS_ONLY"},
                "KeySchema": [{"AttributeName": "at", "KeyType": "HASH"}],
                "ProvisionedThroughput": {"ReadCapacityUnits": throughput, "WriteCapacityUnits": 5},
            }],
            "StreamSpecification": {"StreamViewType": view},
            "SSESpecification": {"SSEEnabled": "true"},
            "TimeToLiveSpecification": {"AttributeName": "gone", "Enabled": "true"},
            "Tags": [{"Key": "own", "Value": "1"}],
        })
    };
    let first = creation("t1", &properties("5", "NEW_IMAGE", "one"));
    let made = provider.create(&f.cx, &first).await.unwrap();
    assert_eq!(made.physical_id, "orders");
    assert_eq!(made.attributes["Arn"], "arn:aws:dynamodb:eu-west-1:123456789012:table/orders".into());
    assert!(made.attributes.contains_key("StreamArn"));
    assert_eq!(provider.create(&f.cx, &first).await.unwrap(), made, "the same token finds the same table");
    let stranger = creation("t2", &properties("5", "NEW_IMAGE", "one"));
    assert!(provider.create(&f.cx, &stranger).await.unwrap_err().is("ResourceInUseException"));

    let next = creation("t1", &properties("7", "OLD_IMAGE", "two"));
    provider.update(&f.cx, "orders", &first.properties, &next).await.unwrap();
    let table = f.ask("DescribeTable", json!({"TableName": "orders"})).await["Table"].clone();
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 7);
    assert_eq!(table["StreamSpecification"]["StreamViewType"], "OLD_IMAGE");
    assert_eq!(table["GlobalSecondaryIndexes"][0]["IndexName"], "two");
    assert_eq!(table["GlobalSecondaryIndexes"].as_array().unwrap().len(), 1);

    provider.delete(&f.cx, "orders", &next.properties).await.unwrap();
    provider.delete(&f.cx, "orders", &next.properties).await.unwrap();
    assert_eq!(provider.read(&f.cx, "orders", &next.properties).await.unwrap(), None);
}
