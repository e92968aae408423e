//! From a template's text to a tree, for both notations; repeated keys give warnings. What the tree means is not known
//! here.

use super::problem::Path;
use super::{json, yaml};
use barge_core::Document;
use std::fmt;

/// A template's tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The root: a map in any template worth reading. Short forms (`!Ref x`) are in their long form (`{"Ref": "x"}`).
    pub root: Document,
    /// What was accepted with a doubt.
    pub warnings: Vec<Warning>,
}

/// Something accepted that its author may not have meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub path: Path,
    /// Line in the text, from 1.
    pub line: usize,
    /// For people.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {} (line {})", self.path, self.message, self.line)
    }
}

impl Warning {
    pub(super) fn repeated(path: Path, key: &str, line: usize) -> Self {
        Self { path, line, message: format!("The key '{key}' is repeated; the last one counts") }
    }
}

/// The text is not of its notation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Template format error: {notation} not well-formed. (line {line}, column {column}): {detail}")]
pub struct SyntaxError {
    /// `YAML` or `JSON`.
    pub notation: &'static str,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// For people.
    pub detail: String,
}

/// Warnings that are kept: each becomes an event.
pub(super) const MOST_WARNINGS: usize = 50;

/// How deep a template may nest: bounds the stack that walks over it need.
pub(super) const DEEPEST: usize = 128;

impl Source {
    /// Reads JSON where the text begins with a brace, YAML otherwise.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') { json::parse(text) } else { yaml::parse(text) }
    }
}
