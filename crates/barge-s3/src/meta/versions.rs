//! The versions of keys that a plain read doesn't see: older ones, and delete markers.
//!
//! What a plain read finds is a row among the objects; the other versions of its key are hidden, newest first. Where the
//! newest version is a delete marker, all of them are. In a bucket without versions nothing is ever hidden.

use super::listing::successor;
use super::{Entry, Marker, Object, Version, VersionId, objects};
use crate::error::Result;
use barge_core::Timestamp;
use barge_store::rusqlite::{Connection, OptionalExtension as _, Row, params};

/// The columns that an object's row has in both tables.
const COLUMNS: &str = "bucket, key, sequence, version, size, etag, modified, storage_class, checksum, detail";
/// The null version, by an index of its own.
const NULL_VERSION: &str = "version IS NULL AND sequence <= ?3";
const SHOWN: &str = "sequence, version, modified, size, etag, checksum, detail";

/// The version of `key` that a client asks for.
pub(crate) fn find(connection: &Connection, bucket: i64, key: &str, id: &VersionId) -> Result<Option<Entry>> {
    match objects::find(connection, bucket, key)?.filter(|object| id.is(&object.version)) {
        Some(current) => Ok(Some(Entry::Object(Box::new(current)))),
        None => hidden(connection, bucket, key, id),
    }
}

fn hidden(connection: &Connection, bucket: i64, key: &str, id: &VersionId) -> Result<Option<Entry>> {
    let found = match id {
        VersionId::Null => one(connection, bucket, key, NULL_VERSION, i64::MAX)?,
        VersionId::Made(version) => one(connection, bucket, key, "sequence = ?3", version.sequence)?,
    };
    Ok(found.filter(|entry| id.is(entry.version())))
}

/// The delete marker at `key`, where that is the newest version.
pub(crate) fn current_marker(connection: &Connection, bucket: i64, key: &str) -> Result<Option<Marker>> {
    Ok(match newest(connection, bucket, key)? {
        Some(Entry::Marker(marker)) if !objects::exists(connection, bucket, key)? => Some(marker),
        _ => None,
    })
}

/// The newest hidden version.
fn newest(connection: &Connection, bucket: i64, key: &str) -> Result<Option<Entry>> {
    one(connection, bucket, key, "sequence <= ?3 ORDER BY sequence DESC LIMIT 1", i64::MAX)
}

fn one(connection: &Connection, bucket: i64, key: &str, which: &str, sequence: i64) -> Result<Option<Entry>> {
    let mut query = connection
        .prepare_cached(&format!("SELECT {SHOWN} FROM s3_hidden WHERE bucket = ?1 AND key = ?2 AND {which}"))?;
    query.query_row(params![bucket, key.as_bytes(), sequence], |row| Ok(entry(row, key))).optional()?.transpose()
}

/// Every version of `key`, newest first.
pub(crate) fn of_key(connection: &Connection, bucket: i64, key: &str) -> Result<Vec<Entry>> {
    let mut entries: Vec<_> =
        objects::find(connection, bucket, key)?.map(|object| Entry::Object(Box::new(object))).into_iter().collect();
    let mut query = connection.prepare_cached(&format!(
        "SELECT {SHOWN} FROM s3_hidden WHERE bucket = ?1 AND key = ?2 ORDER BY sequence DESC"
    ))?;
    let mut rows = query.query(params![bucket, key.as_bytes()])?;
    while let Some(row) = rows.next()? {
        entries.push(entry(row, key)?);
    }
    Ok(entries)
}

/// Keys from one on but one, up to an end. The database merges both halves as it goes.
const KEYS: &str = "SELECT key FROM s3_objects
     WHERE bucket = ?1 AND key >= ?2 AND (?3 IS NULL OR key > ?3) AND (?4 IS NULL OR key < ?4)
     UNION SELECT key FROM s3_hidden
     WHERE bucket = ?1 AND key >= ?2 AND (?3 IS NULL OR key > ?3) AND (?4 IS NULL OR key < ?4)
     ORDER BY key LIMIT ?5";

/// Up to `limit` keys with a prefix, after `after`, in order, that have any version.
pub(crate) fn keys(
    connection: &Connection,
    bucket: i64,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    let mut query = connection.prepare_cached(KEYS)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let from = after.filter(|after| *after > prefix).unwrap_or(prefix).as_bytes();
    let end = successor(prefix.as_bytes());
    let mut rows = query.query(params![bucket, from, after.map(str::as_bytes), end, limit])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(String::from_utf8_lossy(row.get_ref(0)?.as_blob().unwrap_or_default()).into_owned());
    }
    Ok(keys)
}

