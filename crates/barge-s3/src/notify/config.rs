//! NotificationConfiguration: its rules, checked and matched (Amazon S3 User Guide, "Amazon S3 Event Notifications",
//! "Configuring event notifications using object key name filtering").

use crate::error::{INVALID_ARGUMENT, Result, not_implemented};
use barge_core::{Arn, Scope};
use serde::{Deserialize, Serialize};

/// A bucket's notification configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Notification {
    pub(crate) targets: Vec<Target>,
    pub(crate) event_bridge: bool,
}

/// One LambdaFunctionConfiguration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) function: Arn,
    /// As given, e.g. `s3:ObjectCreated:*`.
    pub(crate) events: Vec<String>,
    pub(crate) filter: Filter,
}

/// Which keys; empty texts match all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    pub(crate) prefix: String,
    pub(crate) suffix: String,
}

/// Events that Barge's S3 can raise, or that can't happen without features that it refuses to turn on.
const KNOWN: [&str; 15] = [
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Put",
    "s3:ObjectTagging:Delete",
    "s3:ReducedRedundancyLostObject",
];

/// Events of AWS's that belong to features which Barge lacks.
const LACKING: [&str; 7] = [
    "s3:ObjectRestore:",
    "s3:Replication:",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    "s3:ObjectAcl:",
    "s3:ObjectAnnotation:",
    "s3:TestEvent",
];

impl Filter {
    /// A filter from its rules: name and value, where the name is `prefix` or `suffix` in any case.
    pub(crate) fn from_rules(rules: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let (mut prefix, mut suffix) = (None, None);
        for (name, value) in rules {
            let (slot, name) = match name.to_ascii_lowercase().as_str() {
                "prefix" => (&mut prefix, "prefix"),
                "suffix" => (&mut suffix, "suffix"),
                _ => return Err(INVALID_ARGUMENT.because("filter rule name must be either prefix or suffix")),
            };
            if value.len() > 1024 {
                return Err(INVALID_ARGUMENT
                    .because("Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation"));
            }
            if slot.replace(value).is_some() {
                return Err(INVALID_ARGUMENT.because(format!("Cannot specify more than one {name} rule in a filter.")));
            }
        }
        Ok(Self { prefix: prefix.unwrap_or_default(), suffix: suffix.unwrap_or_default() })
    }

    fn matches(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && key.ends_with(&self.suffix)
    }

    /// Whether some key may match both.
    fn overlaps(&self, other: &Self) -> bool {
        let nested = |one: &str, two: &str, within: fn(&str, &str) -> bool| within(one, two) || within(two, one);
        nested(&self.prefix, &other.prefix, |long, short| long.starts_with(short))
            && nested(&self.suffix, &other.suffix, |long, short| long.ends_with(short))
    }
}

/// Whether an event type as configured, maybe ending in `*`, covers `event`.
fn covers(configured: &str, event: &str) -> bool {
    configured == event || configured.strip_suffix('*').is_some_and(|kind| event.starts_with(kind))
}

impl Target {
    /// Whether this target hears of `event` (e.g. `s3:ObjectCreated:Put`) at `key`.
    pub(crate) fn wants(&self, event: &str, key: &str) -> bool {
        self.events.iter().any(|configured| covers(configured, event)) && self.filter.matches(key)
    }

    fn clashes(&self, other: &Self) -> bool {
        let shared = |event: &String| other.events.iter().any(|other| covers(event, other) || covers(other, event));
        self.events.iter().any(shared) && self.filter.overlaps(&other.filter)
    }
}

impl Notification {
    /// `InvalidArgument` where AWS would refuse the rules, whatever stands behind the ARNs; `scope` is the bucket's.
    pub(crate) fn check(&self, scope: &Scope) -> Result<()> {
        for target in &self.targets {
            check_events(&target.events)?;
            check_function(&target.function, scope)?;
        }
        for (at, target) in self.targets.iter().enumerate() {
            let later = &self.targets[at + 1..];
            if later.iter().any(|other| other.id == target.id) {
                return Err(INVALID_ARGUMENT.because("Same ID used for multiple configurations. IDs must be unique"));
            }
            if later.iter().any(|other| target.clashes(other)) {
                return Err(INVALID_ARGUMENT.because(
                    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.",
                ));
            }
        }
        Ok(())
    }
}

