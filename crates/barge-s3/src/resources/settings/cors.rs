//! CorsConfiguration of a template.

use super::super::properties::Members;
use super::{given, list};
use crate::cors::{CorsRule, check};
use barge_core::{AwsError, Document};

pub(super) fn read(mut members: Members<'_>) -> Result<Vec<CorsRule>, AwsError> {
    let path = members.path("CorsRules");
    let rule = |(at, document): (usize, &Document)| rule(Members::of(&format!("{path}/{at}"), document)?);
    let rules = members.list("CorsRules")?.iter().enumerate().map(rule).collect::<Result<Vec<_>, AwsError>>()?;
    members.finish()?;
    check(&rules)?;
    Ok(rules)
}

fn rule(mut members: Members<'_>) -> Result<CorsRule, AwsError> {
    let rule = CorsRule {
        id: members.text("Id")?,
        origins: members.texts("AllowedOrigins")?,
        methods: members.texts("AllowedMethods")?,
        headers: members.texts("AllowedHeaders")?,
        exposed: members.texts("ExposedHeaders")?,
        max_age: members.number("MaxAge")?,
    };
    members.finish()?;
    Ok(rule)
}

/// `None` where there are no rules.
pub(super) fn shown(rules: &[CorsRule]) -> Option<Document> {
    list(rules.iter().map(shown_rule).collect()).map(|rules| Document::map([("CorsRules", rules)]))
}

fn shown_rule(rule: &CorsRule) -> Document {
    let texts = |texts: &[String]| list(texts.iter().map(|text| text.as_str().into()).collect());
    given([
        ("Id", rule.id.as_deref().map(Into::into)),
        ("AllowedHeaders", texts(&rule.headers)),
        ("AllowedMethods", texts(&rule.methods)),
        ("AllowedOrigins", texts(&rule.origins)),
        ("ExposedHeaders", texts(&rule.exposed)),
        ("MaxAge", rule.max_age.map(|seconds| i64::from(seconds).into())),
    ])
}
