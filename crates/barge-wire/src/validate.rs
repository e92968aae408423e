//! A shape's constraints: required members, lengths, ranges, patterns, enumerations. All failures are reported at once,
//! in the words that AWS's services use.

use crate::{Kind, Shape, Text};
use barge_core::Document;
use regex::Regex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Checks a coerced tree. The error is the whole message, as in `1 validation error detected: Value … `.
pub(crate) fn check(document: &Document, shape: &'static Shape) -> Result<(), String> {
    let mut walk = Walk { path: Vec::new(), failures: Vec::new() };
    walk.value(document, shape);
    if walk.failures.is_empty() {
        return Ok(());
    }
    let plural = if walk.failures.len() == 1 { "" } else { "s" };
    Err(format!("{} validation error{plural} detected: {}", walk.failures.len(), walk.failures.join("; ")))
}

struct Walk {
    path: Vec<String>,
    failures: Vec<String>,
}

impl Walk {
    fn value(&mut self, document: &Document, shape: &'static Shape) {
        match (&shape.kind, document) {
            (Kind::Structure(members), Document::Map(entries)) => {
                for member in *members {
                    match entries.get(member.name) {
                        None | Some(Document::Null) if member.required => self.at(member.name, |walk| {
                            walk.fail(&Document::Null, "Member must not be null");
                        }),
                        None | Some(Document::Null) => {}
                        Some(value) => self.at(member.name, |walk| walk.value(value, member.shape)),
                    }
                }
            }
            (Kind::List { entry, min, max, .. }, Document::List(entries)) => {
                self.length(document, entries.len() as u64, *min, *max);
                for (index, value) in entries.iter().enumerate() {
                    self.at(&format!("{}.member", index + 1), |walk| walk.value(value, entry));
                }
            }
            (Kind::Map { key, value, max, .. }, Document::Map(entries)) => {
                self.length(document, entries.len() as u64, 0, *max);
                for (name, entry) in entries {
                    self.at(name, |walk| {
                        if let Kind::String(text) = &key.kind {
                            walk.text(name, text);
                        }
                        walk.value(entry, value);
                    });
                }
            }
            (Kind::String(text), Document::String(value)) => self.text(value, text),
            (Kind::Integer { min, max }, Document::Integer(n)) => {
                if n < min {
                    self.fail(document, &format!("Member must have value greater than or equal to {min}"));
                } else if n > max {
                    self.fail(document, &format!("Member must have value less than or equal to {max}"));
                }
            }
            (Kind::Float { min, max }, Document::Float(n)) if n < min || n > max => {
                self.fail(document, &format!("Member must have value between {min} and {max}"));
            }
            (Kind::Blob { max }, Document::Blob(bytes)) => self.length(&Document::Null, bytes.len() as u64, 0, *max),
            _ => {}
        }
    }

    fn at(&mut self, name: &str, check: impl FnOnce(&mut Self)) {
        self.path.push(name.to_owned());
        check(self);
        self.path.pop();
    }

    fn text(&mut self, value: &str, text: &Text) {
        let document = Document::from(value);
        self.length(&document, value.chars().count() as u64, text.min, text.max);
        if let Some(pattern) = text.pattern
            && !compiled(pattern).is_none_or(|regex| regex.is_match(value))
        {
            self.fail(&document, &format!("Member must satisfy regular expression pattern: {pattern}"));
        }
        if !text.values.is_empty() && !text.values.contains(&value) {
            self.fail(&document, &format!("Member must satisfy enum value set: [{}]", text.values.join(", ")));
        }
    }

    fn length(&mut self, document: &Document, length: u64, min: u64, max: u64) {
        if length < min {
            self.fail(document, &format!("Member must have length greater than or equal to {min}"));
        } else if length > max {
            self.fail(document, &format!("Member must have length less than or equal to {max}"));
        }
    }

