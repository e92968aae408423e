//! From a record's bytes to a row of the table, or to the reason why it can't be one. Pure.

use csv_core::{ReadRecordResult, Reader};

use crate::records::{Record, Shape};

/// What the loader itself writes into each item, beside the row's columns.
pub(crate) const OWN_COLUMNS: [&str; 3] = ["Filename", "CreatedTime", "LastModified"];

/// Most bytes in a table's partition key and sort key, in this order (Amazon DynamoDB Developer Guide, "Constraints in
/// Amazon DynamoDB").
const KEY_LIMITS: [usize; 2] = [2048, 1024];

/// Most bytes in an item, names and values together (the same page).
const ITEM_LIMIT: usize = 400 * 1024;

/// The columns of a file, in its order, and which of them are the table's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    names: Vec<String>,
    /// Where the key's columns stand: partition key, then sort key if there is one.
    keys: Vec<usize>,
}

/// Why a file's columns can't be loaded. The whole file is then unreadable: guessing would fill the table with rubbish.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ColumnsError {
    /// The header row isn't a well-formed record.
    #[error("the header row is malformed: {0}")]
    Malformed(Reason),
    /// A column without a name.
    #[error("column {0} of the header row has no name")]
    Unnamed(usize),
    /// Two columns of one name.
    #[error("the header row names {0} twice")]
    Twice(String),
    /// A column that the loader writes itself.
    #[error("the header row names {0}, which the loader writes itself")]
    Reserved(String),
    /// A key's column is missing.
    #[error("the header row does not name the key column {0} (if the file has no header row, give its columns)")]
    NoKey(String),
}

/// Why a record is no row. What the rejected file says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    /// More or fewer fields than columns.
    #[error("wrong column count: {found}, the header has {expected}")]
    ColumnCount {
        /// Fields in the record.
        found: usize,
        /// Columns of the file.
        expected: usize,
    },
    /// A key's field is empty.
    #[error("{0} is empty")]
    EmptyKey(String),
    /// A key's field is longer than DynamoDB takes.
    #[error("{name} has {bytes} bytes, a key has at most {limit}")]
    LongKey {
        /// The column.
        name: String,
        /// Its field's length.
        bytes: usize,
        /// What DynamoDB takes.
        limit: usize,
    },
    /// A field isn't UTF-8.
    #[error("column {0} is not UTF-8")]
    NotUtf8(usize),
    /// A field goes on after its closing quote.
    #[error("text after a closing quote")]
    TextAfterQuote,
    /// The file ends within quotes.
    #[error("a quote that is never closed")]
    UnclosedQuote,
    /// More than an item can hold.
    #[error("too long for an item, perhaps for a quote that is never closed")]
    TooLong,
    /// More even than the rejected file takes; what isn't there is still in the file.
    #[error("too long for an item, and cut here after {kept} bytes: it is bytes {from} to {to} of the file")]
    Cut {
        /// Offset of the first byte.
        from: u64,
        /// Offset past the last byte.
        to: u64,
        /// How many bytes are at hand.
        kept: usize,
    },
    /// As an item it would be over DynamoDB's limit.
    #[error("an item of {0} bytes, DynamoDB takes at most 409600")]
    LargeItem(usize),
}

/// A row that can be written: a value for each column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The values, in the order of the file's columns.
    pub(crate) values: Vec<String>,
    /// The item's size as DynamoDB counts it, give or take the loader's own columns.
    pub(crate) bytes: usize,
}

