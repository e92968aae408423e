//! Which rows travel together, and which batches may be under way at once. Pure.
//!
//! The last row with a key wins, in file order, whatever the network does: within a batch a later row replaces the
//! earlier (BatchWriteItem refuses a key twice), and a batch waits until no batch under way holds one of its keys.

use std::collections::{HashMap, HashSet};

use crate::row::Row;

/// Most items in a BatchWriteItem call (its API reference).
const MAX_ROWS: usize = 25;

/// A batch is closed once it has this many bytes, so that large rows don't add up to much memory.
const FULL_BYTES: usize = 512 * 1024;

/// Most bytes in batches under way, one batch always excepted.
const MAX_BYTES_UNDER_WAY: usize = 2 * 1024 * 1024;

/// What identifies a row in the table.
pub(crate) type Key = Vec<String>;

/// Rows for one call, no two of the same key.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The rows, in the order of their keys' first appearance.
    pub(crate) rows: Vec<Row>,
    /// How many rows of the file this stands for: replaced ones count.
    pub(crate) taken: u64,
    places: HashMap<Key, usize>,
    bytes: usize,
}

impl Batch {
    /// Adds a row, in place of an earlier one of the same key.
    pub(crate) fn add(&mut self, key: Key, row: Row) {
        self.taken += 1;
        self.bytes += row.bytes;
        if let Some(&place) = self.places.get(&key) {
            self.bytes -= self.rows[place].bytes;
            self.rows[place] = row;
        } else {
            self.places.insert(key, self.rows.len());
            self.rows.push(row);
        }
    }

    /// Whether it is time to send it.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= MAX_ROWS || self.bytes >= FULL_BYTES
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Splits off what [`UnderWay`] keeps of it while the rows are away.
    pub(crate) fn depart(self) -> (Vec<Row>, Ticket) {
        (self.rows, Ticket { keys: self.places.into_keys().collect(), bytes: self.bytes, taken: self.taken })
    }
}

/// A batch that is under way, without its rows.
#[derive(Debug)]
pub(crate) struct Ticket {
    keys: Vec<Key>,
    bytes: usize,
    /// How many rows of the file the batch stands for.
    pub(crate) taken: u64,
}

/// The batches under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    most: usize,
    batches: usize,
    bytes: usize,
    keys: HashSet<Key>,
}

impl UnderWay {
    /// None yet; `most` batches at once.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, batches: 0, bytes: 0, keys: HashSet::new() }
    }

    /// Whether a batch may join now. An empty way admits any.
    pub(crate) fn admits(&self, batch: &Batch) -> bool {
        self.batches == 0
            || (self.batches < self.most
                && self.bytes + batch.bytes <= MAX_BYTES_UNDER_WAY
                && batch.places.keys().all(|key| !self.keys.contains(key)))
    }

    /// A batch sets off.
    pub(crate) fn depart(&mut self, ticket: &Ticket) {
        self.batches += 1;
        self.bytes += ticket.bytes;
        self.keys.extend(ticket.keys.iter().cloned());
    }

    /// A batch has arrived.
    pub(crate) fn arrive(&mut self, ticket: &Ticket) {
        self.batches -= 1;
        self.bytes -= ticket.bytes;
        for key in &ticket.keys {
            self.keys.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(value: &str) -> Row {
        Row { values: vec![value.to_owned()], bytes: value.len() }
    }

    fn key(name: &str) -> Key {
        vec![name.to_owned()]
    }

    fn batch(rows: &[(&str, &str)]) -> Batch {
        let mut batch = Batch::default();
        for (name, value) in rows {
            batch.add(key(name), row(value));
        }
        batch
    }

    #[test]
    fn a_later_row_replaces_an_earlier_of_the_same_key() {
        let batch = batch(&[("a", "1"), ("b", "2"), ("a", "333")]);
        assert_eq!(batch.rows, [row("333"), row("2")]);
        assert_eq!((batch.taken, batch.bytes), (3, 4));
    }

    #[test]
    fn a_batch_is_full_at_25_keys_or_by_its_bytes() {
        let mut batch = Batch::default();
        for index in 0..25 {
            assert!(!batch.is_full());
            batch.add(key(&index.to_string()), row("x"));
            batch.add(key(&index.to_string()), row("y"));
        }
        assert!(batch.is_full());
        let mut large = Batch::default();
        large.add(key("a"), Row { values: Vec::new(), bytes: FULL_BYTES });
        assert!(large.is_full());
    }

    #[test]
    fn a_batch_waits_for_its_keys_and_for_room() {
        let mut under_way = UnderWay::new(2);
        let (_, first) = batch(&[("a", "1"), ("b", "2")]).depart();
        under_way.depart(&first);
        assert!(!under_way.admits(&batch(&[("b", "3")])), "its key is under way");
        assert!(under_way.admits(&batch(&[("c", "3")])));
        let (_, second) = batch(&[("c", "3")]).depart();
        under_way.depart(&second);
        assert!(!under_way.admits(&batch(&[("d", "4")])), "two are the most");
        under_way.arrive(&first);
        assert!(under_way.admits(&batch(&[("b", "3")])));
        under_way.arrive(&second);
        let mut large = Batch::default();
        large.add(key("x"), Row { values: Vec::new(), bytes: MAX_BYTES_UNDER_WAY + 1 });
        assert!(under_way.admits(&large), "alone, any size may go");
    }

    proptest! {
        /// Whatever order batches arrive in, each key ends with the value of its last row.
        #[test]
        fn the_last_row_of_the_file_wins(
            rows in proptest::collection::vec((0..40_u8, any::<u16>()), 0..400),
            arrivals in proptest::collection::vec(any::<prop::sample::Index>(), 400),
        ) {
            let mut table = HashMap::new();
            let mut under_way = UnderWay::new(4);
            let mut away: Vec<(Vec<(Key, Row)>, Ticket)> = Vec::new();
            let mut arrivals = arrivals.into_iter();
            let mut land = |away: &mut Vec<(Vec<(Key, Row)>, Ticket)>, under_way: &mut UnderWay| {
                let (rows, ticket) = away.swap_remove(arrivals.next().unwrap().index(away.len()));
                under_way.arrive(&ticket);
                table.extend(rows);
            };
            let mut batch = Batch::default();
            for (index, (name, value)) in rows.iter().enumerate() {
                batch.add(key(&name.to_string()), Row { values: vec![name.to_string(), value.to_string()], bytes: 1 });
                if batch.is_full() || index + 1 == rows.len() {
                    let batch = std::mem::take(&mut batch);
                    while !under_way.admits(&batch) {
                        land(&mut away, &mut under_way);
                    }
                    let (rows, ticket) = batch.depart();
                    under_way.depart(&ticket);
                    away.push((rows.into_iter().map(|row| (key(&row.values[0]), row)).collect(), ticket));
                }
            }
            while !away.is_empty() {
                land(&mut away, &mut under_way);
            }
            let expected: HashMap<_, _> = rows.iter().map(|(name, value)| (key(&name.to_string()), value.to_string())).collect();
            let found: HashMap<_, _> = table.into_iter().map(|(key, row)| (key, row.values[1].clone())).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
