//! Lifecycle policies: which images have expired (Amazon ECR User Guide, "Lifecycle policy properties in Amazon ECR"). Pure;
//! who removes them is in `sweep`.

use crate::rows::Image;
use barge_core::{AwsError, Document, Timestamp};
use barge_wire::ecr::error;
use std::collections::BTreeSet;
use std::time::Duration;

/// A policy's rules, the most important first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Policy(Vec<Rule>);

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    priority: u64,
    selection: Selection,
    count: Count,
}

#[derive(Debug, PartialEq, Eq)]
enum Selection {
    Any,
    Untagged,
    /// Images with a tag for every pattern; `*` stands for any text.
    Tagged(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// All but the newest.
    MoreThan(usize),
    /// Those pushed longer ago.
    Older(Duration),
}

fn invalid(detail: impl std::fmt::Display) -> AwsError {
    error::invalid_parameter_exception(format!(
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: \
         {detail}'"
    ))
}

impl Policy {
    /// Reads a policy's text.
    ///
    /// # Errors
    /// `InvalidParameterException` that names what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, AwsError> {
        let document = Document::from_json(text.as_bytes()).map_err(|error| invalid(format!("not JSON: {error}")))?;
        let rules = document.get("rules").and_then(Document::as_list).filter(|rules| !rules.is_empty());
        let rules = rules.ok_or_else(|| invalid("'rules' must be a list with at least one rule"))?;
        let mut rules: Vec<Rule> = rules.iter().map(rule).collect::<Result<_, _>>()?;
        rules.sort_by_key(|rule| rule.priority);
        if rules.windows(2).any(|pair| pair[0].priority == pair[1].priority) {
            return Err(invalid("each rule must have a rulePriority of its own"));
        }
        let last = rules.len() - 1;
        if rules[..last].iter().any(|rule| rule.selection == Selection::Any) {
            return Err(invalid("a rule with tagStatus any must have the highest rulePriority number"));
        }
        Ok(Self(rules))
    }

    /// The digests of the `images` that have expired `now`.
    pub(crate) fn expired(&self, images: &[Image], now: Timestamp) -> BTreeSet<String> {
        let mut claimed = BTreeSet::new();
        let mut expired = BTreeSet::new();
        for rule in &self.0 {
            let mut selected: Vec<&Image> = images.iter().filter(|image| rule.selection.takes(image)).collect();
            selected.sort_by_key(|image| std::cmp::Reverse((image.pushed_at, &image.digest)));
            let due: Vec<&Image> = match rule.count {
                Count::MoreThan(kept) => selected.iter().skip(kept).copied().collect(),
                Count::Older(age) => {
                    selected.iter().filter(|image| now.since(image.pushed_at) > age).copied().collect()
                }
            };
            // What a more important rule looks after is not this one's.
            expired.extend(due.iter().map(|image| image.digest.clone()).filter(|digest| !claimed.contains(digest)));
            claimed.extend(selected.iter().map(|image| image.digest.clone()));
        }
        expired
    }
}

fn rule(rule: &Document) -> Result<Rule, AwsError> {
    let number = |at: Option<&Document>| at.and_then(Document::scalar_text).and_then(|text| text.parse::<u64>().ok());
    let priority = number(rule.get("rulePriority")).filter(|priority| *priority > 0);
    let priority = priority.ok_or_else(|| invalid("rulePriority must be a positive number"))?;
    let selection = rule.get("selection").ok_or_else(|| invalid("a rule must have a selection"))?;
    let text = |name: &str| selection.get(name).and_then(Document::as_str);
    if rule.get("action").and_then(|action| action.get("type")).and_then(Document::as_str) != Some("expire") {
        return Err(invalid("the action's type must be expire: Barge has no archive"));
    }
    let amount = number(selection.get("countNumber")).filter(|amount| *amount > 0);
    let amount = amount.ok_or_else(|| invalid("countNumber must be a positive number"))?;
    let count = match (text("countType"), text("countUnit")) {
        (Some("imageCountMoreThan"), None) => Count::MoreThan(usize::try_from(amount).unwrap_or(usize::MAX)),
        (Some("sinceImagePushed"), Some("days")) => {
            Count::Older(Duration::from_secs(amount.saturating_mul(24 * 60 * 60)))
        }
        (Some("sinceImagePushed"), _) => return Err(invalid("countType sinceImagePushed needs countUnit days")),
        (other, _) => {
            return Err(invalid(format!("the countType {} is not supported by Barge", other.unwrap_or("null"))));
        }
    };
    Ok(Rule { priority, selection: tags(selection)?, count })
}