/// Makes room in front of `key` for the version that comes: the object there is hidden, and the null version goes where
/// another one comes. Gives the blobs of what went.
pub(crate) fn make_room(
    connection: &Connection,
    bucket: i64,
    key: &str,
    current: Option<Object>,
    coming: &Version,
) -> Result<Vec<String>> {
    let null_comes = coming.id.is_none();
    match current {
        Some(current) if null_comes && current.version.id.is_none() => {
            objects::delete(connection, bucket, key)?;
            return Ok(current.blobs());
        }
        Some(_) => hide(connection, bucket, key)?,
        None => {}
    }
    let gone = if null_comes { hidden(connection, bucket, key, &VersionId::Null)? } else { None };
    match gone {
        Some(gone) => {
            delete(connection, bucket, key, gone.version())?;
            Ok(gone.into_blobs())
        }
        None => Ok(Vec::new()),
    }
}

fn hide(connection: &Connection, bucket: i64, key: &str) -> Result<()> {
    let mut moving = connection.prepare_cached(&format!(
        "INSERT INTO s3_hidden ({COLUMNS}) SELECT {COLUMNS} FROM s3_objects WHERE bucket = ?1 AND key = ?2"
    ))?;
    moving.execute(params![bucket, key.as_bytes()])?;
    objects::delete(connection, bucket, key)
}

/// Writes a delete marker, for which there is room.
pub(crate) fn mark(connection: &Connection, bucket: i64, marker: &Marker) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO s3_hidden (bucket, key, sequence, version, modified) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    statement.execute(params![
        bucket,
        marker.key.as_bytes(),
        marker.version.sequence,
        marker.version.id,
        marker.modified.millis()
    ])?;
    Ok(())
}

/// Removes one version for ever. Where it was the newest, the one before it is current, if it is an object.
pub(crate) fn remove(connection: &Connection, bucket: i64, key: &str, version: &Version) -> Result<()> {
    delete(connection, bucket, key, version)?;
    if objects::exists(connection, bucket, key)? {
        return Ok(());
    }
    if let Some(Entry::Object(object)) = newest(connection, bucket, key)? {
        delete(connection, bucket, key, &object.version)?;
        objects::put(connection, bucket, &object)?;
    }
    Ok(())
}

fn delete(connection: &Connection, bucket: i64, key: &str, version: &Version) -> Result<()> {
    for table in ["s3_objects", "s3_hidden"] {
        let mut statement = connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE bucket = ?1 AND key = ?2 AND sequence = ?3"))?;
        statement.execute(params![bucket, key.as_bytes(), version.sequence])?;
    }
    Ok(())
}

/// Writes anew what is said of a version, current or hidden.
pub(crate) fn update(connection: &Connection, bucket: i64, object: &Object) -> Result<()> {
    for table in ["s3_objects", "s3_hidden"] {
        let mut statement = connection.prepare_cached(&format!(
            "UPDATE {table} SET detail = ?4 WHERE bucket = ?1 AND key = ?2 AND sequence = ?3"
        ))?;
        let detail = serde_json::to_string(&object.detail)?;
        statement.execute(params![bucket, object.key.as_bytes(), object.version.sequence, detail])?;
    }
    Ok(())
}

fn entry(row: &Row<'_>, key: &str) -> Result<Entry> {
    let version = Version { sequence: row.get(0)?, id: row.get(1)? };
    let modified = Timestamp::from_millis(row.get(2)?);
    // A delete marker has nothing else.
    if row.get_ref(4)?.as_str_or_null().is_ok_and(|etag| etag.is_none()) {
        return Ok(Entry::Marker(Marker { key: key.to_owned(), version, modified }));
    }
    Ok(Entry::Object(Box::new(Object {
        key: key.to_owned(),
        version,
        size: super::unsigned(row.get(3)?),
        etag: row.get(4)?,
        modified,
        checksum: serde_json::from_str(row.get_ref(5)?.as_str().unwrap_or_default())?,
        detail: serde_json::from_str(row.get_ref(6)?.as_str().unwrap_or_default())?,
    })))
}

#[cfg(test)]
mod tests {
    use super::super::{Detail, Segment, Versioning, schema};
    use super::*;
    use crate::checksum::{Algorithm, Checksum, Coverage};
    use barge_core::RandomIds;

    fn tables(steps: &[&str]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for step in steps {
            connection.execute_batch(step).unwrap();
        }
        connection
    }

