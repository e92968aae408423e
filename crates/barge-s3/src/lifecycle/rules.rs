//! A bucket's lifecycle rules, and what S3 refuses of them (Amazon S3 User Guide, "Lifecycle configuration elements").

use crate::error::{INVALID_ARGUMENT, INVALID_REQUEST, MALFORMED_XML, Result};
use crate::meta::Tags;
use barge_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Rules that a bucket may have.
const MOST_RULES: usize = 1000;
/// Characters of a rule's id.
const LONGEST_ID: usize = 255;
/// Bytes of a key, and so of a prefix.
const LONGEST_PREFIX: usize = 1024;
/// The greatest NewerNoncurrentVersions.
const MOST_NEWER: u32 = 100;

pub(super) const DAY: i64 = 24 * 60 * 60 * 1000;

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) status: Status,
    pub(crate) filter: Filter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expiration: Option<Expiration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) noncurrent: Option<Noncurrent>,
    /// DaysAfterInitiation of AbortIncompleteMultipartUpload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) abort: Option<u32>,
}

/// Whether a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    Enabled,
    Disabled,
}

/// To what a rule applies: all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    pub(crate) form: Form,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<String>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    /// ObjectSizeGreaterThan, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) above: Option<u64>,
    /// ObjectSizeLessThan, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) below: Option<u64>,
}

/// How the client wrote a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Form {
    /// As a Filter.
    #[default]
    Filter,
    /// As a Prefix of the rule, the older way.
    Prefix,
}

/// What becomes of current versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Expiration {
    /// They expire so many days after they were made.
    Days(u32),
    /// They expire from this moment on.
    Date(Timestamp),
    /// ExpiredObjectDeleteMarker: whether delete markers that hide nothing go.
    Markers(bool),
}

/// NoncurrentVersionExpiration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noncurrent {
    pub(crate) days: u32,
    /// So many noncurrent versions stay in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) newer: Option<u32>,
}

impl Filter {
    /// How many conditions there are.
    pub(crate) fn conditions(&self) -> usize {
        let given = [self.prefix.is_some(), self.above.is_some(), self.below.is_some()];
        given.into_iter().filter(|given| *given).count() + self.tags.len()
    }

    pub(super) fn matches_key(&self, key: &str) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
    }

    /// Whether this asks for anything but a prefix: delete markers and uploads have nothing else.
    pub(super) fn asks_of_objects(&self) -> bool {
        !self.tags.is_empty() || self.above.is_some() || self.below.is_some()
    }

    pub(super) fn matches(&self, key: &str, size: u64, tags: &Tags) -> bool {
        self.matches_key(key)
            && self.tags.iter().all(|(name, value)| tags.get(name) == Some(value))
            && self.above.is_none_or(|above| size > above)
            && self.below.is_none_or(|below| size < below)
    }

    fn check(&self) -> Result<()> {
        if self.prefix.as_ref().is_some_and(|prefix| prefix.len() > LONGEST_PREFIX) {
            return Err(INVALID_REQUEST.because(format!("The maximum size of a prefix is {LONGEST_PREFIX}.")));
        }
        crate::api::check_tags(&self.tags, MOST_RULES)?;
        if let (Some(above), Some(below)) = (self.above, self.below)
            && below <= above
        {
            return Err(
                INVALID_REQUEST.because("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
            );
        }
        Ok(())
    }
}

impl Rule {
    fn check(&self) -> Result<()> {
        if self.id.chars().count() > LONGEST_ID {
            return Err(INVALID_ARGUMENT.because("ID length should not exceed allowed limit of 255"));
        }
        if self.expiration.is_none() && self.noncurrent.is_none() && self.abort.is_none() {
            return Err(INVALID_REQUEST.because("At least one action needs to be specified in a rule"));
        }
        self.filter.check()?;
        self.check_expiration()?;
        self.check_noncurrent()?;
        if self.abort == Some(0) {
            return Err(positive("DaysAfterInitiation", "AbortIncompleteMultipartUpload"));
        }
        if self.abort.is_some() && !self.filter.tags.is_empty() {
            return Err(INVALID_REQUEST.because("AbortIncompleteMultipartUpload cannot be specified with Tags."));
        }
        if self.abort.is_some() && self.filter.asks_of_objects() {
            return Err(INVALID_REQUEST.because("AbortIncompleteMultipartUpload cannot be specified with Object Size."));
        }
        Ok(())
    }

    fn check_expiration(&self) -> Result<()> {
        match self.expiration {
            Some(Expiration::Days(0)) => Err(positive("Days", "Expiration")),
            Some(Expiration::Date(date)) if date.millis() % DAY != 0 => {
                Err(INVALID_ARGUMENT.because("'Date' must be at midnight GMT"))
            }
            Some(Expiration::Markers(_)) if !self.filter.tags.is_empty() => {
                Err(INVALID_REQUEST.because("ExpiredObjectDeleteMarker cannot be specified with Tags."))
            }
            _ => Ok(()),
        }
    }

