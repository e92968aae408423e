//! IPv4 address blocks.

use crate::errors;
use barge_core::AwsError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 block whose host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Cidr {
    base: u32,
    length: u8,
}

/// The text is not a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotACidr(String);

impl Cidr {
    /// Reads a block; EC2's words where the text is none. Host bits that are set are cleared, as EC2 does.
    pub(crate) fn parse(text: &str) -> Result<Self, AwsError> {
        text.parse().map_err(|NotACidr(text)| {
            errors::invalid_value(format!(
                "Value ({text}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
            ))
        })
    }

    /// Every address there is.
    pub(crate) const ANYWHERE: Self = Self { base: 0, length: 0 };

    pub(crate) const fn length(self) -> u8 {
        self.length
    }

    /// How many addresses are in it.
    pub(crate) const fn size(self) -> u64 {
        1 << (32 - self.length)
    }

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.length <= other.length && other.base & mask(self.length) == self.base
    }

    pub(crate) const fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    pub(crate) const fn holds(self, address: Ipv4Addr) -> bool {
        self.contains(Self { base: address.to_bits(), length: 32 })
    }

    /// The address `offset` after the first; `None` beyond the last.
    pub(crate) fn address(self, offset: u32) -> Option<Ipv4Addr> {
        (u64::from(offset) < self.size()).then(|| Ipv4Addr::from_bits(self.base + offset))
    }
}

const fn mask(length: u8) -> u32 {
    match length {
        0 => 0,
        length => u32::MAX << (32 - length),
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let not = || NotACidr(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(not)?;
        let address: Ipv4Addr = address.parse().map_err(|_| not())?;
        let plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        let length: u8 = length.parse().ok().filter(|length| plain && *length <= 32).ok_or_else(not)?;
        Ok(Self { base: address.to_bits() & mask(length), length })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.base), self.length)
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|NotACidr(text)| format!("{text} is not a CIDR block"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_that_are_blocks_and_texts_that_are_not() {
        for (text, block) in [
            ("10.0.0.0/16", Some("10.0.0.0/16")),
            ("100.68.0.18/18", Some("100.68.0.0/18")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.0.0.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/+8", None),
            ("10.0.0/8", None),
            ("::/0", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Cidr>().ok().map(|cidr| cidr.to_string()).as_deref(), block, "{text}");
        }
    }

    fn any_cidr() -> impl Strategy<Value = Cidr> {
        (any::<u32>(), 0u8..=32).prop_map(|(base, length)| Cidr { base: base & mask(length), length })
    }

    proptest! {
        #[test]
        fn a_block_round_trips_through_text(cidr in any_cidr()) {
            prop_assert_eq!(cidr.to_string().parse::<Cidr>(), Ok(cidr));
        }

        #[test]
        fn overlap_is_having_an_address_in_common(a in any_cidr(), b in any_cidr()) {
            let (smaller, larger) = if a.size() <= b.size() { (a, b) } else { (b, a) };
            prop_assert_eq!(a.overlaps(b), larger.holds(Ipv4Addr::from_bits(smaller.base)));
        }

        #[test]
        fn every_address_of_a_block_is_in_it(cidr in any_cidr(), offset in any::<u32>()) {
            match cidr.address(offset) {
                Some(address) => prop_assert!(cidr.holds(address)),
                None => prop_assert!(u64::from(offset) >= cidr.size()),
            }
        }
    }
}
