//! Listing a bucket: keys in order, those that share a prefix up to a delimiter rolled up into one entry; either of each
//! key what a plain read finds, or all versions, newest first.
//!
//! One pass over the index: after each rolled-up prefix the pass goes on behind its last key, so that a listing costs
//! as many steps as it has entries, however many keys are rolled up.

use super::{Version, unsigned};
use crate::checksum::Checksum;
use crate::error::Result;
use barge_core::Timestamp;
use barge_store::rusqlite::{CachedStatement, Connection, Row, params};

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
    /// Behind the version of this key and place, before older ones.
    Version(String, i64),
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

/// A version as listings show it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) version: Version,
    pub(crate) standing: Standing,
    pub(crate) modified: Timestamp,
    /// `None` for a delete marker.
    pub(crate) object: Option<Summary>,
}

/// Whether a version is its key's newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Latest,
    Older,
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub(crate) struct Page<E> {
    pub(crate) entries: Vec<E>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page begins, where there is more.
    pub(crate) next: Option<After>,
}

/// Rows from a key on, of that very key those below a place, up to an end.
const OBJECTS: &str = "SELECT key, size, etag, modified, storage_class, checksum FROM s3_objects
     WHERE bucket = ?1 AND key >= ?2 AND (key > ?2 OR sequence < ?3) AND (?4 IS NULL OR key < ?4)
     ORDER BY key";

/// The same of all versions. Both halves are in order already, so that the database merges them as it goes.
const VERSIONS: &str = "SELECT key, size, etag, modified, storage_class, checksum, sequence, version FROM s3_objects
     WHERE bucket = ?1 AND key >= ?2 AND (key > ?2 OR sequence < ?3) AND (?4 IS NULL OR key < ?4)
     UNION ALL
     SELECT key, size, etag, modified, storage_class, checksum, sequence, version FROM s3_hidden
     WHERE bucket = ?1 AND key >= ?2 AND (key > ?2 OR sequence < ?3) AND (?4 IS NULL OR key < ?4)
     ORDER BY key, sequence DESC";

/// Lists a bucket.
pub(crate) fn list(connection: &Connection, bucket: i64, query: &Query) -> Result<Page<Summary>> {
    walk(connection.prepare_cached(OBJECTS)?, bucket, query, |row, key| {
        let summary = summary(row, 1, key)?;
        Ok((After::Key(summary.key.clone()), summary))
    })
}

/// Lists the versions of a bucket.
pub(crate) fn list_versions(connection: &Connection, bucket: i64, query: &Query) -> Result<Page<Listed>> {
    let mut newer = match &query.after {
        After::Version(key, place) if *place < i64::MAX => Some(key.clone()),
        _ => None,
    };
    walk(connection.prepare_cached(VERSIONS)?, bucket, query, |row, key| {
        let standing = if newer.as_ref() == Some(&key) { Standing::Older } else { Standing::Latest };
        newer = Some(key.clone());
        let version = Version { sequence: row.get(6)?, id: row.get(7)? };
        let etag: Option<String> = row.get(2)?;
        let listed = Listed {
            standing,
            modified: Timestamp::from_millis(row.get(3)?),
            object: etag.map(|_| summary(row, 1, key.clone())).transpose()?,
            version,
            key,
        };
        Ok((After::Version(listed.key.clone(), listed.version.sequence), listed))
    })
}

/// Where a pass over rows begins.
struct Start {
    key: Vec<u8>,
    /// Of that very key, only versions older than this.
    before: i64,
}

/// Fills a page from rows of `statement`, whose first column is a key. `read` makes an entry of a row, and says where to
/// go on behind it.
fn walk<E>(
    mut statement: CachedStatement<'_>,
    bucket: i64,
    query: &Query,
    mut read: impl FnMut(&Row<'_>, String) -> Result<(After, E)>,
) -> Result<Page<E>> {
    let mut page = Page { entries: Vec::new(), prefixes: Vec::new(), next: None };
    if query.limit == 0 {
        return Ok(page);
    }
    let end = successor(query.prefix.as_bytes());
    let mut from = Some(start(query));
    let mut last = None;
    while let Some(at) = from.take() {
        let mut rows = statement.query(params![bucket, at.key, at.before, end])?;
        while let Some(row) = rows.next()? {
            let key = String::from_utf8_lossy(row.get_ref(0)?.as_blob().unwrap_or_default());
            if page.entries.len() + page.prefixes.len() == query.limit {
                page.next = last;
                return Ok(page);
            }
            if let Some(common) = common_prefix(&key, &query.prefix, &query.delimiter) {
                from = successor(common.as_bytes()).map(Start::at);
                page.prefixes.push(common.to_owned());
                last = Some(After::Prefix(common.to_owned()));
                break;
            }
            let (place, entry) = read(row, key.into_owned())?;
            last = Some(place);
            page.entries.push(entry);
        }
    }
    Ok(page)
}

impl Start {
    fn at(key: Vec<u8>) -> Self {
        Self { key, before: i64::MAX }
    }
}

fn start(query: &Query) -> Start {
    let after = match &query.after {
        // A prefix that was an entry of the page before comes back as the key that clients go on after.
        After::Key(key) if common_prefix(key, &query.prefix, &query.delimiter) == Some(key) => {
            successor(key.as_bytes()).unwrap_or_default()
        }
        After::Key(key) => [key.as_bytes(), &[0]].concat(),
        After::Version(key, before) if key.as_bytes() >= query.prefix.as_bytes() => {
            return Start { key: key.clone().into_bytes(), before: *before };
        }
        After::Nothing | After::Version(..) => Vec::new(),
        After::Prefix(prefix) => successor(prefix.as_bytes()).unwrap_or_default(),
    };
    Start::at(after.max(query.prefix.as_bytes().to_vec()))
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
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            return Some(bytes);
        }
    }
    None
}