    fn check_noncurrent(&self) -> Result<()> {
        let Some(noncurrent) = self.noncurrent else { return Ok(()) };
        if noncurrent.days == 0 {
            return Err(positive("NoncurrentDays", "NoncurrentVersionExpiration"));
        }
        match noncurrent.newer {
            None => Ok(()),
            Some(_) if self.filter.form == Form::Prefix => Err(INVALID_REQUEST
                .because("NewerNoncurrentVersions element can only be used in Lifecycle V2: use Filter, not Prefix.")),
            Some(newer) if (1..=MOST_NEWER).contains(&newer) => Ok(()),
            Some(_) => Err(INVALID_ARGUMENT.because(format!(
                "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be an integer between 1 and {MOST_NEWER}"
            ))),
        }
    }
}

fn positive(member: &str, action: &str) -> crate::error::Error {
    INVALID_ARGUMENT.because(format!("'{member}' for {action} action must be a positive integer"))
}

/// What S3 refuses of a bucket's rules, with its codes and, where known, its words.
pub(crate) fn check(rules: &[Rule]) -> Result<()> {
    if rules.is_empty() || rules.len() > MOST_RULES {
        return Err(MALFORMED_XML.into());
    }
    let mut ids = HashSet::new();
    for rule in rules {
        rule.check()?;
        if !ids.insert(&rule.id) {
            return Err(INVALID_ARGUMENT.because("Rule ID must be unique. Found same ID for more than one rule"));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An enabled rule that does nothing yet.
    pub(crate) fn rule() -> Rule {
        Rule {
            id: "r".into(),
            status: Status::Enabled,
            filter: Filter::default(),
            expiration: None,
            noncurrent: None,
            abort: None,
        }
    }

    pub(crate) fn tags(key: &str, value: &str) -> Tags {
        Tags::from([(key.into(), value.into())])
    }

    fn expiring(expiration: Expiration) -> Rule {
        Rule { expiration: Some(expiration), ..rule() }
    }

    fn noncurrent(days: u32, newer: Option<u32>) -> Rule {
        Rule { noncurrent: Some(Noncurrent { days, newer }), ..rule() }
    }

    #[test]
    fn what_is_refused_of_a_rule() {
        let tagged = Filter { tags: tags("a", "b"), ..Filter::default() };
        let sized = |above, below| Filter { above, below, ..Filter::default() };
        let old = Filter { form: Form::Prefix, prefix: Some("a".into()), ..Filter::default() };
        let days = expiring(Expiration::Days(1));
        for (rule, word) in [
            (rule(), Some("At least one action")),
            (days.clone(), None),
            (expiring(Expiration::Days(0)), Some("'Days'")),
            (expiring(Expiration::Date(Timestamp::from_millis(DAY))), None),
            (expiring(Expiration::Date(Timestamp::from_millis(DAY + 1))), Some("midnight")),
            (Rule { filter: tagged.clone(), ..expiring(Expiration::Markers(true)) }, Some("Tags")),
            (expiring(Expiration::Markers(true)), None),
            (noncurrent(1, None), None),
            (noncurrent(0, None), Some("'NoncurrentDays'")),
            (noncurrent(1, Some(100)), None),
            (noncurrent(1, Some(0)), Some("'NewerNoncurrentVersions'")),
            (noncurrent(1, Some(101)), Some("'NewerNoncurrentVersions'")),
            (Rule { filter: old, ..noncurrent(1, Some(1)) }, Some("NewerNoncurrentVersions")),
            (Rule { abort: Some(7), ..rule() }, None),
            (Rule { abort: Some(0), ..rule() }, Some("'DaysAfterInitiation'")),
            (Rule { abort: Some(7), filter: tagged.clone(), ..rule() }, Some("Tags")),
            (Rule { abort: Some(7), filter: sized(Some(1), None), ..rule() }, Some("Size")),
            (Rule { filter: sized(Some(5), Some(5)), ..days.clone() }, Some("'ObjectSizeLessThan'")),
            (Rule { filter: sized(Some(5), Some(6)), ..days.clone() }, None),
            (
                Rule { filter: Filter { prefix: Some("a".repeat(1025)), ..Filter::default() }, ..days.clone() },
                Some("prefix"),
            ),
            (Rule { id: "i".repeat(256), ..days.clone() }, Some("ID length")),
        ] {
            match (check(std::slice::from_ref(&rule)), word) {
                (Ok(()), None) => {}
                (Err(error), Some(word)) => assert!(error.to_string().contains(word), "{error} {rule:?}"),
                (result, _) => panic!("{result:?} {rule:?}"),
            }
        }
        assert!(check(&[]).is_err());
        assert!(check(&[days.clone(), days]).unwrap_err().to_string().contains("unique"));
    }

    #[test]
    fn what_a_filter_matches() {
        let filter =
            Filter { prefix: Some("logs/".into()), tags: tags("a", "1"), above: Some(10), ..Filter::default() };
        for (key, size, tags, matches) in [
            ("logs/x", 11, tags("a", "1"), true),
            ("logs/x", 10, tags("a", "1"), false),
            ("logs/x", 11, tags("a", "2"), false),
            ("log", 11, tags("a", "1"), false),
        ] {
            assert_eq!(filter.matches(key, size, &tags), matches, "{key} {size} {tags:?}");
        }
        assert!(Filter::default().matches("anything", 0, &Tags::new()));
        assert!(!Filter { below: Some(5), ..Filter::default() }.matches("k", 5, &Tags::new()));
        assert_eq!((filter.conditions(), Filter::default().conditions()), (3, 0));
    }
}
