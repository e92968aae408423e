//! Rows of objects as a plain read finds them: of each key the current version. `versions` keeps the others.

use super::{Detail, Object, Version, signed, unsigned};
use crate::error::Result;
use barge_core::Timestamp;
use barge_store::rusqlite::{Connection, OptionalExtension as _, Row, params};

/// The object at `key`.
pub(crate) fn find(connection: &Connection, bucket: i64, key: &str) -> Result<Option<Object>> {
    let mut query = connection.prepare_cached(
        "SELECT size, etag, modified, checksum, detail, sequence, version FROM s3_objects WHERE bucket = ?1 AND key = ?2",
    )?;
    query.query_row(params![bucket, key.as_bytes()], |row| Ok(object(row, key))).optional()?.transpose()
}

fn object(row: &Row<'_>, key: &str) -> Result<Object> {
    let detail: Detail = serde_json::from_str(row.get_ref(4)?.as_str().unwrap_or_default())?;
    Ok(Object {
        key: key.to_owned(),
        version: Version { sequence: row.get(5)?, id: row.get(6)? },
        size: unsigned(row.get(0)?),
        etag: row.get(1)?,
        modified: Timestamp::from_millis(row.get(2)?),
        checksum: serde_json::from_str(row.get_ref(3)?.as_str().unwrap_or_default())?,
        detail,
    })
}

/// Whether there is an object at `key`.
pub(crate) fn exists(connection: &Connection, bucket: i64, key: &str) -> Result<bool> {
    let mut query =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM s3_objects WHERE bucket = ?1 AND key = ?2)")?;
    Ok(query.query_row(params![bucket, key.as_bytes()], |row| row.get(0))?)
}

/// Makes or replaces the row of an object.
pub(crate) fn put(connection: &Connection, bucket: i64, object: &Object) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO s3_objects (bucket, key, sequence, version, size, etag, modified, storage_class, checksum, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    statement.execute(params![
        bucket,
        object.key.as_bytes(),
        object.version.sequence,
        object.version.id,
        signed(object.size),
        object.etag,
        object.modified.millis(),
        object.detail.attributes.storage_class(),
        serde_json::to_string(&object.checksum)?,
        serde_json::to_string(&object.detail)?,
    ])?;
    Ok(())
}

/// Removes the row of an object.
pub(crate) fn delete(connection: &Connection, bucket: i64, key: &str) -> Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM s3_objects WHERE bucket = ?1 AND key = ?2")?;
    statement.execute(params![bucket, key.as_bytes()])?;
    Ok(())
}

/// Whether a bucket has any version of anything.
pub(crate) fn any(connection: &Connection, bucket: i64) -> Result<bool> {
    Ok(connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM s3_objects WHERE bucket = ?1)
             OR EXISTS (SELECT 1 FROM s3_hidden WHERE bucket = ?1)",
        [bucket],
        |row| row.get(0),
    )?)
}

/// Whether an object or part refers to `blob`. Reads every row: for the few blobs that a crash leaves in doubt.
pub(crate) fn refers(connection: &Connection, blob: &str) -> Result<bool> {
    Ok(connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM s3_parts WHERE blob = ?1)
             OR EXISTS (SELECT 1 FROM s3_objects WHERE instr(detail, ?1) > 0)
             OR EXISTS (SELECT 1 FROM s3_hidden WHERE instr(detail, ?1) > 0)",
        [blob],
        |row| row.get(0),
    )?)
}
