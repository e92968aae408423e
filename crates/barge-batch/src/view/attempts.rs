//! Attempts, and the latest of them as part of the job.

use super::Place;
use crate::core::{AttemptId, ContainerEnd, EnvironmentId, InstanceId, Job, PastAttempt, PastTask, Reason, TaskId};
use barge_core::Timestamp;
use barge_wire::batch::{
    AttemptContainerDetail, AttemptDetail, AttemptEcsTaskDetails, AttemptTaskContainerDetails, ContainerDetail,
    EcsTaskDetails, JobDetail, TaskContainerDetails,
};

/// The name of a job's only container.
pub(super) const ONLY: &str = "default";

/// One node's part of an attempt, live or past.
pub(super) struct Part<'a> {
    pub(super) id: TaskId,
    pub(super) environment: &'a EnvironmentId,
    pub(super) instance: Option<InstanceId>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended: Option<&'a PastTask>,
}

/// The latest attempt's part on a node.
pub(super) fn latest(job: &Job, node: u16) -> Option<Part<'_>> {
    let id = |number| AttemptId { job: job.id, number }.task(node);
    if let Some(live) = &job.live {
        let task = live.tasks.get(usize::from(node))?;
        return Some(Part {
            id: id(live.number),
            environment: &live.environment,
            instance: task.instance,
            started_at: task.started_at,
            ended: task.ended.as_deref(),
        });
    }
    let past = job.past.last()?;
    Some(part_of(past, id(past.number), past.tasks.get(usize::from(node))?))
}

fn part_of<'a>(past: &'a PastAttempt, id: TaskId, task: &'a PastTask) -> Part<'a> {
    Part {
        id,
        environment: &past.environment,
        instance: task.instance.as_ref().map(|(id, _)| *id),
        started_at: task.started_at,
        ended: Some(task),
    }
}

/// A past attempt as a node, the main one for the whole job, shows it.
pub(super) fn attempt(detail: &JobDetail, job: &Job, past: &PastAttempt, node: u16, place: &Place) -> AttemptDetail {
    let task = past.task(node);
    let seen = task.map(|task| part_of(past, AttemptId { job: job.id, number: past.number }.task(node), task));
    let several = detail.ecs_properties.as_ref().and_then(|ecs| ecs.task_properties.as_ref()?.first());
    AttemptDetail {
        container: seen.as_ref().filter(|_| several.is_none()).map(|part| attempt_container(detail, part, place)),
        started_at: task.and_then(|task| task.started_at).map(Timestamp::millis),
        stopped_at: task.map(|task| task.stopped_at.millis()),
        status_reason: Some(past.status_reason.to_string()),
        task_properties: several.zip(seen.as_ref()).map(|(task, part)| vec![attempt_task(detail, task, part, place)]),
    }
}

fn attempt_container(detail: &JobDetail, part: &Part<'_>, place: &Place) -> AttemptContainerDetail {
    AttemptContainerDetail {
        container_instance_arn: part.instance.map(|instance| place.instance_arn(part.environment, instance)),
        task_arn: Some(place.task_arn(part.environment, part.id)),
        exit_code: part.ended.and_then(|ended| ended.exit_code).map(i64::from),
        reason: part.ended.and_then(|ended| ended.container_reason.as_ref()).map(ToString::to_string),
        // A container that never ran has no stream.
        log_stream_name: part.started_at.map(|_| place.stream(detail, part.id, ONLY)),
        network_interfaces: Some(Vec::new()),
    }
}

fn attempt_task(detail: &JobDetail, task: &EcsTaskDetails, part: &Part<'_>, place: &Place) -> AttemptEcsTaskDetails {
    let container = |container: &TaskContainerDetails| {
        let name = container.name.as_deref().unwrap_or(ONLY);
        let (exit_code, reason) = end_of(part, name);
        AttemptTaskContainerDetails {
            exit_code,
            name: Some(name.to_owned()),
            reason,
            log_stream_name: part.started_at.map(|_| place.stream(detail, part.id, name)),
            network_interfaces: Some(Vec::new()),
        }
    };
    AttemptEcsTaskDetails {
        container_instance_arn: part.instance.map(|instance| place.instance_arn(part.environment, instance)),
        task_arn: Some(place.task_arn(part.environment, part.id)),
        containers: Some(task.containers.iter().flatten().map(container).collect()),
    }
}

/// How one of a task's containers ended: its exit code and reason.
fn end_of(part: &Part<'_>, name: &str) -> (Option<i64>, Option<String>) {
    let Some(ended) = part.ended else { return (None, None) };
    let text = |reason: &Option<Reason>| reason.as_ref().map(ToString::to_string);
    match ended.containers.iter().find(|container| container.name.as_str() == name) {
        Some(ContainerEnd { exit_code, reason, .. }) => (exit_code.map(i64::from), text(reason)),
        // A task of one container tells of it in its own members.
        None if ended.containers.is_empty() => (ended.exit_code.map(i64::from), text(&ended.container_reason)),
        None => (None, None),
    }
}

/// The latest attempt's only container, as part of the job or node.
pub(super) fn fill_container(detail: &mut JobDetail, job: &Job, node: u16, place: &Place) {
    let Some(part) = latest(job, node).filter(|_| detail.container.is_some()) else { return };
    let AttemptContainerDetail { container_instance_arn, task_arn, exit_code, reason, log_stream_name, .. } =
        attempt_container(detail, &part, place);
    if let Some(container) = &mut detail.container {
        *container = ContainerDetail {
            container_instance_arn,
            task_arn,
            exit_code,
            reason,
            log_stream_name,
            ..std::mem::take(container)
        };
    }
}

/// The latest attempt's several containers, as part of the job or node.
pub(super) fn fill_task(detail: &mut JobDetail, job: &Job, node: u16, place: &Place) {
    let Some(part) = latest(job, node) else { return };
    let Some(task) = detail.ecs_properties.as_ref().and_then(|ecs| ecs.task_properties.as_ref()?.first()) else {
        return;
    };
    let filled = attempt_task(detail, task, &part, place);
    let task = detail.ecs_properties.as_mut().and_then(|ecs| ecs.task_properties.as_mut()?.first_mut());
    let Some(task) = task else { return };
    task.container_instance_arn = filled.container_instance_arn;
    task.task_arn = filled.task_arn;
    let containers = task.containers.iter_mut().flatten();
    for (container, seen) in containers.zip(filled.containers.into_iter().flatten()) {
        container.exit_code = seen.exit_code;
        container.reason = seen.reason;
        container.log_stream_name = seen.log_stream_name;
    }
}
