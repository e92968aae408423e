//! Which part of a file is one job's to load: arithmetic only.
//!
//! A file of `size` bytes is cut at `size * i / children`. A record belongs to the child in whose part its first
//! byte lies; so every record has one owner, however the cuts fall, and a child finds the end of its part by reading
//! on. How it finds the beginning is [`crate::records::Locator`]'s.

use std::ops::Range;

/// A job's place in its array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    index: u32,
    children: u32,
}

/// Why a share makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShareError {
    /// The index is not below the number of children.
    #[error("array index {index} is not below the array size {children}")]
    OutOfRange {
        /// The child's index, from 0.
        index: u32,
        /// The number of children.
        children: u32,
    },
    /// One of the two is given without the other.
    #[error("array index and array size must be given together")]
    Half,
}

impl Share {
    /// The share of a job on its own: everything.
    pub(crate) const WHOLE: Self = Self { index: 0, children: 1 };

    /// The share of child `index` of `children`; without either, everything.
    pub(crate) fn new(index: Option<u32>, children: Option<u32>) -> Result<Self, ShareError> {
        match (index, children) {
            (None, None) => Ok(Self::WHOLE),
            (Some(index), Some(children)) if index < children => Ok(Self { index, children }),
            (Some(index), Some(children)) => Err(ShareError::OutOfRange { index, children }),
            _ => Err(ShareError::Half),
        }
    }

    /// The offsets at which records of this share may begin, in a file of `size` bytes. May be empty.
    pub(crate) fn of(self, size: u64) -> Range<u64> {
        self.cut(self.index, size)..self.cut(self.index + 1, size)
    }

    /// What the names of this job's own output end with: nothing for a job on its own, `.INDEX` for a child.
    pub(crate) fn suffix(self) -> String {
        if self.children == 1 { String::new() } else { format!(".{}", self.index) }
    }

    /// What a log line says of it: nothing for a job on its own.
    pub(crate) fn label(self) -> String {
        if self.children == 1 { String::new() } else { format!(", share {} of {}", self.index + 1, self.children) }
    }

    fn cut(self, index: u32, size: u64) -> u64 {
        let cut = u128::from(size) * u128::from(index) / u128::from(self.children);
        let cut = u64::try_from(cut).unwrap_or(size);
        // No cut falls inside a byte-order mark: a locator couldn't tell that from text.
        if cut < 4 && index < self.children { 0 } else { cut }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_job_on_its_own_has_the_whole_file() {
        assert_eq!(Share::new(None, None), Ok(Share::WHOLE));
        assert_eq!(Share::WHOLE.of(1000), 0..1000);
        assert_eq!(Share::WHOLE.of(2), 0..2);
        assert_eq!(Share::WHOLE.suffix(), "");
    }

    #[test]
    fn a_child_has_its_part_and_its_own_suffix() {
        let child = Share::new(Some(1), Some(4)).unwrap();
        assert_eq!(child.of(1000), 250..500);
        assert_eq!(child.suffix(), ".1");
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Share::new(Some(4), Some(4)), Err(ShareError::OutOfRange { index: 4, children: 4 }));
        assert_eq!(Share::new(Some(0), Some(0)), Err(ShareError::OutOfRange { index: 0, children: 0 }));
        assert_eq!(Share::new(Some(0), None), Err(ShareError::Half));
        assert_eq!(Share::new(None, Some(2)), Err(ShareError::Half));
    }

    proptest! {
        #[test]
        fn parts_join_without_gap_or_overlap(size in prop_oneof![0..40_u64, any::<u64>()], children in 1..50_u32) {
            let mut next = 0;
            for index in 0..children {
                let part = Share::new(Some(index), Some(children)).unwrap().of(size);
                prop_assert_eq!(part.start, next);
                prop_assert!(part.end >= part.start);
                next = part.end;
            }
            prop_assert_eq!(next, size);
        }
    }
}
