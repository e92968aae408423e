//! What an operator asks of Batch that AWS has no operation for: which jobs there are and were, what they wait for, what attempts
//! cost, and Spot interruptions on demand. Answers are data; tables and JSON are made of them elsewhere.

mod attempts;
mod history;
mod interrupt;
mod jobs;
mod why;

pub use attempts::{AttemptsAnswer, AttemptsQuery};
pub use history::{HistoryAnswer, HistoryQuery};
pub use interrupt::{InterruptAnswer, InterruptQuery};
pub use jobs::{JobLine, JobsAnswer, JobsQuery};
pub use why::{Explanation, Place, WhyQuery};

use crate::core::{JobId, QueueId};
use crate::service::BatchService;
use crate::store::StoredJob;
use barge_core::{Arn, AwsError, Context, Scope};
use barge_wire::batch::error::client_exception;

/// Whether a resource is the caller's, by its ARN.
fn is_within(arn: &str, scope: &Scope) -> bool {
    arn.parse::<Arn>().ok().and_then(|arn| arn.scope()).as_ref() == Some(scope)
}

/// Whether a resource has this ARN or this name.
fn is_named(arn: &str, name: &str) -> bool {
    arn == name || arn.rsplit('/').next() == Some(name)
}

fn no_job(id: &str) -> AwsError {
    client_exception(format!("Job {id} does not exist."))
}

/// A job as it is kept; of a child of an array that has no record, its array.
struct Found {
    id: JobId,
    stored: StoredJob,
}

impl Found {
    /// The child's array, where the child itself has no record.
    fn unrecorded(&self) -> Option<u32> {
        self.id.parent().filter(|_| self.stored.job.id != self.id).map(|(_, index)| index)
    }
}

impl BatchService {
    async fn find(&self, cx: &Context, text: &str) -> Result<Found, AwsError> {
        let name = text.rsplit("job/").next().unwrap_or(text);
        let id: JobId = name.parse().map_err(|_| no_job(text))?;
        let stored = match self.rows.job(id).await? {
            Some(stored) => Some(stored),
            None => self.rows.job(id.root()).await?,
        };
        let found = Found { id, stored: stored.ok_or_else(|| no_job(text))? };
        let there = match (found.unrecorded(), &found.stored.job.array) {
            (Some(index), Some(array)) => index < array.size,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let own = is_within(found.stored.job.terms.queue.as_str(), &cx.scope);
        (there && own).then_some(found).ok_or_else(|| no_job(text))
    }

    /// The caller's queues, or the one with this name or ARN.
    async fn queues_of(&self, cx: &Context, name: Option<&str>) -> Result<Vec<QueueId>, AwsError> {
        let (scope, wanted) = (cx.scope.clone(), name.map(str::to_owned));
        let queues = self.dispatcher.look(move |state, _| -> Vec<QueueId> {
            let own = state.queues().map(|queue| &queue.spec.id).filter(|id| is_within(id.as_str(), &scope));
            own.filter(|id| wanted.as_ref().is_none_or(|name| is_named(id.as_str(), name))).cloned().collect()
        });
        let queues = queues.await?;
        match name {
            Some(name) if queues.is_empty() => Err(client_exception(format!("Job queue {name} does not exist."))),
            _ => Ok(queues),
        }
    }
}
