//! Amazon DynamoDB: dynoxide's engine behind DynamoDB's protocol, one durable database per account and region.
//!
//! What an operation means is dynoxide's. Here are the databases and their group commit, the protocol with its errors,
//! ARNs of the client's account and region, idempotent tokens, time-to-live sweeps and the template's resource types.

mod arns;
mod databases;
mod engine;
mod error;
mod operations;
mod refused;
pub mod resources;
#[cfg(test)]
mod tests;
mod tokens;
mod wire;
mod worker;

use async_trait::async_trait;
use barge_core::{Ambient, AwsError, Context, Scope};
use barge_wire::Protocol;
use bytes::Bytes;
use databases::Databases;
use http::{Request, Response};
use operations::{Call, Refusal};
use std::path::PathBuf;
use std::time::Duration;

/// How often expired items are looked for. AWS promises deletion within a few days (Amazon DynamoDB Developer Guide,
/// "Using time to live (TTL) in DynamoDB").
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// The DynamoDB service.
pub struct DynamoDb {
    databases: Databases,
}

impl DynamoDb {
    /// The service with its databases under `directory`, at `ACCOUNT/REGION.db`; each is opened when first asked for.
    pub fn new(directory: impl Into<PathBuf>, ambient: &Ambient) -> Self {
        Self { databases: Databases::new(directory.into(), ambient.clock.clone()) }
    }

    /// Deletes the items whose time to live has passed and returns how many there were.
    ///
    /// # Errors
    /// `InternalFailure` where a database can't be read.
    pub async fn sweep_expired(&self) -> Result<usize, AwsError> {
        self.databases.sweep().await.map_err(AwsError::internal)
    }

    /// Sweeps expired items once a minute, for ever.
    pub async fn run_sweeps(&self) {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if let Err(error) = self.sweep_expired().await {
                tracing::warn!(%error, "expired items could not be swept");
            }
        }
    }

    /// Runs one operation: JSON in, JSON out.
    pub(crate) async fn run(&self, scope: &Scope, operation: &str, body: &Bytes) -> Result<String, Refusal> {
        let database = self.databases.get(scope).await?;
        Call { scope, database: &database, operation, body }.run().await
    }

    /// [`DynamoDb::run`] for callers inside Barge.
    pub(crate) async fn request(&self, scope: &Scope, operation: &str, body: String) -> Result<String, AwsError> {
        self.run(scope, operation, &Bytes::from(body)).await.map_err(|refusal| match refusal {
            Refusal::Failed(error) => {
                let mut error = error::aws_error(&error);
                arns::to_client(&mut error.message, scope);
                error
            }
            Refusal::Unknown | Refusal::NotImplemented => AwsError::not_implemented("dynamodb", operation),
        })
    }
}

#[async_trait]
impl barge_wire::Service for DynamoDb {
    fn signing_name(&self) -> &'static str {
        "dynamodb"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Json10
    }

    fn operation(&self, request: &Request<Bytes>) -> Option<String> {
        wire::operation(request).map(str::to_owned)
    }

    async fn call(&self, cx: &Context, request: Request<Bytes>) -> Response<Bytes> {
        let Some(operation) = wire::operation(&request) else {
            return wire::unknown_operation(cx);
        };
        match self.run(&cx.scope, operation, request.body()).await {
            Ok(body) => wire::success(cx, body),
            Err(Refusal::Failed(error)) => wire::failure(cx, &error),
            Err(Refusal::NotImplemented) => wire::not_implemented(cx, operation),
            Err(Refusal::Unknown) => wire::unknown_operation(cx),
        }
    }
}
