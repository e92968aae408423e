//! Parameters' names: what they may be, how requests name a version, their ARNs (Systems Manager User Guide, "Working with
//! Parameter Store", requirements and constraints for parameter names).

use barge_core::{AwsError, Scope};
use barge_wire::ssm::error;

/// Levels of a hierarchy, at most.
const DEEPEST: usize = 15;
/// Characters of a name, the ARN's beginning included.
const LONGEST: usize = 1011;

/// A parameter as a request names it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) name: String,
    /// The version, where one is named.
    pub(crate) version: Option<i64>,
}

/// Fails where a parameter can't be called `name`.
pub(crate) fn check(name: &str) -> Result<(), AwsError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    let path = name.trim_start_matches('/').to_ascii_lowercase();
    if ["aws", "ssm"].iter().any(|reserved| path.starts_with(reserved)) || !name.chars().all(legal) {
        return Err(AwsError::new(
            "ValidationException",
            400,
            "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). If formed as a path, it can \
             consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and \
             the following 3 symbols .-_",
        ));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(AwsError::new("ValidationException", 400, "Parameter name must be a fully qualified name."));
    }
    if name.contains("//") || name.ends_with('/') {
        return Err(AwsError::new("ValidationException", 400, "Parameter name must not have empty sub-paths."));
    }
    if name.matches('/').count() > DEEPEST {
        return Err(error::hierarchy_level_limit_exceeded_exception(format!(
            "Hierarchy depth must be less than or equal to {DEEPEST}."
        )));
    }
    if name.len() > LONGEST {
        return Err(AwsError::new("ValidationException", 400, format!("Parameter name is longer than {LONGEST}.")));
    }
    Ok(())
}

/// The parameter that `text` names: a name or an ARN, with or without `:VERSION`.
pub(crate) fn selector(scope: &Scope, text: &str) -> Selector {
    let own = arn(scope, "/");
    let text = match text.strip_prefix(own.trim_end_matches('/')) {
        // A name without slashes has one before it in the ARN; which of the two it was, the store knows.
        Some(path) => path,
        None => text,
    };
    match text.rsplit_once(':').map(|(name, version)| (name, version.parse())) {
        Some((name, Ok(version))) => Selector { name: name.to_owned(), version: Some(version) },
        _ => Selector { name: text.to_owned(), version: None },
    }
}

/// `arn:aws:ssm:REGION:ACCOUNT:parameter/NAME`.
pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.arn("ssm", format!("parameter/{}", name.trim_start_matches('/'))).to_string()
}

/// AWS's answer where there is no such parameter.
pub(crate) fn not_found(name: &str) -> AwsError {
    error::parameter_not_found(format!("Parameter {name} not found."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_may_be() {
        let deep = "/a".repeat(16);
        for (name, code) in [
            ("name", None),
            ("/a/b/c.d-e_f", None),
            ("awsome", Some("ValidationException")),
            ("/SSM/x", Some("ValidationException")),
            ("a b", Some("ValidationException")),
            ("a/b", Some("ValidationException")),
            ("/a//b", Some("ValidationException")),
            (deep.as_str(), Some("HierarchyLevelLimitExceededException")),
        ] {
            assert_eq!(check(name).err().map(|error| error.code.into_owned()).as_deref(), code, "{name}");
        }
    }

    #[test]
    fn requests_name_versions_and_arns() {
        let scope = Scope::default();
        for (text, name, version) in [
            ("/a/b", "/a/b", None),
            ("/a/b:3", "/a/b", Some(3)),
            ("x:label", "x:label", None),
            ("arn:aws:ssm:us-east-1:000000000000:parameter/a/b:2", "/a/b", Some(2)),
        ] {
            assert_eq!(selector(&scope, text), Selector { name: name.to_owned(), version }, "{text}");
        }
    }
}