impl Columns {
    /// Columns by name, of which `keys` are the table's key.
    pub(crate) fn new(names: Vec<String>, keys: &[String]) -> Result<Self, ColumnsError> {
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(ColumnsError::Unnamed(index + 1));
            }
            if OWN_COLUMNS.contains(&name.as_str()) {
                return Err(ColumnsError::Reserved(name.clone()));
            }
            if names[..index].contains(name) {
                return Err(ColumnsError::Twice(name.clone()));
            }
        }
        let place =
            |key: &String| names.iter().position(|name| name == key).ok_or_else(|| ColumnsError::NoKey(key.clone()));
        let keys = keys.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self { names, keys })
    }

    /// The columns that a header row names. Spaces around a name are no part of it.
    pub(crate) fn from_header(parser: &mut Parser, header: &Record<'_>, keys: &[String]) -> Result<Self, ColumnsError> {
        let names = parser.fields(header).map_err(ColumnsError::Malformed)?;
        Self::new(names.into_iter().map(|name| name.trim().to_owned()).collect(), keys)
    }

    /// The columns' names, in the file's order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The values that identify a row in the table: partition key, then sort key.
    pub(crate) fn key(&self, row: &Row) -> Vec<String> {
        self.keys.iter().map(|&index| row.values[index].clone()).collect()
    }

    /// Reads a record as a row of these columns.
    pub(crate) fn row(&self, parser: &mut Parser, record: &Record<'_>) -> Result<Row, Reason> {
        let values = parser.fields(record)?;
        if values.len() != self.names.len() {
            return Err(Reason::ColumnCount { found: values.len(), expected: self.names.len() });
        }
        for (&index, limit) in self.keys.iter().zip(KEY_LIMITS) {
            let (name, bytes) = (&self.names[index], values[index].len());
            if bytes == 0 {
                return Err(Reason::EmptyKey(name.clone()));
            }
            if bytes > limit {
                return Err(Reason::LongKey { name: name.clone(), bytes, limit });
            }
        }
        // An allowance for the loader's own columns: an object's key has at most 1,024 bytes, a time 24.
        let own = 1200;
        let bytes = own + values.iter().zip(&self.names).map(|(value, name)| value.len() + name.len()).sum::<usize>();
        if bytes > ITEM_LIMIT {
            return Err(Reason::LargeItem(bytes));
        }
        Ok(Row { values, bytes })
    }
}

/// Splits records into fields; keeps its buffers from one to the next.
#[derive(Debug)]
pub(crate) struct Parser {
    reader: Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
}

impl Parser {
    /// A parser with empty buffers.
    pub(crate) fn new() -> Self {
        let mut parser = Self { reader: Reader::new(), output: vec![0; 4096], ends: vec![0; 16] };
        // A reader strips a byte-order mark from its first input. The splitter has done so, and what looks like one
        // at the start of a share belongs to a value.
        parser.split(b"x");
        parser
    }

    /// The fields of a record that is one.
    fn fields(&mut self, record: &Record<'_>) -> Result<Vec<String>, Reason> {
        match record.shape {
            Shape::Whole => {}
            Shape::TextAfterQuote => return Err(Reason::TextAfterQuote),
            Shape::Unclosed => return Err(Reason::UnclosedQuote),
            Shape::TooLong if record.end - record.start > record.bytes.len() as u64 => {
                return Err(Reason::Cut { from: record.start, to: record.end, kept: record.bytes.len() });
            }
            Shape::TooLong => return Err(Reason::TooLong),
        }
        let fields = self.split(record.bytes);
        let mut from = 0;
        let text = |(index, &to): (usize, &usize)| {
            let field = &self.output[std::mem::replace(&mut from, to)..to];
            std::str::from_utf8(field).map(str::to_owned).map_err(|_| Reason::NotUtf8(index + 1))
        };
        self.ends[..fields].iter().enumerate().map(text).collect()
    }

