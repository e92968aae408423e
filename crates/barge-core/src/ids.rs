//! Randomness as a parameter: services ask an [`IdSource`], so that tests decide the ids.

use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where unpredictable bytes come from.
pub trait IdSource: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A version 4 UUID in lower case with hyphens.
    fn uuid(&self) -> String {
        let mut b = [0; 16];
        self.fill(&mut b);
        format_uuid(b)
    }

    /// `digits` lower-case hexadecimal digits.
    fn hex(&self, digits: usize) -> String {
        let mut bytes = vec![0; digits.div_ceil(2)];
        self.fill(&mut bytes);
        let mut text = hex::encode(bytes);
        text.truncate(digits);
        text
    }

    /// `length` characters of `A-Z0-9`, as in access key ids and generated physical names.
    fn upper_alphanumeric(&self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        upper_alphanumeric(&bytes)
    }
}

fn upper_alphanumeric(bytes: &[u8]) -> String {
    // 32 letters, so that each byte's low five bits pick without bias.
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    bytes.iter().map(|b| char::from(ALPHABET[usize::from(b & 31)])).collect()
}

fn format_uuid(mut b: [u8; 16]) -> String {
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let h = hex::encode(b);
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}

/// The operating system's randomness.
#[derive(Debug, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    /// # Panics
    /// Where the operating system has no randomness to give: nothing secret could be made then.
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// Ids that follow from a seed: the same seed and the same calls give the same ids.
///
/// Tests use it; so do resource providers, whose ids derive from the creation token so that a repeated creation
/// finds what the first one made.
#[derive(Debug)]
pub struct SeededIds {
    seed: Vec<u8>,
    calls: AtomicU64,
}

impl SeededIds {
    /// Ids that follow from `seed`.
    pub fn new(seed: impl Into<Vec<u8>>) -> Self {
        Self { seed: seed.into(), calls: AtomicU64::new(0) }
    }
}

impl IdSource for SeededIds {
    fn fill(&self, bytes: &mut [u8]) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        for (block, chunk) in bytes.chunks_mut(32).enumerate() {
            let mut hash = Sha256::new();
            hash.update(&self.seed);
            hash.update(call.to_le_bytes());
            hash.update((block as u64).to_le_bytes());
            chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_ids() {
        let (one, same, other) = (SeededIds::new("a"), SeededIds::new("a"), SeededIds::new("b"));
        let first = one.uuid();
        assert_eq!(first, same.uuid());
        assert_ne!(first, other.uuid());
        assert_ne!(first, one.uuid());
    }

    #[test]
    fn ids_have_their_forms() {
        let ids = RandomIds;
        assert_eq!(ids.hex(17).len(), 17);
        assert_eq!(ids.upper_alphanumeric(16).len(), 16);
        let uuid = ids.uuid();
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
    }
}
