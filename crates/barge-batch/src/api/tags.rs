//! Tags on queues, environments, definitions and jobs.

use super::jobs::job_id;
use super::names;
use crate::service::BatchService;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use std::collections::BTreeMap;

/// Tags that a resource may have.
const MOST: usize = 50;

/// A change to a resource's tags.
pub(super) type Change = Box<dyn FnOnce(&mut BTreeMap<String, String>) -> Result<(), AwsError> + Send>;

/// Checks all of a resource's tags together.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    if tags.len() > MOST {
        return Err(client_exception(format!("A resource can have at most {MOST} tags.")));
    }
    if let Some(key) = tags.keys().find(|key| key.to_lowercase().starts_with("aws:")) {
        return Err(client_exception(format!("Tag key {key} is not allowed: keys that start with aws: are reserved.")));
    }
    Ok(())
}

enum Tagged {
    Environment,
    Queue,
    Definition { name: String, revision: i64 },
    Job(crate::core::JobId),
}

fn tagged(cx: &Context, arn: &str) -> Result<Tagged, AwsError> {
    let resolves = |kind| arn.starts_with("arn:") && names::resolve(cx, kind, arn).is_some();
    if resolves("compute-environment") {
        return Ok(Tagged::Environment);
    }
    if resolves("job-queue") {
        return Ok(Tagged::Queue);
    }
    if let Some(job) = job_id(cx, arn).filter(|_| arn.starts_with("arn:")) {
        return Ok(Tagged::Job(job));
    }
    match names::definition(cx, arn).filter(|_| arn.starts_with("arn:")) {
        Some(names::DefinitionRef { name, revision: Some(revision) }) => Ok(Tagged::Definition { name, revision }),
        _ => Err(missing(arn)),
    }
}

fn missing(arn: &str) -> AwsError {
    client_exception(format!("Resource {arn} does not exist."))
}

impl BatchService {
    pub(super) async fn tags(&self, cx: &Context, arn: &str) -> Result<BTreeMap<String, String>, AwsError> {
        let tags = match tagged(cx, arn)? {
            Tagged::Environment => self.environment_tags(cx, arn).await?,
            Tagged::Queue => self.queue_tags(cx, arn).await?,
            Tagged::Definition { name, revision } => {
                let found = self.rows.definition(cx.scope.clone(), name, Some(revision)).await?;
                found.map(|found| found.definition.tags.unwrap_or_default())
            }
            Tagged::Job(job) => self.rows.job(job).await?.map(|stored| stored.detail.tags.unwrap_or_default()),
        };
        tags.ok_or_else(|| missing(arn))
    }

    pub(crate) async fn add_tags(
        &self,
        cx: &Context,
        arn: &str,
        added: BTreeMap<String, String>,
    ) -> Result<(), AwsError> {
        let change: Change = Box::new(move |tags| {
            tags.extend(added);
            check(tags)
        });
        self.change_tags(cx, arn, change).await
    }

    pub(crate) async fn remove_tags(&self, cx: &Context, arn: &str, keys: Vec<String>) -> Result<(), AwsError> {
        let change: Change = Box::new(move |tags| {
            tags.retain(|key, _| !keys.contains(key));
            Ok(())
        });
        self.change_tags(cx, arn, change).await
    }

    async fn change_tags(&self, cx: &Context, arn: &str, change: Change) -> Result<(), AwsError> {
        let found = match tagged(cx, arn)? {
            Tagged::Environment => return self.change_environment_tags(arn.to_owned(), change).await,
            Tagged::Queue => return self.change_queue_tags(arn.to_owned(), change).await,
            Tagged::Definition { name, revision } => {
                self.rows.change_definition_tags(cx.scope.clone(), name, revision, change).await?
            }
            Tagged::Job(job) => self.rows.change_job_tags(job, change).await?,
        };
        found.ok_or_else(|| missing(arn))
    }
}
