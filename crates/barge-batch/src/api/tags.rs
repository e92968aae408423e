//! Tags on every resource: environments, queues, definitions, policies, consumable resources and jobs.

use super::jobs::{JobRef, job_ref};
use super::{consumable, names, policy};
use crate::core::{ConsumableId, EnvironmentId, JobId, QueueId, Refusal};
use crate::dispatcher::{Alteration, Directory};
use crate::service::BatchService;
use crate::store::Write;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use std::collections::BTreeMap;

/// Tags that a resource may have.
const MOST: usize = 50;
/// Characters of a key and of a value.
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

type Tags = BTreeMap<String, String>;

/// A change to a resource's tags.
type Change = Box<dyn FnOnce(&mut Tags) -> Result<(), AwsError> + Send>;

/// Checks all of a resource's tags together.
pub(super) fn check(tags: &Tags) -> Result<(), AwsError> {
    if tags.len() > MOST {
        return Err(client_exception(format!("A resource can have at most {MOST} tags.")));
    }
    for (key, value) in tags {
        if key.to_lowercase().starts_with("aws:") {
            return Err(client_exception(format!(
                "Tag key {key} is not allowed: keys that start with aws: are reserved."
            )));
        }
        if key.is_empty() || key.chars().count() > LONGEST_KEY || value.chars().count() > LONGEST_VALUE {
            return Err(client_exception(format!(
                "Tag keys have between 1 and {LONGEST_KEY} characters, values at most {LONGEST_VALUE}: {key:?}."
            )));
        }
    }
    Ok(())
}

enum Tagged {
    /// One that the dispatcher's directory has.
    Resource(Kind),
    Definition {
        name: String,
        revision: i64,
    },
    Job(JobId),
}

enum Kind {
    Environment(EnvironmentId),
    Queue(QueueId),
    Policy(String),
    Consumable(ConsumableId),
}

fn tagged(cx: &Context, arn: &str) -> Result<Tagged, AwsError> {
    if !arn.starts_with("arn:") {
        return Err(missing(arn));
    }
    let is = |kind| names::resolve(cx, kind, arn).is_some();
    if is("compute-environment") {
        return Ok(Tagged::Resource(Kind::Environment(EnvironmentId::new(arn))));
    }
    if is("job-queue") {
        return Ok(Tagged::Resource(Kind::Queue(QueueId::new(arn))));
    }
    if is(policy::KIND) {
        return Ok(Tagged::Resource(Kind::Policy(arn.to_owned())));
    }
    if is(consumable::KIND) {
        return Ok(Tagged::Resource(Kind::Consumable(ConsumableId::new(arn))));
    }
    // An array's children and a job's nodes have no tags of their own.
    if let Some(JobRef::Job(job)) = job_ref(cx, arn).filter(|found| found.job().parent().is_none()) {
        return Ok(Tagged::Job(job));
    }
    match names::definition(cx, arn) {
        Some(names::DefinitionRef { name, revision: Some(revision) }) => Ok(Tagged::Definition { name, revision }),
        _ => Err(missing(arn)),
    }
}

fn missing(arn: &str) -> AwsError {
    client_exception(format!("Resource {arn} does not exist."))
}

impl Kind {
    /// The resource's tags; `None` where it is not there.
    fn tags(&self, directory: &Directory) -> Option<Tags> {
        let tags = match self {
            Self::Environment(id) => &directory.environment(id)?.detail.tags,
            Self::Queue(id) => &directory.queue(id)?.detail.tags,
            Self::Policy(arn) => &directory.policy(arn)?.detail.tags,
            Self::Consumable(id) => &directory.consumable(id)?.detail.shown.tags,
        };
        Some(tags.clone().unwrap_or_default())
    }

    /// The resource with changed tags; `None` where it is not there.
    fn changed(&self, directory: &Directory, change: Change) -> Option<Result<Write, AwsError>> {
        Some(match self {
            Self::Environment(id) => {
                let mut row = directory.environment(id)?.clone();
                change(row.detail.tags.get_or_insert_default()).map(|()| Write::PutEnvironment(Box::new(row)))
            }
            Self::Queue(id) => {
                let mut row = directory.queue(id)?.clone();
                change(row.detail.tags.get_or_insert_default()).map(|()| Write::PutQueue(Box::new(row)))
            }
            Self::Policy(arn) => {
                let mut row = directory.policy(arn)?.clone();
                change(row.detail.tags.get_or_insert_default()).map(|()| Write::PutPolicy(Box::new(row)))
            }
            Self::Consumable(id) => {
                let mut row = directory.consumable(id)?.clone();
                change(row.detail.shown.tags.get_or_insert_default()).map(|()| Write::PutConsumable(Box::new(row)))
            }
        })
    }
}

impl BatchService {
    pub(crate) async fn tags(&self, cx: &Context, arn: &str) -> Result<Tags, AwsError> {
        let tags = match tagged(cx, arn)? {
            Tagged::Resource(kind) => self.dispatcher.look(move |_, directory| kind.tags(directory)).await?,
            Tagged::Definition { name, revision } => {
                let found = self.rows.definition(cx.scope.clone(), name, Some(revision)).await?;
                found.map(|found| found.definition.tags.unwrap_or_default())
            }
            Tagged::Job(job) => self.rows.job(job).await?.map(|stored| stored.detail.tags.unwrap_or_default()),
        };
        tags.ok_or_else(|| missing(arn))
    }

    pub(crate) async fn add_tags(&self, cx: &Context, arn: &str, added: Tags) -> Result<(), AwsError> {
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
            Tagged::Resource(kind) => return self.change_resource_tags(arn.to_owned(), kind, change).await,
            Tagged::Definition { name, revision } => {
                self.rows.change_definition_tags(cx.scope.clone(), name, revision, change).await?
            }
            Tagged::Job(job) => self.rows.change_job_tags(job, change).await?,
        };
        found.ok_or_else(|| missing(arn))
    }

    async fn change_resource_tags(&self, arn: String, kind: Kind, change: Change) -> Result<(), AwsError> {
        fn refused(refusal: Refusal) -> AwsError {
            AwsError::internal(refusal)
        }
        self.dispatcher
            .alter(move |_, directory| {
                let write = kind.changed(directory, change).ok_or_else(|| missing(&arn))??;
                Ok(Alteration { events: Vec::new(), refused, writes: vec![write] })
            })
            .await
    }
}
