//! What was done, counted, and its last line.

use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

/// Rows of one file or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Records of the share, the header row apart.
    pub(crate) read: u64,
    /// Rows that are in the table; of rows with the same key, each counts, and the last stands.
    pub(crate) written: u64,
    /// Rows that are in the rejected file.
    pub(crate) rejected: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.read += more.read;
        self.written += more.written;
        self.rejected += more.rejected;
    }
}

/// The run as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// All files' rows.
    pub(crate) counts: Counts,
    /// Files that were read to the end of their share.
    pub(crate) files: u64,
    /// Files that weren't.
    pub(crate) failed: u64,
}

impl Summary {
    /// 0: all is loaded. 3: all but rejected rows. 1: something could not be read or written.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self { failed: 1.., .. } => 1,
            Self { counts: Counts { rejected: 1.., .. }, .. } => 3,
            _ => 0,
        }
    }

    /// The run as a JSON object on one line.
    pub(crate) fn line(&self, elapsed: Duration) -> String {
        let seconds = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
        let rate = if seconds > 0.0 { (self.counts.written as f64 / seconds).round() } else { 0.0 };
        let line = Line {
            rows_read: self.counts.read,
            rows_written: self.counts.written,
            rows_rejected: self.counts.rejected,
            seconds,
            rows_per_second: rate,
            files_read: self.files,
            files_failed: self.failed,
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Line {
    rows_read: u64,
    rows_written: u64,
    rows_rejected: u64,
    seconds: f64,
    rows_per_second: f64,
    files_read: u64,
    files_failed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_one_json_object() {
        let counts = Counts { read: 10, written: 9, rejected: 1 };
        let summary = Summary { counts, files: 1, failed: 0 };
        let value: serde_json::Value = serde_json::from_str(&summary.line(Duration::from_millis(4500))).unwrap();
        assert_eq!(value["rows_read"], 10);
        assert_eq!(value["rows_written"], 9);
        assert_eq!(value["rows_rejected"], 1);
        assert_eq!(value["seconds"], 4.5);
        assert_eq!(value["rows_per_second"], 2.0);
    }

    #[test]
    fn failures_outrank_rejected_rows() {
        let code = |failed, rejected| {
            let counts = Counts { rejected, ..Counts::default() };
            Summary { counts, files: 1, failed }.exit_code()
        };
        assert_eq!([code(0, 0), code(0, 2), code(1, 0), code(1, 2)], [0, 3, 1, 1]);
    }
}