fn check_events(events: &[String]) -> Result<()> {
    if events.is_empty() {
        return Err(INVALID_ARGUMENT.because("A notification configuration must name at least one event"));
    }
    for event in events {
        if LACKING.iter().any(|lacking| event.starts_with(lacking)) {
            return Err(not_implemented(format!("the event {event}")));
        }
        if !KNOWN.contains(&event.as_str()) {
            return Err(INVALID_ARGUMENT.because(format!("The event '{event}' is not supported for notifications")));
        }
    }
    Ok(())
}

fn check_function(function: &Arn, scope: &Scope) -> Result<()> {
    if function.service != "lambda" || function.resource_name("function").is_none() {
        return Err(INVALID_ARGUMENT.because("The ARN is not well formed"));
    }
    if function.region != scope.region.as_str() {
        return Err(INVALID_ARGUMENT
            .because("The notification destination service region is not valid for the bucket location constraint"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, events: &[&str], prefix: &str, suffix: &str) -> Target {
        Target {
            id: id.into(),
            function: Scope::default().arn("lambda", "function:f"),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            filter: Filter { prefix: prefix.into(), suffix: suffix.into() },
        }
    }

    fn check(targets: Vec<Target>) -> Result<()> {
        Notification { targets, event_bridge: false }.check(&Scope::default())
    }

    #[test]
    fn what_a_target_hears_of() {
        let all = target("a", &["s3:ObjectCreated:*"], "in/", ".csv");
        for (event, key, wanted) in [
            ("s3:ObjectCreated:Put", "in/x.csv", true),
            ("s3:ObjectCreated:CompleteMultipartUpload", "in/x.csv", true),
            ("s3:ObjectRemoved:Delete", "in/x.csv", false),
            ("s3:ObjectCreated:Put", "out/x.csv", false),
            ("s3:ObjectCreated:Put", "in/x.txt", false),
        ] {
            assert_eq!(all.wants(event, key), wanted, "{event} {key}");
        }
        assert!(!target("a", &["s3:ObjectCreated:Copy"], "", "").wants("s3:ObjectCreated:Put", "x"));
    }

    #[test]
    fn rules_that_overlap_are_refused() {
        let created = &["s3:ObjectCreated:*"][..];
        let put = &["s3:ObjectCreated:Put"][..];
        let removed = &["s3:ObjectRemoved:*"][..];
        for (one, two, refused) in [
            ((created, "", ""), (put, "", ""), true),
            ((created, "images/", ""), (put, "images/cats/", ".jpg"), true),
            ((created, "", ".jpg"), (put, "", "g"), true),
            ((created, "", ""), (removed, "", ""), false),
            ((created, "images/", ""), (created, "logs/", ""), false),
            ((created, "", ".jpg"), (created, "", ".png"), false),
            ((created, "images/", ".jpg"), (created, "images/", ".png"), false),
        ] {
            let result = check(vec![target("1", one.0, one.1, one.2), target("2", two.0, two.1, two.2)]);
            assert_eq!(result.is_err(), refused, "{one:?} {two:?}");
        }
    }

    #[test]
    fn what_is_refused_of_one_rule() {
        assert!(check(vec![target("1", &["s3:ObjectCreated:Put"], "", "")]).is_ok());
        for events in [&[][..], &["s3:Nonsense"], &["s3:ObjectCreated:Nonsense"], &["s3:ObjectRestore:Post"]] {
            assert!(check(vec![target("1", events, "", "")]).is_err(), "{events:?}");
        }
        let elsewhere: Arn = "arn:aws:lambda:eu-west-1:000000000000:function:f".parse().unwrap();
        let queue: Arn = "arn:aws:sqs:us-east-1:000000000000:q".parse().unwrap();
        for function in [elsewhere, queue] {
            assert!(check(vec![Target { function, ..target("1", &["s3:ObjectCreated:Put"], "", "") }]).is_err());
        }
        let twice = |prefix| target("same", &["s3:ObjectCreated:Put"], prefix, "");
        assert!(check(vec![twice("a"), twice("b")]).is_err());
    }

    #[test]
    fn filters_from_rules() {
        let rule = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let filter = Filter::from_rules([rule("Prefix", "a"), rule("suffix", "b")]).unwrap();
        assert_eq!(filter, Filter { prefix: "a".into(), suffix: "b".into() });
        for rules in [
            vec![rule("prefix", "a"), rule("PREFIX", "b")],
            vec![rule("infix", "a")],
            vec![rule("prefix", &"a".repeat(1025))],
        ] {
            assert!(Filter::from_rules(rules).is_err());
        }
    }
}
