//! Uploads a file and waits until its job has ended and its rows are in the table.

use crate::deploy::{Stack, s3};
use anyhow::{Context as _, bail};
use aws_sdk_batch::types::{JobDetail, JobStatus};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use csv_to_table_client::SdkConfig;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

const KEY: &str = "sample.csv";
/// How often the job and the table are asked for.
const POLL: Duration = Duration::from_millis(10);
/// After this long, the pipeline is taken to hang.
const PATIENCE: Duration = Duration::from_mins(1);
/// Every state that a job can be listed in.
const STATES: &[JobStatus] = &[
    JobStatus::Submitted,
    JobStatus::Pending,
    JobStatus::Runnable,
    JobStatus::Starting,
    JobStatus::Running,
    JobStatus::Succeeded,
    JobStatus::Failed,
];

/// A row: column to value.
pub(crate) type Row = BTreeMap<String, String>;

/// What came of an upload.
pub(crate) struct Run {
    pub(crate) job: JobDetail,
    pub(crate) log: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) upload_to_last_row: Duration,
}

/// The rows of the file.
pub(crate) fn expected_rows(file: &Path) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::Reader::from_path(file).with_context(|| file.display().to_string())?;
    Ok(reader.deserialize().collect::<Result<_, _>>()?)
}

/// Uploads `file` and follows it to the table.
pub(crate) async fn run(config: &SdkConfig, stack: &Stack, file: &Path, expected: usize) -> anyhow::Result<Run> {
    let dynamodb = aws_sdk_dynamodb::Client::new(config);
    let batch = aws_sdk_batch::Client::new(config);
    let body = ByteStream::from(std::fs::read(file)?);
    let started = Instant::now();
    s3(config).put_object().bucket(&stack.bucket).key(KEY).body(body).send().await.context("the upload")?;
    let mut upload_to_last_row = None;
    let job = loop {
        if upload_to_last_row.is_none() && rows(&dynamodb, &stack.table).await?.len() >= expected {
            upload_to_last_row = Some(started.elapsed());
        }
        if let Some(job) = latest_job(&batch, &stack.queue).await?
            && matches!(job.status, Some(JobStatus::Succeeded | JobStatus::Failed))
        {
            break job;
        }
        if started.elapsed() > PATIENCE {
            bail!("no job has ended {} s after the upload; see the server's log", PATIENCE.as_secs());
        }
        tokio::time::sleep(POLL).await;
    };
    let rows = rows(&dynamodb, &stack.table).await?;
    let log = log_lines(config, &stack.log_group, &job).await?;
    Ok(Run { job, log, rows, upload_to_last_row: upload_to_last_row.unwrap_or_else(|| started.elapsed()) })
}

/// Whether each row of the file is in the table.
pub(crate) fn check(expected: &[Row], found: &[Row]) -> anyhow::Result<()> {
    let missing: Vec<&Row> = expected
        .iter()
        .filter(|row| !found.iter().any(|item| row.iter().all(|(k, v)| item.get(k) == Some(v))))
        .collect();
    anyhow::ensure!(missing.is_empty(), "{} of {} rows are missing: {missing:?}", missing.len(), expected.len());
    Ok(())
}

async fn latest_job(batch: &aws_sdk_batch::Client, queue: &str) -> anyhow::Result<Option<JobDetail>> {
    for state in STATES {
        let listed = batch.list_jobs().job_queue(queue).job_status(state.clone()).send().await?;
        if let Some(id) = listed.job_summary_list.unwrap_or_default().into_iter().find_map(|job| job.job_id) {
            let described = batch.describe_jobs().jobs(id).send().await?;
            return Ok(described.jobs.and_then(|jobs| jobs.into_iter().next()));
        }
    }
    Ok(None)
}

async fn rows(dynamodb: &aws_sdk_dynamodb::Client, table: &str) -> anyhow::Result<Vec<Row>> {
    let items = dynamodb.scan().table_name(table).consistent_read(true).send().await?.items.unwrap_or_default();
    Ok(items.into_iter().map(row).collect())
}

fn row(item: HashMap<String, AttributeValue>) -> Row {
    let text = |value: AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text,
        other => format!("{other:?}"),
    };
    item.into_iter().map(|(column, value)| (column, text(value))).collect()
}

async fn log_lines(config: &SdkConfig, group: &str, job: &JobDetail) -> anyhow::Result<Vec<String>> {
    let stream = job.container.as_ref().and_then(|container| container.log_stream_name.clone());
    let stream = stream.context("the job has no log stream")?;
    let logs = aws_sdk_cloudwatchlogs::Client::new(config);
    let page = logs.get_log_events().log_group_name(group).log_stream_name(stream).start_from_head(true).send().await?;
    Ok(page.events.unwrap_or_default().into_iter().filter_map(|event| event.message).collect())
}
