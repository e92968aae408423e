//! What lifecycle rules mean at a moment, for the versions of a key and for an upload (Amazon S3 User Guide, "Lifecycle
//! configuration elements", "Expiring objects"). Pure: no clock, no rows.

use super::rules::{DAY, Expiration, Rule, Status};
use crate::meta::{Entry, Object, Versioning};
use barge_core::Timestamp;

/// What becomes of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// The version at this place, the newest first, goes for ever.
    Destroy(usize),
    /// A delete marker comes in front of the current version.
    Hide,
}

/// When something happens, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Due<'r> {
    pub(crate) at: Timestamp,
    pub(crate) rule: &'r Rule,
}

impl Due<'_> {
    /// As the header `x-amz-expiration` has it.
    pub(crate) fn header(&self) -> String {
        let id = percent_encoding::utf8_percent_encode(&self.rule.id, percent_encoding::NON_ALPHANUMERIC);
        format!("expiry-date=\"{}\", rule-id=\"{id}\"", self.at.http_date())
    }
}

/// The moment `days` after `since`, rounded up to the next midnight UTC.
fn after(since: Timestamp, days: u32) -> Timestamp {
    let day = since.millis().div_euclid(DAY) + i64::from(days) + 1;
    Timestamp::from_millis(day.saturating_mul(DAY))
}

fn enabled(rules: &[Rule]) -> impl Iterator<Item = &Rule> {
    rules.iter().filter(|rule| rule.status == Status::Enabled)
}

fn first<'r>(due: impl Iterator<Item = Due<'r>>) -> Option<Due<'r>> {
    due.min_by_key(|due| due.at)
}

/// When an object expires that is its key's current version.
pub(crate) fn expiry<'r>(rules: &'r [Rule], object: &Object) -> Option<Due<'r>> {
    let matching = enabled(rules).filter(|rule| matches(rule, object));
    first(matching.filter_map(|rule| {
        let at = match rule.expiration? {
            Expiration::Days(days) => after(object.modified, days),
            Expiration::Date(date) => date,
            Expiration::Markers(_) => return None,
        };
        Some(Due { at, rule })
    }))
}

/// When an upload that began at `initiated` is aborted.
pub(crate) fn abortion<'r>(rules: &'r [Rule], key: &str, initiated: Timestamp) -> Option<Due<'r>> {
    let matching = enabled(rules).filter(|rule| rule.filter.matches_key(key));
    first(matching.filter_map(|rule| Some(Due { at: after(initiated, rule.abort?), rule })))
}

fn matches(rule: &Rule, object: &Object) -> bool {
    rule.filter.matches(&object.key, object.size, &object.detail.attributes.tags)
}

/// What is to be done at `now` with a key whose versions are `entries`, the newest first.
pub(super) fn decide(rules: &[Rule], versioning: Versioning, entries: &[Entry], now: Timestamp) -> Vec<Deed> {
    let mut deeds = Vec::new();
    for (at, pair) in entries.windows(2).enumerate() {
        let [newer, entry] = pair else { continue };
        // Between the current version and this one lie `at` noncurrent ones.
        if enabled(rules).any(|rule| outlived(rule, entry, at, modified(newer), now)) {
            deeds.push(Deed::Destroy(at + 1));
        }
    }
    match entries {
        [Entry::Object(object), ..] if expiry(rules, object).is_some_and(|due| due.at <= now) => {
            deeds.push(if versioning == Versioning::Never { Deed::Destroy(0) } else { Deed::Hide });
        }
        [Entry::Marker(marker)]
            if enabled(rules).any(|rule| hides_nothing(rule, &marker.key, marker.modified, now)) =>
        {
            deeds.push(Deed::Destroy(0));
        }
        _ => {}
    }
    deeds
}

fn modified(entry: &Entry) -> Timestamp {
    match entry {
        Entry::Object(object) => object.modified,
        Entry::Marker(marker) => marker.modified,
    }
}

/// Whether a version goes that is noncurrent since `since` and has so many noncurrent ones before it.
fn outlived(rule: &Rule, entry: &Entry, newer: usize, since: Timestamp, now: Timestamp) -> bool {
    let matching = match entry {
        Entry::Object(object) => matches(rule, object),
        Entry::Marker(marker) => rule.filter.matches_key(&marker.key) && !rule.filter.asks_of_objects(),
    };
    let kept = |newer: Option<u32>| newer.map_or(0, |newer| usize::try_from(newer).unwrap_or(usize::MAX));
    rule.noncurrent
        .is_some_and(|noncurrent| matching && newer >= kept(noncurrent.newer) && after(since, noncurrent.days) <= now)
}

