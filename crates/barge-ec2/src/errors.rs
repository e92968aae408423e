//! EC2's errors in EC2's words (EC2 User Guide, "Error codes for the Amazon EC2 API"). All are 400 but one.

use barge_core::AwsError;

pub(crate) fn refused(code: &'static str, message: impl Into<String>) -> AwsError {
    AwsError::new(code, 400, message)
}

pub(crate) fn invalid_value(message: impl Into<String>) -> AwsError {
    refused("InvalidParameterValue", message)
}

pub(crate) fn missing_parameter(name: &str) -> AwsError {
    refused("MissingParameter", format!("The request must contain the parameter {name}"))
}

/// A record can't go while others need it; `what` as in `vpc 'vpc-1'`.
pub(crate) fn in_use(what: &str) -> AwsError {
    refused("DependencyViolation", format!("The {what} has dependencies and cannot be deleted."))
}

pub(crate) fn dry_run() -> AwsError {
    AwsError::new("DryRunOperation", 412, "Request would have succeeded, but DryRun flag is set.")
}
