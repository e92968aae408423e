//! From trees to Rust types and back, and the macros that the generated declarations are written in.

use crate::Shape;
use barge_core::{AwsError, Document, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// A Rust type that a tree can be read into.
pub trait Value: Sized {
    /// Reads the tree. It has been checked against the shape, or was written by [`Value::into_document`]; an error is
    /// a stored value from another version.
    fn from_document(document: Document) -> Result<Self, AwsError>;

    /// The tree of this value; structures are keyed by the model's member names.
    fn into_document(self) -> Document;
}

/// A generated type: its values have a shape in a model.
pub trait Typed: Value {
    /// The shape.
    const SHAPE: &'static Shape;
}

fn mismatch(expected: &str, document: &Document) -> AwsError {
    AwsError::new("SerializationException", 400, format!("Expected {expected}, found {}.", document.kind()))
}

macro_rules! scalar {
    ($type:ty, $expected:literal, $($pattern:pat => $value:expr),+) => {
        impl Value for $type {
            fn from_document(document: Document) -> Result<Self, AwsError> {
                match document {
                    $($pattern => Ok($value),)+
                    other => Err(mismatch($expected, &other)),
                }
            }

            fn into_document(self) -> Document {
                self.into()
            }
        }
    };
}

scalar!(String, "a string", Document::String(text) => text);
scalar!(bool, "a boolean", Document::Bool(b) => b);
scalar!(i64, "an integer", Document::Integer(n) => n);
#[allow(clippy::cast_precision_loss)] // a whole number where the model wants a float
mod float {
    use super::{AwsError, Document, Value, mismatch};
    scalar!(f64, "a number", Document::Float(n) => n, Document::Integer(n) => n as f64);
}

impl Value for Timestamp {
    #[allow(clippy::cast_possible_truncation)] // `as` saturates, and no moment is that far away
    fn from_document(document: Document) -> Result<Self, AwsError> {
        match document {
            Document::Timestamp(moment) => Ok(moment),
            Document::Float(seconds) => Ok(Self::from_millis((seconds * 1000.0).round() as i64)),
            Document::Integer(seconds) => Ok(Self::from_millis(seconds.saturating_mul(1000))),
            other => Err(mismatch("a timestamp", &other)),
        }
    }

    fn into_document(self) -> Document {
        Document::Timestamp(self)
    }
}

impl Value for Vec<u8> {
    fn from_document(document: Document) -> Result<Self, AwsError> {
        match document {
            Document::Blob(bytes) => Ok(bytes),
            Document::String(text) => STANDARD.decode(&text).map_err(|_| mismatch("base64", &Document::String(text))),
            other => Err(mismatch("a blob", &other)),
        }
    }

    fn into_document(self) -> Document {
        Document::Blob(self)
    }
}

impl<T: Value> Value for Box<T> {
    fn from_document(document: Document) -> Result<Self, AwsError> {
        T::from_document(document).map(Self::new)
    }

    fn into_document(self) -> Document {
        (*self).into_document()
    }
}

impl<T: Entry> Value for Vec<T> {
    fn from_document(document: Document) -> Result<Self, AwsError> {
        match document {
            Document::List(entries) => entries.into_iter().map(T::from_document).collect(),
            other => Err(mismatch("a list", &other)),
        }
    }

    fn into_document(self) -> Document {
        Document::List(self.into_iter().map(T::into_document).collect())
    }
}

/// What a list may hold: every value but a single byte, which is no value.
pub trait Entry: Value {}
impl Entry for String {}
impl Entry for bool {}
impl Entry for i64 {}
impl Entry for f64 {}
impl Entry for Timestamp {}
impl Entry for Vec<u8> {}
impl<T: Entry> Entry for Vec<T> {}
impl<T: Value> Entry for BTreeMap<String, T> {}

impl<T: Value> Value for BTreeMap<String, T> {
    fn from_document(document: Document) -> Result<Self, AwsError> {
        match document {
            Document::Map(entries) => {
                entries.into_iter().map(|(key, value)| Ok((key, T::from_document(value)?))).collect()
            }
            other => Err(mismatch("a map", &other)),
        }
    }

    fn into_document(self) -> Document {
        Document::Map(self.into_iter().map(|(key, value)| (key, value.into_document())).collect())
    }
}

/// Takes a member out of a structure's tree; null counts as absent.
#[doc(hidden)]
pub fn take<T: Value>(members: &mut IndexMap<String, Document>, name: &str) -> Result<Option<T>, AwsError> {
    match members.swap_remove(name) {
        None | Some(Document::Null) => Ok(None),
        Some(value) => T::from_document(value).map(Some),
    }
}

/// Reads a structure's tree as a map.
#[doc(hidden)]
pub(crate) fn members(document: Document) -> Result<IndexMap<String, Document>, AwsError> {
    match document {
        Document::Map(members) => Ok(members),
        Document::Null => Ok(IndexMap::new()),
        other => Err(mismatch("a structure", &other)),
    }
}

/// A member that the model requires is absent from a tree that was not checked.
#[doc(hidden)]
pub(crate) fn missing(structure: &str, member: &str) -> AwsError {
    AwsError::validation(format!("{structure} lacks its member {member}"))
}

impl Value for () {
    fn from_document(_: Document) -> Result<Self, AwsError> {
        Ok(())
    }

    fn into_document(self) -> Document {
        Document::Map(IndexMap::new())
    }
}

impl Typed for () {
    const SHAPE: &'static Shape = Shape::EMPTY;
}

/// Declares a structure: `req` members are plain, `opt` members are options.
macro_rules! structure {
    ($name:ident, $shape:path { $($kind:ident $member:ident: $type:ty = $wire:literal,)* }) => {
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(pub $member: $crate::typed::member_type!($kind $type),)*
        }

        impl $crate::typed::Value for $name {
            fn from_document(document: ::barge_core::Document) -> ::std::result::Result<Self, ::barge_core::AwsError> {
                let mut members = $crate::typed::members(document)?;
                ::std::result::Result::Ok(Self {
                    $($member: $crate::typed::take_member!($kind $type, members, $name, $wire),)*
                })
            }

            fn into_document(self) -> ::barge_core::Document {
                let mut members = ::indexmap::IndexMap::new();
                $($crate::typed::put_member!($kind self.$member, members, $wire);)*
                ::barge_core::Document::Map(members)
            }
        }

        impl $crate::typed::Typed for $name {
            const SHAPE: &'static $crate::Shape = &$shape;
        }

        $crate::typed::stored!($name);
    };
}

