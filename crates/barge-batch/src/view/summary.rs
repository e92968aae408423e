//! A job in a list.

use super::{Place, Summary, array_properties, counts, status};
use crate::core::{EndedBy, Job, PastTask, Usage};
use barge_core::Timestamp;
use barge_wire::batch::{
    ArrayPropertiesSummary, ContainerSummary, JobCapacityUsageSummary, JobDetail, JobSummary, NodePropertiesSummary,
};

/// AWS's word for vCPUs (API Reference, "JobCapacityUsageSummary").
pub(crate) const VCPU: &str = "VCPU";

/// The job in a list; `detail` is what its submission wrote, or its array's.
pub(crate) fn job_summary(detail: JobDetail, job: &Job) -> JobSummary {
    let place = Place::of(&detail);
    let last = job.past.last().filter(|_| job.live.is_none());
    let placed_at = job.live.as_ref().map(|live| live.placed_at).or_else(|| last.map(|past| past.placed_at));
    let array = array_properties(&detail, job);
    let id = job.id.to_string();
    JobSummary {
        job_arn: Some(place.job_arn(&id)),
        job_id: id,
        job_name: detail.job_name,
        capacity_usage: Some(vec![JobCapacityUsageSummary {
            capacity_unit: Some(VCPU.to_owned()),
            quantity: Some(vcpus(Usage::of(&job.terms.shape.tasks).vcpu_milli)),
        }]),
        created_at: Some(job.created_at.millis()),
        scheduled_at: placed_at.map(Timestamp::millis),
        share_identifier: detail.share_identifier,
        status: Some(status(job.status)),
        status_reason: job.reason.as_ref().map(ToString::to_string),
        started_at: job.started_at.map(Timestamp::millis),
        stopped_at: job.stopped_at.map(Timestamp::millis),
        container: last.and_then(|past| past.task(job.terms.main_node())).map(container),
        array_properties: array.map(|array| ArrayPropertiesSummary {
            size: array.size,
            index: array.index,
            status_summary: array.status_summary.filter(|_| array.index.is_none()),
            status_summary_last_updated_at: array.status_summary_last_updated_at,
        }),
        node_properties: detail.node_properties.map(|nodes| NodePropertiesSummary {
            num_nodes: Some(nodes.num_nodes),
            ..NodePropertiesSummary::default()
        }),
        job_definition: Some(detail.job_definition),
        is_cancelled: Some(job.ended_by == Some(EndedBy::Cancel)),
        is_terminated: Some(job.ended_by == Some(EndedBy::Terminate)),
    }
}

/// Shows how many of an array's children are in which state.
pub(crate) fn with_counts(mut job: JobSummary, summary: Option<&Summary>, now: Timestamp) -> JobSummary {
    if let (Some(properties), Some(summary)) = (&mut job.array_properties, summary) {
        properties.status_summary = Some(counts(summary));
        properties.status_summary_last_updated_at = Some(now.millis());
    }
    job
}

pub(super) fn container(ended: &PastTask) -> ContainerSummary {
    ContainerSummary {
        exit_code: ended.exit_code.map(i64::from),
        reason: ended.container_reason.as_ref().map(ToString::to_string),
    }
}

/// Thousandths of a vCPU as vCPUs.
#[allow(clippy::cast_precision_loss)] // far below what a double counts exactly
pub(crate) fn vcpus(milli: u64) -> f64 {
    milli as f64 / 1000.0
}
