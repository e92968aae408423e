//! Reading resource properties: a member that isn't read is refused by its name.

use barge_core::{AwsError, Document};
use std::collections::BTreeMap;

/// A structure among the properties, named for messages by its path.
pub(super) struct Members<'d> {
    path: String,
    map: BTreeMap<&'d str, &'d Document>,
}

impl<'d> Members<'d> {
    pub(super) fn of(path: &str, document: &'d Document) -> Result<Self, AwsError> {
        let map = document.as_map().ok_or_else(|| mistyped(path, "an object", document))?;
        Ok(Self { path: path.to_owned(), map: map.iter().map(|(name, value)| (name.as_str(), value)).collect() })
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'d Document> {
        self.map.remove(name).filter(|value| **value != Document::Null)
    }

    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, AwsError> {
        let path = self.path(name);
        self.take(name).map(|value| value.scalar_text().ok_or_else(|| mistyped(&path, "a string", value))).transpose()
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String, AwsError> {
        let path = self.path(name);
        self.text(name)?.ok_or_else(|| AwsError::validation(format!("Property {path} is required")))
    }

    /// A whole number that is not negative, also as text.
    pub(super) fn number<N: std::str::FromStr>(&mut self, name: &str) -> Result<Option<N>, AwsError> {
        let path = self.path(name);
        self.take(name)
            .map(|value| {
                let number = value.scalar_text().and_then(|text| text.parse().ok());
                number.ok_or_else(|| mistyped(&path, "a whole number from 0", value))
            })
            .transpose()
    }

    pub(super) fn required_number<N: std::str::FromStr>(&mut self, name: &str) -> Result<N, AwsError> {
        let path = self.path(name);
        self.number(name)?.ok_or_else(|| AwsError::validation(format!("Property {path} is required")))
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, AwsError> {
        let path = self.path(name);
        self.take(name)
            .map(|value| match value.scalar_text().as_deref() {
                Some("true") => Ok(true),
                Some("false") => Ok(false),
                _ => Err(mistyped(&path, "a boolean", value)),
            })
            .transpose()
    }

    pub(super) fn list(&mut self, name: &str) -> Result<&'d [Document], AwsError> {
        let path = self.path(name);
        match self.take(name) {
            Some(value) => value.as_list().ok_or_else(|| mistyped(&path, "a list", value)),
            None => Ok(&[]),
        }
    }

    /// A list of texts; without one, none.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, AwsError> {
        let path = self.path(name);
        let text = |value: &Document| value.scalar_text().ok_or_else(|| mistyped(&path, "a list of strings", value));
        self.list(name)?.iter().map(text).collect()
    }

    pub(super) fn members(&mut self, name: &str) -> Result<Option<Members<'d>>, AwsError> {
        let path = self.path(name);
        self.take(name).map(|value| Members::of(&path, value)).transpose()
    }

    /// Refuses what has not been taken.
    pub(super) fn finish(self) -> Result<(), AwsError> {
        match self.map.keys().next() {
            Some(name) => {
                Err(AwsError::validation(format!("Barge does not implement the property {}", self.path(name))))
            }
            None => Ok(()),
        }
    }
}

fn mistyped(path: &str, expected: &str, found: &Document) -> AwsError {
    AwsError::validation(format!("Property {path} must be {expected}, not a {}", found.kind()))
}
