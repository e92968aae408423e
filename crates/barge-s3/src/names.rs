//! Which names S3 takes (Amazon S3 User Guide, "General purpose bucket naming rules", "Object key naming").

use crate::error::{INVALID_BUCKET_NAME, Result};
use std::net::IpAddr;

const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// `InvalidBucketName` unless a bucket may be made with this name.
pub(crate) fn check_bucket(name: &str) -> Result<()> {
    if is_bucket(name) { Ok(()) } else { Err(INVALID_BUCKET_NAME.into()) }
}

fn is_bucket(name: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|&b| alphanumeric(b) || b == b'.' || b == b'-')
        && bytes.first().is_some_and(|&b| alphanumeric(b))
        && bytes.last().is_some_and(|&b| alphanumeric(b))
        && !name.contains("..")
        && name.parse::<IpAddr>().is_err()
        && !RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !RESERVED_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for name in ["abc", "a.b-c", "0ab", &"a".repeat(63)] {
            assert!(is_bucket(name), "{name}");
        }
        for name in [
            "",
            "ab",
            "Abc",
            "a_b",
            "-abc",
            "abc-",
            ".abc",
            "a..b",
            "192.168.0.1",
            "xn--abc",
            "sthree-abc",
            "abc-s3alias",
            "abc--x-s3",
            "a/b",
            "bücket",
            &"a".repeat(64),
        ] {
            assert!(!is_bucket(name), "{name}");
        }
    }
}
