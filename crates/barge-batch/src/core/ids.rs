//! Names of things in the core: small to keep, cheap to compare, and the same text everywhere outside.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A job: a UUID, 16 bytes in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u128);

impl JobId {
    /// The id with these 128 bits.
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }
}

/// One attempt of a job, the first numbered 1: `JOBID-NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The job.
    pub job: JobId,
    /// 1 for the first attempt.
    pub number: u32,
}

/// The text is not an id of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
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
}

impl FromStr for JobId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
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
        Ok(Self(bits))
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.job, self.number)
    }
}

impl FromStr for AttemptId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (job, number) = text.rsplit_once('-').ok_or(NotAnId)?;
        Ok(Self { job: job.parse()?, number: number.parse().map_err(|_| NotAnId)? })
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

as_text! { JobId AttemptId }

macro_rules! shared_text {
    ($(#[$doc:meta] $name:ident)*) => {
        $(#[$doc]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// A job queue, by its ARN.
    QueueId
    /// A compute environment, by its ARN.
    EnvironmentId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip() {
        let text = "0b1f9c7a-0000-4bcd-8ef0-00000000002a";
        let job: JobId = text.parse().unwrap();
        assert_eq!(job.to_string(), text);
        let attempt = AttemptId { job, number: 3 };
        assert_eq!(attempt.to_string(), format!("{text}-3"));
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "x", "0B1F9C7A-0000-4bcd-8ef0-00000000002a", "0b1f9c7a00004bcd8ef000000000002a", "é-é"] {
            assert_eq!(text.parse::<JobId>(), Err(NotAnId), "{text}");
            assert_eq!(text.parse::<AttemptId>(), Err(NotAnId), "{text}");
        }
        assert_eq!("0b1f9c7a-0000-4bcd-8ef0-00000000002a".parse::<AttemptId>(), Err(NotAnId));
    }
}
