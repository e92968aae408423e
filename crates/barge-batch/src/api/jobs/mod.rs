//! Jobs that were submitted: which of them a request means, and what becomes of them by request.

mod children;
mod describe;
mod end;
mod filter;
mod list;
mod lookup;

use crate::core::JobId;
use crate::store::StoredJob;
use barge_core::{Arn, AwsError, Context};
use barge_wire::batch::error::client_exception;

pub(super) use end::How;
pub(super) use filter::{matches_name, pair as filter_pair, status as core_status};

/// What a request calls a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum JobRef {
    /// A job, or a child of an array.
    Job(JobId),
    /// A node of a multi-node job: `ID#NODE`.
    Node(JobId, u16),
}

impl JobRef {
    /// The job, of a node the node's.
    pub(super) const fn job(self) -> JobId {
        match self {
            Self::Job(id) | Self::Node(id, _) => id,
        }
    }
}

/// What a text, an id or a job's ARN, calls; `None` where it can't call any job of the request's account and region.
pub(super) fn job_ref(cx: &Context, text: &str) -> Option<JobRef> {
    let arn: Option<Arn> = text.starts_with("arn:").then(|| text.parse().ok()).flatten();
    let local = match &arn {
        Some(arn) => {
            let ours = arn.service == "batch" && arn.scope().as_ref() == Some(&cx.scope);
            ours.then(|| arn.resource_name("job")).flatten()?
        }
        None => text,
    };
    match local.split_once('#') {
        Some((id, node)) => {
            let number: u16 = node.parse().ok()?;
            let id: JobId = id.parse().ok()?;
            (number.to_string() == node && id.parent().is_none()).then_some(JobRef::Node(id, number))
        }
        None => Some(JobRef::Job(local.parse().ok()?)),
    }
}

/// Whether the job is one of the request's account and region.
pub(super) fn belongs(cx: &Context, stored: &StoredJob) -> bool {
    let queue = stored.detail.job_queue.parse::<Arn>().ok();
    queue.and_then(|arn| arn.scope()).is_some_and(|scope| scope == cx.scope)
}

fn missing(id: &str) -> AwsError {
    client_exception(format!("Job {id} does not exist."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::{Ambient, Scope};

    #[test]
    fn jobs_children_and_nodes_have_ids_and_arns() {
        let cx = Ambient::system("http://localhost").context(Scope::default(), "test");
        let uuid = "0b1f9c7a-0000-4bcd-8ef0-00000000002a";
        let id: JobId = uuid.parse().unwrap();
        let arn = format!("arn:aws:batch:us-east-1:000000000000:job/{uuid}");
        for (text, expected) in [
            (uuid.to_owned(), Some(JobRef::Job(id))),
            (format!("{uuid}:7"), Some(JobRef::Job(id.child(7)))),
            (format!("{uuid}#2"), Some(JobRef::Node(id, 2))),
            (arn.clone(), Some(JobRef::Job(id))),
            (format!("{arn}:7"), Some(JobRef::Job(id.child(7)))),
            (format!("{arn}#2"), Some(JobRef::Node(id, 2))),
            (format!("{uuid}#02"), None),
            (format!("{uuid}:1#2"), None),
            (arn.replace("us-east-1", "eu-west-1"), None),
            ("x".to_owned(), None),
        ] {
            assert_eq!(job_ref(&cx, &text), expected, "{text}");
        }
    }
}
