//! Whether a text is a policy document: the grammar, not the meaning (IAM User Guide, "Grammar of the IAM JSON policy
//! language", "IAM JSON policy elements reference").

use barge_core::{AwsError, Document};
use barge_wire::iam::error::malformed_policy_document_exception as malformed;
use std::collections::HashSet;

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Says what its holder may do.
    Identity,
    /// Says who may assume a role.
    Trust,
}

const SYNTAX: &str = "Syntax errors in policy.";
const STATEMENT_ELEMENTS: &[&str] =
    &["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// MalformedPolicyDocument where `text` is not a document for `purpose`.
pub(crate) fn check(text: &str, purpose: Purpose) -> Result<(), AwsError> {
    let document = Document::from_json(text.as_bytes()).map_err(|_| malformed("This policy contains invalid Json"))?;
    let elements = document.as_map().ok_or_else(|| malformed(SYNTAX))?;
    if elements.keys().any(|key| !matches!(key.as_str(), "Version" | "Id" | "Statement")) {
        return Err(malformed(SYNTAX));
    }
    match document.get("Version").map(Document::as_str) {
        None | Some(Some("2012-10-17" | "2008-10-17")) => {}
        Some(_) => return Err(malformed("Policy document must be version 2012-10-17 or greater.")),
    }
    let statements = match document.get("Statement") {
        Some(Document::List(statements)) if !statements.is_empty() => statements.iter().collect(),
        Some(statement @ Document::Map(_)) => vec![statement],
        _ => return Err(malformed(SYNTAX)),
    };
    let mut sids = HashSet::new();
    for statement in statements {
        check_statement(statement, purpose)?;
        if let Some(sid) = statement.get("Sid").and_then(Document::as_str)
            && !sid.is_empty()
            && !sids.insert(sid)
        {
            return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
        }
    }
    Ok(())
}

fn check_statement(statement: &Document, purpose: Purpose) -> Result<(), AwsError> {
    let elements = statement.as_map().ok_or_else(|| malformed(SYNTAX))?;
    if let Some(unknown) = elements.keys().find(|key| !STATEMENT_ELEMENTS.contains(&key.as_str())) {
        return Err(malformed(format!("{SYNTAX} Unknown element {unknown}.")));
    }
    check_sid(statement.get("Sid"))?;
    match statement.get("Effect") {
        Some(Document::String(effect)) if effect == "Allow" || effect == "Deny" => {}
        Some(Document::String(effect)) => return Err(malformed(format!("Invalid effect: {effect}"))),
        _ => return Err(malformed("Missing required field Effect")),
    }
    let actions =
        one_of(statement, "Action", "NotAction")?.ok_or_else(|| malformed("Policy statement must contain actions."))?;
    check_actions(&actions, purpose)?;
    check_condition(statement.get("Condition"))?;
    match purpose {
        Purpose::Identity => check_resources(statement),
        Purpose::Trust => check_principal(statement),
    }
}

fn check_sid(sid: Option<&Document>) -> Result<(), AwsError> {
    match sid {
        None => Ok(()),
        Some(Document::String(sid)) if sid.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(()),
        Some(_) => Err(malformed(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
        )),
    }
}

/// The texts of the one of two elements that is there; both are an error.
fn one_of<'a>(statement: &'a Document, element: &str, inverse: &str) -> Result<Option<Vec<&'a str>>, AwsError> {
    match (statement.get(element), statement.get(inverse)) {
        (Some(_), Some(_)) => Err(malformed(SYNTAX)),
        (Some(value), None) | (None, Some(value)) => texts(value).map(Some),
        (None, None) => Ok(None),
    }
}

/// A text or a list of texts.
fn texts(value: &Document) -> Result<Vec<&str>, AwsError> {
    match value {
        Document::String(text) => Ok(vec![text]),
        Document::List(list) if !list.is_empty() => {
            list.iter().map(|entry| entry.as_str().ok_or_else(|| malformed(SYNTAX))).collect()
        }
        _ => Err(malformed(SYNTAX)),
    }
}

fn check_actions(actions: &[&str], purpose: Purpose) -> Result<(), AwsError> {
    for action in actions {
        let vendor = match action.split_once(':') {
            Some((vendor, name)) if !name.is_empty() => vendor,
            None if *action == "*" => "*",
            _ => {
                return Err(malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."));
            }
        };
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'*';
        if vendor.is_empty() || !vendor.bytes().all(legal) {
            return Err(malformed(format!("Vendor {vendor} is not valid")));
        }
        if purpose == Purpose::Trust && !vendor.eq_ignore_ascii_case("sts") {
            return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
        }
    }
    Ok(())
}

fn check_resources(statement: &Document) -> Result<(), AwsError> {
    if statement.get("Principal").is_some() || statement.get("NotPrincipal").is_some() {
        return Err(malformed("Policy document should not specify a principal."));
    }
    let resources = one_of(statement, "Resource", "NotResource")?
        .ok_or_else(|| malformed("Policy statement must contain resources."))?;
    match resources.iter().find(|resource| **resource != "*" && !resource.starts_with("arn:")) {
        Some(resource) => Err(malformed(format!("Resource {resource} must be in ARN format or \"*\"."))),
        None => Ok(()),
    }
}

fn check_principal(statement: &Document) -> Result<(), AwsError> {
    for element in ["Resource", "NotResource"] {
        if statement.get(element).is_some() {
            return Err(malformed(format!("Has prohibited field {element}")));
        }
    }
    let principal = match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(_), Some(_)) => return Err(malformed(SYNTAX)),
        (Some(principal), None) | (None, Some(principal)) => principal,
        (None, None) => return Err(malformed("Missing required field Principal")),
    };
    match principal {
        Document::String(text) if text == "*" => Ok(()),
        Document::Map(kinds) if !kinds.is_empty() => kinds.iter().try_for_each(|(kind, value)| {
            if matches!(kind.as_str(), "AWS" | "Service" | "Federated" | "CanonicalUser") {
                texts(value).map(drop)
            } else {
                Err(malformed(format!("Invalid principal in policy: \"{kind}\"")))
            }
        }),
        _ => Err(malformed("Invalid principal in policy")),
    }
}

