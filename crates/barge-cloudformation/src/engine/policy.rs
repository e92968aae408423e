//! Stack policies: which resources an update may change (CloudFormation User Guide, "Prevent updates to stack
//! resources"). Pure.

use barge_core::Document;

/// What an update would do to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Modify,
    Replace,
    Delete,
}

impl Wish {
    fn action(self) -> &'static str {
        match self {
            Self::Modify => "Update:Modify",
            Self::Replace => "Update:Replace",
            Self::Delete => "Update:Delete",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// What a statement says of actions or resources: these, or all others.
#[derive(Debug)]
enum Matcher {
    These(Vec<String>),
    AllBut(Vec<String>),
}

impl Matcher {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::These(patterns) => patterns.iter().any(|pattern| fits(pattern, text)),
            Self::AllBut(patterns) => !patterns.iter().any(|pattern| fits(pattern, text)),
        }
    }
}

#[derive(Debug)]
struct Statement {
    effect: Effect,
    actions: Matcher,
    resources: Matcher,
    /// Resource types that the statement is limited to; `None` for all.
    types: Option<Vec<String>>,
}

/// A stack policy.
#[derive(Debug)]
pub(crate) struct StackPolicy {
    statements: Vec<Statement>,
}

/// The longest policy, in bytes (API reference, SetStackPolicy, "StackPolicyBody").
const LONGEST: usize = 16_384;

impl StackPolicy {
    /// Reads a policy; the error is for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("Error validating stack policy: {what}");
        if text.len() > LONGEST {
            return Err(wrong("Policy is too long"));
        }
        let document = Document::from_json(text.as_bytes()).map_err(|_| wrong("Policy is not valid JSON"))?;
        let statements = match document.get("Statement") {
            Some(Document::List(list)) => list.clone(),
            Some(one @ Document::Map(_)) => vec![one.clone()],
            _ => return Err(wrong("Policy must contain a Statement")),
        };
        let statements = statements.iter().map(statement).collect::<Result<_, _>>().map_err(|what| wrong(&what))?;
        Ok(Self { statements })
    }

    /// Why an update may not do this; `None` where it may. What no statement allows is denied.
    pub(crate) fn refusal(&self, wish: Wish, logical_id: &str, type_name: &str) -> Option<String> {
        let resource = format!("LogicalResourceId/{logical_id}");
        let concerns = |statement: &&(usize, &Statement)| {
            let types = statement.1.types.as_ref();
            statement.1.actions.matches(wish.action())
                && statement.1.resources.matches(&resource)
                && types.is_none_or(|types| types.iter().any(|pattern| fits(pattern, type_name)))
        };
        let numbered: Vec<(usize, &Statement)> = self.statements.iter().enumerate().collect();
        let denied = numbered.iter().filter(concerns).find(|(_, statement)| statement.effect == Effect::Deny);
        let allowed = numbered.iter().filter(concerns).any(|(_, statement)| statement.effect == Effect::Allow);
        match denied {
            Some((index, _)) => Some(format!(
                "Action denied by stack policy: Statement [#{}] does not allow [{}] for resource [{resource}];",
                index + 1,
                wish.action()
            )),
            None if allowed => None,
            None => Some(format!(
                "Action denied by stack policy: no statement allows [{}] for resource [{resource}];",
                wish.action()
            )),
        }
    }
}

fn statement(document: &Document) -> Result<Statement, String> {
    let effect = match document.get("Effect").and_then(Document::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err("the Effect of a Statement must be Allow or Deny".to_owned()),
    };
    let matcher = |member: &str| match (document.get(member), document.get(&format!("Not{member}"))) {
        (Some(these), None) => Ok(Matcher::These(texts(these, member)?)),
        (None, Some(others)) => Ok(Matcher::AllBut(texts(others, member)?)),
        _ => Err(format!("a Statement must have either {member} or Not{member}")),
    };
    let types = document.get("Condition").map(types).transpose()?;
    Ok(Statement { effect, actions: matcher("Action")?, resources: matcher("Resource")?, types })
}

fn texts(value: &Document, member: &str) -> Result<Vec<String>, String> {
    let list = match value {
        Document::List(list) => list.iter().map(|entry| entry.as_str().map(str::to_owned)).collect(),
        value => value.as_str().map(|text| vec![text.to_owned()]),
    };
    list.ok_or_else(|| format!("the {member} of a Statement must be a string or a list of strings"))
}

/// The resource types of a condition.
fn types(condition: &Document) -> Result<Vec<String>, String> {
    let only = condition.as_map().filter(|map| map.len() == 1).and_then(indexmap::IndexMap::first);
    match only {
        Some((operator, test)) if operator == "StringEquals" || operator == "StringLike" => {
            match test.get("ResourceType") {
                Some(types) => texts(types, "Condition"),
                None => Err("a Condition must be about ResourceType".to_owned()),
            }
        }
        _ => Err("a Condition must be StringEquals or StringLike".to_owned()),
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text and `?` for one character.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, from)) = star {
            (p, t) = (at + 1, from + 1);
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_texts() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("Update:*", "Update:Modify", true),
            ("LogicalResourceId/A*e", "LogicalResourceId/Abcde", true),
            ("LogicalResourceId/A?", "LogicalResourceId/A", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_denied_or_not_allowed_is_refused() {
        let policy = StackPolicy::parse(
            r#"{"Statement": [
                {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], "Principal": "*",
                 "Resource": "LogicalResourceId/Data*"},
                {"Effect": "Deny", "NotAction": "Update:Modify", "Principal": "*", "Resource": "*",
                 "Condition": {"StringLike": {"ResourceType": ["AWS::EC2::*"]}}}
            ]}"#,
        )
        .unwrap();
        let refused = |wish, id, kind| policy.refusal(wish, id, kind).is_some();
        assert!(!refused(Wish::Modify, "Database", "X"));
        assert!(refused(Wish::Replace, "Database", "X"));
        assert!(refused(Wish::Delete, "Other", "AWS::EC2::VPC") && !refused(Wish::Delete, "Other", "X"));
        let empty = StackPolicy::parse(r#"{"Statement": []}"#).unwrap();
        assert!(empty.refusal(Wish::Modify, "A", "X").unwrap().starts_with("Action denied by stack policy"));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in
            ["", "[]", "{}", r#"{"Statement": [{"Effect": "Maybe"}]}"#, r#"{"Statement": [{"Effect": "Deny"}]}"#]
        {
            assert!(StackPolicy::parse(text).is_err(), "{text}");
        }
    }
}
