//! What is wrong with an input, and where.

use std::fmt;

/// Something wrong in a file. Lines and columns count from 1; a column counts characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// The line; `None` where it concerns the file as a whole.
    pub line: Option<u32>,
    /// The column.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// Something wrong at a place.
    pub fn at(file: &str, line: u32, column: u32, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: Some(line), column: Some(column), message: message.into() }
    }

    /// Something wrong with the whole file.
    pub fn of(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, column: None, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Problem {}