fn tags(selection: &Document) -> Result<Selection, AwsError> {
    let list = |name: &str| -> Vec<String> {
        let list = selection.get(name).and_then(Document::as_list).unwrap_or_default();
        list.iter().filter_map(Document::scalar_text).collect()
    };
    let (prefixes, patterns) = (list("tagPrefixList"), list("tagPatternList"));
    match selection.get("tagStatus").and_then(Document::as_str) {
        Some("any") if prefixes.is_empty() && patterns.is_empty() => Ok(Selection::Any),
        Some("untagged") if prefixes.is_empty() && patterns.is_empty() => Ok(Selection::Untagged),
        Some("tagged") if prefixes.is_empty() != patterns.is_empty() => {
            let prefixes = prefixes.into_iter().map(|prefix| format!("{prefix}*"));
            Ok(Selection::Tagged(prefixes.chain(patterns).collect()))
        }
        Some("tagged") => Err(invalid("tagStatus tagged needs either tagPrefixList or tagPatternList")),
        Some("any" | "untagged") => Err(invalid("tagPrefixList and tagPatternList go with tagStatus tagged")),
        _ => Err(invalid("tagStatus must be tagged, untagged or any")),
    }
}

impl Selection {
    fn takes(&self, image: &Image) -> bool {
        match self {
            Self::Any => true,
            Self::Untagged => image.tags.is_empty(),
            Self::Tagged(patterns) => patterns.iter().all(|pattern| image.tags.iter().any(|tag| matches(pattern, tag))),
        }
    }
}

/// Whether `text` is `pattern`, whose `*` stand for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(head) else { return false };
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(tail, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(digest: &str, day: i64, tags: &[&str]) -> Image {
        Image {
            digest: digest.to_owned(),
            media_type: String::new(),
            size: 1,
            pushed_at: Timestamp::from_millis(day * 86_400_000),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        }
    }

    fn expired(rules: &str) -> String {
        let images = [
            image("a", 0, &[]),
            image("b", 1, &["prod-1"]),
            image("c", 2, &["prod-2", "v1"]),
            image("d", 3, &["dev-1"]),
            image("e", 4, &[]),
        ];
        let policy = Policy::parse(&format!(r#"{{"rules": [{rules}]}}"#)).unwrap();
        policy.expired(&images, Timestamp::from_millis(5 * 86_400_000)).into_iter().collect()
    }

    fn rule(priority: u64, selection: &str) -> String {
        format!(r#"{{"rulePriority": {priority}, "selection": {{{selection}}}, "action": {{"type": "expire"}}}}"#)
    }

    #[test]
    fn what_expires() {
        let any = r#""tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 2"#;
        let prod =
            r#""tagStatus": "tagged", "tagPrefixList": ["prod"], "countType": "imageCountMoreThan", "countNumber": 1"#;
        let old = r#""tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 3"#;
        let both = r#""tagStatus": "tagged", "tagPatternList": ["prod*", "v*"], "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1"#;
        assert_eq!(expired(&rule(1, any)), "abc");
        assert_eq!(expired(&rule(1, prod)), "b");
        assert_eq!(expired(&rule(1, old)), "a");
        assert_eq!(expired(&rule(1, both)), "c");
        // The images of the first rule count for the second, but are not its to expire.
        assert_eq!(expired(&format!("{}, {}", rule(1, prod), rule(2, any))), "ab");
    }

    #[test]
    fn policies_that_can_not_be_are_refused() {
        for text in [
            "x",
            "{}",
            r#"{"rules": []}"#,
            r#"{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}}]}"#,
            r#"{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "transition"}}]}"#,
            r#"{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "sinceImagePulled", "countNumber": 1}, "action": {"type": "expire"}}]}"#,
        ] {
            assert!(Policy::parse(text).unwrap_err().is("InvalidParameterException"), "{text}");
        }
    }
}
