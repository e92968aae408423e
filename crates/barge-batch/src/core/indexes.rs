//! Sets of array indexes, kept as ranges: an array's ten thousand children cost as much as their states differ.

use std::collections::BTreeMap;

/// A set of numbers, kept as ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexSet {
    /// First of each range, and the first after it.
    ranges: BTreeMap<u32, u32>,
    /// How many numbers the ranges have.
    count: u32,
}

impl IndexSet {
    /// The numbers from `start` up to but not `end`.
    pub fn range(start: u32, end: u32) -> Self {
        let mut set = Self::default();
        set.insert_range(start, end);
        set
    }

    /// Whether `index` is in the set.
    pub fn contains(&self, index: u32) -> bool {
        self.ranges.range(..=index).next_back().is_some_and(|(_, end)| index < *end)
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many are in the set.
    pub const fn len(&self) -> u32 {
        self.count
    }

    /// The lowest.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first_key_value().map(|(start, _)| *start)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().flat_map(|(start, end)| *start..*end)
    }

    /// Adds `index`.
    pub fn insert(&mut self, index: u32) {
        if !self.contains(index) {
            self.insert_range(index, index + 1);
        }
    }

    /// Adds the numbers from `start` up to but not `end`.
    pub fn insert_range(&mut self, start: u32, end: u32) {
        if start >= end {
            return;
        }
        let (mut from, mut to) = (start, end);
        if let Some((before, upto)) = self.ranges.range(..=start).next_back().map(|(s, e)| (*s, *e))
            && upto >= start
        {
            from = before;
            to = to.max(upto);
            self.ranges.remove(&before);
            self.count -= upto - before;
        }
        while let Some((next, upto)) = self.ranges.range(from..=to).next().map(|(s, e)| (*s, *e)) {
            to = to.max(upto);
            self.ranges.remove(&next);
            self.count -= upto - next;
        }
        self.ranges.insert(from, to);
        self.count += to - from;
    }

    /// Takes `index` out, where it is there.
    pub fn remove(&mut self, index: u32) {
        let Some((start, end)) = self.ranges.range(..=index).next_back().map(|(s, e)| (*s, *e)) else { return };
        if index >= end {
            return;
        }
        self.ranges.remove(&start);
        self.count -= 1;
        if start < index {
            self.ranges.insert(start, index);
        }
        if index + 1 < end {
            self.ranges.insert(index + 1, end);
        }
    }
}

impl Extend<u32> for IndexSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, indexes: I) {
        indexes.into_iter().for_each(|index| self.insert(index));
    }
}

impl FromIterator<u32> for IndexSet {
    fn from_iter<I: IntoIterator<Item = u32>>(indexes: I) -> Self {
        let mut set = Self::default();
        set.extend(indexes);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(deeds in proptest::collection::vec((0u8..3, 0u32..40, 0u32..8), 0..60)) {
            let (mut set, mut model) = (IndexSet::default(), BTreeSet::new());
            for (deed, at, more) in deeds {
                match deed {
                    0 => {
                        set.insert(at);
                        model.insert(at);
                    }
                    1 => {
                        set.remove(at);
                        model.remove(&at);
                    }
                    _ => {
                        set.insert_range(at, at + more);
                        model.extend(at..at + more);
                    }
                }
                assert!(set.iter().eq(model.iter().copied()));
                assert_eq!((set.len() as usize, set.first()), (model.len(), model.first().copied()));
                assert!((0..50).all(|index| set.contains(index) == model.contains(&index)));
                let touching = set.ranges.iter().zip(set.ranges.iter().skip(1)).any(|((_, end), (next, _))| end >= next);
                assert!(!touching, "{set:?}");
            }
        }
    }
}