    fn object(blob: &str, version: Version) -> Object {
        Object {
            key: "k".into(),
            version,
            size: 1,
            etag: blob.into(),
            modified: Timestamp::default(),
            checksum: Checksum { algorithm: Algorithm::DEFAULT, coverage: Coverage::FullObject, value: String::new() },
            detail: Detail { segments: vec![Segment { blob: blob.into(), size: 1, part: None }], ..Detail::default() },
        }
    }

    /// Writes an object whose only blob is called `blob`; gives its version and the blobs that went.
    fn put(connection: &Connection, versioning: Versioning, blob: &str) -> (Version, Vec<String>) {
        let version = Version::next(connection, versioning, &RandomIds).unwrap();
        let current = objects::find(connection, 1, "k").unwrap();
        let gone = make_room(connection, 1, "k", current, &version).unwrap();
        objects::put(connection, 1, &object(blob, version.clone())).unwrap();
        (version, gone)
    }

    fn delete_marker(connection: &Connection, versioning: Versioning) -> (Version, Vec<String>) {
        let version = Version::next(connection, versioning, &RandomIds).unwrap();
        let current = objects::find(connection, 1, "k").unwrap();
        let gone = make_room(connection, 1, "k", current, &version).unwrap();
        let marker = Marker { key: "k".into(), version: version.clone(), modified: Timestamp::default() };
        mark(connection, 1, &marker).unwrap();
        (version, gone)
    }

    /// What a plain read finds, and all versions, newest first; a delete marker is `x`, a null version has a `-`.
    fn state(connection: &Connection) -> (Option<String>, Vec<String>) {
        let name = |entry: Entry| {
            let null = if entry.version().id.is_none() { "-" } else { "" };
            match entry {
                Entry::Object(object) => format!("{}{null}", object.etag),
                Entry::Marker(_) => format!("x{null}"),
            }
        };
        let current = objects::find(connection, 1, "k").unwrap().map(|object| object.etag);
        (current, of_key(connection, 1, "k").unwrap().into_iter().map(name).collect())
    }

    fn is(connection: &Connection, current: Option<&str>, all: &[&str]) {
        let (found, versions) = state(connection);
        assert_eq!((found.as_deref(), versions), (current, all.iter().map(|&name| name.to_owned()).collect()));
    }

    #[test]
    fn without_versions_an_object_is_replaced() {
        let connection = tables(schema::STEPS);
        assert!(put(&connection, Versioning::Never, "a").1.is_empty());
        assert_eq!(put(&connection, Versioning::Never, "b").1, ["a"]);
        is(&connection, Some("b"), &["b-"]);
    }

    #[test]
    fn with_versions_nothing_goes() {
        let connection = tables(schema::STEPS);
        put(&connection, Versioning::Never, "a");
        let (b, gone) = put(&connection, Versioning::Enabled, "b");
        assert!(gone.is_empty());
        let (x, _) = delete_marker(&connection, Versioning::Enabled);
        is(&connection, None, &["x", "b", "a-"]);
        assert_eq!(current_marker(&connection, 1, "k").unwrap().unwrap().version, x);
        put(&connection, Versioning::Enabled, "c");
        is(&connection, Some("c"), &["c", "x", "b", "a-"]);
        assert!(current_marker(&connection, 1, "k").unwrap().is_none());
        remove(&connection, 1, "k", &x).unwrap();
        is(&connection, Some("c"), &["c", "b", "a-"]);
        let asked = VersionId::parse(b.name()).unwrap();
        assert!(matches!(find(&connection, 1, "k", &asked).unwrap(), Some(Entry::Object(found)) if found.etag == "b"));
        assert!(find(&connection, 1, "other", &asked).unwrap().is_none());
    }

    #[test]
    fn a_suspended_bucket_has_one_null_version_of_a_key() {
        let connection = tables(schema::STEPS);
        put(&connection, Versioning::Never, "a");
        put(&connection, Versioning::Enabled, "b");
        assert_eq!(put(&connection, Versioning::Suspended, "c").1, ["a"]);
        is(&connection, Some("c"), &["c-", "b"]);
        assert_eq!(put(&connection, Versioning::Suspended, "d").1, ["c"]);
        is(&connection, Some("d"), &["d-", "b"]);
        assert_eq!(delete_marker(&connection, Versioning::Suspended).1, ["d"]);
        is(&connection, None, &["x-", "b"]);
        assert!(delete_marker(&connection, Versioning::Suspended).1.is_empty());
        is(&connection, None, &["x-", "b"]);
        put(&connection, Versioning::Enabled, "e");
        is(&connection, Some("e"), &["e", "x-", "b"]);
    }

