//! The policies of VPC endpoints: stored, and checked for being JSON with statements.

use crate::errors;
use barge_core::{AwsError, Document};

/// The policy of an endpoint that is given none: everything is allowed (VPC User Guide, "Control access to VPC endpoints
/// using endpoint policies").
pub(crate) const FULL_ACCESS: &str =
    r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

/// The document, where it is one.
pub(crate) fn checked(document: String) -> Result<String, AwsError> {
    let parsed = Document::from_json(document.as_bytes()).ok();
    let statements = parsed.as_ref().and_then(|document| document.get("Statement"));
    match statements {
        Some(Document::List(_) | Document::Map(_)) => Ok(document),
        _ => Err(errors::refused("InvalidPolicyDocument", "The policy document is not valid JSON with statements.")),
    }
}
