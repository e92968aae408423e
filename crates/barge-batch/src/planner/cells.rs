//! Lines of a file of jobs as cells with their columns: CSV with a header, or a JSON object a line.
//!
//! Cells are text here, whatever they were in JSON; [`super::rows`] knows what they mean.

use super::Problem;
use std::borrow::Cow;

/// What can be said of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    At,
    Name,
    Queue,
    Definition,
    Vcpus,
    Memory,
    Duration,
    Array,
    Nodes,
    Attempts,
    Fail,
    Share,
    Priority,
    Timeout,
    DependsOn,
}

impl Member {
    pub(super) const ALL: [(&'static str, Self); 15] = [
        ("at", Self::At),
        ("name", Self::Name),
        ("queue", Self::Queue),
        ("definition", Self::Definition),
        ("vcpus", Self::Vcpus),
        ("memory", Self::Memory),
        ("duration", Self::Duration),
        ("array", Self::Array),
        ("nodes", Self::Nodes),
        ("attempts", Self::Attempts),
        ("fail", Self::Fail),
        ("share", Self::Share),
        ("priority", Self::Priority),
        ("timeout", Self::Timeout),
        ("depends_on", Self::DependsOn),
    ];

    fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, member)| *member);
        found.ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|(known, _)| *known).collect();
            format!("`{name}` is not known of jobs; these are: {}", known.join(", "))
        })
    }
}

/// One value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    /// Bytes before it in its line.
    pub(super) offset: usize,
    pub(super) text: Cow<'a, str>,
}

/// The values of one line; empty ones are not there.
#[derive(Debug, Default)]
pub(super) struct Cells<'a> {
    by_member: [Option<Cell<'a>>; Member::ALL.len()],
}

impl<'a> Cells<'a> {
    pub(super) fn get(&self, member: Member) -> Option<&Cell<'a>> {
        self.by_member[member as usize].as_ref()
    }

    fn put(&mut self, member: Member, cell: Cell<'a>) {
        self.by_member[member as usize] = Some(cell).filter(|cell| !cell.text.is_empty());
    }
}

/// Something wrong in a line: bytes before it, and what it is.
type Wrong = (usize, String);

/// Calls `take` for each line that has a job, with the line's number and text. JSON where the first line begins with `{`.
pub(super) fn each_line<'a>(
    file: &str,
    text: &'a str,
    mut take: impl FnMut(u32, &'a str, &Cells<'a>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let numbered = (1u32..).zip(text.lines());
    let mut lines = numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')).peekable();
    let as_json = lines.peek().is_some_and(|(_, line)| line.trim_start().starts_with('{'));
    let at =
        |number: u32, line: &str, (offset, message): Wrong| Problem::at(file, number, column(line, offset), message);
    let mut header = Vec::new();
    if !as_json && let Some((number, line)) = lines.next() {
        header = read_header(line).map_err(|wrong| at(number, line, wrong))?;
    }
    for (number, line) in lines {
        let cells = if as_json { json_cells(line) } else { csv_cells(line, &header) };
        take(number, line, &cells.map_err(|wrong| at(number, line, wrong))?)?;
    }
    Ok(())
}

/// The column of a byte of a line, counted in characters from 1.
pub(super) fn column(line: &str, offset: usize) -> u32 {
    let before = line.char_indices().take_while(|(at, _)| *at < offset).count();
    u32::try_from(before).unwrap_or(u32::MAX - 1) + 1
}

fn read_header(line: &str) -> Result<Vec<Member>, Wrong> {
    let mut header: Vec<Member> = Vec::new();
    for cell in split(line)? {
        let member = Member::named(cell.text.trim()).map_err(|message| (cell.offset, message))?;
        if header.contains(&member) {
            return Err((cell.offset, format!("`{}` stands here twice", cell.text.trim())));
        }
        header.push(member);
    }
    Ok(header)
}

