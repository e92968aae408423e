//! What Lambda itself writes into a function's log, as text (Lambda Developer Guide, "Sending Lambda function logs to CloudWatch
//! Logs") or as JSON (Lambda Developer Guide, "Lambda Telemetry API Event schema reference"). Pure.

use super::failure::Failure;
use crate::logging::Format;
use crate::names::FunctionKey;
use barge_core::{Document, Timestamp};
use barge_wire::lambda::SystemLogLevel;
use std::fmt::Write as _;
use std::time::Duration;

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending<'a> {
    /// The function answered.
    Success,
    /// The function answered with an error.
    Error,
    /// The runtime gave no answer.
    Failed(&'a Failure),
}

/// Something that Lambda tells of.
pub(crate) enum Event<'a> {
    /// A runtime starts.
    InitStart { function: &'a FunctionKey, version: &'a str },
    /// It asks for its first event, or never will.
    InitEnd { took: Duration, failure: Option<&'a Failure> },
    /// An invocation starts.
    Start { request_id: &'a str, version: &'a str },
    /// It is over.
    End { request_id: &'a str, ending: Ending<'a> },
    /// What it took.
    Report(Report<'a>),
}

/// What an invocation took.
pub(crate) struct Report<'a> {
    pub request_id: &'a str,
    pub duration: Duration,
    pub memory_mib: u32,
    /// How long the runtime took to start, where this invocation waited for it.
    pub init: Option<Duration>,
    pub ending: Ending<'a>,
}

impl Event<'_> {
    /// The lines for the log: none where the format has none for it, or where its level is too low.
    pub(crate) fn lines(&self, format: Format, now: Timestamp) -> Vec<String> {
        match format {
            Format::Text => self.text(now),
            Format::Json { system, .. } if self.level() >= system => vec![self.json(now)],
            Format::Json { .. } => Vec::new(),
        }
    }

    fn text(&self, now: Timestamp) -> Vec<String> {
        match self {
            Self::InitStart { version, .. } => vec![format!("INIT_START Runtime Version: {version}")],
            Self::InitEnd { failure: None, .. } => Vec::new(),
            Self::InitEnd { took, failure: Some(failure) } => vec![format!(
                "INIT_REPORT Init Duration: {:.2} ms\tPhase: init\tStatus: error\tError Type: {}",
                millis(*took),
                failure.kind
            )],
            Self::Start { request_id, version } => vec![format!("START RequestId: {request_id} Version: {version}")],
            Self::End { request_id, ending } => {
                let failure = match ending {
                    Ending::Failed(failure) => Some(failure.line(request_id, now)),
                    Ending::Success | Ending::Error => None,
                };
                failure.into_iter().chain([format!("END RequestId: {request_id}")]).collect()
            }
            Self::Report(report) => vec![report.text()],
        }
    }

    fn level(&self) -> SystemLogLevel {
        match self {
            Self::InitStart { .. } | Self::Start { .. } | Self::Report(Report { ending: Ending::Success, .. }) => {
                SystemLogLevel::Info
            }
            Self::InitEnd { failure: None, .. } | Self::End { ending: Ending::Success, .. } => SystemLogLevel::Debug,
            Self::InitEnd { .. } | Self::End { .. } | Self::Report(_) => SystemLogLevel::Warn,
        }
    }

    fn json(&self, now: Timestamp) -> String {
        let (kind, record) = self.record();
        let event = [("time", now.iso8601().into()), ("type", kind.into()), ("record", Document::map(record))];
        Document::map(event).to_json()
    }

    fn record(&self) -> (&'static str, Vec<(&'static str, Document)>) {
        let init = |more: Vec<(&'static str, Document)>| {
            let record = [("initializationType", "on-demand".into()), ("phase", "init".into())];
            record.into_iter().chain(more).collect()
        };
        match self {
            Self::InitStart { function, version } => (
                "platform.initStart",
                init(vec![
                    ("runtimeVersion", (*version).into()),
                    ("functionName", function.name.as_str().into()),
                    ("functionVersion", function.version_name().into()),
                ]),
            ),
            Self::InitEnd { took, failure } => {
                let metrics = Document::map([("durationMs", rounded(millis(*took)))]);
                let ending = failure.map_or(Ending::Success, Ending::Failed);
                ("platform.initReport", init([vec![("metrics", metrics)], ending.members()].concat()))
            }
            Self::Start { request_id, version } => {
                ("platform.start", vec![("requestId", (*request_id).into()), ("version", (*version).into())])
            }
            Self::End { request_id, ending } => {
                ("platform.runtimeDone", [vec![("requestId", (*request_id).into())], ending.members()].concat())
            }
            Self::Report(report) => {
                let record = vec![("requestId", report.request_id.into()), ("metrics", report.metrics())];
                ("platform.report", [record, report.ending.members()].concat())
            }
        }
    }
}

impl Ending<'_> {
    fn members(&self) -> Vec<(&'static str, Document)> {
        let status = match self {
            Self::Success => "success",
            Self::Failed(failure) if failure.is_timeout() => "timeout",
            Self::Error | Self::Failed(_) => "error",
        };
        let kind = match self {
            Self::Failed(failure) if !failure.is_timeout() => Some(("errorType", failure.kind.as_str().into())),
            _ => None,
        };
        [("status", status.into())].into_iter().chain(kind).collect()
    }
}

