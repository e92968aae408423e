//! Items per second that a durable database takes: PutItem one after another, and BatchWriteItem from several clients.
//!
//! `cargo run --release -p barge-dynamodb --example write_throughput [ITEMS] [scattered]`: keys ascend, as in most files,
//! or are scattered over the table, the worst case.

use barge_core::{Ambient, Scope};
use barge_dynamodb::DynamoDb;
use barge_wire::Service as _;
use bytes::Bytes;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

const TABLE: &str = r#"{"TableName":"rows","BillingMode":"PAY_PER_REQUEST",
"KeySchema":[{"AttributeName":"ProductId","KeyType":"HASH"},{"AttributeName":"ProductName","KeyType":"RANGE"}],
"AttributeDefinitions":[{"AttributeName":"ProductId","AttributeType":"S"},{"AttributeName":"ProductName","AttributeType":"S"},
{"AttributeName":"CreatedTime","AttributeType":"S"}],
"GlobalSecondaryIndexes":[{"IndexName":"by-time","KeySchema":[{"AttributeName":"CreatedTime","KeyType":"HASH"}],
"Projection":{"ProjectionType":"KEYS_ONLY"}}]}"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let items: usize = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let ambient = Ambient::system("http://127.0.0.1:4566");
    let service = Arc::new(DynamoDb::new(directory.path(), &ambient));
    let call = |operation: &'static str, body: String| {
        let (service, cx) = (Arc::clone(&service), ambient.context(Scope::default(), "example"));
        async move {
            let target = format!("DynamoDB_20120810.{operation}");
            let request = http::Request::builder().header("x-amz-target", target).body(Bytes::from(body));
            let response = service.call(&cx, request.unwrap_or_default()).await;
            assert_eq!(response.status(), 200, "{:?}", response.body());
        }
    };
    call("CreateTable", TABLE.to_owned()).await;
    println!("{:<34} {:>10} {:>12}", "", "items", "items/s");

    let singles = items / 20;
    let start = Instant::now();
    for n in 0..singles {
        call("PutItem", format!(r#"{{"TableName":"rows","Item":{}}}"#, item(n))).await;
    }
    report("PutItem, one client", singles, start);

    for clients in [1, 4, 16] {
        let start = Instant::now();
        let mut tasks = Vec::new();
        for client in 0..clients {
            let batches: Vec<String> = (client..items / 25).step_by(clients).map(|n| batch(n * 25)).collect();
            let calls: Vec<_> = batches.into_iter().map(|body| call("BatchWriteItem", body)).collect();
            tasks.push(tokio::spawn(async move {
                for call in calls {
                    call.await;
                }
            }));
        }
        for task in tasks {
            task.await?;
        }
        report(&format!("BatchWriteItem of 25, {clients} in flight"), items, start);
    }
    Ok(())
}

fn item(n: usize) -> String {
    let scattered = std::env::args().nth(2).is_some();
    let id = if scattered { n.wrapping_mul(2_654_435_761) % 4_294_967_296 } else { n };
    format!(
        r#"{{"ProductId":{{"S":"{id:010}"}},"ProductName":{{"S":"product {n}"}},"ProductDescription":{{"S":"a description of some length"}},
"Filename":{{"S":"sample.csv"}},"CreatedTime":{{"S":"2026-11-23T06:00:00Z"}},"LastModified":{{"S":"2026-11-23T06:00:00Z"}}}}"#
    )
}

fn batch(from: usize) -> String {
    let mut body = String::from(r#"{"RequestItems":{"rows":["#);
    for n in from..from + 25 {
        let comma = if n == from { "" } else { "," };
        let _ = write!(body, r#"{comma}{{"PutRequest":{{"Item":{}}}}}"#, item(n));
    }
    body + "]}}"
}

#[allow(clippy::cast_precision_loss)] // a rate for people
fn report(what: &str, items: usize, start: Instant) {
    println!("{what:<34} {items:>10} {:>12.0}", items as f64 / start.elapsed().as_secs_f64());
}
