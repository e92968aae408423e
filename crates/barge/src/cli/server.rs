//! The running server, as the commands that ask it something reach it.

use crate::client;
use crate::operator::{PATH, SIGNING_NAME};
use barge_core::Document;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::process::ExitCode;

/// Where the server is. Keys and region come from the environment, as for AWS's own tools.
#[derive(clap::Args)]
pub(super) struct ServerArgument {
    /// Where the server answers
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566", global = true)]
    endpoint_url: String,
}

impl ServerArgument {
    fn endpoint(&self) -> &str {
        self.endpoint_url.trim_end_matches('/')
    }

    /// One of the operator's calls.
    pub(super) async fn ask<I: Serialize, O: DeserializeOwned>(&self, call: &str, input: &I) -> anyhow::Result<O> {
        let signer = client::signer_from_environment(SIGNING_NAME)?;
        client::post_json(self.endpoint(), &signer, &format!("{PATH}{call}"), input).await
    }

    /// An operation of Batch by its path, e.g. `/v1/terminatejob`.
    pub(super) async fn batch(&self, path: &str, input: &Document) -> anyhow::Result<Document> {
        let signer = client::signer_from_environment("batch")?;
        client::post_json(self.endpoint(), &signer, path, input).await
    }

    /// An operation of CloudWatch Logs by its name.
    pub(super) async fn logs(&self, operation: &str, input: &Document) -> anyhow::Result<Document> {
        let signer = client::signer_from_environment("logs")?;
        client::call_json(self.endpoint(), &signer, &format!("Logs_20140328.{operation}"), input).await
    }
}

/// Runs a command that asks the server.
pub(super) fn run(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    ask(command)?;
    Ok(ExitCode::SUCCESS)
}

/// What the server answers, for a command that otherwise does not wait.
pub(super) fn ask<T>(question: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(question)
}