/// Whether a delete marker goes that is its key's only version.
fn hides_nothing(rule: &Rule, key: &str, modified: Timestamp, now: Timestamp) -> bool {
    let due = match rule.expiration {
        Some(Expiration::Markers(going)) => going,
        Some(Expiration::Days(days)) => after(modified, days) <= now,
        Some(Expiration::Date(_)) | None => false,
    };
    due && rule.filter.matches_key(key) && !rule.filter.asks_of_objects()
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::{rule, tags};
    use super::super::rules::{Filter, Noncurrent};
    use super::*;
    use crate::checksum::{Algorithm, Checksum, Coverage};
    use crate::meta::{Detail, Marker, Tags, Version};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_iso8601(text).unwrap()
    }

    fn object(modified: &str) -> Object {
        Object {
            key: "logs/k".into(),
            version: Version::default(),
            size: 100,
            etag: String::new(),
            modified: at(modified),
            checksum: Checksum { algorithm: Algorithm::DEFAULT, coverage: Coverage::FullObject, value: String::new() },
            detail: Detail::default(),
        }
    }

    fn o(modified: &str) -> Entry {
        Entry::Object(Box::new(object(modified)))
    }

    fn x(modified: &str) -> Entry {
        Entry::Marker(Marker { key: "logs/k".into(), version: Version::default(), modified: at(modified) })
    }

    fn days(days: u32) -> Rule {
        Rule { expiration: Some(Expiration::Days(days)), ..rule() }
    }

    fn markers(going: bool) -> Rule {
        Rule { expiration: Some(Expiration::Markers(going)), ..rule() }
    }

    fn noncurrent(days: u32, newer: Option<u32>) -> Rule {
        Rule { noncurrent: Some(Noncurrent { days, newer }), ..rule() }
    }

    #[test]
    fn a_moment_is_rounded_up_to_the_next_midnight() {
        for (since, days, due) in [
            ("2014-01-15T10:30:00Z", 3, "2014-01-19T00:00:00Z"),
            ("2014-01-15T00:00:00Z", 3, "2014-01-19T00:00:00Z"),
            ("2014-01-15T23:59:59Z", 1, "2014-01-17T00:00:00Z"),
            ("2024-02-28T12:00:00Z", 1, "2024-03-01T00:00:00Z"),
        ] {
            assert_eq!(after(at(since), days), at(due), "{since} {days}");
        }
        // However long, it is a moment.
        assert!(after(at("2024-01-01T00:00:00Z"), u32::MAX) > at("9999-01-01T00:00:00Z"));
    }

    #[test]
    fn an_object_expires_by_the_first_rule_that_is_due() {
        let object = object("2024-01-01T12:00:00Z");
        let named = |id: &str, rule: Rule| Rule { id: id.into(), ..rule };
        let date = Rule { expiration: Some(Expiration::Date(at("2024-01-05T00:00:00Z"))), ..rule() };
        let filtered = |filter| Rule { filter, ..days(1) };
        let prefix = |prefix: &str| Filter { prefix: Some(prefix.into()), ..Filter::default() };
        for (rules, due) in [
            (vec![days(2)], Some(("2024-01-04T00:00:00Z", "r"))),
            (vec![named("a", days(9)), named("b", date.clone())], Some(("2024-01-05T00:00:00Z", "b"))),
            (vec![Rule { status: Status::Disabled, ..days(1) }], None),
            (vec![filtered(prefix("logs/"))], Some(("2024-01-03T00:00:00Z", "r"))),
            (vec![filtered(prefix("tmp/"))], None),
            (vec![filtered(Filter { tags: tags("a", "b"), ..Filter::default() })], None),
            (vec![filtered(Filter { above: Some(100), ..Filter::default() })], None),
            (vec![markers(true), noncurrent(1, None)], None),
        ] {
            let found = expiry(&rules, &object).map(|due| (due.at, due.rule.id.as_str()));
            assert_eq!(found, due.map(|(time, id)| (at(time), id)), "{rules:?}");
        }
        let tagged = Detail {
            attributes: crate::meta::Attributes { tags: tags("a", "b"), ..crate::meta::Attributes::default() },
            ..Detail::default()
        };
        let object = Object { detail: tagged, ..object };
        assert!(expiry(&[filtered(Filter { tags: tags("a", "b"), ..Filter::default() })], &object).is_some());
        assert!(!object.detail.attributes.tags.is_empty() && Tags::new().is_empty());
    }

    #[test]
    fn the_header_names_date_and_rule() {
        let rule = Rule { id: "tidy up".into(), ..days(1) };
        let due = Due { at: at("2012-12-21T00:00:00Z"), rule: &rule };
        assert_eq!(due.header(), "expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\", rule-id=\"tidy%20up\"");
    }

    #[test]
    fn what_becomes_of_a_key() {
        use Versioning::{Enabled, Never, Suspended};
        type Case = (&'static str, Vec<Rule>, Versioning, Vec<Entry>, Vec<Deed>);
        let (old, new) = ("2024-01-01T12:00:00Z", "2024-01-09T12:00:00Z");
        let stack = || vec![o(new), o("2024-01-05T12:00:00Z"), o("2024-01-03T12:00:00Z"), o(old)];
        let cases: [Case; 20] = [
            ("an object goes", vec![days(8)], Never, vec![o(old)], vec![Deed::Destroy(0)]),
            ("an object is not yet due", vec![days(9)], Never, vec![o(old)], vec![]),
            ("a version is hidden", vec![days(8)], Enabled, vec![o(old)], vec![Deed::Hide]),
            ("or its null version", vec![days(8)], Suspended, vec![o(old)], vec![Deed::Hide]),
            ("a hidden object does not expire again", vec![days(1)], Enabled, vec![x(new), o(old)], vec![]),
            ("a marker that hides something stays", vec![markers(true)], Enabled, vec![x(old), o(old)], vec![]),
            ("one that hides nothing goes", vec![markers(true)], Enabled, vec![x(new)], vec![Deed::Destroy(0)]),
            ("unless the rule says no", vec![markers(false)], Enabled, vec![x(old)], vec![]),
            ("days let a marker go that is as old", vec![days(8)], Enabled, vec![x(old)], vec![Deed::Destroy(0)]),
            ("and keep one that is not", vec![days(8)], Enabled, vec![x(new)], vec![]),
            ("the current version is not noncurrent", vec![noncurrent(1, None)], Enabled, vec![o(old)], vec![]),
            // Noncurrent since the next version came: on the 9th, the 5th, the 3rd.
            (
                "a day counts from the successor",
                vec![noncurrent(1, None)],
                Enabled,
                stack(),
                vec![Deed::Destroy(2), Deed::Destroy(3)],
            ),
            ("five days", vec![noncurrent(5, None)], Enabled, stack(), vec![Deed::Destroy(3)]),
            ("newer ones stay", vec![noncurrent(1, Some(2))], Enabled, stack(), vec![Deed::Destroy(3)]),
            ("three stay", vec![noncurrent(1, Some(3))], Enabled, stack(), vec![]),
            (
                "one of two rules is enough",
                vec![noncurrent(1, Some(3)), noncurrent(5, None)],
                Enabled,
                stack(),
                vec![Deed::Destroy(3)],
            ),
            (
                "a noncurrent marker goes too",
                vec![noncurrent(1, None)],
                Enabled,
                vec![o(old), x(old)],
                vec![Deed::Destroy(1)],
            ),
            ("not by a rule about sizes", vec![sized(noncurrent(1, None))], Enabled, vec![o(old), x(old)], vec![]),
            (
                "both at once",
                vec![days(8), noncurrent(1, None)],
                Enabled,
                vec![o(old), o(old)],
                vec![Deed::Destroy(1), Deed::Hide],
            ),
            ("a rule that is off", vec![Rule { status: Status::Disabled, ..days(1) }], Never, vec![o(old)], vec![]),
        ];
        for (what, rules, versioning, entries, deeds) in cases {
            assert_eq!(decide(&rules, versioning, &entries, at("2024-01-10T00:00:00Z")), deeds, "{what}");
        }
        assert!(decide(&[days(1)], Enabled, &[], at("2024-01-10T00:00:00Z")).is_empty());
    }

    fn sized(rule: Rule) -> Rule {
        Rule { filter: Filter { below: Some(1000), ..Filter::default() }, ..rule }
    }

    #[test]
    fn an_upload_is_aborted_by_prefix_and_age() {
        let rule = |prefix: &str, days| Rule {
            filter: Filter { prefix: Some(prefix.into()), ..Filter::default() },
            abort: Some(days),
            ..rule()
        };
        let rules = [rule("logs/", 7), rule("", 9), rule("logs/other", 1)];
        let initiated = at("2024-01-01T12:00:00Z");
        assert_eq!(abortion(&rules, "logs/k", initiated).unwrap().at, at("2024-01-09T00:00:00Z"));
        assert_eq!(abortion(&rules, "k", initiated).unwrap().at, at("2024-01-11T00:00:00Z"));
        assert!(abortion(&[days(1)], "k", initiated).is_none());
    }
}
