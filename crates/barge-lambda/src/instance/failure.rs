//! Ends of invocations that a runtime did not answer, in AWS's words. Pure.

use crate::sandbox::Exit;
use barge_core::{Document, Timestamp};
use std::time::Duration;

const TIMEOUT: &str = "Sandbox.Timedout";

/// What an invocation answers with where the runtime gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// e.g. `Runtime.ExitError`.
    pub kind: String,
    /// e.g. `Runtime exited with error: exit status 1`.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into() }
    }

    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self::new(TIMEOUT, format!("Task timed out after {:.2} seconds", timeout.as_secs_f64()))
    }

    pub(crate) fn exited(exit: &Exit) -> Self {
        let message = match exit {
            Exit::Code(0) => "Runtime exited without providing a reason".to_owned(),
            Exit::Code(code) => format!("Runtime exited with error: exit status {code}"),
            Exit::OutOfMemory => "Runtime exited with error: signal: killed".to_owned(),
            Exit::Signal(signal) => format!("Runtime exited with error: signal: {}", signal_text(*signal)),
            Exit::NotStarted(reason) => format!("Runtime could not be started: {reason}"),
        };
        Self::new("Runtime.ExitError", message)
    }

    pub(crate) fn is_timeout(&self) -> bool {
        self.kind == TIMEOUT
    }

    /// What the log says of it.
    pub(crate) fn line(&self, request_id: &str, now: Timestamp) -> String {
        if self.is_timeout() {
            return format!("{} {request_id} {}", now.iso8601(), self.message);
        }
        format!("RequestId: {request_id} Error: {} {}", self.message, self.kind)
    }

    /// The error object that the client gets.
    pub(crate) fn payload(&self, request_id: &str) -> String {
        Document::map([
            ("errorType", Document::from(self.kind.as_str())),
            ("errorMessage", format!("RequestId: {request_id} Error: {}", self.message).into()),
        ])
        .to_json()
    }
}

/// As Go's syscall package words signals, which is what AWS's log lines show.
fn signal_text(signal: i32) -> String {
    match signal {
        1 => "hangup".to_owned(),
        2 => "interrupt".to_owned(),
        3 => "quit".to_owned(),
        4 => "illegal instruction".to_owned(),
        6 => "aborted".to_owned(),
        7 => "bus error".to_owned(),
        8 => "floating point exception".to_owned(),
        9 => "killed".to_owned(),
        11 => "segmentation fault".to_owned(),
        13 => "broken pipe".to_owned(),
        15 => "terminated".to_owned(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_awss_words() {
        for (failure, expected) in [
            (
                Failure::timed_out(Duration::from_secs(3)),
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: id Error: Task timed out after 3.00 seconds"}"#,
            ),
            (
                Failure::exited(&Exit::Code(1)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: exit status 1"}"#,
            ),
            (
                Failure::exited(&Exit::OutOfMemory),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: signal: killed"}"#,
            ),
            (
                Failure::exited(&Exit::Code(0)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited without providing a reason"}"#,
            ),
        ] {
            assert_eq!(failure.payload("id"), expected);
        }
    }
}
