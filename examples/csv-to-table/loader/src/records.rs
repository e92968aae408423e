//! Cutting a stream of bytes into CSV records, and finding out where records begin in the middle of a file.
//! Nothing here knows what a field means, and nothing here reads or writes.
//!
//! The grammar is RFC 4180 as `csv-core` reads it (`\n`, `\r` and `\r\n` each end a line, blank lines are no
//! records), plus one rule of our own: **a record that has grown past the limit ends at its next line break, quoted
//! or not.** No item of DynamoDB could hold such a record anyway; it is nearly always a quote that was never closed,
//! and with the rule it spoils one limit's worth of rows instead of the rest of the file.
//!
//! The same rule is what lets a [`Locator`] begin in mid-file: whether a byte lies inside quotes depends only on
//! what came before, in principle from the first byte on. A locator keeps every reading that the bytes so far allow.
//! One closing quote after text settles it (`x",` can only mean the end of a field); without any quote the readings
//! "inside quotes" die out once the limit is passed.

/// The longest record that is read as a row, in bytes: the 400 KB of a DynamoDB item, twice over for doubled quotes,
/// and some.
pub(crate) const MAX_RECORD: u64 = 1 << 20;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Where in a record a byte falls, given all bytes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Between records.
    Start,
    /// At the first byte of a second or later field.
    Field,
    /// In an unquoted field.
    Plain,
    /// Inside quotes.
    Quoted,
    /// After a quote inside quotes: the end of the field, or the first of a doubled quote.
    Closing,
}

impl State {
    /// The state after `byte`, which is no line break.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Closing,
            (Self::Start | Self::Field | Self::Closing, b'"') | (Self::Quoted, _) => Self::Quoted,
            (_, b',') => Self::Field,
            _ => Self::Plain,
        }
    }
}

/// Everything that must be known about the bytes before an offset to go on from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The state at the offset.
    pub(crate) state: State,
    /// Where the record under way began; of no meaning between records.
    pub(crate) start: u64,
    /// Whether the byte before is a carriage return, so that a line feed belongs to it.
    pub(crate) after_return: bool,
}

impl Position {
    /// The beginning of a file.
    pub(crate) const BEGINNING: Self = Self { state: State::Start, start: 0, after_return: false };
}

/// Counts line breaks: `\n`, `\r`, or `\r\n` as one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineCounter {
    lines: u64,
    after_return: bool,
}

impl LineCounter {
    /// The line breaks seen.
    pub(crate) fn lines(self) -> u64 {
        self.lines
    }

    /// Takes the next bytes of the file.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.step(byte);
        }
    }

    fn step(&mut self, byte: u8) {
        match byte {
            b'\n' if self.after_return => {}
            b'\n' | b'\r' => self.lines += 1,
            _ => {}
        }
        self.after_return = byte == b'\r';
    }
}

/// What the cutting alone can tell about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As it should be.
    Whole,
    /// A quoted field goes on after its closing quote.
    TextAfterQuote,
    /// The file ended inside quotes.
    Unclosed,
    /// Over the limit.
    TooLong,
}

/// One record, without its line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Offset in the file of its first byte.
    pub(crate) start: u64,
    /// Offset in the file just past its last byte.
    pub(crate) end: u64,
    /// Line breaks between the splitter's first byte and the record's.
    pub(crate) line: u64,
    /// Its bytes, up to twice the limit. That is all of them, but for a single line of such a length.
    pub(crate) bytes: &'a [u8],
    /// Whether it can be read as a row.
    pub(crate) shape: Shape,
}

/// Cuts a file, taken in chunks of any size, into records. Holds one record at most, and of that twice the limit.
#[derive(Debug)]
pub(crate) struct Splitter {
    limit: u64,
    offset: u64,
    state: State,
    start: u64,
    lines: LineCounter,
    start_line: u64,
    text_after_quote: bool,
    mark: ByteOrderMark,
    kept: Vec<u8>,
    emitted: bool,
}

impl Splitter {
    /// A splitter whose first byte will be the one at `offset`, with `position` there.
    pub(crate) fn new(offset: u64, position: Position, limit: u64) -> Self {
        Self {
            limit,
            offset,
            state: position.state,
            start: position.start,
            lines: LineCounter { lines: 0, after_return: position.after_return },
            start_line: 0,
            text_after_quote: false,
            mark: ByteOrderMark::default(),
            kept: Vec::new(),
            emitted: false,
        }
    }