fn csv_cells<'a>(line: &'a str, header: &[Member]) -> Result<Cells<'a>, Wrong> {
    let mut cells = Cells::default();
    let mut members = header.iter();
    for cell in split(line)? {
        let Some(member) = members.next() else {
            return Err((cell.offset, format!("the header names {} columns, here is one more", header.len())));
        };
        cells.put(*member, cell);
    }
    Ok(cells)
}

/// A line of CSV (RFC 4180; a quoted cell ends on its line).
fn split(line: &str) -> Result<Vec<Cell<'_>>, Wrong> {
    let mut cells = Vec::new();
    let mut offset = 0;
    loop {
        let rest = &line[offset..];
        let length = if rest.trim_start().starts_with('"') {
            let (cell, length) = quoted(rest, offset)?;
            cells.push(cell);
            length
        } else {
            let length = rest.find(',').unwrap_or(rest.len());
            let text = rest[..length].trim();
            let lead = rest[..length].len() - rest[..length].trim_start().len();
            cells.push(Cell { offset: offset + lead, text: Cow::Borrowed(text) });
            length
        };
        offset += length;
        if offset >= line.len() {
            return Ok(cells);
        }
        offset += 1;
    }
}

/// A cell in quotes at the beginning of `rest`, and its length with blanks around it.
fn quoted(rest: &str, offset: usize) -> Result<(Cell<'_>, usize), Wrong> {
    let open = rest.find('"').unwrap_or(0) + 1;
    let mut text = String::new();
    let mut at = open;
    loop {
        let Some(quote) = rest[at..].find('"').map(|found| at + found) else {
            return Err((offset + open - 1, "the quote is not closed on this line".to_owned()));
        };
        text.push_str(&rest[at..quote]);
        at = quote + 1;
        if !rest[at..].starts_with('"') {
            break;
        }
        text.push('"');
        at += 1;
    }
    let after = rest[at..].find(',').unwrap_or(rest.len() - at);
    if !rest[at..at + after].trim().is_empty() {
        return Err((offset + at, "a comma is expected after the quote".to_owned()));
    }
    Ok((Cell { offset: offset + open, text: Cow::Owned(text) }, at + after))
}

/// A JSON object's members: texts and numbers; of lists, their entries with blanks between.
fn json_cells(line: &str) -> Result<Cells<'_>, Wrong> {
    let mut scan = Scan { line, at: 0 };
    let mut cells = Cells::default();
    scan.expect('{')?;
    if scan.next_is('}') {
        return scan.end().map(|()| cells);
    }
    loop {
        let key = scan.value()?;
        let text: String = parsed(&key)?;
        let member = Member::named(&text).map_err(|message| (key.offset, message))?;
        if cells.get(member).is_some() {
            return Err((key.offset, format!("`{text}` stands here twice")));
        }
        scan.expect(':')?;
        let value = scan.value()?;
        cells.put(member, plain(value)?);
        if !scan.next_is(',') {
            break;
        }
    }
    scan.expect('}')?;
    scan.end()?;
    Ok(cells)
}

fn parsed<T: serde::de::DeserializeOwned>(cell: &Cell<'_>) -> Result<T, Wrong> {
    serde_json::from_str(&cell.text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        (cell.offset + error.column().saturating_sub(1), message)
    })
}

