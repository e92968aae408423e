//! Whether a job is tried again (Batch User Guide, "Automated job retries").

use serde::{Deserialize, Serialize};

/// A job's retry strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts at most, 1 to 10.
    pub attempts: u32,
    /// The first rule that matches decides; where none does, the job is tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<ExitRule>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, rules: Vec::new() }
    }
}

/// One of `evaluateOnExit` (API Reference, "EvaluateOnExit"): it matches where each of its patterns does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRule {
    /// Against the exit code in decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<Pattern>,
    /// Against the container's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Pattern>,
    /// Against the attempt's status reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<Pattern>,
    /// What follows.
    pub action: ExitAction,
}

/// What becomes of a job whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitAction {
    /// Another attempt, where there is one left.
    Retry,
    /// The job has failed.
    Exit,
}

/// Text without regard to case; a trailing `*` stands for any end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// This pattern.
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Whether `text` is what the pattern says.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        match self.0.strip_suffix('*') {
            Some(start) => text.starts_with(start),
            None => text == self.0,
        }
    }
}

/// How an attempt ended, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Exit<'a> {
    /// The exit code, where a container had one.
    pub code: Option<i32>,
    /// The container's reason, where there was one.
    pub reason: Option<&'a str>,
    /// The attempt's status reason.
    pub status_reason: &'a str,
}

impl Retry {
    /// What becomes of a job whose attempt number `attempt` failed like this.
    pub fn decide(&self, attempt: u32, exit: Exit<'_>) -> ExitAction {
        if attempt >= self.attempts {
            return ExitAction::Exit;
        }
        self.rules.iter().find(|rule| rule.matches(exit)).map_or(ExitAction::Retry, |rule| rule.action)
    }
}

impl ExitRule {
    fn matches(&self, exit: Exit<'_>) -> bool {
        let code = exit.code.map(|code| code.to_string());
        let meets = |pattern: &Option<Pattern>, text: Option<&str>| {
            pattern.as_ref().is_none_or(|pattern| text.is_some_and(|text| pattern.matches(text)))
        };
        meets(&self.exit_code, code.as_deref())
            && meets(&self.reason, exit.reason)
            && meets(&self.status_reason, Some(exit.status_reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ExitAction::{Exit as Give, Retry as Again};

    fn rule(code: Option<&str>, reason: Option<&str>, status: Option<&str>, action: ExitAction) -> ExitRule {
        let [exit_code, reason, status_reason] = [code, reason, status].map(|text| text.map(Pattern::new));
        ExitRule { exit_code, reason, status_reason, action }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let retry = Retry {
            attempts: 3,
            rules: vec![
                rule(None, None, Some("Host EC2*"), Again),
                rule(None, Some("CannotPull*"), None, Give),
                rule(Some("3"), None, None, Give),
                rule(Some("4*"), None, Some("essential container in task exited"), Give),
            ],
        };
        let ended = "Essential container in task exited";
        for (attempt, code, reason, status_reason, expected) in [
            (1, Some(1), None, ended, Again),
            (3, Some(1), None, ended, Give),
            (1, Some(3), None, ended, Give),
            (1, Some(3), None, "Host EC2 (instance i-1) terminated.", Again),
            (1, Some(42), None, ended, Give),
            (1, Some(42), None, "other", Again),
            (1, None, Some("CANNOTPULLContainerError: x"), "Task failed to start", Give),
            (1, None, None, "Task failed to start", Again),
        ] {
            let exit = Exit { code, reason, status_reason };
            assert_eq!(retry.decide(attempt, exit), expected, "{attempt} {exit:?}");
        }
    }

    #[test]
    fn without_rules_it_is_tried_while_attempts_are_left() {
        let exit = Exit { code: Some(1), reason: None, status_reason: "" };
        let retry = Retry { attempts: 2, rules: Vec::new() };
        assert_eq!((retry.decide(1, exit), retry.decide(2, exit)), (Again, Give));
    }
}
