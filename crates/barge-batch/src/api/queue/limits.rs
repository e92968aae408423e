//! `jobStateTimeLimitActions` (API Reference, "JobStateTimeLimitAction"; Batch User Guide, "Jobs stuck in a RUNNABLE status").

use crate::api::refuse;
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{JobStateTimeLimitAction, JobStateTimeLimitActionsAction};
use std::collections::BTreeSet;

/// Reasons for which a job at the head of its queue does not start.
const REASONS: [&str; 4] = [
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "CAPACITY:INSUFFICIENT_CONSUMABLE_RESOURCE",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
];
const SECONDS: std::ops::RangeInclusive<i64> = 600..=86_400;

pub(super) fn check(actions: Option<&Vec<JobStateTimeLimitAction>>) -> Result<(), AwsError> {
    let mut seen = BTreeSet::new();
    for JobStateTimeLimitAction { reason, state: _, max_time_seconds, action } in actions.into_iter().flatten() {
        // Service jobs are terminated; jobs that wait are cancelled.
        refuse(&[("jobStateTimeLimitActions.action TERMINATE", *action == JobStateTimeLimitActionsAction::Terminate)])?;
        if !REASONS.contains(&reason.as_str()) {
            return Err(client_exception(format!("jobStateTimeLimitActions.reason {reason:?} is not valid.")));
        }
        if !SECONDS.contains(max_time_seconds) {
            return Err(client_exception(format!(
                "jobStateTimeLimitActions.maxTimeSeconds must be between 600 and 86400, not {max_time_seconds}."
            )));
        }
        if !seen.insert(reason) {
            return Err(client_exception(format!("jobStateTimeLimitActions name the reason {reason} twice.")));
        }
    }
    Ok(())
}