    fn fail(&mut self, value: &Document, rule: &str) {
        // A client that sends a megabyte where a name goes doesn't get it back.
        let shown: String = match value.scalar_text() {
            Some(text) => format!("'{}'", text.chars().take(200).collect::<String>()),
            None if *value == Document::Null => "null".to_owned(),
            None => format!("of type {}", value.kind()),
        };
        let path = self.path.join(".");
        self.failures.push(format!("Value {shown} at '{path}' failed to satisfy constraint: {rule}"));
    }
}

/// The pattern, compiled once. `None` for what Rust's regex lacks (look-around): such a member's own service checks it.
fn compiled(pattern: &'static str) -> Option<Arc<Regex>> {
    type Patterns = HashMap<&'static str, Option<Arc<Regex>>>;
    static COMPILED: LazyLock<Mutex<Patterns>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    compiled
        .entry(pattern)
        // The services match a pattern against the whole text, whether it is anchored or not.
        .or_insert_with(|| Regex::new(&format!("^(?s:{pattern})$")).ok().map(Arc::new))
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed::Typed;

    fn failure<T: Typed>(json: &str) -> String {
        check(&Document::from_json(json.as_bytes()).unwrap(), T::SHAPE).unwrap_err()
    }

    #[test]
    fn each_constraint_is_named_with_the_member() {
        use crate::logs::CreateLogGroupRequest;
        assert_eq!(
            failure::<CreateLogGroupRequest>("{}"),
            "1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null"
        );
        assert_eq!(
            failure::<CreateLogGroupRequest>(r#"{"logGroupName": "a b"}"#),
            "1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
        );
        let long = format!(r#"{{"logGroupName": "{}"}}"#, "x".repeat(513));
        assert!(failure::<CreateLogGroupRequest>(&long).ends_with("Member must have length less than or equal to 512"));
    }

    #[test]
    fn an_unknown_enumeration_value_lists_the_known() {
        let text = failure::<crate::batch::ListJobsRequest>(r#"{"jobStatus": "DONE"}"#);
        assert!(text.contains("enum value set: [SUBMITTED, PENDING, RUNNABLE, STARTING, RUNNING, SUCCEEDED, FAILED]"));
    }

    #[test]
    fn all_failures_are_reported_at_once() {
        assert!(failure::<crate::batch::SubmitJobRequest>("{}").starts_with("3 validation errors detected: "));
    }

    /// Every pattern that an operation's input can meet.
    fn patterns(shape: &'static Shape, seen: &mut Vec<&'static str>, found: &mut Vec<&'static str>) {
        if seen.contains(&shape.name) {
            return;
        }
        seen.push(shape.name);
        match &shape.kind {
            Kind::String(text) => found.extend(text.pattern),
            Kind::List { entry, .. } => patterns(entry, seen, found),
            Kind::Map { key, value, .. } => {
                patterns(key, seen, found);
                patterns(value, seen, found);
            }
            Kind::Structure(members) => members.iter().for_each(|member| patterns(member.shape, seen, found)),
            _ => {}
        }
    }

    #[test]
    fn every_pattern_of_an_input_is_enforced() {
        let mut found = Vec::new();
        for description in [
            &crate::batch::DESCRIPTION,
            &crate::cloudformation::DESCRIPTION,
            &crate::ec2::DESCRIPTION,
            &crate::ecr::DESCRIPTION,
            &crate::iam::DESCRIPTION,
            &crate::lambda::DESCRIPTION,
            &crate::logs::DESCRIPTION,
            &crate::ssm::DESCRIPTION,
            &crate::sts::DESCRIPTION,
        ] {
            let mut seen = Vec::new();
            description.operations.iter().for_each(|operation| patterns(operation.input, &mut seen, &mut found));
        }
        // Two patterns look around: Lambda's S3Bucket, which S3 itself checks, and Alias, which Lambda does.
        let lost = found.iter().filter(|pattern| !pattern.contains("(?<!") && !pattern.starts_with("(?!^[0-9]+$)"));
        let lost: Vec<_> = lost.filter(|pattern| compiled(pattern).is_none()).collect();
        assert!(found.len() > 50 && lost.is_empty(), "{lost:?}");
    }
}
