//! Listing a bucket: keys in order, those that share a prefix up to a delimiter rolled up into one entry.
//!
//! One pass over the index: after each rolled-up prefix the pass goes on behind its last key, so that a listing costs
//! as many steps as it has entries, however many keys are rolled up.

use super::unsigned;
use crate::checksum::Checksum;
use crate::error::Result;
use barge_core::Timestamp;
use barge_store::rusqlite::{Connection, Row, params};

/// Which keys, and how many entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) prefix: String,
    /// Empty for none.
    pub(crate) delimiter: String,
    pub(crate) after: After,
    pub(crate) limit: usize,
}

/// Where a listing begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum After {
    /// At the first key.
    #[default]
    Nothing,
    /// Behind this key; a prefix that rolls up keys on both sides of it is an entry.
    Key(String),
    /// Behind every key with this prefix.
    Prefix(String),
}

/// An object as listings show it.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) storage_class: String,
    pub(crate) checksum: Checksum,
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Summary>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page begins, where there is more.
    pub(crate) next: Option<After>,
}

/// Lists a bucket.
pub(crate) fn list(connection: &Connection, bucket: i64, query: &Query) -> Result<Page> {
    let mut page = Page::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut statement = connection.prepare_cached(
        "SELECT key, size, etag, modified, storage_class, checksum FROM s3_objects
         WHERE bucket = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key",
    )?;
    let end = successor(query.prefix.as_bytes());
    let mut from = Some(start(query));
    let mut last = None;
    while let Some(at) = from.take() {
        let mut rows = statement.query(params![bucket, at, end])?;
        while let Some(row) = rows.next()? {
            let key = String::from_utf8_lossy(row.get_ref(0)?.as_blob().unwrap_or_default());
            if page.objects.len() + page.prefixes.len() == query.limit {
                page.next = last;
                return Ok(page);
            }
            if let Some(common) = common_prefix(&key, &query.prefix, &query.delimiter) {
                from = successor(common.as_bytes());
                page.prefixes.push(common.to_owned());
                last = Some(After::Prefix(common.to_owned()));
                break;
            }
            last = Some(After::Key(key.clone().into_owned()));
            page.objects.push(summary(row, key.into_owned())?);
        }
    }
    Ok(page)
}

fn start(query: &Query) -> Vec<u8> {
    let after = match &query.after {
        After::Nothing => Vec::new(),
        // A prefix that was an entry of the page before comes back as the key that clients go on after.
        After::Key(key) if common_prefix(key, &query.prefix, &query.delimiter) == Some(key) => {
            successor(key.as_bytes()).unwrap_or_default()
        }
        After::Key(key) => [key.as_bytes(), &[0]].concat(),
        After::Prefix(prefix) => successor(prefix.as_bytes()).unwrap_or_default(),
    };
    after.max(query.prefix.as_bytes().to_vec())
}

/// The part of `key` up to the first delimiter after `prefix`, where there is one.
pub(crate) fn common_prefix<'k>(key: &'k str, prefix: &str, delimiter: &str) -> Option<&'k str> {
    if delimiter.is_empty() {
        return None;
    }
    let at = key.strip_prefix(prefix)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

/// The least bytes that are greater than everything that begins with `prefix`; `None` where there are none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            return Some(bytes);
        }
    }
    None
}

fn summary(row: &Row<'_>, key: String) -> Result<Summary> {
    Ok(Summary {
        key,
        size: unsigned(row.get(1)?),
        etag: row.get(2)?,
        modified: Timestamp::from_millis(row.get(3)?),
        storage_class: row.get(4)?,
        checksum: serde_json::from_str(row.get_ref(5)?.as_str().unwrap_or_default())?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Detail, Object, objects, schema};
    use super::*;
    use crate::checksum::{Algorithm, Coverage};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bucket_of<'k>(keys: impl IntoIterator<Item = &'k str>) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for step in schema::STEPS {
            connection.execute_batch(step).unwrap();
        }
        for key in keys {
            let checksum =
                Checksum { algorithm: Algorithm::DEFAULT, coverage: Coverage::FullObject, value: String::new() };
            let object = Object {
                key: key.to_owned(),
                size: 1,
                etag: "e".into(),
                modified: Timestamp::default(),
                checksum,
                detail: Detail::default(),
            };
            objects::put(&connection, 1, &object).unwrap();
        }
        connection
    }

    /// The entries of all pages, prefixes in brackets.
    fn pages(connection: &Connection, mut query: Query) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        loop {
            let page = list(connection, 1, &query).unwrap();
            let mut entries: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
            entries.extend(page.prefixes.into_iter().map(|prefix| format!("[{prefix}]")));
            pages.push(entries);
            match page.next {
                Some(next) => query.after = next,
                None => return pages,
            }
        }
    }

    fn query(prefix: &str, delimiter: &str, limit: usize) -> Query {
        Query { prefix: prefix.into(), delimiter: delimiter.into(), after: After::Nothing, limit }
    }

    #[test]
    fn listings_as_the_user_guide_shows_them() {
        let bucket = bucket_of(["sample.jpg", "photos/2006/January/a", "photos/2006/February/b", "photos/c", "z"]);
        for (prefix, delimiter, entries) in [
            ("", "/", vec!["sample.jpg", "z", "[photos/]"]),
            ("photos/", "/", vec!["photos/c", "[photos/2006/]"]),
            ("photos/2006/", "/", vec!["[photos/2006/February/]", "[photos/2006/January/]"]),
            ("photos/2006/", "", vec!["photos/2006/February/b", "photos/2006/January/a"]),
            ("none", "/", vec![]),
            ("", "ary/", vec!["photos/c", "sample.jpg", "z", "[photos/2006/February/]", "[photos/2006/January/]"]),
        ] {
            assert_eq!(pages(&bucket, query(prefix, delimiter, 1000)), [entries], "{prefix} {delimiter}");
        }
    }

    #[test]
    fn a_listing_goes_on_where_it_was_told() {
        let bucket = bucket_of(["a", "b/1", "b/2", "c"]);
        let after = |after| pages(&bucket, Query { after, ..query("", "/", 10) }).concat();
        assert_eq!(after(After::Key("a".into())), ["c", "[b/]"]);
        assert_eq!(after(After::Key("b/".into())), ["c"]);
        assert_eq!(after(After::Key("b/1".into())), ["c", "[b/]"]);
        assert_eq!(after(After::Prefix("b/".into())), ["c"]);
        assert_eq!(after(After::Key("c".into())), Vec::<String>::new());
    }

    #[test]
    fn a_listing_of_nothing_ends() {
        assert!(list(&bucket_of(["a"]), 1, &query("", "", 0)).unwrap().next.is_none());
    }

    proptest! {
        #[test]
        fn paging_gives_each_entry_once(
            keys in prop::collection::btree_set("[ab/é]{1,5}", 0..30),
            prefix in "[ab/]{0,2}",
            delimiter in "/?",
            limit in 1_usize..5,
        ) {
            let bucket = bucket_of(keys.iter().map(String::as_str));
            let mut expected = BTreeSet::new();
            for key in keys.iter().filter(|key| key.starts_with(&prefix)) {
                expected.insert(match common_prefix(key, &prefix, &delimiter) {
                    Some(common) => format!("[{common}]"),
                    None => key.clone(),
                });
            }
            let pages = pages(&bucket, query(&prefix, &delimiter, limit));
            for page in &pages[..pages.len() - 1] {
                prop_assert_eq!(page.len(), limit);
            }
            let entries: Vec<String> = pages.concat();
            prop_assert_eq!(entries.len(), expected.len());
            prop_assert_eq!(entries.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
