//! Log groups and streams by name, identifier and ARN.

use crate::errors::{invalid, no_group};
use barge_core::{Arn, AwsError, Scope};

/// The name that `logGroupName` or `logGroupIdentifier` (a name or ARN) gives; exactly one of them must be there.
pub(crate) fn group(scope: &Scope, name: Option<String>, identifier: Option<String>) -> Result<String, AwsError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => from_identifier(scope, &identifier),
        (Some(_), Some(_)) => Err(invalid("LogGroup name and LogGroup identifier are mutually exclusive parameters.")),
        (None, None) => Err(invalid("Exactly one of LogGroup name and LogGroup identifier must be provided.")),
    }
}

/// The log group's name in a name or ARN.
pub(crate) fn from_identifier(scope: &Scope, identifier: &str) -> Result<String, AwsError> {
    if !identifier.starts_with("arn:") {
        return Ok(identifier.to_owned());
    }
    from_arn(scope, identifier)
}

/// The log group's name in an ARN of this account and region, with or without `:*` at its end.
pub(crate) fn from_arn(scope: &Scope, text: &str) -> Result<String, AwsError> {
    let arn: Arn = text.parse().map_err(|_| invalid(format!("Invalid resource ARN: {text}")))?;
    if arn.service != "logs" || arn.scope().as_ref() != Some(scope) {
        return Err(no_group());
    }
    let name = arn.resource_name("log-group").ok_or_else(|| invalid(format!("Invalid resource ARN: {text}")))?;
    Ok(name.strip_suffix(":*").unwrap_or(name).to_owned())
}

/// The log group's ARN without `:*`.
pub(crate) fn group_arn(scope: &Scope, name: &str) -> String {
    scope.arn("logs", format!("log-group:{name}")).to_string()
}

/// The log stream's ARN.
pub(crate) fn stream_arn(scope: &Scope, group: &str, stream: &str) -> String {
    scope.arn("logs", format!("log-group:{group}:log-stream:{stream}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_by_each_of_its_names() {
        let scope = Scope::default();
        let arn = group_arn(&scope, "/a/b");
        for (name, identifier, want) in [
            (Some("g"), None, Some("g")),
            (None, Some("g"), Some("g")),
            (None, Some(arn.as_str()), Some("/a/b")),
            (None, Some("arn:aws:logs:mars-1:000000000000:log-group:g"), None),
            (Some("g"), Some("g"), None),
            (None, None, None),
        ] {
            let found = group(&scope, name.map(str::to_owned), identifier.map(str::to_owned)).ok();
            assert_eq!(found.as_deref(), want);
        }
        assert_eq!(from_arn(&scope, &format!("{arn}:*")).as_deref(), Ok("/a/b"));
    }
}
