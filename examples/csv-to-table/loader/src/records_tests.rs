//! What records are, as tables, and what must hold for any file and any cutting, as properties.

use proptest::prelude::*;

use super::*;
use crate::share::Share;

/// A record with its own bytes, and its line counted from the file's first, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    start: u64,
    end: u64,
    line: u64,
    bytes: Vec<u8>,
    shape: Shape,
}

fn owned(record: &Record<'_>, lines_before: u64) -> Owned {
    Owned {
        start: record.start,
        end: record.end,
        line: lines_before + record.line + 1,
        bytes: record.bytes.to_vec(),
        shape: record.shape,
    }
}

fn split(file: &[u8], chunk: usize, limit: u64) -> Vec<Owned> {
    let mut splitter = Splitter::new(0, Position::BEGINNING, limit);
    let mut records = Vec::new();
    for mut piece in file.chunks(chunk) {
        while let Some(record) = splitter.next(&mut piece) {
            records.push(owned(&record, 0));
        }
    }
    records.extend(splitter.finish().map(|record| owned(&record, 0)));
    records
}

fn texts(file: &[u8]) -> Vec<(u64, String, Shape)> {
    let name = |record: Owned| (record.line, String::from_utf8(record.bytes).unwrap(), record.shape);
    split(file, 7, MAX_RECORD).into_iter().map(name).collect()
}

fn whole(line: u64, text: &str) -> (u64, String, Shape) {
    (line, text.to_owned(), Shape::Whole)
}

#[test]
fn lines_end_with_any_line_break_and_the_last_with_none() {
    assert_eq!(texts(b"a,b\nc,d\r\ne,f\rg,h"), [whole(1, "a,b"), whole(2, "c,d"), whole(3, "e,f"), whole(4, "g,h")]);
}

#[test]
fn blank_lines_are_counted_but_are_no_records() {
    assert_eq!(texts(b"\n\na\r\n\r\nb\n\n"), [whole(3, "a"), whole(5, "b")]);
}

