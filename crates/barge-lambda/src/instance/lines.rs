//! From bytes to lines, and the last few kilobytes of an invocation's log. Pure.

/// Longer lines are cut: CloudWatch Logs takes events of at most 256 KiB with 26 bytes of its own.
pub(crate) const LONGEST: usize = 256 * 1024 - 26;

/// Bytes of the log that an invocation with log type Tail gives back (Lambda API reference, Invoke: LogResult).
const TAIL: usize = 4096;

/// Cuts what a process prints into lines.
#[derive(Debug, Default)]
pub(crate) struct LineCutter {
    partial: Vec<u8>,
}

impl LineCutter {
    /// The lines that `bytes` complete. Bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let room = LONGEST - self.partial.len();
            match end {
                Some(end) if end <= room => {
                    self.partial.extend_from_slice(&bytes[..end]);
                    lines.push(self.take());
                    bytes = &bytes[end + 1..];
                }
                None if bytes.len() < room => {
                    self.partial.extend_from_slice(bytes);
                    return lines;
                }
                _ => {
                    self.partial.extend_from_slice(&bytes[..room]);
                    lines.push(self.take());
                    bytes = &bytes[room..];
                }
            }
        }
    }

    /// The line that has no end yet, if there is one.
    pub(crate) fn rest(&mut self) -> Option<String> {
        (!self.partial.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let mut line = std::mem::take(&mut self.partial);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// The end of a log.
#[derive(Debug, Default)]
pub(crate) struct Tail(String);

impl Tail {
    pub(crate) fn push(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
        if self.0.len() > TAIL {
            let cut = self.0.ceil_char_boundary(self.0.len() - TAIL);
            self.0.drain(..cut);
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_newlines_wherever_the_reads_end() {
        let mut cutter = LineCutter::default();
        assert_eq!(cutter.push(b"one\ntw"), ["one"]);
        assert_eq!(cutter.push(b"o\r\n\nthr"), ["two", ""]);
        assert_eq!(cutter.rest().as_deref(), Some("thr"));
        assert_eq!(cutter.rest(), None);
    }

    #[test]
    fn what_is_not_utf8_is_shown_as_such() {
        assert_eq!(LineCutter::default().push(b"a\xffb\n"), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut cutter = LineCutter::default();
        let lines = cutter.push(&vec![b'x'; 3 * LONGEST + 5]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LONGEST; 3]);
        assert_eq!(cutter.rest().map(|line| line.len()), Some(5));
    }

    #[test]
    fn the_tail_is_the_last_four_kilobytes() {
        let mut tail = Tail::default();
        for n in 0..2000 {
            tail.push(&format!("é{n}"));
        }
        assert!(tail.text().len() <= 4096 && tail.text().ends_with("é1999\n"));
    }

    proptest::proptest! {
        #[test]
        fn how_reads_are_split_changes_nothing(text in "[a-c\n]{0,64}", cuts in proptest::collection::vec(0_usize..64, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut cutter = LineCutter::default();
            let (mut lines, mut at) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([text.len()]) {
                lines.extend(cutter.push(&text.as_bytes()[at..cut]));
                at = cut;
            }
            lines.extend(cutter.rest());
            proptest::prop_assert_eq!(lines, text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