impl Report<'_> {
    /// Whole milliseconds.
    fn billed(&self) -> i64 {
        let took = self.duration + self.init.unwrap_or_default();
        i64::try_from(took.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
    }

    fn text(&self) -> String {
        let mut line = format!(
            "REPORT RequestId: {}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB",
            self.request_id,
            millis(self.duration),
            self.billed(),
            self.memory_mib
        );
        // Writing to a string does not fail.
        if let Some(init) = self.init {
            let _ = write!(line, "\tInit Duration: {:.2} ms", millis(init));
        }
        match self.ending {
            Ending::Failed(failure) if failure.is_timeout() => line.push_str("\tStatus: timeout"),
            Ending::Failed(failure) => {
                let _ = write!(line, "\tStatus: error\tError Type: {}", failure.kind);
            }
            Ending::Success | Ending::Error => {}
        }
        line
    }

    fn metrics(&self) -> Document {
        let metrics = [
            ("durationMs", rounded(millis(self.duration))),
            ("billedDurationMs", self.billed().into()),
            ("memorySizeMB", i64::from(self.memory_mib).into()),
        ];
        let init = self.init.map(|init| ("initDurationMs", rounded(millis(init))));
        Document::map(metrics.into_iter().chain(init))
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn rounded(millis: f64) -> Document {
    ((millis * 1000.0).round() / 1000.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Exit;
    use barge_core::Scope;
    use barge_wire::lambda::ApplicationLogLevel;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn report(init: Option<Duration>, ending: Ending<'_>) -> Event<'_> {
        Event::Report(Report {
            request_id: "id",
            duration: Duration::from_micros(12_344),
            memory_mib: 128,
            init,
            ending,
        })
    }

    #[test]
    fn the_lines_read_as_awss_own() {
        let text = |event: Event<'_>| event.lines(Format::Text, NOW);
        let timeout = Failure::timed_out(Duration::from_secs(3));
        let exited = Failure::exited(&Exit::Code(1));
        assert_eq!(
            text(Event::Start { request_id: "id", version: "$LATEST" }),
            ["START RequestId: id Version: $LATEST"]
        );
        assert_eq!(
            text(report(Some(Duration::from_millis(40)), Ending::Success)),
            [
                "REPORT RequestId: id\tDuration: 12.34 ms\tBilled Duration: 53 ms\tMemory Size: 128 MB\tInit Duration: 40.00 ms"
            ]
        );
        assert!(text(report(None, Ending::Failed(&timeout)))[0].ends_with("\tStatus: timeout"));
        let exit = "\tStatus: error\tError Type: Runtime.ExitError";
        assert!(text(report(None, Ending::Failed(&exited)))[0].ends_with(exit));
        assert_eq!(
            text(Event::End { request_id: "id", ending: Ending::Failed(&timeout) }),
            ["1970-01-01T00:00:00.000Z id Task timed out after 3.00 seconds", "END RequestId: id"]
        );
        assert!(text(Event::InitEnd { took: Duration::ZERO, failure: None }).is_empty());
    }

    #[test]
    fn records_read_as_awss_own_and_have_levels() {
        let format = |system| Format::Json { application: ApplicationLogLevel::Info, system };
        let timeout = Failure::timed_out(Duration::from_secs(3));
        let exited = Failure::exited(&Exit::Code(1));
        let key = FunctionKey::new(&Scope::default(), "f");
        let (debug, info, warn) = (SystemLogLevel::Debug, SystemLogLevel::Info, SystemLogLevel::Warn);
        for (event, level, record) in [
            (
                Event::InitStart { function: &key, version: "v" },
                info,
                r#""platform.initStart","record":{"initializationType":"on-demand","phase":"init","runtimeVersion":"v","functionName":"f","functionVersion":"$LATEST"}"#,
            ),
            (
                Event::InitEnd { took: Duration::from_millis(5), failure: Some(&exited) },
                warn,
                r#""platform.initReport","record":{"initializationType":"on-demand","phase":"init","metrics":{"durationMs":5.0},"status":"error","errorType":"Runtime.ExitError"}"#,
            ),
            (
                Event::Start { request_id: "id", version: "1" },
                info,
                r#""platform.start","record":{"requestId":"id","version":"1"}"#,
            ),
            (
                Event::End { request_id: "id", ending: Ending::Success },
                debug,
                r#""platform.runtimeDone","record":{"requestId":"id","status":"success"}"#,
            ),
            (
                report(None, Ending::Success),
                info,
                r#""platform.report","record":{"requestId":"id","metrics":{"durationMs":12.344,"billedDurationMs":13,"memorySizeMB":128},"status":"success"}"#,
            ),
            (
                report(Some(Duration::from_millis(1)), Ending::Failed(&timeout)),
                warn,
                r#""platform.report","record":{"requestId":"id","metrics":{"durationMs":12.344,"billedDurationMs":14,"memorySizeMB":128,"initDurationMs":1.0},"status":"timeout"}"#,
            ),
        ] {
            let line = format!(r#"{{"time":"1970-01-01T00:00:00.000Z","type":{record}}}"#);
            assert_eq!(event.lines(format(debug), NOW), [line]);
            for least in [debug, info, warn] {
                assert_eq!(event.lines(format(least), NOW).len(), usize::from(level >= least), "{record}");
            }
        }
    }
}