#[test]
fn quoted_line_breaks_belong_to_the_record() {
    let file = b"1,\"two\nlines\",x\r\n2,\"say \"\"hi\"\"\r\n\",y\n3";
    let records = texts(file);
    assert_eq!(records, [whole(1, "1,\"two\nlines\",x"), whole(3, "2,\"say \"\"hi\"\"\r\n\",y"), whole(5, "3")]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_record() {
    assert_eq!(texts(b"\xEF\xBB\xBF\"a\nb\",c\n"), [whole(1, "\"a\nb\",c")]);
    assert_eq!(texts(b"\xEF\xBB\xBF"), []);
    assert_eq!(texts(b"\xEF\xBB\xBF\n"), []);
    assert_eq!(texts("a\u{FEFF}b".as_bytes()), [whole(1, "a\u{FEFF}b")]);
}

#[test]
fn an_empty_file_has_no_records() {
    assert_eq!(texts(b""), []);
}

#[test]
fn broken_quotes_are_told() {
    assert_eq!(texts(b"\"a\"b,c\nd"), [(1, "\"a\"b,c".to_owned(), Shape::TextAfterQuote), whole(2, "d")]);
    assert_eq!(texts(b"a,\"b\nc"), [(1, "a,\"b\nc".to_owned(), Shape::Unclosed)]);
    assert_eq!(texts(b"5\" pipe,x\n"), [whole(1, "5\" pipe,x")]);
}

#[test]
fn an_unclosed_quote_costs_the_limit_and_not_the_file() {
    let records = split(b"1,\"open\n2,aaaa\n3,b\n4,c\n", 3, 10);
    let seen: Vec<_> = records.iter().map(|r| (r.line, r.start, r.end, r.shape)).collect();
    assert_eq!(
        seen,
        [(1, 0, 14, Shape::TooLong), (3, 15, 18, Shape::Whole), (4, 19, 22, Shape::Whole)],
        "the record ends at the first line break past ten bytes"
    );
}

#[test]
fn an_endless_record_takes_no_more_memory_than_twice_the_limit() {
    let mut splitter = Splitter::new(0, Position::BEGINNING, 5000);
    for _ in 0..1000 {
        let mut piece: &[u8] = &[b'x'; 1000];
        assert!(splitter.next(&mut piece).is_none());
        assert!(splitter.kept.capacity() < 20_000);
    }
    let record = splitter.finish().unwrap();
    assert_eq!((record.end, record.bytes.len(), record.shape), (1_000_000, 10_000, Shape::TooLong));
}

#[test]
fn a_locator_settles_at_a_closing_quote() {
    let mut locator = Locator::new(1000, MAX_RECORD);
    locator.push(b"a\nb");
    assert_eq!(locator.position(), None, "all this may be inside quotes");
    locator.push(b"\",c\nd");
    assert_eq!(locator.position(), Some(Position { state: State::Plain, start: 1007, after_return: false }));
}

#[test]
fn a_locator_without_quotes_settles_past_the_limit() {
    let mut locator = Locator::new(1000, 10);
    locator.push(b"a\nb\nc\nd\ne\n");
    assert_eq!(locator.position(), None);
    locator.push(b"f\n");
    assert_eq!(locator.position(), Some(Position { state: State::Start, start: 1012, after_return: false }));
}

/// What `csv-core` makes of a whole file: the fields of each record.
fn fields_by_csv_core(mut file: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv_core::Reader::new();
    let (mut output, mut ends) = (vec![0; 4096], vec![0; 4096]);
    let mut records = Vec::new();
    let (mut filled, mut ended) = (0, 0);
    loop {
        let (result, taken, out, end) = reader.read_record(file, &mut output[filled..], &mut ends[ended..]);
        file = &file[taken..];
        filled += out;
        ended += end;
        match result {
            csv_core::ReadRecordResult::InputEmpty => {}
            csv_core::ReadRecordResult::Record => {
                let mut from = 0;
                records.push(
                    ends[..ended].iter().map(|&to| output[std::mem::replace(&mut from, to)..to].to_vec()).collect(),
                );
                (filled, ended) = (0, 0);
            }
            csv_core::ReadRecordResult::End => return records,
            other => panic!("{other:?}"),
        }
    }
}

/// A child's way through its share, as the loader goes it: locate the beginning, looking back by `window` and
/// further as needed, then split on from there and take the records that begin within the share.
fn split_share(file: &[u8], share: Share, window: u64, limit: u64) -> Vec<Owned> {
    let part = share.of(file.len() as u64);
    let bytes = |from: u64, to: u64| &file[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()];
    let mut back = window;
    let position = loop {
        let from = look_back(part.start, back);
        let mut locator = Locator::new(from, limit);
        locator.push(bytes(from, part.start));
        if let Some(position) = locator.position() {
            break position;
        }
        assert!(from > 0, "from the beginning there is but one reading");
        back *= 2;
    };
    let mut before = LineCounter::default();
    before.push(bytes(0, part.start));

    let mut splitter = Splitter::new(part.start, position, limit);
    let mut records = Vec::new();
    let mut rest = bytes(part.start, file.len() as u64);
    while let Some(record) = splitter.next(&mut rest) {
        records.push(owned(&record, before.lines()));
    }
    records.extend(splitter.finish().map(|record| owned(&record, before.lines())));
    records.retain(|record| part.contains(&record.start));
    records
}

/// Files made of what makes CSV hard, in odd orders; now and then led by a byte-order mark.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"\""[..]),
        3 => Just(&b","[..]),
        3 => Just(&b"\n"[..]),
        1 => Just(&b"\r"[..]),
        2 => Just(&b"\r\n"[..]),
        4 => Just(&b"a"[..]),
        1 => Just(&b"some text"[..]),
        1 => Just(&b"\"\""[..]),
        2 => Just(&b",\"q\nq\",z\n"[..]),
        1 => Just(&b"\xFF"[..]),
    ];
    let mark = prop_oneof![4 => Just(&b""[..]), 1 => Just(&BYTE_ORDER_MARK[..])];
    (mark, proptest::collection::vec(piece, 0..60)).prop_map(|(mark, pieces)| [mark, &pieces.concat()].concat())
}

/// Files as people have them: rows of the same columns, properly quoted where needed.
fn proper_file() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        Just("plain".to_owned()),
        Just(String::new()),
        Just("\"\"".to_owned()),
        Just("\"a,b\"".to_owned()),
        Just("\"two\nlines\"".to_owned()),
        Just("\"\n\"".to_owned()),
        Just("\"say \"\"x\"\"\"".to_owned()),
    ];
    let row = proptest::collection::vec(field, 3).prop_map(|fields| fields.join(","));
    (proptest::collection::vec(row, 0..20), prop_oneof![Just("\n"), Just("\r\n")])
        .prop_map(|(rows, line_break)| rows.join(line_break).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn chunks_make_no_difference(file in any_file(), chunk in 1..9_usize, limit in 1..40_u64) {
        prop_assert_eq!(split(&file, chunk, limit), split(&file, 1 << 20, limit));
    }

    #[test]
    fn below_the_limit_records_are_those_of_csv_core(file in any_file()) {
        let records: Vec<_> = split(&file, 5, MAX_RECORD)
            .iter()
            .map(|record| fields_by_csv_core(&[b"first\n", &record.bytes[..]].concat()).swap_remove(1))
            .collect();
        prop_assert_eq!(records, fields_by_csv_core(&file));
    }

    #[test]
    fn children_together_read_every_record_once(
        file in prop_oneof![any_file(), proper_file()],
        children in 1..12_u32,
        window in 1..30_u64,
        limit in prop_oneof![1..40_u64, Just(MAX_RECORD)],
    ) {
        let together: Vec<_> = (0..children)
            .flat_map(|index| split_share(&file, Share::new(Some(index), Some(children)).unwrap(), window, limit))
            .collect();
        prop_assert_eq!(together, split(&file, 64, limit));
    }
}
