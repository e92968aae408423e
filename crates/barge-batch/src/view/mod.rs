//! A job as DescribeJobs, ListJobs and events show it: what was submitted, filled in with what has become of it.

mod attempts;
mod nodes;
mod shapes;
mod summary;

pub(crate) use nodes::{node_detail, node_status, node_summary};
pub(crate) use shapes::{container_detail, ecs_detail};
pub(crate) use summary::{VCPU, job_summary, vcpus, with_counts};

use crate::core::{EndedBy, EnvironmentId, Job, Status, TaskId};
use crate::dispatcher::{log_target, task_id};
use attempts::{attempt, fill_container, fill_task};
use barge_core::{Arn, Scope, Timestamp};
use barge_wire::batch::{ArrayPropertiesDetail, JobDetail, JobStatus};
use std::collections::BTreeMap;

/// How many of an array's children are in which state.
pub(crate) type Summary = BTreeMap<Status, u32>;

/// The state in the wire's words.
pub(crate) const fn status(status: Status) -> JobStatus {
    match status {
        Status::Submitted => JobStatus::Submitted,
        Status::Pending => JobStatus::Pending,
        Status::Runnable => JobStatus::Runnable,
        Status::Starting => JobStatus::Starting,
        Status::Running => JobStatus::Running,
        Status::Succeeded => JobStatus::Succeeded,
        Status::Failed => JobStatus::Failed,
    }
}

/// The whole job; `detail` is what its submission wrote, or its array's.
pub(crate) fn job_detail(mut detail: JobDetail, job: &Job) -> JobDetail {
    let place = Place::of(&detail);
    fill_life(&mut detail, job, &place);
    detail.array_properties = array_properties(&detail, job);
    let attempts = job.past.iter().map(|past| attempt(&detail, job, past, job.terms.main_node(), &place));
    detail.attempts = Some(attempts.collect());
    fill_container(&mut detail, job, 0, &place);
    fill_task(&mut detail, job, 0, &place);
    detail
}

/// Shows how many of an array's children are in which state.
pub(crate) fn with_summary(mut detail: JobDetail, summary: Option<&Summary>, now: Timestamp) -> JobDetail {
    if let (Some(properties), Some(summary)) = (&mut detail.array_properties, summary) {
        properties.status_summary = Some(counts(summary));
        properties.status_summary_last_updated_at = Some(now.millis());
    }
    detail
}

fn counts(summary: &Summary) -> BTreeMap<String, i64> {
    summary.iter().map(|(status, count)| (status.as_str().to_owned(), i64::from(*count))).collect()
}

fn fill_life(detail: &mut JobDetail, job: &Job, place: &Place) {
    detail.job_id = job.id.to_string();
    detail.job_arn = Some(place.job_arn(&detail.job_id));
    detail.status = status(job.status);
    detail.status_reason = job.reason.as_ref().map(ToString::to_string);
    detail.created_at = Some(job.created_at.millis());
    detail.started_at = job.started_at.map(Timestamp::millis);
    detail.stopped_at = job.stopped_at.map(Timestamp::millis);
    detail.is_cancelled = Some(job.ended_by == Some(EndedBy::Cancel));
    detail.is_terminated = Some(job.ended_by == Some(EndedBy::Terminate));
}

fn array_properties(detail: &JobDetail, job: &Job) -> Option<ArrayPropertiesDetail> {
    let size = detail.array_properties.as_ref()?.size;
    Some(match (job.id.parent(), &job.array) {
        (Some((_, index)), _) => ArrayPropertiesDetail {
            status_summary: Some(BTreeMap::new()),
            index: Some(index.into()),
            ..ArrayPropertiesDetail::default()
        },
        (None, array) => {
            let tally = array.as_ref().and_then(|array| array.tally.map(|_| array.summary(std::iter::empty())));
            ArrayPropertiesDetail {
                size,
                status_summary: tally.as_ref().map(counts),
                status_summary_last_updated_at: tally.and(job.stopped_at).map(Timestamp::millis),
                index: None,
            }
        }
    })
}

/// Where a job's names are made from.
pub(crate) struct Place {
    scope: Scope,
}

impl Place {
    fn of(detail: &JobDetail) -> Self {
        Self { scope: detail.job_queue.parse::<Arn>().ok().and_then(|arn| arn.scope()).unwrap_or_default() }
    }

    fn job_arn(&self, id: &str) -> String {
        self.scope.arn("batch", format!("job/{id}")).to_string()
    }

    fn task_arn(&self, environment: &EnvironmentId, task: TaskId) -> String {
        self.scope.arn("ecs", format!("task/{}/{}", cluster(environment), task_id(task))).to_string()
    }

    fn instance_arn(&self, environment: &EnvironmentId, instance: crate::core::InstanceId) -> String {
        self.scope.arn("ecs", format!("container-instance/{}/{instance}", cluster(environment))).to_string()
    }

    fn stream(&self, detail: &JobDetail, task: TaskId, container: &str) -> String {
        log_target(detail, task, container, &self.scope).target.stream
    }
}

fn cluster(environment: &EnvironmentId) -> String {
    let name = environment.as_str().rsplit('/').next().unwrap_or_default();
    format!("AWSBatch-{name}")
}
