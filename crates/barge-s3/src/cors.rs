//! Cross-origin rules of a bucket: checked, and matched to what a browser asks (Amazon S3 User Guide, "Using cross-origin
//! resource sharing (CORS)"). Nothing here knows HTTP messages.

use crate::error::{INVALID_REQUEST, MALFORMED_XML, Result};
use serde::{Deserialize, Serialize};

/// Rules that a bucket may have.
const MOST_RULES: usize = 100;
/// Characters of a rule's id.
const LONGEST_ID: usize = 255;
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// One CORSRule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CorsRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// With at most one `*` each.
    pub(crate) origins: Vec<String>,
    pub(crate) methods: Vec<String>,
    /// With at most one `*` each, in any case.
    pub(crate) headers: Vec<String>,
    pub(crate) exposed: Vec<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<u32>,
}

/// What a browser asks for a page's sake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) origin: String,
    pub(crate) method: String,
    /// Names of headers that the page wants to send.
    pub(crate) headers: Vec<String>,
}

/// What a rule permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permission<'r> {
    pub(crate) rule: &'r CorsRule,
    pub(crate) origin: Origin,
}

/// Whom a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The one that asks, with credentials.
    Asking,
    /// Everyone.
    Any,
}

/// By the first rule that matches.
pub(crate) fn permission<'r>(rules: &'r [CorsRule], ask: &Ask) -> Option<Permission<'r>> {
    rules.iter().find_map(|rule| {
        let pattern = rule.origins.iter().find(|pattern| matches(pattern, &ask.origin))?;
        let method = rule.methods.contains(&ask.method);
        let header = |name: &String| {
            let name = name.to_ascii_lowercase();
            rule.headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &name))
        };
        let origin = if pattern == "*" { Origin::Any } else { Origin::Asking };
        (method && ask.headers.iter().all(header)).then_some(Permission { rule, origin })
    })
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
    }
}

impl CorsRule {
    fn check(&self) -> Result<()> {
        if self.origins.is_empty() || self.methods.is_empty() {
            return Err(MALFORMED_XML.into());
        }
        if self.id.as_ref().is_some_and(|id| id.chars().count() > LONGEST_ID) {
            return Err(INVALID_REQUEST.because("The ID of a CORS rule must not be longer than 255 characters."));
        }
        if let Some(method) = self.methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(INVALID_REQUEST
                .because(format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}")));
        }
        for (name, patterns) in [("AllowedOrigin", &self.origins), ("AllowedHeader", &self.headers)] {
            if let Some(pattern) = patterns.iter().find(|pattern| pattern.matches('*').count() > 1) {
                return Err(
                    INVALID_REQUEST.because(format!("{name} \"{pattern}\" can not have more than one wildcard."))
                );
            }
        }
        match self.exposed.iter().find(|name| name.contains('*')) {
            Some(name) => Err(INVALID_REQUEST.because(format!(
                "ExposeHeader \"{name}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            ))),
            None => Ok(()),
        }
    }
}

/// What S3 refuses of a bucket's rules.
pub(crate) fn check(rules: &[CorsRule]) -> Result<()> {
    if rules.is_empty() || rules.len() > MOST_RULES {
        return Err(MALFORMED_XML.into());
    }
    rules.iter().try_for_each(CorsRule::check)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> CorsRule {
        CorsRule { origins: texts(origins), methods: texts(methods), headers: texts(headers), ..CorsRule::default() }
    }

    #[test]
    fn the_first_rule_that_matches_permits() {
        let rules = [
            rule(&["http://www.example1.com"], &["PUT", "POST"], &["*"]),
            rule(&["http://*.example2.com"], &["PUT"], &["x-amz-*", "Content-Type"]),
            rule(&["*"], &["GET"], &[]),
        ];
        for (origin, method, headers, permitted) in [
            ("http://www.example1.com", "PUT", &["anything"][..], Some((0, Origin::Asking))),
            ("http://www.example1.com", "DELETE", &[], None),
            ("http://www.example1.com", "GET", &[], Some((2, Origin::Any))),
            ("http://a.example2.com", "PUT", &["X-Amz-Date", "content-type"], Some((1, Origin::Asking))),
            ("http://a.example2.com", "PUT", &["authorization"], None),
            ("http://.example2.com", "PUT", &[], Some((1, Origin::Asking))),
            ("http://example2.com", "PUT", &[], None),
            ("https://a.example2.com", "PUT", &[], None),
            ("null", "GET", &[], Some((2, Origin::Any))),
            ("null", "GET", &["x-amz-date"], None),
        ] {
            let ask = Ask { origin: origin.into(), method: method.into(), headers: texts(headers) };
            let expected = permitted.map(|(at, origin)| Permission { rule: &rules[at], origin });
            assert_eq!(permission(&rules, &ask), expected, "{ask:?}");
        }
    }

    #[test]
    fn what_is_refused_of_a_rule() {
        let fine = rule(&["*"], &["GET"], &["x-*"]);
        assert!(check(std::slice::from_ref(&fine)).is_ok());
        for (rules, word) in [
            (vec![], "XML"),
            (vec![fine.clone(); 101], "XML"),
            (vec![rule(&[], &["GET"], &[])], "XML"),
            (vec![rule(&["*"], &[], &[])], "XML"),
            (vec![rule(&["*"], &["PATCH"], &[])], "PATCH"),
            (vec![rule(&["*"], &["get"], &[])], "get"),
            (vec![rule(&["http://*.*"], &["GET"], &[])], "AllowedOrigin"),
            (vec![rule(&["*"], &["GET"], &["*-*"])], "AllowedHeader"),
            (vec![CorsRule { exposed: texts(&["x-*"]), ..fine.clone() }], "ExposeHeader"),
            (vec![CorsRule { id: Some("i".repeat(256)), ..fine }], "ID"),
        ] {
            let error = check(&rules).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