    /// Takes bytes off the front of `input` up to the end of the next record. `None` when `input` is used up first.
    pub(crate) fn next<'a>(&'a mut self, input: &mut &[u8]) -> Option<Record<'a>> {
        self.forget_emitted();
        let bytes = *input;
        let mut from = 0;
        for (index, &byte) in bytes.iter().enumerate() {
            let at = self.offset + index as u64;
            if self.mark.completed_by(at, byte) {
                self.state = State::Start;
                self.kept.clear();
                from = index + 1;
                continue;
            }
            if self.state == State::Start {
                from = index;
                self.start = at;
                self.start_line = self.lines.lines();
            }
            if byte == b'\n' || byte == b'\r' {
                self.lines.step(byte);
                let open = self.state == State::Quoted && at - self.start <= self.limit;
                if self.state == State::Start || open {
                    continue;
                }
                self.keep(&bytes[from..index]);
                *input = &bytes[index + 1..];
                self.offset = at + 1;
                return Some(self.emit(at));
            }
            self.lines.after_return = false;
            let after = self.state.after(byte);
            self.text_after_quote |= self.state == State::Closing && after == State::Plain;
            self.state = after;
        }
        *input = &[];
        self.offset += bytes.len() as u64;
        if self.state != State::Start {
            self.keep(&bytes[from..]);
        }
        None
    }

    /// The last record, if the file ended without a line break.
    pub(crate) fn finish(&mut self) -> Option<Record<'_>> {
        self.forget_emitted();
        (self.state != State::Start).then(|| self.emit(self.offset))
    }

    /// The offset of the next byte, or of the record under way: nothing before it is still to come.
    pub(crate) fn frontier(&self) -> u64 {
        if self.state == State::Start || self.emitted { self.offset } else { self.start }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.limit * 2).unwrap_or(usize::MAX) - self.kept.len();
        self.kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    fn emit(&mut self, end: u64) -> Record<'_> {
        let shape = match self.state {
            _ if end - self.start > self.limit => Shape::TooLong,
            State::Quoted => Shape::Unclosed,
            _ if self.text_after_quote => Shape::TextAfterQuote,
            _ => Shape::Whole,
        };
        self.state = State::Start;
        self.emitted = true;
        Record { start: self.start, end, line: self.start_line, bytes: &self.kept, shape }
    }

    fn forget_emitted(&mut self) {
        if std::mem::take(&mut self.emitted) {
            self.kept.clear();
            self.text_after_quote = false;
        }
    }
}

/// Recognises a byte-order mark at the beginning of a file.
#[derive(Clone, Copy, Debug, Default)]
struct ByteOrderMark {
    matched: u8,
}

impl ByteOrderMark {
    fn completed_by(&mut self, at: u64, byte: u8) -> bool {
        let expected = usize::from(self.matched);
        if at != expected as u64 || BYTE_ORDER_MARK.get(expected) != Some(&byte) {
            return false;
        }
        self.matched += 1;
        usize::from(self.matched) == BYTE_ORDER_MARK.len()
    }
}

/// Where a locator should begin to look back from `offset` by some `bytes`: never inside a byte-order mark, which it
/// would take for text.
pub(crate) fn look_back(offset: u64, bytes: u64) -> u64 {
    let from = offset.saturating_sub(bytes);
    if from < BYTE_ORDER_MARK.len() as u64 { 0 } else { from }
}

/// One reading of the bytes seen so far. `start` is `None` where the record began before the locator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    state: State,
    start: Option<u64>,
}

/// Finds the [`Position`] at an offset from the bytes before it, beginning anywhere.
#[derive(Debug)]
pub(crate) struct Locator {
    limit: u64,
    from: u64,
    offset: u64,
    readings: Vec<Reading>,
    mark: ByteOrderMark,
    after_return: bool,
}

/// Beyond this many readings, beginning further back is cheaper than following them.
const MAX_READINGS: usize = 64;

impl Locator {
    /// A locator whose first byte will be the one at `from`, chosen by [`look_back`].
    pub(crate) fn new(from: u64, limit: u64) -> Self {
        let began_before = |state| Reading { state, start: None };
        let readings = if from == 0 {
            vec![began_before(State::Start)]
        } else {
            [State::Start, State::Field, State::Plain, State::Quoted, State::Closing].map(began_before).to_vec()
        };
        Self { limit, from, offset: from, readings, mark: ByteOrderMark::default(), after_return: false }
    }

    /// Takes the next bytes of the file.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.step(byte);
            self.offset += 1;
            self.after_return = byte == b'\r';
        }
    }

    /// The position after the bytes taken, if only one reading is left and it is complete.
    pub(crate) fn position(&self) -> Option<Position> {
        let [reading] = self.readings[..] else { return None };
        let start = match reading.state {
            State::Start => self.offset,
            _ => reading.start?,
        };
        Some(Position { state: reading.state, start, after_return: self.after_return })
    }

    fn step(&mut self, byte: u8) {
        if self.mark.completed_by(self.offset, byte) {
            self.readings = vec![Reading { state: State::Start, start: None }];
        } else if let [reading] = &mut self.readings[..]
            && byte != b'\n'
            && byte != b'\r'
        {
            *reading = reading.after(byte, self.offset);
        } else {
            self.step_all(byte);
        }
    }

    fn step_all(&mut self, byte: u8) {
        let mut next: Vec<Reading> = Vec::with_capacity(self.readings.len() + 1);
        let mut add = |reading| {
            if !next.contains(&reading) {
                next.push(reading);
            }
        };
        for &reading in &self.readings {
            if byte != b'\n' && byte != b'\r' {
                add(reading.after(byte, self.offset));
                continue;
            }
            let (may_go_on, may_end) = match reading {
                Reading { state: State::Quoted, start: Some(start) } => {
                    let open = self.offset - start <= self.limit;
                    (open, !open)
                }
                Reading { state: State::Quoted, start: None } => (self.offset - self.from < self.limit, true),
                _ => (false, true),
            };
            if may_go_on {
                add(reading);
            }
            if may_end {
                add(Reading { state: State::Start, start: None });
            }
        }
        // Cleared for good: no reading means no position.
        if next.len() > MAX_READINGS {
            next.clear();
        }
        self.readings = next;
    }
}

impl Reading {
    /// The reading after `byte` at `at`, which is no line break.
    fn after(self, byte: u8, at: u64) -> Self {
        let start = if self.state == State::Start { Some(at) } else { self.start };
        Self { state: self.state.after(byte), start }
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
