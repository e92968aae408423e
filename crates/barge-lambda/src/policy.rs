//! A function's resource-based policy: statements as AddPermission makes them, their JSON, and what they permit
//! (Lambda Developer Guide, "Viewing resource-based IAM policies in Lambda").

use barge_core::{Arn, Document};
use barge_wire::lambda::AddPermissionRequest;
use serde::{Deserialize, Serialize};

/// A policy's JSON may have as many characters (Lambda API reference, PolicyLengthExceededException).
pub(crate) const LONGEST: usize = 20_480;

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statement {
    pub sid: String,
    /// As the request gave it: a service, an account id, an ARN or `*`.
    pub principal: String,
    pub action: String,
    pub source_arn: Option<String>,
    pub source_account: Option<String>,
    pub event_source_token: Option<String>,
    pub principal_org_id: Option<String>,
}

impl Statement {
    pub(crate) fn new(request: &AddPermissionRequest) -> Self {
        Self {
            sid: request.statement_id.clone(),
            principal: request.principal.clone(),
            action: request.action.clone(),
            source_arn: request.source_arn.clone(),
            source_account: request.source_account.clone(),
            event_source_token: request.event_source_token.clone(),
            principal_org_id: request.principal_org_id.clone(),
        }
    }

    /// The statement as AWS writes it into the policy of what has the ARN `resource`.
    pub(crate) fn document(&self, resource: &str) -> Document {
        let mut members = vec![
            ("Sid", Document::from(self.sid.as_str())),
            ("Effect", "Allow".into()),
            ("Principal", principal(&self.principal)),
            ("Action", self.action.as_str().into()),
            ("Resource", resource.into()),
        ];
        let equals = [
            ("AWS:SourceAccount", &self.source_account),
            ("lambda:EventSourceToken", &self.event_source_token),
            ("aws:PrincipalOrgID", &self.principal_org_id),
        ];
        let equals: Vec<(&str, Document)> =
            equals.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?.into()))).collect();
        let mut conditions = Vec::new();
        if !equals.is_empty() {
            conditions.push(("StringEquals", Document::map(equals)));
        }
        if let Some(arn) = &self.source_arn {
            conditions.push(("ArnLike", Document::map([("AWS:SourceArn", Document::from(arn.as_str()))])));
        }
        if !conditions.is_empty() {
            members.push(("Condition", Document::map(conditions)));
        }
        Document::map(members)
    }

    /// Whether this statement lets `service` invoke the function on behalf of `source` of `account`.
    fn permits(&self, service: &str, source: &str, account: &str) -> bool {
        let action = matches!(self.action.as_str(), "lambda:InvokeFunction" | "lambda:*" | "*");
        let principal = self.principal == "*" || self.principal == service;
        let source_arn = self.source_arn.as_ref().is_none_or(|pattern| arn_like(pattern, source));
        let source_account = self.source_account.as_ref().is_none_or(|wanted| wanted == account);
        // A service's own call carries neither an event source token nor an organization.
        let others = self.event_source_token.is_none() && self.principal_org_id.is_none();
        action && principal && source_arn && source_account && others
    }
}

fn principal(text: &str) -> Document {
    if text == "*" {
        return text.into();
    }
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Document::map([("AWS", Document::from(format!("arn:aws:iam::{text}:root")))]);
    }
    Document::map([(if text.starts_with("arn:") { "AWS" } else { "Service" }, Document::from(text))])
}

/// The whole policy as GetPolicy gives it.
pub(crate) fn json(resource: &str, statements: &[Statement]) -> String {
    let statements = statements.iter().map(|statement| statement.document(resource)).collect();
    Document::map([
        ("Version", Document::from("2012-10-17")),
        ("Id", "default".into()),
        ("Statement", Document::List(statements)),
    ])
    .to_json()
}

/// Whether any statement lets `service` invoke the function on behalf of `source` of `account`.
pub(crate) fn permits(statements: &[Statement], service: &str, source: &Arn, account: &str) -> bool {
    let source = source.to_string();
    statements.iter().any(|statement| statement.permits(service, &source, account))
}

/// IAM's `ArnLike`: each of the six parts matches with `*` and `?` (IAM User Guide, "IAM JSON policy elements:
/// Condition operators").
fn arn_like(pattern: &str, arn: &str) -> bool {
    let (pattern, arn) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    let (pattern, arn): (Vec<&str>, Vec<&str>) = (pattern.collect(), arn.collect());
    pattern.len() == arn.len() && pattern.iter().zip(&arn).all(|(pattern, part)| like(pattern, part))
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters and `?` for one.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(principal: &str, source_arn: Option<&str>, source_account: Option<&str>) -> Statement {
        Statement {
            sid: "s".to_owned(),
            principal: principal.to_owned(),
            action: "lambda:InvokeFunction".to_owned(),
            source_arn: source_arn.map(str::to_owned),
            source_account: source_account.map(str::to_owned),
            event_source_token: None,
            principal_org_id: None,
        }
    }

    #[test]
    fn who_may_invoke() {
        let s3 = "s3.amazonaws.com";
        for (statement, expected) in [
            (statement(s3, None, None), true),
            (statement("*", None, None), true),
            (statement("events.amazonaws.com", None, None), false),
            (statement(s3, Some("arn:aws:s3:::uploads"), None), true),
            (statement(s3, Some("arn:aws:s3:::up*"), None), true),
            (statement(s3, Some("arn:aws:s3:::up?"), None), false),
            (statement(s3, Some("arn:aws:s3:::other"), None), false),
            (statement(s3, Some("arn:*"), None), false),
            (statement(s3, None, Some("000000000000")), true),
            (statement(s3, None, Some("111111111111")), false),
            (Statement { action: "lambda:GetFunction".to_owned(), ..statement(s3, None, None) }, false),
            (Statement { event_source_token: Some("t".to_owned()), ..statement(s3, None, None) }, false),
        ] {
            let source: Arn = "arn:aws:s3:::uploads".parse().unwrap();
            let permitted = permits(std::slice::from_ref(&statement), s3, &source, "000000000000");
            assert_eq!(permitted, expected, "{statement:?}");
        }
    }

    #[test]
    fn the_policy_reads_as_awss_own() {
        let function = "arn:aws:lambda:us-east-1:000000000000:function:f";
        let statements = [statement("s3.amazonaws.com", Some("arn:aws:s3:::b"), Some("000000000000"))];
        assert_eq!(
            json(function, &statements),
            r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"s","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:000000000000:function:f","Condition":{"StringEquals":{"AWS:SourceAccount":"000000000000"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"}}}]}"#
        );
        assert_eq!(principal("123456789012").to_json(), r#"{"AWS":"arn:aws:iam::123456789012:root"}"#);
        assert_eq!(
            principal("arn:aws:iam::1:role/r"),
            Document::map([("AWS", Document::from("arn:aws:iam::1:role/r"))])
        );
    }

    proptest::proptest! {
        #[test]
        fn a_pattern_without_wildcards_matches_itself_only(a in "[a-c]{0,6}", b in "[a-c]{0,6}") {
            proptest::prop_assert_eq!(like(&a, &b), a == b);
        }

        #[test]
        fn a_star_takes_anything_between(a in "[a-c]{0,4}", b in "[a-c]{0,4}", c in "[a-c]{0,4}") {
            let (pattern, text) = (format!("{a}*{c}"), format!("{a}{b}{c}"));
            proptest::prop_assert!(like(&pattern, &text));
        }
    }
}
