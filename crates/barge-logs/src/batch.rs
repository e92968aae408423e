//! A batch of events before it is stored: AWS's limits, as decisions without effects (Amazon CloudWatch Logs API
//! Reference, PutLogEvents).

use crate::errors::invalid;
use barge_core::AwsError;
use barge_wire::logs::{InputLogEvent, RejectedLogEventsInfo};
use std::ops::Range;

/// Bytes of a batch, at most: messages in UTF-8 and [`OVERHEAD`] for each.
const LARGEST: usize = 1_048_576;
/// What each event counts beyond its message.
pub(crate) const OVERHEAD: usize = 26;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// How far ahead of the server an event's time may be, in milliseconds.
const AHEAD: i64 = 2 * HOUR;
/// How old an event may be, in milliseconds.
const BEHIND: i64 = 14 * DAY;

/// Which events of a batch are stored, and what the client is told of the others.
#[derive(Debug, PartialEq)]
pub(crate) struct Accepted {
    pub(crate) events: Range<usize>,
    pub(crate) rejected: Option<RejectedLogEventsInfo>,
}

/// Judges a batch at `now` (milliseconds) for a group with `retention` (days).
pub(crate) fn judge(events: &[InputLogEvent], now: i64, retention: Option<i64>) -> Result<Accepted, AwsError> {
    let size: usize = events.iter().map(|event| event.message.len() + OVERHEAD).sum();
    if size > LARGEST {
        return Err(invalid(format!("Upload too large: {size} bytes exceeds limit of {LARGEST}")));
    }
    if events.windows(2).any(|pair| pair[0].timestamp > pair[1].timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    let before = |moment: i64| events.partition_point(|event| event.timestamp < moment);
    let expired = retention.map_or(0, |days| before(now.saturating_sub(days.saturating_mul(DAY))));
    let too_old = before(now - BEHIND);
    let too_new = events.partition_point(|event| event.timestamp <= now + AHEAD);
    let first = expired.max(too_old);
    let accepted = first..too_new.max(first);
    if let [first, .., last] = &events[accepted.clone()]
        && last.timestamp - first.timestamp > DAY
    {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    let index = |n: usize| i64::try_from(n).ok();
    let rejected = RejectedLogEventsInfo {
        too_new_log_event_start_index: (too_new < events.len()).then(|| index(too_new)).flatten(),
        too_old_log_event_end_index: (too_old > 0).then(|| index(too_old)).flatten(),
        expired_log_event_end_index: (expired > 0).then(|| index(expired)).flatten(),
    };
    let rejected = (rejected != RejectedLogEventsInfo::default()).then_some(rejected);
    Ok(Accepted { events: accepted, rejected })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn events(times: &[i64]) -> Vec<InputLogEvent> {
        times.iter().map(|&hours| InputLogEvent { timestamp: NOW + hours * HOUR, message: "m".to_owned() }).collect()
    }

    fn rejected(expired: Option<i64>, too_old: Option<i64>, too_new: Option<i64>) -> RejectedLogEventsInfo {
        RejectedLogEventsInfo {
            expired_log_event_end_index: expired,
            too_old_log_event_end_index: too_old,
            too_new_log_event_start_index: too_new,
        }
    }

    #[test]
    fn old_expired_and_future_events_are_left_out_and_told() {
        for (hours, retention, stored, told) in [
            (&[0, 1, 2][..], None, 0..3, None),
            (&[-1, 1, 3, 4], None, 0..2, Some(rejected(None, None, Some(2)))),
            (&[-400, -337, -1, 0], None, 2..4, Some(rejected(None, Some(2), None))),
            (&[-48, -1], Some(1), 1..2, Some(rejected(Some(1), None, None))),
            (&[-400, -48, -1], Some(1), 2..3, Some(rejected(Some(2), Some(1), None))),
            (&[3, 4], None, 0..0, Some(rejected(None, None, Some(0)))),
        ] {
            let accepted = judge(&events(hours), NOW, retention).unwrap();
            assert_eq!((accepted.events, accepted.rejected), (stored, told), "{hours:?}");
        }
    }

    #[test]
    fn a_batch_that_breaks_a_limit_is_refused_as_a_whole() {
        let large = InputLogEvent { timestamp: NOW, message: "x".repeat(LARGEST - OVERHEAD) };
        assert!(judge(std::slice::from_ref(&large), NOW, None).is_ok());
        for (batch, message) in [
            (vec![large, InputLogEvent { timestamp: NOW, message: "x".to_owned() }], "Upload too large"),
            (events(&[1, 0]), "chronological order"),
            (events(&[-25, 0]), "24 hours"),
        ] {
            let error = judge(&batch, NOW, None).unwrap_err();
            assert!(error.is("InvalidParameterException") && error.message.contains(message), "{error}");
        }
    }
}
