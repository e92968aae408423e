//! A tree of values without a schema: what protocols decode to, what templates are made of, what events carry.

use crate::Timestamp;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// One value. Maps keep the order in which their keys came.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Document {
    /// Absent, or JSON's `null`.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// Bytes; base64 in JSON.
    Blob(Vec<u8>),
    /// A moment; seconds since the epoch in JSON.
    Timestamp(Timestamp),
    /// Values in order.
    List(Vec<Document>),
    /// Values by key.
    Map(IndexMap<String, Document>),
}

impl Document {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a map.
    pub fn as_map(&self) -> Option<&IndexMap<String, Document>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The values of a list.
    pub fn as_list(&self) -> Option<&[Document]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The value at `key` of a map; `None` where this is not a map or lacks the key.
    pub fn get(&self, key: &str) -> Option<&Document> {
        self.as_map()?.get(key)
    }

    /// A scalar as text, as CloudFormation writes it: `true`, `7`, `0.25`. `None` for null, lists, maps, blobs and moments.
    pub fn scalar_text(&self) -> Option<String> {
        match self {
            Self::Bool(b) => Some(b.to_string()),
            Self::Integer(n) => Some(n.to_string()),
            Self::Float(n) => Some(n.to_string()),
            Self::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// What kind of value this is, for messages: `string`, `list`, …
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Float(_) => "number",
            Self::String(_) => "string",
            Self::Blob(_) => "blob",
            Self::Timestamp(_) => "timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// A map of `entries`.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Document)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// Reads JSON text.
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Compact JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

macro_rules! from {
    ($($type:ty => |$value:ident| $document:expr;)*) => {
        $(impl From<$type> for Document {
            fn from($value: $type) -> Self {
                $document
            }
        })*
    };
}

from! {
    bool => |v| Self::Bool(v);
    i32 => |v| Self::Integer(v.into());
    i64 => |v| Self::Integer(v);
    f64 => |v| Self::Float(v);
    &str => |v| Self::String(v.to_owned());
    String => |v| Self::String(v);
    Timestamp => |v| Self::Timestamp(v);
    Vec<Document> => |v| Self::List(v);
    IndexMap<String, Document> => |v| Self::Map(v);
}

impl<T: Into<Document>> From<Option<T>> for Document {
    /// `Null` for none.
    fn from(value: Option<T>) -> Self {
        value.map(Into::into).unwrap_or_default()
    }
}

impl<T: Into<Document>> FromIterator<T> for Document {
    /// A list.
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Integer(n) => serializer.serialize_i64(*n),
            Self::Float(n) => serializer.serialize_f64(*n),
            Self::String(text) => serializer.serialize_str(text),
            Self::Blob(bytes) => serializer.collect_str(&Base64Display::new(bytes, &STANDARD)),
            #[allow(clippy::cast_precision_loss)] // milliseconds fit 53 bits for the next 285,000 years
            Self::Timestamp(moment) => serializer.serialize_f64(moment.millis() as f64 / 1000.0),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(map) => serializer.collect_map(map),
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Document;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

            #[allow(clippy::cast_precision_loss)] // what doesn't fit i64 is a JSON number beyond any AWS member
            fn visit_u64<E>(self, v: u64) -> Result<Document, E> {
                Ok(i64::try_from(v).map_or(Document::Float(v as f64), Document::Integer))
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

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Document, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = seq.next_element()? {
                    list.push(value);
                }
                Ok(Document::List(list))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<Document, A::Error> {
                let mut map = IndexMap::new();
                while let Some((key, value)) = access.next_entry::<String, Document>()? {
                    map.insert(key, value);
                }
                Ok(Document::Map(map))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trips_in_order() {
        let text = r#"{"b":[1,-2,0.5,true,null],"a":{"x":"y"}}"#;
        assert_eq!(Document::from_json(text.as_bytes()).unwrap().to_json(), text);
    }

    #[test]
    fn scalars_as_cloudformation_writes_them() {
        for (value, text) in [
            (Document::Float(0.25), Some("0.25")),
            (Document::Integer(1), Some("1")),
            (Document::Bool(true), Some("true")),
            (Document::from("x"), Some("x")),
            (Document::Null, None),
        ] {
            assert_eq!(value.scalar_text().as_deref(), text);
        }
    }
}
