//! Names of things in the core: small to keep, cheap to compare, and the same text everywhere outside.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A job: a UUID; or a child of an array job, the array's id with an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    bits: u128,
    index: Option<u32>,
}

impl JobId {
    /// The id with these 128 bits, of a job that is nobody's child.
    pub const fn new(bits: u128) -> Self {
        Self { bits, index: None }
    }

    /// The array's child at `index`.
    #[must_use]
    pub const fn child(self, index: u32) -> Self {
        Self { bits: self.bits, index: Some(index) }
    }

    /// The array of a child, and its index in it.
    pub const fn parent(self) -> Option<(Self, u32)> {
        match self.index {
            Some(index) => Some((Self::new(self.bits), index)),
            None => None,
        }
    }

    /// The array of a child; any other job itself.
    #[must_use]
    pub const fn root(self) -> Self {
        Self::new(self.bits)
    }
}

/// One attempt of a job, the first numbered 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The job.
    pub job: JobId,
    /// 1 for the first attempt.
    pub number: u32,
}

/// What one attempt runs on one node; an attempt of any but a multi-node job is one task, on node 0.
///
/// As text `UUID-NUMBER`, `UUID.INDEX-NUMBER` for children of arrays, `UUID_NODE-NUMBER` for nodes but the first: safe
/// in paths and URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The attempt.
    pub attempt: AttemptId,
    /// The node, from 0.
    pub node: u16,
}

impl AttemptId {
    /// What the attempt runs on a node.
    pub const fn task(self, node: u16) -> TaskId {
        TaskId { attempt: self, node }
    }
}

/// The text is not an id of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(f, self.bits)?;
        match self.index {
            Some(index) => write!(f, ":{index}"),
            None => Ok(()),
        }
    }
}

fn write_uuid(f: &mut fmt::Formatter<'_>, bits: u128) -> fmt::Result {
    write!(
        f,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        bits >> 96,
        (bits >> 80) & 0xffff,
        (bits >> 64) & 0xffff,
        (bits >> 48) & 0xffff,
        bits & 0xffff_ffff_ffff
    )
}

impl FromStr for JobId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        match text.split_once(':') {
            Some((uuid, index)) => Ok(Self { bits: read_uuid(uuid)?, index: Some(read_number(index)?) }),
            None => Ok(Self::new(read_uuid(text)?)),
        }
    }
}

fn read_uuid(text: &str) -> Result<u128, NotAnId> {
    let hyphens = [8, 13, 18, 23];
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return Err(NotAnId);
    }
    let mut bits = 0u128;
    for (at, byte) in bytes.iter().enumerate() {
        match (hyphens.contains(&at), byte) {
            (true, b'-') => {}
            (false, b'0'..=b'9' | b'a'..=b'f') => {
                bits = bits << 4 | u128::from(char::from(*byte).to_digit(16).ok_or(NotAnId)?);
            }
            _ => return Err(NotAnId),
        }
    }
    Ok(bits)
}

/// A number as it is written, without sign or leading zeros.
fn read_number<N: FromStr + fmt::Display>(text: &str) -> Result<N, NotAnId> {
    text.parse().ok().filter(|number: &N| number.to_string() == text).ok_or(NotAnId)
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task(0).fmt(f)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(f, self.attempt.job.bits)?;
        if let Some(index) = self.attempt.job.index {
            write!(f, ".{index}")?;
        }
        if self.node > 0 {
            write!(f, "_{}", self.node)?;
        }
        write!(f, "-{}", self.attempt.number)
    }
}

impl FromStr for TaskId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (rest, number) = text.rsplit_once('-').ok_or(NotAnId)?;
        let (rest, node) = match rest.split_once('_') {
            Some((rest, node)) => (rest, Some(read_number(node)?).filter(|node| *node > 0).ok_or(NotAnId)?),
            None => (rest, 0),
        };
        let job = match rest.split_once('.') {
            Some((uuid, index)) => JobId { bits: read_uuid(uuid)?, index: Some(read_number(index)?) },
            None => JobId::new(read_uuid(rest)?),
        };
        Ok(AttemptId { job, number: read_number(number)? }.task(node))
    }
}

macro_rules! as_text {
    ($($id:ty)*) => {
        $(impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        })*
    };
}

as_text! { JobId TaskId InstanceId }

macro_rules! shared_text {
    ($(#[$doc:meta] $name:ident)*) => {
        $(#[$doc]
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// This text; the core does not look into it.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::new(String::deserialize(deserializer)?))
            }
        })*
    };
}

shared_text! {
    /// Why something is as it is, for people.
    Reason
    /// The name of an instance type or a container.
    Name
    /// A job queue, by its ARN.
    QueueId
    /// A compute environment, by its ARN.
    EnvironmentId
    /// A consumable resource, by its ARN.
    ConsumableId
    /// A share identifier of a fair-share queue; empty in a first-in-first-out queue.
    ShareId
}

/// An instance of a compute environment, as text `i-` and seventeen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u64);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i-0{:016x}", self.0)
    }
}

impl FromStr for InstanceId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let digits = text.strip_prefix("i-0").filter(|digits| digits.len() == 16).ok_or(NotAnId)?;
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| NotAnId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0b1f9c7a-0000-4bcd-8ef0-00000000002a";

    #[test]
    fn ids_round_trip() {
        let job: JobId = UUID.parse().unwrap();
        for (job, text) in [(job, UUID.to_owned()), (job.child(17), format!("{UUID}:17"))] {
            assert_eq!(job.to_string(), text);
            assert_eq!(text.parse(), Ok(job));
        }
        for (task, text) in [
            (AttemptId { job, number: 3 }.task(0), format!("{UUID}-3")),
            (AttemptId { job: job.child(17), number: 1 }.task(0), format!("{UUID}.17-1")),
            (AttemptId { job, number: 2 }.task(4), format!("{UUID}_4-2")),
        ] {
            assert_eq!(task.to_string(), text);
            assert_eq!(text.parse(), Ok(task));
        }
        assert_eq!(InstanceId(42).to_string().parse(), Ok(InstanceId(42)));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "x", "0B1F9C7A-0000-4bcd-8ef0-00000000002a", "0b1f9c7a00004bcd8ef000000000002a", "é-é"] {
            assert_eq!(text.parse::<JobId>(), Err(NotAnId), "{text}");
            assert_eq!(text.parse::<TaskId>(), Err(NotAnId), "{text}");
        }
        for end in ["", "_0-1", ".01-1", ":1-1", "-+1", ".-1"] {
            assert_eq!(format!("{UUID}{end}").parse::<TaskId>(), Err(NotAnId), "{end}");
        }
        for end in [":", ":-1", ":01", ":x"] {
            assert_eq!(format!("{UUID}{end}").parse::<JobId>(), Err(NotAnId), "{end}");
        }
    }
}
