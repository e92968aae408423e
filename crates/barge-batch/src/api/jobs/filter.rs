//! Filters of lists of jobs (API Reference, "ListJobs", `filters`).

use crate::api::refuse;
use crate::core::Status;
use crate::store::JobFilter;
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{JobStatus, KeyValuesPair};

/// A filter's name and its one value.
pub(in crate::api) fn pair(pair: &KeyValuesPair) -> Result<(&str, &str), AwsError> {
    let name = pair.name.as_deref().unwrap_or_default();
    match pair.values.as_deref().unwrap_or_default() {
        [value] => Ok((name, value)),
        values => Err(client_exception(format!("Filter {name} takes one value, not {}.", values.len()))),
    }
}

/// A filter of ListJobs.
pub(super) fn read(given: &KeyValuesPair) -> Result<JobFilter, AwsError> {
    let (name, value) = pair(given)?;
    let millis =
        || value.parse().map_err(|_| client_exception(format!("Filter {name} takes milliseconds since the epoch.")));
    match name {
        "JOB_NAME" => Ok(JobFilter::Name(value.to_owned())),
        "JOB_DEFINITION" => Ok(JobFilter::Definition(value.to_owned())),
        "BEFORE_CREATED_AT" => Ok(JobFilter::CreatedBefore(millis()?)),
        "AFTER_CREATED_AT" => Ok(JobFilter::CreatedAfter(millis()?)),
        "SHARE_IDENTIFIER" => Ok(JobFilter::Share(value.to_owned())),
        // Quota shares serve SageMaker's jobs.
        "QUOTA_SHARE_NAME" => refuse(&[("Filter QUOTA_SHARE_NAME", true)]).map(|()| JobFilter::Share(value.to_owned())),
        other => Err(client_exception(format!("{other:?} is no filter of ListJobs."))),
    }
}

/// Whether a name is the one wanted, without regard to case; a trailing `*` stands for any end.
pub(in crate::api) fn matches_name(name: &str, wanted: &str) -> bool {
    let (name, wanted) = (name.to_lowercase(), wanted.to_lowercase());
    match wanted.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == wanted,
    }
}

/// A state in the core's words.
pub(in crate::api) const fn status(status: JobStatus) -> Status {
    match status {
        JobStatus::Submitted => Status::Submitted,
        JobStatus::Pending => Status::Pending,
        JobStatus::Runnable => Status::Runnable,
        JobStatus::Starting => Status::Starting,
        JobStatus::Running => Status::Running,
        JobStatus::Succeeded => Status::Succeeded,
        JobStatus::Failed => Status::Failed,
    }
}
