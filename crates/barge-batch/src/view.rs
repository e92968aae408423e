//! A job as DescribeJobs and ListJobs show it: what was submitted, filled in with what has become of it.

use crate::core::{AttemptId, EndedBy, EnvironmentId, Job, PastAttempt, Status};
use crate::dispatcher::{log_target, task_id};
use barge_core::{Arn, Scope};
use barge_wire::batch::{AttemptContainerDetail, AttemptDetail, ContainerSummary, JobDetail, JobStatus, JobSummary};

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

/// The whole job.
pub(crate) fn job_detail(mut detail: JobDetail, job: &Job) -> JobDetail {
    let scope = detail.job_queue.parse::<Arn>().ok().and_then(|arn| arn.scope()).unwrap_or_default();
    detail.status = status(job.status);
    detail.status_reason = job.reason.as_ref().map(ToString::to_string);
    detail.created_at = Some(job.created_at.millis());
    detail.started_at = job.started_at.map(barge_core::Timestamp::millis);
    detail.stopped_at = job.stopped_at.map(barge_core::Timestamp::millis);
    detail.is_cancelled = Some(job.ended_by == Some(EndedBy::Cancel));
    detail.is_terminated = Some(job.ended_by == Some(EndedBy::Terminate));
    detail.attempts = Some(job.past.iter().map(|past| attempt(&detail, job, past, &scope)).collect());
    fill_container(&mut detail, job, &scope);
    detail
}

fn attempt(detail: &JobDetail, job: &Job, past: &PastAttempt, scope: &Scope) -> AttemptDetail {
    let id = AttemptId { job: job.id, number: past.number };
    AttemptDetail {
        container: Some(AttemptContainerDetail {
            task_arn: Some(task_arn(scope, &past.environment, id)),
            exit_code: past.exit_code.map(i64::from),
            reason: past.container_reason.as_ref().map(ToString::to_string),
            // A container that never ran has no stream.
            log_stream_name: past.started_at.map(|_| log_target(detail, id, scope).target.stream),
            network_interfaces: Some(Vec::new()),
            ..AttemptContainerDetail::default()
        }),
        started_at: past.started_at.map(barge_core::Timestamp::millis),
        stopped_at: Some(past.stopped_at.millis()),
        status_reason: Some(past.status_reason.to_string()),
        task_properties: None,
    }
}

/// The latest attempt's container, as part of the job.
fn fill_container(detail: &mut JobDetail, job: &Job, scope: &Scope) {
    let latest = match (&job.live, job.past.last()) {
        (Some(live), _) => Some((live.number, &live.environment, live.started_at)),
        (None, Some(past)) => Some((past.number, &past.environment, past.started_at)),
        (None, None) => None,
    };
    let Some((number, environment, started_at)) = latest else { return };
    let id = AttemptId { job: job.id, number };
    let stream = started_at.map(|_| log_target(detail, id, scope).target.stream);
    let ended = job.past.last().filter(|past| past.number == number);
    if let Some(container) = &mut detail.container {
        container.task_arn = Some(task_arn(scope, environment, id));
        container.log_stream_name = stream;
        container.exit_code = ended.and_then(|past| past.exit_code).map(i64::from);
        container.reason = ended.and_then(|past| past.container_reason.as_ref()).map(ToString::to_string);
    }
}

fn task_arn(scope: &Scope, environment: &EnvironmentId, attempt: AttemptId) -> String {
    let name = environment.as_str().rsplit('/').next().unwrap_or_default();
    scope.arn("ecs", format!("task/AWSBatch-{name}/{}", task_id(attempt))).to_string()
}

/// The job in a list.
pub(crate) fn job_summary(detail: JobDetail, job: &Job) -> JobSummary {
    let last = job.past.last().filter(|_| job.live.is_none());
    JobSummary {
        job_arn: detail.job_arn,
        job_id: detail.job_id,
        job_name: detail.job_name,
        created_at: Some(job.created_at.millis()),
        status: Some(status(job.status)),
        status_reason: job.reason.as_ref().map(ToString::to_string),
        started_at: job.started_at.map(barge_core::Timestamp::millis),
        stopped_at: job.stopped_at.map(barge_core::Timestamp::millis),
        container: last.map(|past| ContainerSummary {
            exit_code: past.exit_code.map(i64::from),
            reason: past.container_reason.as_ref().map(ToString::to_string),
        }),
        job_definition: Some(detail.job_definition),
        is_cancelled: Some(job.ended_by == Some(EndedBy::Cancel)),
        is_terminated: Some(job.ended_by == Some(EndedBy::Terminate)),
        ..JobSummary::default()
    }
}