macro_rules! member_type {
    (req $type:ty) => { $type };
    (opt $type:ty) => { ::std::option::Option<$type> };
}

macro_rules! take_member {
    (req $type:ty, $members:ident, $name:ident, $wire:literal) => {
        $crate::typed::take::<$type>(&mut $members, $wire)?
            .ok_or_else(|| $crate::typed::missing(stringify!($name), $wire))?
    };
    (opt $type:ty, $members:ident, $name:ident, $wire:literal) => {
        $crate::typed::take::<$type>(&mut $members, $wire)?
    };
}

macro_rules! put_member {
    (req $self:ident.$member:ident, $members:ident, $wire:literal) => {
        $members.insert($wire.to_owned(), $crate::typed::Value::into_document($self.$member));
    };
    (opt $self:ident.$member:ident, $members:ident, $wire:literal) => {
        if let ::std::option::Option::Some(value) = $self.$member {
            $members.insert($wire.to_owned(), $crate::typed::Value::into_document(value));
        }
    };
}

/// Declares an enumeration of texts; its default is the first value.
macro_rules! enumeration {
    ($name:ident { $first:ident = $first_text:literal, $($variant:ident = $text:literal,)* }) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            #[default]
            $first,
            $($variant,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$variant,)*];

            /// As on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                }
            }

            /// The value that `text` names.
            pub fn parse(text: &str) -> ::std::option::Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::typed::Value for $name {
            fn from_document(document: ::barge_core::Document) -> ::std::result::Result<Self, ::barge_core::AwsError> {
                let text = <::std::string::String as $crate::typed::Value>::from_document(document)?;
                // In any case: where AWS minds it, the request was checked against the model before.
                let found = Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(&text));
                found.ok_or_else(|| {
                    ::barge_core::AwsError::validation(format!("{text} is not a value of {}", stringify!($name)))
                })
            }

            fn into_document(self) -> ::barge_core::Document {
                self.as_str().into()
            }
        }

        $crate::typed::stored!($name);
    };
}

/// Lets a generated type go into lists and, as JSON with the model's names, into the store.
macro_rules! stored {
    ($name:ident) => {
        impl $crate::typed::Entry for $name {}

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                ::serde::Serialize::serialize(&$crate::typed::Value::into_document(self.clone()), serializer)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                let document = <::barge_core::Document as ::serde::Deserialize>::deserialize(deserializer)?;
                $crate::typed::Value::from_document(document).map_err(::serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use {enumeration, member_type, put_member, stored, structure, take_member};
