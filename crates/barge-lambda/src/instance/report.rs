//! The lines that Lambda itself writes into a function's log (Lambda Developer Guide, "Sending Lambda function logs to
//! CloudWatch Logs"), and the error objects of invocations that a runtime did not answer. Pure.

use crate::sandbox::Exit;
use barge_core::Document;
use std::time::Duration;

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
        Self::new("Sandbox.Timedout", format!("Task timed out after {:.2} seconds", timeout.as_secs_f64()))
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

pub(crate) fn start(request_id: &str, version: &str) -> String {
    format!("START RequestId: {request_id} Version: {version}")
}

pub(crate) fn end(request_id: &str) -> String {
    format!("END RequestId: {request_id}")
}

pub(crate) fn init_start(version: &str) -> String {
    format!("INIT_START Runtime Version: {version}")
}

pub(crate) fn init_failed(took: Duration, failure: &Failure) -> String {
    let millis = millis(took);
    format!("INIT_REPORT Init Duration: {millis:.2} ms\tPhase: init\tStatus: error\tError Type: {}", failure.kind)
}

/// What a REPORT line says.
pub(crate) struct Report<'a> {
    pub request_id: &'a str,
    pub duration: Duration,
    pub memory_mib: u32,
    /// How long the runtime took to start, where this invocation waited for it.
    pub init: Option<Duration>,
    pub failure: Option<&'a Failure>,
}

impl Report<'_> {
    pub(crate) fn line(&self) -> String {
        use std::fmt::Write as _;
        let (duration, init) = (millis(self.duration), self.init.map(millis));
        let billed = (duration + init.unwrap_or_default()).ceil();
        let mut line = format!(
            "REPORT RequestId: {}\tDuration: {duration:.2} ms\tBilled Duration: {billed:.0} ms\tMemory Size: {} MB",
            self.request_id, self.memory_mib
        );
        // Writing to a string does not fail.
        if let Some(init) = init {
            let _ = write!(line, "\tInit Duration: {init:.2} ms");
        }
        match self.failure {
            Some(failure) if failure.kind == "Sandbox.Timedout" => line.push_str("\tStatus: timeout"),
            Some(failure) => {
                let _ = write!(line, "\tStatus: error\tError Type: {}", failure.kind);
            }
            None => {}
        }
        line
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_read_as_awss_own() {
        assert_eq!(start("id", "$LATEST"), "START RequestId: id Version: $LATEST");
        let timeout = Failure::timed_out(Duration::from_secs(3));
        let report = |init, failure| Report {
            request_id: "id",
            duration: Duration::from_micros(12_344),
            memory_mib: 128,
            init,
            failure,
        };
        assert_eq!(
            report(Some(Duration::from_millis(40)), None).line(),
            "REPORT RequestId: id\tDuration: 12.34 ms\tBilled Duration: 53 ms\tMemory Size: 128 MB\tInit Duration: 40.00 ms"
        );
        assert!(report(None, Some(&timeout)).line().ends_with("\tStatus: timeout"));
        let exited = Failure::exited(&Exit::Code(1));
        assert!(report(None, Some(&exited)).line().ends_with("\tStatus: error\tError Type: Runtime.ExitError"));
    }

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