/// A JSON value as a cell's text.
fn plain(value: Cell<'_>) -> Result<Cell<'_>, Wrong> {
    let offset = value.offset;
    let text = match value.text.chars().next() {
        Some('"') => Cow::Owned(parsed::<String>(&value)?),
        Some('[') => Cow::Owned(parsed::<Vec<String>>(&value)?.join(" ")),
        Some('{') => return Err((offset, "an object is not expected here".to_owned())),
        _ if value.text == "null" => Cow::Borrowed(""),
        _ => {
            parsed::<f64>(&value)?;
            value.text
        }
    };
    Ok(Cell { offset, text })
}

/// Finds the ends of JSON values without reading them.
struct Scan<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn skip_blanks(&mut self) {
        let rest = &self.line[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        let found = self.line[self.at..].starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), Wrong> {
        if self.next_is(wanted) { Ok(()) } else { Err((self.at, format!("`{wanted}` is expected here"))) }
    }

    fn end(&mut self) -> Result<(), Wrong> {
        self.skip_blanks();
        if self.at == self.line.len() { Ok(()) } else { Err((self.at, "one object a line is expected".to_owned())) }
    }

    fn value(&mut self) -> Result<Cell<'a>, Wrong> {
        self.skip_blanks();
        let offset = self.at;
        let (mut depth, mut in_text, mut escaped) = (0u32, false, false);
        let bytes = self.line.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b'[' | b'{' => depth += 1,
                b']' | b'}' if depth > 0 => depth -= 1,
                b',' | b':' | b'}' | b']' if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        let text = self.line[offset..self.at].trim_end();
        if text.is_empty() {
            return Err((offset, "a value is expected here".to_owned()));
        }
        Ok(Cell { offset, text: Cow::Borrowed(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Vec<(u32, Vec<(&'static str, u32, String)>)>;

    fn read(text: &str) -> Result<Found, String> {
        let mut found = Vec::new();
        each_line("jobs", text, |number, line, cells| {
            let present = Member::ALL.iter().filter_map(|(name, member)| {
                let cell = cells.get(*member)?;
                Some((*name, column(line, cell.offset), cell.text.to_string()))
            });
            found.push((number, present.collect()));
            Ok(())
        })
        .map_err(|problem| problem.to_string())?;
        Ok(found)
    }

    fn owned(cells: &[(&'static str, u32, &str)]) -> Vec<(&'static str, u32, String)> {
        cells.iter().map(|(name, column, text)| (*name, *column, (*text).to_owned())).collect()
    }

    #[test]
    fn csv_and_json_say_the_same() {
        let csv = "# a comment\nat,queue,duration,depends_on\n0, q ,\"uniform(1,2)\",\n\n5,\"q\"\"1\",é,a b\n";
        let first = owned(&[("at", 1, "0"), ("queue", 4, "q"), ("duration", 8, "uniform(1,2)")]);
        let second = owned(&[("at", 1, "5"), ("queue", 4, "q\"1"), ("duration", 10, "é"), ("depends_on", 12, "a b")]);
        assert_eq!(read(csv), Ok(vec![(3, first), (5, second)]));
        let json = r#"{"at": 0, "queue":"q", "duration": "uniform(1,2)", "share": null}
{"at":5,"depends_on":["a","b"]}
{}"#;
        let first = owned(&[("at", 8, "0"), ("queue", 19, "q"), ("duration", 36, "uniform(1,2)")]);
        let second = owned(&[("at", 7, "5"), ("depends_on", 22, "a b")]);
        assert_eq!(read(json), Ok(vec![(1, first), (2, second), (3, Vec::new())]));
    }

    #[test]
    fn what_is_wrong_is_said_with_line_and_column() {
        for (text, message) in [
            ("at,colour\n", "jobs:1:4: `colour` is not known of jobs"),
            ("at,at\n", "jobs:1:4: `at` stands here twice"),
            ("at\n1,2\n", "jobs:2:3: the header names 1 columns, here is one more"),
            ("at\n\"1\n", "jobs:2:1: the quote is not closed on this line"),
            ("at,name\n\"1\"x,\n", "jobs:2:4: a comma is expected after the quote"),
            ("{\"at\":1\n", "jobs:1:8: `}` is expected here"),
            ("{\"at\":1}\n{\"at\" 1}", "jobs:2:7: "),
            ("{\"at\":}", "jobs:1:7: a value is expected here"),
            ("{\"at\":tru}", "jobs:1:9: "),
            ("{\"at\":{}}", "jobs:1:7: an object is not expected here"),
            ("{\"é\":1}", "jobs:1:2: `é` is not known"),
            ("{\"at\":1} x", "jobs:1:10: one object a line is expected"),
            ("{\"at\":1,\"at\":2}", "jobs:1:9: `at` stands here twice"),
            ("{\"depends_on\":[1]}", "jobs:1:"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.starts_with(message), "{text}: {found}");
        }
    }
}