    #[test]
    fn the_version_before_a_removed_one_is_current() {
        let connection = tables(schema::STEPS);
        let (a, _) = put(&connection, Versioning::Enabled, "a");
        let (x, _) = delete_marker(&connection, Versioning::Enabled);
        let (b, _) = put(&connection, Versioning::Enabled, "b");
        remove(&connection, 1, "k", &b).unwrap();
        is(&connection, None, &["x", "a"]);
        remove(&connection, 1, "k", &x).unwrap();
        is(&connection, Some("a"), &["a"]);
        put(&connection, Versioning::Enabled, "c");
        is(&connection, Some("c"), &["c", "a"]);
        remove(&connection, 1, "k", &a).unwrap();
        is(&connection, Some("c"), &["c"]);
    }

    #[test]
    fn tags_of_a_hidden_version_change_in_place() {
        let connection = tables(schema::STEPS);
        let (a, _) = put(&connection, Versioning::Enabled, "a");
        put(&connection, Versioning::Enabled, "b");
        let mut changed = object("a", a);
        changed.detail.attributes.tags = super::super::Tags::from([("k".into(), "v".into())]);
        update(&connection, 1, &changed).unwrap();
        let entries = of_key(&connection, 1, "k").unwrap();
        let tags: Vec<_> = entries
            .iter()
            .map(|entry| matches!(entry, Entry::Object(object) if !object.detail.attributes.tags.is_empty()))
            .collect();
        assert_eq!(tags, [false, true]);
    }

    #[test]
    fn what_looks_at_one_key_passes_over_no_others() {
        let connection = tables(schema::STEPS);
        let plan = |sql: &str, parameters: &[&dyn barge_store::rusqlite::ToSql]| -> String {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.query_map(parameters, |row| row.get::<_, String>(3)).unwrap();
            steps.map(std::result::Result::unwrap).collect::<Vec<_>>().join("; ")
        };
        let keys = plan(KEYS, params![1, b"", None::<Vec<u8>>, None::<Vec<u8>>, 9]);
        assert!(!keys.contains("TEMP B-TREE") && !keys.contains("SCAN"), "{keys}");
        let null = format!("SELECT {SHOWN} FROM s3_hidden WHERE bucket = ?1 AND key = ?2 AND {NULL_VERSION}");
        let null = plan(&null, params![1, b"k", 9]);
        assert!(null.contains("s3_hidden_null"), "{null}");
    }

    #[test]
    fn keys_come_in_order_and_once() {
        let connection = tables(schema::STEPS);
        let named =
            |key: &str, sequence| Object { key: key.into(), ..object("b", Version { sequence, id: Some("v".into()) }) };
        for key in ["a/1", "a/3", "b"] {
            objects::put(&connection, 1, &named(key, 9)).unwrap();
        }
        for (key, sequence) in [("a/2", 1), ("a/3", 1), ("a/3", 2)] {
            let Object { key, version, modified, .. } = named(key, sequence);
            mark(&connection, 1, &Marker { key, version, modified }).unwrap();
        }
        let keys = |prefix, after, limit| keys(&connection, 1, prefix, after, limit).unwrap();
        assert_eq!(keys("", None, 9), ["a/1", "a/2", "a/3", "b"]);
        assert_eq!(keys("a/", None, 2), ["a/1", "a/2"]);
        assert_eq!(keys("a/", Some("a/2"), 9), ["a/3"]);
        assert!(keys("a/", Some("a/3"), 9).is_empty());
    }

    #[test]
    fn objects_from_before_versions_are_null_versions() {
        let connection = tables(&schema::STEPS[..1]);
        let old = object("old", Version::default());
        connection
            .execute(
                "INSERT INTO s3_objects (bucket, key, size, etag, modified, storage_class, checksum, detail)
                 VALUES (1, ?1, 1, 'old', 5000, 'STANDARD', ?2, ?3)",
                params![
                    "k".as_bytes(),
                    serde_json::to_string(&old.checksum).unwrap(),
                    serde_json::to_string(&old.detail).unwrap()
                ],
            )
            .unwrap();
        connection.execute_batch(schema::STEPS[1]).unwrap();
        is(&connection, Some("old"), &["old-"]);
        let found = objects::find(&connection, 1, "k").unwrap().unwrap();
        assert_eq!((found.modified.millis(), found.blobs()), (5000, vec!["old".to_owned()]));
        put(&connection, Versioning::Enabled, "new");
        is(&connection, Some("new"), &["new", "old-"]);
    }
}
