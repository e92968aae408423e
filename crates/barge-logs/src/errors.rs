//! AWS's wording of what can't be done.

use barge_core::AwsError;
use barge_wire::logs::error;

pub(crate) fn no_group() -> AwsError {
    error::resource_not_found_exception("The specified log group does not exist.")
}

pub(crate) fn no_stream() -> AwsError {
    error::resource_not_found_exception("The specified log stream does not exist.")
}

pub(crate) fn invalid(message: impl Into<String>) -> AwsError {
    error::invalid_parameter_exception(message)
}

pub(crate) fn bad_token() -> AwsError {
    invalid("The specified nextToken is invalid.")
}
