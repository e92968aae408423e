//! The function: for each CSV file that an S3 event reports, one Batch job that loads it.
//!
//! `event` and `job` decide, and touch nothing. A submission that fails fails the invocation, so that Lambda tries the
//! event again; what is then submitted twice is loaded twice, to the same table.

mod event;
mod job;

use aws_sdk_batch::Client;
use aws_sdk_batch::types::{ArrayProperties, ContainerOverrides, KeyValuePair};
use csv_to_table_client::{Patience, configure, explain};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

use crate::event::EventError;
use crate::job::{Job, Settings};

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The event can't be understood.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Jobs could not be submitted: which, and why.
    #[error("{0}")]
    Submit(String),
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        let error_type = match &failure {
            Failure::Event(_) => "InvalidEvent",
            Failure::Submit(_) => "SubmitJobFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: failure.to_string() }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let config = configure(settings.region.clone(), Patience::Short).await;
    let client = Client::new(&config);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| handle(&client, &settings, event.payload))).await
}

/// Submits the event's jobs, all that can be, and answers with them; fails if any could not be.
async fn handle(client: &Client, settings: &Settings, event: Value) -> Result<Value, Failure> {
    let mut submitted = Vec::new();
    let mut failures = Vec::new();
    for upload in event::uploads(event)? {
        let file = format!("s3://{}/{}", upload.bucket, upload.key);
        let job = job::job(upload, settings);
        let children = job.children;
        match submit(client, settings, job).await {
            Ok(id) => {
                let array = children.map(|count| format!(", an array of {count}")).unwrap_or_default();
                println!("{file}: job {id}{array}");
                submitted.push(json!({"file": file, "jobId": id}));
            }
            Err(reason) => {
                eprintln!("{file}: {reason}");
                failures.push(format!("{file}: {reason}"));
            }
        }
    }
    if failures.is_empty() { Ok(json!({ "jobs": submitted })) } else { Err(Failure::Submit(failures.join("; "))) }
}

/// Submits a job and returns its id.
async fn submit(client: &Client, settings: &Settings, job: Job) -> Result<String, String> {
    let environment =
        job.environment.into_iter().map(|(name, value)| KeyValuePair::builder().name(name).value(value).build());
    let overrides = ContainerOverrides::builder().set_environment(Some(environment.collect())).build();
    let array = job.children.map(|count| ArrayProperties::builder().size(count).build());
    let request = client
        .submit_job()
        .job_name(job.name)
        .job_queue(&settings.queue)
        .job_definition(&settings.definition)
        .container_overrides(overrides)
        .set_array_properties(array);
    let output = request.send().await.map_err(|error| explain(&error))?;
    output.job_id.ok_or_else(|| "SubmitJob answered without a job id".to_owned())
}
