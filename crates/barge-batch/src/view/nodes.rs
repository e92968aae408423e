//! A node of a multi-node parallel job, which the API shows as a job of its own: `ID#NODE`.

use super::attempts::{attempt, fill_container, fill_task, latest};
use super::shapes::{container_detail, ecs_detail};
use super::summary::job_summary;
use super::{Place, fill_life, status};
use crate::core::{Job, Status};
use crate::ranges::range_of;
use barge_core::Timestamp;
use barge_wire::batch::{JobDetail, JobSummary, NodeDetails, NodePropertiesSummary};

/// The whole node; `None` where the job has no such node.
pub(crate) fn node_detail(mut detail: JobDetail, job: &Job, node: u16) -> Option<JobDetail> {
    let place = Place::of(&detail);
    let range = range_of(detail.node_properties.as_ref()?, node)?.clone();
    fill_life(&mut detail, job, &place);
    detail.job_id = format!("{}#{node}", job.id);
    detail.job_arn = Some(place.job_arn(&detail.job_id));
    detail.node_properties = None;
    detail.node_details =
        Some(NodeDetails { node_index: Some(node.into()), is_main_node: Some(job.terms.main_node() == node) });
    detail.container = range.container.map(container_detail);
    detail.ecs_properties = range.ecs_properties.and_then(|ecs| ecs.task_properties.into_iter().next()).map(ecs_detail);
    detail.consumable_resource_properties = range.consumable_resource_properties;
    detail.status = status(node_status(job, node));
    let part = latest(job, node);
    detail.started_at = part.as_ref().and_then(|part| part.started_at).map(Timestamp::millis);
    detail.stopped_at = part.and_then(|part| part.ended).map(|ended| ended.stopped_at.millis()).or(detail.stopped_at);
    let attempts = job.past.iter().map(|past| attempt(&detail, job, past, node, &place));
    detail.attempts = Some(attempts.collect());
    fill_container(&mut detail, job, node, &place);
    fill_task(&mut detail, job, node, &place);
    Some(detail)
}

/// A node's state: its own while the attempt lives, and where it ended by itself with 0; else its job's.
pub(crate) fn node_status(job: &Job, node: u16) -> Status {
    let Some(part) = latest(job, node) else { return job.status };
    let succeeded = part.ended.is_some_and(|ended| ended.exit_code == Some(0));
    match (&job.live, part.ended, part.started_at) {
        (Some(_), Some(_), _) if succeeded => Status::Succeeded,
        (Some(_), Some(_), _) => Status::Failed,
        (Some(_), None, Some(_)) => Status::Running,
        (Some(_), None, None) => Status::Starting,
        (None, ..) if job.status.is_final() && succeeded => Status::Succeeded,
        (None, ..) => job.status,
    }
}

/// The node in a list; `None` where the job has no such node.
pub(crate) fn node_summary(detail: &JobDetail, job: &Job, node: u16) -> Option<JobSummary> {
    let place = Place::of(detail);
    let nodes = detail.node_properties.as_ref()?.num_nodes;
    let id = format!("{}#{node}", job.id);
    let mut summary = job_summary(detail.clone(), job);
    let part = latest(job, node);
    summary.job_arn = Some(place.job_arn(&id));
    summary.job_id = id;
    summary.status = Some(status(node_status(job, node)));
    summary.started_at = part.as_ref().and_then(|part| part.started_at).map(Timestamp::millis);
    summary.stopped_at = part.as_ref().and_then(|part| part.ended).map(|ended| ended.stopped_at.millis());
    summary.container = part.and_then(|part| part.ended).map(super::summary::container);
    summary.node_properties = Some(NodePropertiesSummary {
        is_main_node: Some(job.terms.main_node() == node),
        num_nodes: Some(nodes),
        node_index: Some(node.into()),
    });
    Some(summary)
}
