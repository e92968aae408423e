//! Members that AWS's model has and dynoxide does not honour: a request with one is refused by name, never half obeyed.

use barge_core::Document;
use dynoxide::DynoxideError;

/// Operation, path of the member (`*` for each item of a list).
const REFUSED: [(&str, &[&str]); 17] = [
    ("CreateTable", &["ResourcePolicy"]),
    ("CreateTable", &["WarmThroughput"]),
    ("CreateTable", &["GlobalTableSourceArn"]),
    ("CreateTable", &["GlobalTableSettingsReplicationMode"]),
    ("CreateTable", &["GlobalSecondaryIndexes", "*", "WarmThroughput"]),
    ("UpdateTable", &["SSESpecification"]),
    ("UpdateTable", &["ReplicaUpdates"]),
    ("UpdateTable", &["MultiRegionConsistency"]),
    ("UpdateTable", &["GlobalTableWitnessUpdates"]),
    ("UpdateTable", &["GlobalTableSettingsReplicationMode"]),
    ("UpdateTable", &["WarmThroughput"]),
    ("UpdateTable", &["DisassociationProtectionEnabled"]),
    ("UpdateTable", &["GlobalSecondaryIndexUpdates", "*", "Create", "WarmThroughput"]),
    ("UpdateTable", &["GlobalSecondaryIndexUpdates", "*", "Update", "WarmThroughput"]),
    ("ListTagsOfResource", &["NextToken"]),
    ("DescribeStream", &["ShardFilter"]),
    ("GetShardIterator", &["Timestamp"]),
];

/// Refuses a request that has a member which would be ignored.
pub(crate) fn check(operation: &str, body: &[u8]) -> Result<(), DynoxideError> {
    let mut paths = REFUSED.iter().filter(|(name, _)| *name == operation).peekable();
    if paths.peek().is_none() {
        return Ok(());
    }
    // What isn't JSON is complained about by the decoder that follows.
    let request = Document::from_json(body).unwrap_or_default();
    match paths.find(|(_, path)| present(&request, path)) {
        None => Ok(()),
        Some((_, path)) => Err(DynoxideError::ValidationException(format!(
            "One or more parameter values were invalid: Barge does not support {}",
            path.join(".").replace(".*", "")
        ))),
    }
}

fn present(document: &Document, path: &[&str]) -> bool {
    match path {
        [] => *document != Document::Null,
        ["*", rest @ ..] => document.as_list().is_some_and(|items| items.iter().any(|item| present(item, rest))),
        [member, rest @ ..] => document.get(member).is_some_and(|value| present(value, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_ignored_is_refused_by_name() {
        for (operation, body, refused) in [
            ("CreateTable", r#"{"ResourcePolicy":"{}"}"#, Some("ResourcePolicy")),
            ("CreateTable", r#"{"ResourcePolicy":null,"TableName":"t"}"#, None),
            (
                "CreateTable",
                r#"{"GlobalSecondaryIndexes":[{"WarmThroughput":{}}]}"#,
                Some("GlobalSecondaryIndexes.WarmThroughput"),
            ),
            ("PutItem", r#"{"ResourcePolicy":"{}"}"#, None),
            ("CreateTable", "not json", None),
        ] {
            let message = check(operation, body.as_bytes()).err().map(|error| error.to_string());
            assert_eq!(message.is_some(), refused.is_some(), "{body}");
            assert!(message.unwrap_or_default().ends_with(refused.unwrap_or_default()), "{body}");
        }
    }
}
