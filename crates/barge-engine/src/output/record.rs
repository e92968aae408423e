//! The output file's format: records of `milliseconds since the epoch (i64 LE), length (u32 LE), bytes`, one per line.
//! Pure.

/// The longest line kept in one piece: CloudWatch Logs takes events of 256 KiB including 26 bytes of its own
/// (CloudWatch Logs API, "PutLogEvents"). Longer lines become several.
pub(crate) const LONGEST_LINE: usize = 256 * 1024 - 26;

const HEADER: usize = 12;

/// Appends one record to `out`.
pub(crate) fn encode(out: &mut Vec<u8>, millis: i64, line: &[u8]) {
    // Callers cut lines at LONGEST_LINE, far below u32::MAX.
    let length = u32::try_from(line.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&millis.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(line);
}

/// One record's place in a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub millis: i64,
    pub line: &'a [u8],
    /// Bytes of the record, header included.
    pub size: usize,
}

/// The bytes cannot have been written by [`encode`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the output file is damaged: a line of {0} bytes")]
pub(crate) struct Damaged(u32);

/// The first record in `bytes`; `None` where it isn't there as a whole yet.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Record<'_>>, Damaged> {
    let Some((millis, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length);
    let line_size = length as usize;
    if line_size > LONGEST_LINE {
        return Err(Damaged(length));
    }
    Ok(rest.get(..line_size).map(|line| Record { millis: i64::from_le_bytes(*millis), line, size: HEADER + line_size }))
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
pub(crate) struct LineCutter {
    partial: Vec<u8>,
}

impl LineCutter {
    /// Takes `bytes` that came at `millis`, and encodes every line that they complete. Gives the number of lines.
    pub(crate) fn feed(&mut self, bytes: &[u8], millis: i64, out: &mut Vec<u8>) -> u64 {
        let mut lines = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = LONGEST_LINE - self.partial.len();
            // One byte further than there is room: a newline there ends a line of the greatest length.
            let window = &rest[..rest.len().min(room + 1)];
            let (line, after) = match memchr::memchr(b'\n', window) {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None if rest.len() > room => rest.split_at(room),
                None => {
                    self.partial.extend_from_slice(rest);
                    break;
                }
            };
            self.partial.extend_from_slice(line);
            encode(out, millis, &self.partial);
            self.partial.clear();
            rest = after;
            lines += 1;
        }
        lines
    }

    /// Encodes what came after the last newline, if anything.
    pub(crate) fn finish(&mut self, millis: i64, out: &mut Vec<u8>) -> u64 {
        if self.partial.is_empty() {
            return 0;
        }
        encode(out, millis, &self.partial);
        self.partial.clear();
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while let Some(record) = decode(bytes).unwrap() {
            lines.push(record.line.to_vec());
            bytes = &bytes[record.size..];
        }
        assert!(bytes.is_empty());
        lines
    }

    fn cut(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut cutter, mut out, mut count) = (LineCutter::default(), Vec::new(), 0);
        for chunk in chunks {
            count += cutter.feed(chunk, 5, &mut out);
        }
        count += cutter.finish(5, &mut out);
        let lines = lines(&out);
        assert_eq!(lines.len() as u64, count);
        lines
    }

    #[test]
    fn lines_are_cut_at_newlines_wherever_chunks_end() {
        assert_eq!(cut(&[b"a\nb", b"c\n\nd"]), [b"a".to_vec(), b"bc".to_vec(), b"".to_vec(), b"d".to_vec()]);
        assert_eq!(cut(&[b"a", b"\n"]), [b"a".to_vec()]);
        assert!(cut(&[b""]).is_empty());
    }

    #[test]
    fn a_line_beyond_the_greatest_length_becomes_several() {
        let long = vec![b'x'; LONGEST_LINE + 3];
        assert_eq!(cut(&[&long, b"\ny"]), [vec![b'x'; LONGEST_LINE], b"xxx".to_vec(), b"y".to_vec()]);
        let exact = vec![b'x'; LONGEST_LINE];
        assert_eq!(cut(&[&[exact.as_slice(), b"\ny"].concat()]), [exact, b"y".to_vec()]);
    }

    #[test]
    fn a_record_that_is_not_all_there_yet_waits() {
        let mut out = Vec::new();
        encode(&mut out, -7, b"abc");
        for end in 0..out.len() {
            assert_eq!(decode(&out[..end]).unwrap(), None);
        }
        assert_eq!(decode(&out).unwrap(), Some(Record { millis: -7, line: b"abc", size: 15 }));
        assert!(decode(&[0xff; 12]).is_err());
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(text in "[ab\n]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|c| *c <= text.len()).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for at in cuts {
                chunks.push(&text.as_bytes()[from..at]);
                from = at;
            }
            chunks.push(&text.as_bytes()[from..]);
            prop_assert_eq!(cut(&chunks), cut(&[text.as_bytes()]));
        }
    }
}
