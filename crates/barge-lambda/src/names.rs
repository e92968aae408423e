//! How clients name functions (Lambda API reference, the `FunctionName` parameter of each operation).

use barge_core::{Arn, AwsError, Scope};
use barge_wire::lambda::error;
use serde::{Deserialize, Serialize};

/// The version that can be changed.
pub(crate) const LATEST: &str = "$LATEST";

/// A function's place and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FunctionKey {
    pub scope: Scope,
    pub name: String,
    /// The published version, where it is one; none for the function as it is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

impl FunctionKey {
    pub(crate) fn new(scope: &Scope, name: impl Into<String>) -> Self {
        Self { scope: scope.clone(), name: name.into(), version: None }
    }

    /// The key of its published version `number`.
    pub(crate) fn at(&self, number: u64) -> Self {
        Self { version: Some(number), ..self.clone() }
    }

    /// The version as functions and logs have it: a number, or `$LATEST`.
    pub(crate) fn version_name(&self) -> String {
        self.version.map_or_else(|| LATEST.to_owned(), |number| number.to_string())
    }

    /// The ARN with the version, where it is a published one.
    pub(crate) fn invoked_arn(&self) -> String {
        match self.version {
            Some(number) => format!("{}:{number}", self.arn()),
            None => self.arn().to_string(),
        }
    }

    /// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
    pub(crate) fn arn(&self) -> Arn {
        self.scope.arn("lambda", format!("function:{}", self.name))
    }

    /// AWS's answer where there is no such function.
    pub(crate) fn not_found(&self) -> AwsError {
        not_found(&self.arn().to_string())
    }
}

fn not_found(arn: &str) -> AwsError {
    error::resource_not_found_exception(format!("Function not found: {arn}"))
}

/// What a request named beside the function; answers carry the ARN with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Qualifier {
    /// Nothing.
    Plain,
    /// `$LATEST`.
    Latest,
    /// A published version.
    Version(u64),
    /// An alias.
    Alias(String),
}

impl Qualifier {
    /// What the text stands for.
    pub(crate) fn parse(text: &str) -> Self {
        match text.parse() {
            _ if text == LATEST => Self::Latest,
            Ok(number) => Self::Version(number),
            Err(_) => Self::Alias(text.to_owned()),
        }
    }

    /// As it stands at the end of an ARN; `None` where nothing does.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Plain => None,
            Self::Latest => Some(LATEST.to_owned()),
            Self::Version(number) => Some(number.to_string()),
            Self::Alias(name) => Some(name.clone()),
        }
    }

    /// The ARN of what it names of the function `key`.
    pub(crate) fn arn(&self, key: &FunctionKey) -> String {
        match self.text() {
            Some(text) => format!("{}:{text}", key.arn()),
            None => key.arn().to_string(),
        }
    }

    /// AWS's answer where the function `key` has no such version or alias.
    pub(crate) fn not_found(&self, key: &FunctionKey) -> AwsError {
        not_found(&self.arn(key))
    }
}

/// A function as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub key: FunctionKey,
    pub qualifier: Qualifier,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Parts<'a> {
    region: Option<&'a str>,
    account: Option<&'a str>,
    name: &'a str,
    qualifier: Option<&'a str>,
}

/// Reads a name, a partial ARN (`ACCOUNT:function:NAME`) or an ARN, each with or without `:QUALIFIER`.
fn parts(text: &str) -> Option<Parts<'_>> {
    let mut rest: Vec<&str> = text.split(':').collect();
    let mut found = Parts::default();
    if rest.first() == Some(&"arn") {
        if rest.len() < 7 || rest.get(2) != Some(&"lambda") {
            return None;
        }
        rest.drain(..3);
    }
    if rest.len() > 1 && rest[0].matches('-').count() >= 2 && rest[0].ends_with(|c: char| c.is_ascii_digit()) {
        // A region stands before an account only; `my-own-fn1:7` is a name with a qualifier.
        if rest.len() > 2 {
            found.region = Some(rest.remove(0));
        }
    }
    if rest.len() > 1 && rest[0].len() == 12 && rest[0].bytes().all(|b| b.is_ascii_digit()) {
        found.account = Some(rest.remove(0));
    }
    if rest.len() > 1 && rest[0] == "function" {
        rest.remove(0);
    }
    match rest[..] {
        [name] if !name.is_empty() => found.name = name,
        [name, qualifier] if !name.is_empty() && !qualifier.is_empty() => {
            found.name = name;
            found.qualifier = Some(qualifier);
        }
        _ => return None,
    }
    Some(found)
}

/// The function that `text` and `qualifier` name for a request to `scope`.
///
/// # Errors
/// `ResourceNotFoundException` for another region or account;
/// `InvalidParameterValueException` where the two name different versions.
pub(crate) fn resolve(scope: &Scope, text: &str, qualifier: Option<&str>) -> Result<Target, AwsError> {
    let parts = parts(text).ok_or_else(|| not_found(text))?;
    if let Some(region) = parts.region.filter(|region| *region != scope.region.as_str()) {
        return Err(error::resource_not_found_exception(format!(
            "Functions from '{region}' are not reachable in this region ('{}')",
            scope.region
        )));
    }
    if parts.account.is_some_and(|account| account != scope.account.as_str()) {
        return Err(not_found(text));
    }
    let key = FunctionKey::new(scope, parts.name);
    let qualifier = match (parts.qualifier, qualifier) {
        (Some(inner), Some(outer)) if inner != outer => {
            return Err(error::invalid_parameter_value_exception(
                "The derived qualifier from the function name does not match the specified qualifier.",
            ));
        }
        (inner, outer) => inner.or(outer),
    };
    Ok(Target { key, qualifier: qualifier.map_or(Qualifier::Plain, Qualifier::parse) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_name() {
        use Qualifier::{Alias, Latest, Plain, Version};
        let scope = Scope::default();
        for (text, qualifier, expected) in [
            ("f", None, Some(("f", Plain))),
            ("f:$LATEST", None, Some(("f", Latest))),
            ("f", Some("$LATEST"), Some(("f", Latest))),
            ("f:$LATEST", Some("$LATEST"), Some(("f", Latest))),
            ("function:f", None, Some(("f", Plain))),
            ("my-own-fn1:$LATEST", None, Some(("my-own-fn1", Latest))),
            ("000000000000:function:f", None, Some(("f", Plain))),
            ("arn:aws:lambda:us-east-1:000000000000:function:f", None, Some(("f", Plain))),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST", None, Some(("f", Latest))),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:live", None, Some(("f", Alias("live".to_owned())))),
            ("arn:aws:lambda:eu-west-1:000000000000:function:f", None, None),
            ("arn:aws:lambda:us-east-1:111111111111:function:f", None, None),
            ("arn:aws:s3:::f", None, None),
            ("f:3", None, Some(("f", Version(3)))),
            ("f", Some("live"), Some(("f", Alias("live".to_owned())))),
            ("f:$LATEST", Some("3"), None),
            ("f:", None, None),
            ("", None, None),
        ] {
            let found = resolve(&scope, text, qualifier).ok();
            let found = found.map(|target| (target.key.name, target.qualifier));
            let expected = expected.map(|(name, qualifier)| (name.to_owned(), qualifier));
            assert_eq!(found, expected, "{text} {qualifier:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_by_its_arn() {
        let key = FunctionKey::new(&Scope::default(), "f");
        let error = Qualifier::parse("live").not_found(&key);
        assert_eq!(error.message, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:live");
        assert_eq!((error.code.as_ref(), error.status), ("ResourceNotFoundException", 404));
    }
}
