//! Functions that hear what became of another's events (Lambda Developer Guide, "Capturing records of Lambda asynchronous
//! invocations"): which ones may be named, and what they are told. Pure. Topics, queues, buckets and buses are refused.

use crate::instance::{Outcome, Verdict};
use crate::names::{FunctionKey, Qualifier, Target, resolve};
use barge_core::{Arn, AwsError, Document, Scope, Timestamp};
use barge_wire::lambda::error;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Who hears of a function's events: ARNs of functions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Destinations {
    pub on_success: Option<String>,
    pub on_failure: Option<String>,
}

/// Why an event is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The function took it.
    Success,
    /// The function failed so often as it may.
    RetriesExhausted,
    /// It waited too long.
    EventAgeExceeded,
}

impl Destinations {
    /// Whom to tell.
    pub(crate) fn of(&self, condition: Condition) -> Option<&str> {
        match condition {
            Condition::Success => self.on_success.as_deref(),
            Condition::RetriesExhausted | Condition::EventAgeExceeded => self.on_failure.as_deref(),
        }
    }
}

/// The function that an ARN names, for functions of `scope`.
pub(crate) fn target(scope: &Scope, arn: &str) -> Result<Target, AwsError> {
    match arn.parse::<Arn>() {
        Ok(parsed) if parsed.service == "lambda" => resolve(scope, arn, None),
        Ok(parsed) => Err(error::invalid_parameter_value_exception(format!(
            "DestinationConfig with a destination of {} is not supported by Barge; functions are.",
            parsed.service
        ))),
        Err(_) => Err(error::invalid_parameter_value_exception(format!(
            "The provided destination config ARN {arn} is invalid."
        ))),
    }
}

/// An event that is over.
pub(crate) struct Finished<'a> {
    pub id: &'a str,
    pub function: &'a FunctionKey,
    pub qualifier: &'a Qualifier,
    pub payload: &'a Bytes,
    pub condition: Condition,
    /// How often the function ran on it.
    pub runs: u32,
    /// What the last run gave, and the version that ran.
    pub last: Option<(&'a Outcome, String)>,
}

impl Finished<'_> {
    /// What a destination is sent.
    pub(crate) fn record(&self, now: Timestamp) -> String {
        let condition = match self.condition {
            Condition::Success => "Success",
            Condition::RetriesExhausted => "RetriesExhausted",
            Condition::EventAgeExceeded => "EventAgeExceeded",
        };
        let named = match self.qualifier {
            Qualifier::Plain => Qualifier::Latest.arn(self.function),
            qualifier => qualifier.arn(self.function),
        };
        let context = [
            ("requestId", self.id.into()),
            ("functionArn", named.into()),
            ("condition", condition.into()),
            ("approximateInvokeCount", i64::from(self.runs).into()),
        ];
        let record = [
            ("version", "1.0".into()),
            ("timestamp", now.iso8601().into()),
            ("requestContext", Document::map(context)),
            ("requestPayload", json(self.payload)),
        ];
        let answered = self.last.as_ref().map(|(outcome, version)| {
            let error = (outcome.verdict == Verdict::Failed).then(|| ("functionError", "Unhandled".into()));
            let context = [("statusCode", 200.into()), ("executedVersion", version.as_str().into())];
            let context = Document::map(context.into_iter().chain(error));
            [("responseContext", context), ("responsePayload", json(&outcome.payload))]
        });
        Document::map(record.into_iter().chain(answered.into_iter().flatten())).to_json()
    }
}

/// What a payload is; one that is no JSON is text.
fn json(payload: &Bytes) -> Document {
    Document::from_json(payload).unwrap_or_else(|_| String::from_utf8_lossy(payload).into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_can_be_told() {
        let scope = Scope::default();
        let arn = |service: &str, resource: &str| scope.arn(service, resource).to_string();
        assert_eq!(
            target(&scope, &arn("lambda", "function:f:live")).unwrap().qualifier,
            Qualifier::Alias("live".to_owned())
        );
        for (arn, word) in [(arn("sqs", "q"), "of sqs"), ("x".to_owned(), "invalid")] {
            assert!(target(&scope, &arn).unwrap_err().message.contains(word), "{arn}");
        }
    }

    #[test]
    fn the_record_reads_as_awss_own() {
        let outcome =
            Outcome { payload: r#"{"errorMessage":"no"}"#.into(), verdict: Verdict::Failed, tail: String::new() };
        let (function, payload) = (FunctionKey::new(&Scope::default(), "f"), Bytes::from(r#"{"n":1}"#));
        let finished = Finished {
            id: "id",
            function: &function,
            qualifier: &Qualifier::Plain,
            payload: &payload,
            condition: Condition::RetriesExhausted,
            runs: 3,
            last: Some((&outcome, "$LATEST".to_owned())),
        };
        assert_eq!(
            finished.record(Timestamp::from_millis(0)),
            concat!(
                r#"{"version":"1.0","timestamp":"1970-01-01T00:00:00.000Z","#,
                r#""requestContext":{"requestId":"id","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","#,
                r#""condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"n":1},"#,
                r#""responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"#,
                r#""responsePayload":{"errorMessage":"no"}}"#,
            )
        );
    }
}
