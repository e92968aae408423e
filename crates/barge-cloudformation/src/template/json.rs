//! JSON templates, read so that repeated keys are noticed.

use super::problem::Path;
use super::source::{MOST_WARNINGS, Source, SyntaxError, Warning};
use barge_core::Document;
use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;

pub(super) fn parse(text: &str) -> Result<Source, SyntaxError> {
    let repeated = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let root = Seed { path: Path::default(), repeated: &repeated }
        .deserialize(&mut deserializer)
        .and_then(|root| deserializer.end().map(|()| root))
        .map_err(|error| SyntaxError {
            notation: "JSON",
            line: error.line(),
            column: error.column(),
            detail: error.to_string(),
        })?;
    let repeated = repeated.into_inner().into_iter().take(MOST_WARNINGS);
    let warnings = repeated.map(|(path, key)| Warning::repeated(path, &key, line_of(text, &key))).collect();
    Ok(Source { root, warnings })
}

/// The line of the key's last occurrence: serde gives values no place, and this is for a person who searches anyway.
fn line_of(text: &str, key: &str) -> usize {
    let quoted = serde_json::to_string(key).unwrap_or_default();
    let end = text.rfind(&quoted).unwrap_or(0);
    text[..end].matches('\n').count() + 1
}

struct Seed<'a> {
    path: Path,
    repeated: &'a RefCell<Vec<(Path, String)>>,
}

impl Seed<'_> {
    fn at(&self, part: impl fmt::Display) -> Self {
        Self { path: self.path.at(part), repeated: self.repeated }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Document, E> {
        Ok(Document::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Document, E> {
        Ok(Document::Integer(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Document, E> {
        // Beyond 64 signed bits only text keeps every digit.
        Ok(i64::try_from(v).map_or_else(|_| Document::String(v.to_string()), Document::Integer))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Document, E> {
        Ok(Document::Float(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Document, E> {
        Ok(Document::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Document, E> {
        Ok(Document::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Document, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(self.at(list.len()))? {
            list.push(value);
        }
        Ok(Document::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Document, A::Error> {
        let mut map = IndexMap::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(self.at(&key)).map_err(A::Error::custom)?;
            if map.insert(key.clone(), value).is_some() {
                self.repeated.borrow_mut().push((self.path.clone(), key));
            }
        }
        Ok(Document::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_as_written() {
        let source = parse(r#"{"a": [1, 0.25, true, "2012-10-17", 18446744073709551615], "b": null}"#).unwrap();
        assert_eq!(source.root.to_json(), r#"{"a":[1,0.25,true,"2012-10-17","18446744073709551615"],"b":null}"#);
        assert!(source.warnings.is_empty());
    }

    #[test]
    fn the_last_of_repeated_keys_counts_with_a_warning() {
        let source = parse("{\"a\": {\"k\": 1,\n \"k\": 2}}").unwrap();
        assert_eq!(source.root.to_json(), r#"{"a":{"k":2}}"#);
        assert_eq!(source.warnings[0].to_string(), "[/a] The key 'k' is repeated; the last one counts (line 2)");
    }

    #[test]
    fn what_is_not_json_is_placed() {
        for (text, line) in [("{", 1), ("{\n\"a\": }", 2), ("{} {}", 1)] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.notation, error.line), ("JSON", line), "{text}");
        }
        assert!(parse(&"{\"a\":".repeat(5000)).is_err());
    }
}
