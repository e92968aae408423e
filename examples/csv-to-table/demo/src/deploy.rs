//! Makes the stack: the function's code into a bucket, the template to CloudFormation, and each resource told as it
//! completes.

use crate::report;
use anyhow::{Context as _, bail};
use aws_sdk_cloudformation::types::{Capability, Parameter, StackEvent, StackStatus};
use aws_sdk_s3::primitives::ByteStream;
use csv_to_table_client::SdkConfig;
use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

const STACK: &str = "csv-to-table";
const CODE_BUCKET: &str = "csv-to-table-code";
const CODE_KEY: &str = "trigger.zip";
/// How often the stack's events are asked for.
const POLL: Duration = Duration::from_millis(50);

/// What the stack's outputs say.
pub(crate) struct Stack {
    pub(crate) bucket: String,
    pub(crate) table: String,
    pub(crate) repository_uri: String,
    pub(crate) queue: String,
    pub(crate) log_group: String,
}

/// S3 at a custom endpoint: a bucket has no host name of its own there.
pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(true).build())
}

/// Deploys the template with the function's binary, and waits until the stack is complete.
pub(crate) async fn deploy(config: &SdkConfig, template: &Path, function: &Path) -> anyhow::Result<Stack> {
    let s3 = s3(config);
    s3.create_bucket().bucket(CODE_BUCKET).send().await.context("the bucket for the function's code")?;
    let code = ByteStream::from(zipped(function)?);
    s3.put_object().bucket(CODE_BUCKET).key(CODE_KEY).body(code).send().await.context("the function's code")?;

    let formation = aws_sdk_cloudformation::Client::new(config);
    let body = std::fs::read_to_string(template).with_context(|| template.display().to_string())?;
    let parameter = |key: &str, value: &str| Parameter::builder().parameter_key(key).parameter_value(value).build();
    formation
        .create_stack()
        .stack_name(STACK)
        .template_body(body)
        .parameters(parameter("CodeBucket", CODE_BUCKET))
        .parameters(parameter("CodeKey", CODE_KEY))
        .capabilities(Capability::CapabilityIam)
        .capabilities(Capability::CapabilityNamedIam)
        .send()
        .await
        .map_err(|error| anyhow::anyhow!("the template was refused: {}", csv_to_table_client::explain(&error)))?;
    let outputs = settled(&formation).await?;
    let output = |key: &str| outputs.get(key).cloned().with_context(|| format!("the stack has no output {key}"));
    Ok(Stack {
        bucket: output("BucketName")?,
        table: output("TableName")?,
        repository_uri: output("RepositoryUri")?,
        queue: output("JobQueueName")?,
        log_group: output("JobLogGroupName")?,
    })
}

/// The function's binary as the zip file that a custom runtime wants: `bootstrap`, executable.
fn zipped(function: &Path) -> anyhow::Result<Vec<u8>> {
    let binary = std::fs::read(function).with_context(|| function.display().to_string())?;
    let stored = zip::CompressionMethod::Stored;
    let options = zip::write::SimpleFileOptions::default().compression_method(stored).unix_permissions(0o755);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("bootstrap", options)?;
    zip.write_all(&binary)?;
    Ok(zip.finish()?.into_inner())
}

/// Tells each event of the stack as it comes, until the last; gives the stack's outputs.
async fn settled(formation: &aws_sdk_cloudformation::Client) -> anyhow::Result<HashMap<String, String>> {
    let mut told = 0;
    loop {
        let events = formation.describe_stack_events().stack_name(STACK).send().await?.stack_events.unwrap_or_default();
        for event in events.iter().rev().skip(told) {
            report::event(event);
        }
        told = events.len();
        if events.first().is_some_and(is_last) {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    let stack = formation.describe_stacks().stack_name(STACK).send().await?;
    let stack = stack.stacks.and_then(|stacks| stacks.into_iter().next()).context("the stack is gone")?;
    if stack.stack_status != Some(StackStatus::CreateComplete) {
        bail!("the stack ended as {:?}: {}", stack.stack_status, stack.stack_status_reason.unwrap_or_default());
    }
    let outputs = stack.outputs.unwrap_or_default().into_iter();
    Ok(outputs.filter_map(|output| Some((output.output_key?, output.output_value?))).collect())
}

/// Whether nothing follows this event: it is the stack's own, and not the beginning of something.
fn is_last(event: &StackEvent) -> bool {
    let of_the_stack = event.resource_type.as_deref() == Some("AWS::CloudFormation::Stack");
    of_the_stack && event.resource_status.as_ref().is_some_and(|status| !status.as_str().ends_with("_IN_PROGRESS"))
}
