//! Retry strategies and timeouts, of a definition or a submission (API Reference, "RetryStrategy", "EvaluateOnExit", "JobTimeout").

use crate::core::{ExitAction, ExitRule, Pattern, Retry};
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{EvaluateOnExit, JobTimeout, RetryAction, RetryStrategy};
use std::time::Duration;

/// Rules in a strategy.
const MOST_RULES: usize = 5;
/// Characters in a pattern.
const LONGEST_PATTERN: usize = 512;

/// Checks retries.
pub(in crate::api) fn check_retries(strategy: Option<&RetryStrategy>) -> Result<(), AwsError> {
    let Some(RetryStrategy { attempts, evaluate_on_exit }) = strategy else { return Ok(()) };
    if attempts.is_some_and(|attempts| !(1..=10).contains(&attempts)) {
        return Err(client_exception("retryStrategy.attempts must be between 1 and 10."));
    }
    let rules = evaluate_on_exit.as_deref().unwrap_or_default();
    if rules.len() > MOST_RULES {
        return Err(client_exception(format!("retryStrategy.evaluateOnExit can have at most {MOST_RULES} elements.")));
    }
    if !rules.is_empty() && attempts.is_none() {
        return Err(client_exception("retryStrategy.attempts must be provided with evaluateOnExit."));
    }
    for EvaluateOnExit { on_status_reason, on_reason, on_exit_code, action: _ } in rules {
        check_pattern("onStatusReason", on_status_reason.as_deref(), |_| true)?;
        check_pattern("onReason", on_reason.as_deref(), |_| true)?;
        check_pattern("onExitCode", on_exit_code.as_deref(), |c| c.is_ascii_digit())?;
    }
    Ok(())
}

fn check_pattern(member: &str, pattern: Option<&str>, legal: fn(char) -> bool) -> Result<(), AwsError> {
    let Some(pattern) = pattern else { return Ok(()) };
    if pattern.is_empty() || pattern.chars().count() > LONGEST_PATTERN {
        return Err(client_exception(format!("{member} must have between 1 and {LONGEST_PATTERN} characters.")));
    }
    let stem = pattern.strip_suffix('*').unwrap_or(pattern);
    if stem.contains('*') || !stem.chars().all(legal) {
        return Err(client_exception(format!("{member} {pattern:?} is not valid.")));
    }
    Ok(())
}

/// What the core does about retries.
pub(in crate::api) fn retry(strategy: Option<&RetryStrategy>) -> Retry {
    let Some(strategy) = strategy else { return Retry::default() };
    let rule = |rule: &EvaluateOnExit| ExitRule {
        exit_code: rule.on_exit_code.as_deref().map(Pattern::new),
        reason: rule.on_reason.as_deref().map(Pattern::new),
        status_reason: rule.on_status_reason.as_deref().map(Pattern::new),
        action: match rule.action {
            RetryAction::Retry => ExitAction::Retry,
            RetryAction::Exit => ExitAction::Exit,
        },
    };
    Retry {
        attempts: strategy.attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(1),
        rules: strategy.evaluate_on_exit.iter().flatten().map(rule).collect(),
    }
}

/// Checks a timeout.
pub(in crate::api) fn check_timeout(timeout: Option<&JobTimeout>) -> Result<(), AwsError> {
    match timeout.and_then(|timeout| timeout.attempt_duration_seconds) {
        Some(seconds) if !(60..=i64::from(i32::MAX)).contains(&seconds) => {
            Err(client_exception("timeout.attemptDurationSeconds must be at least 60."))
        }
        _ => Ok(()),
    }
}

/// How long an attempt may run.
pub(in crate::api) fn duration(timeout: Option<&JobTimeout>) -> Option<Duration> {
    let seconds = timeout?.attempt_duration_seconds?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(attempts: Option<i64>, code: &str, reason: &str) -> RetryStrategy {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let rule = EvaluateOnExit { on_exit_code: text(code), on_reason: text(reason), ..EvaluateOnExit::default() };
        RetryStrategy { attempts, evaluate_on_exit: Some(vec![rule]) }
    }

    #[test]
    fn patterns_end_in_a_star_or_not_at_all() {
        for (given, legal) in [
            (strategy(Some(3), "1*", "Cannot*"), true),
            (strategy(Some(3), "137", "Host EC2 (instance *"), true),
            (strategy(Some(3), "*", ""), true),
            (strategy(None, "1", ""), false),
            (strategy(Some(11), "1", ""), false),
            (strategy(Some(3), "one", ""), false),
            (strategy(Some(3), "1*1", ""), false),
            (strategy(Some(3), "", &"x".repeat(513)), false),
        ] {
            assert_eq!(check_retries(Some(&given)).is_ok(), legal, "{given:?}");
        }
        let six = RetryStrategy { attempts: Some(1), evaluate_on_exit: Some(vec![EvaluateOnExit::default(); 6]) };
        assert!(check_retries(Some(&six)).is_err());
    }
}
