//! IAM's errors in IAM's words.

use barge_core::AwsError;
use barge_wire::iam::error;

pub(crate) fn validation(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", 400, message)
}

pub(crate) fn no_such_policy(arn: &str) -> AwsError {
    error::no_such_entity_exception(format!("Policy {arn} was not found."))
}

pub(crate) fn delete_conflict(first: &str) -> AwsError {
    error::delete_conflict_exception(format!("Cannot delete entity, must {first} first."))
}

pub(crate) fn quota(name: &str, limit: usize) -> AwsError {
    error::limit_exceeded_exception(format!("Cannot exceed quota for {name}: {limit}"))
}