    /// Fills `output` and `ends` with one record's fields; returns how many there are.
    fn split(&mut self, record: &[u8]) -> usize {
        let (mut filled, mut ended) = (0, 0);
        let mut input = record;
        let mut line_break: &[u8] = b"\n";
        loop {
            let source = if input.is_empty() { &mut line_break } else { &mut input };
            let (result, taken, out, end) =
                self.reader.read_record(source, &mut self.output[filled..], &mut self.ends[ended..]);
            *source = &source[taken..];
            filled += out;
            ended += end;
            match result {
                ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => return ended,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: &[u8]) -> Record<'_> {
        Record { start: 10, end: 10 + bytes.len() as u64, line: 0, bytes, shape: Shape::Whole }
    }

    fn keys() -> Vec<String> {
        ["ProductId", "ProductName"].map(str::to_owned).to_vec()
    }

    fn columns() -> Columns {
        let names = ["ProductId", "ProductName", "ProductDescription"].map(str::to_owned);
        Columns::new(names.to_vec(), &keys()).unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>, Reason> {
        columns().row(&mut Parser::new(), &record(bytes)).map(|row| row.values)
    }

    fn header(bytes: &[u8]) -> Result<Columns, ColumnsError> {
        Columns::from_header(&mut Parser::new(), &record(bytes), &keys())
    }

    #[test]
    fn rows_have_a_value_for_each_column() {
        assert_eq!(read(b"1,Fiber,Fast").unwrap(), ["1", "Fiber", "Fast"]);
        assert_eq!(
            read(b"1,\"Fiber, fast\",\"two\nlines and a \"\"quote\"\"\"").unwrap()[1..],
            ["Fiber, fast".to_owned(), "two\nlines and a \"quote\"".to_owned()]
        );
        assert_eq!(read(b"1,Fiber,").unwrap(), ["1", "Fiber", ""]);
        assert_eq!(read("\u{FEFF}1,Fiber,x".as_bytes()).unwrap()[0], "\u{FEFF}1");
    }

    #[test]
    fn malformed_rows_say_why() {
        assert_eq!(read(b"1,Fiber"), Err(Reason::ColumnCount { found: 2, expected: 3 }));
        assert_eq!(read(b"1,Fiber,a,b"), Err(Reason::ColumnCount { found: 4, expected: 3 }));
        assert_eq!(read(b",Fiber,a"), Err(Reason::EmptyKey("ProductId".to_owned())));
        assert_eq!(read(b"1,\"\",a"), Err(Reason::EmptyKey("ProductName".to_owned())));
        assert_eq!(read(b"1,Fiber,\xFF\xFE"), Err(Reason::NotUtf8(3)));
        let long = [b"1,", &[b'x'; 1025][..], b",a"].concat();
        let reason = Reason::LongKey { name: "ProductName".to_owned(), bytes: 1025, limit: 1024 };
        assert_eq!(read(&long), Err(reason));
        let large = [&b"1,Fiber,"[..], &vec![b'x'; 409_600]].concat();
        assert!(matches!(read(&large), Err(Reason::LargeItem(_))));
    }

    #[test]
    fn broken_shapes_say_why() {
        let row = |shape| columns().row(&mut Parser::new(), &Record { shape, ..record(b"1,Fiber,x") });
        assert_eq!(row(Shape::TextAfterQuote), Err(Reason::TextAfterQuote));
        assert_eq!(row(Shape::Unclosed), Err(Reason::UnclosedQuote));
        assert_eq!(row(Shape::TooLong), Err(Reason::TooLong));
        let cut = Record { shape: Shape::TooLong, end: 5000, ..record(b"1,Fiber,x") };
        assert_eq!(columns().row(&mut Parser::new(), &cut), Err(Reason::Cut { from: 10, to: 5000, kept: 9 }));
    }

    #[test]
    fn a_parser_goes_from_record_to_record() {
        let mut parser = Parser::new();
        let wide = vec![b','; 100];
        assert_eq!(parser.fields(&record(&wide)).unwrap().len(), 101);
        assert_eq!(parser.fields(&record(b"a,b")).unwrap(), ["a", "b"]);
        assert_eq!(parser.fields(&record(b"\"\"")).unwrap(), [""]);
    }

    #[test]
    fn the_header_names_the_columns_in_any_order() {
        let columns = header(b"ProductName, Price ,ProductId").unwrap();
        assert_eq!(columns.names(), ["ProductName", "Price", "ProductId"]);
        let row = columns.row(&mut Parser::new(), &record(b"Fiber,9,1")).unwrap();
        assert_eq!(columns.key(&row), ["1", "Fiber"]);
    }

    #[test]
    fn a_header_that_is_none_makes_the_file_unreadable() {
        assert_eq!(header(b"1,Fiber,Fast"), Err(ColumnsError::NoKey("ProductId".to_owned())));
        assert_eq!(header(b"ProductId,ProductName,ProductId"), Err(ColumnsError::Twice("ProductId".to_owned())));
        assert_eq!(header(b"ProductId,ProductName,"), Err(ColumnsError::Unnamed(3)));
        assert_eq!(header(b"ProductId,ProductName,Filename"), Err(ColumnsError::Reserved("Filename".to_owned())));
        assert_eq!(header(b"ProductId,\xFF"), Err(ColumnsError::Malformed(Reason::NotUtf8(2))));
    }
}