/// An object's columns, from the column `at`.
fn summary(row: &Row<'_>, at: usize, key: String) -> Result<Summary> {
    Ok(Summary {
        key,
        size: unsigned(row.get(at)?),
        etag: row.get(at + 1)?,
        modified: Timestamp::from_millis(row.get(at + 2)?),
        storage_class: row.get(at + 3)?,
        checksum: serde_json::from_str(row.get_ref(at + 4)?.as_str().unwrap_or_default())?,
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
                version: Version::default(),
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
            let mut entries: Vec<_> = page.entries.into_iter().map(|object| object.key).collect();
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

    fn version_of(connection: &Connection, key: &str, sequence: i64) {
        let sql = "INSERT INTO s3_hidden (bucket, key, sequence, version, modified) VALUES (1, ?1, ?2, 'v', 0)";
        connection.execute(sql, params![key.as_bytes(), sequence]).unwrap();
    }

    #[test]
    fn versions_are_listed_newest_first() {
        let bucket = bucket_of(["a", "c/1"]);
        for (key, sequence) in [("a", -1), ("a", -2), ("b", 5), ("b", 4), ("c/1", -9), ("c/2", 1)] {
            version_of(&bucket, key, sequence);
        }
        for (delimiter, entries) in [
            ("", vec!["a 0 Latest", "a -1", "a -2", "b 5 Latest", "b 4", "c/1 0 Latest", "c/1 -9", "c/2 1 Latest"]),
            ("/", vec!["a 0 Latest", "a -1", "a -2", "b 5 Latest", "b 4", "[c/]"]),
        ] {
            for limit in 1..10 {
                let mut query = query("", delimiter, limit);
                let mut listed = Vec::new();
                loop {
                    let page = list_versions(&bucket, 1, &query).unwrap();
                    assert!(page.entries.len() + page.prefixes.len() <= limit);
                    listed.extend(page.entries.into_iter().map(|entry| {
                        let latest = if entry.standing == Standing::Latest { " Latest" } else { "" };
                        format!("{} {}{latest}", entry.key, entry.version.sequence)
                    }));
                    listed.extend(page.prefixes.into_iter().map(|prefix| format!("[{prefix}]")));
                    match page.next {
                        Some(next) => query.after = next,
                        None => break,
                    }
                }
                assert_eq!(listed, entries, "{delimiter} {limit}");
            }
        }
    }

    #[test]
    fn a_listing_of_versions_goes_on_where_a_removed_one_was() {
        let bucket = bucket_of(["a"]);
        version_of(&bucket, "a", -5);
        let after = |place| {
            let query = Query { after: After::Version("a".into(), place), ..query("", "", 10) };
            let page = list_versions(&bucket, 1, &query).unwrap();
            page.entries.into_iter().map(|entry| (entry.version.sequence, entry.standing)).collect::<Vec<_>>()
        };
        assert_eq!(after(-3), [(-5, Standing::Older)]);
        assert_eq!(after(-5), []);
        assert_eq!(after(i64::MAX), [(0, Standing::Latest), (-5, Standing::Older)]);
    }

    #[test]
    fn listings_pass_over_an_index_and_sort_nothing() {
        let bucket = bucket_of([]);
        for sql in [OBJECTS, VERSIONS] {
            let mut plan = bucket.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.query_map(params![1, b"", 0, None::<Vec<u8>>], |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<_> = steps.map(std::result::Result::unwrap).collect();
            let passes = steps.iter().filter(|step| step.contains("s3_"));
            assert!(passes.clone().all(|step| step.contains("(bucket=? AND key>?)")), "{steps:?}");
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
        }
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