fn check_condition(condition: Option<&Document>) -> Result<(), AwsError> {
    let Some(condition) = condition else { return Ok(()) };
    let operators = condition.as_map().ok_or_else(|| malformed(SYNTAX))?;
    for keys in operators.values() {
        let keys = keys.as_map().ok_or_else(|| malformed(SYNTAX))?;
        let legal = |value: &Document| match value {
            Document::List(list) => list.iter().all(|entry| entry.scalar_text().is_some()),
            other => other.scalar_text().is_some(),
        };
        if !keys.values().all(legal) {
            return Err(malformed(SYNTAX));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str, purpose: Purpose) -> String {
        check(text, purpose).map_or_else(|error| error.message, |()| "fine".to_owned())
    }

    #[test]
    fn identity_policies() {
        for (statement, expected) in [
            (r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#, "fine"),
            (r#"{"Sid":"A1","Effect":"Deny","NotAction":["a:b","*"],"NotResource":["arn:aws:s3:::x"]}"#, "fine"),
            (r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"k":true}}}"#, "fine"),
            (r#"{"Effect":"Allow","Resource":"*"}"#, "Policy statement must contain actions."),
            (r#"{"Effect":"Allow","Action":"s3:*"}"#, "Policy statement must contain resources."),
            (r#"{"Effect":"allow","Action":"s3:*","Resource":"*"}"#, "Invalid effect: allow"),
            (r#"{"Action":"s3:*","Resource":"*"}"#, "Missing required field Effect"),
            (
                r#"{"Effect":"Allow","Action":"s3","Resource":"*"}"#,
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}"#,
                "Resource bucket must be in ARN format or \"*\".",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"}"#,
                "Policy document should not specify a principal.",
            ),
            (r#"{"Effect":"Allow","Action":"s3:*","Resource":[]}"#, SYNTAX),
            (r#"{"Effect":"Allow","Action":["s3:*",7],"Resource":"*"}"#, SYNTAX),
            (r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":7}}"#, SYNTAX),
        ] {
            let text = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
            assert_eq!(message(&text, Purpose::Identity), expected, "{statement}");
        }
    }

    #[test]
    fn trust_policies() {
        for (statement, expected) in [
            (r#"{"Effect":"Allow","Principal":{"Service":"batch.amazonaws.com"},"Action":"sts:AssumeRole"}"#, "fine"),
            (r#"{"Effect":"Allow","Principal":{"AWS":["1","2"]},"Action":["sts:TagSession"]}"#, "fine"),
            (r#"{"Effect":"Allow","Action":"sts:AssumeRole"}"#, "Missing required field Principal"),
            (
                r#"{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}"#,
                "Has prohibited field Resource",
            ),
            (
                r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}"#,
                "AssumeRole policy may only specify STS AssumeRole actions.",
            ),
            (
                r#"{"Effect":"Allow","Principal":{"Who":"x"},"Action":"sts:AssumeRole"}"#,
                "Invalid principal in policy: \"Who\"",
            ),
        ] {
            let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
            assert_eq!(message(&text, Purpose::Trust), expected, "{statement}");
        }
    }

    #[test]
    fn the_document_around_the_statements() {
        let statement = r#"{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}"#;
        for (text, expected) in [
            ("{".to_owned(), "This policy contains invalid Json"),
            ("[]".to_owned(), SYNTAX),
            ("{}".to_owned(), SYNTAX),
            (r#"{"Statement":[]}"#.to_owned(), SYNTAX),
            (format!(r#"{{"Statement":{statement}}}"#), "fine"),
            (format!(r#"{{"Statement":{statement},"Extra":1}}"#), SYNTAX),
            (
                format!(r#"{{"Version":"2013","Statement":{statement}}}"#),
                "Policy document must be version 2012-10-17 or greater.",
            ),
            (
                format!(r#"{{"Statement":[{statement},{statement}]}}"#),
                "Statement IDs (SID) in a single policy must be unique.",
            ),
        ] {
            assert_eq!(message(&text, Purpose::Identity), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_check(text in "[{}\\[\\]\",:a-zA-Z*0-9 ]{0,60}") {
            let _ = check(&text, Purpose::Identity);
            let _ = check(&text, Purpose::Trust);
        }
    }
}
