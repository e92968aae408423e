//! Rows of multipart uploads and their parts.

use super::{Part, Upload, signed, unsigned};
use crate::error::Result;
use barge_core::Timestamp;
use barge_store::rusqlite::{Connection, OptionalExtension as _, Row, params};

/// The upload of this id, where it is of this key.
pub(crate) fn find(connection: &Connection, bucket: i64, key: &str, id: &str) -> Result<Option<Upload>> {
    let mut query = connection
        .prepare_cached("SELECT id, key, initiated, plan FROM s3_uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3")?;
    query.query_row(params![id, bucket, key.as_bytes()], |row| Ok(upload(row))).optional()?.transpose()
}

/// The uploads of a bucket that come after a key and id, by key and id.
/// `visit` gets each until it says to stop.
pub(crate) fn each(
    connection: &Connection,
    bucket: i64,
    after: (&str, &str),
    mut visit: impl FnMut(Upload) -> std::ops::ControlFlow<()>,
) -> Result<()> {
    let mut query = connection.prepare_cached(
        "SELECT id, key, initiated, plan FROM s3_uploads
         WHERE bucket = ?1 AND (key > ?2 OR (key = ?2 AND id > ?3)) ORDER BY key, id",
    )?;
    let mut rows = query.query(params![bucket, after.0.as_bytes(), after.1])?;
    while let Some(row) = rows.next()? {
        if visit(upload(row)?).is_break() {
            break;
        }
    }
    Ok(())
}

fn upload(row: &Row<'_>) -> Result<Upload> {
    Ok(Upload {
        id: row.get(0)?,
        key: String::from_utf8_lossy(row.get_ref(1)?.as_blob().unwrap_or_default()).into_owned(),
        initiated: Timestamp::from_millis(row.get(2)?),
        plan: serde_json::from_str(row.get_ref(3)?.as_str().unwrap_or_default())?,
    })
}

/// Makes the row of an upload.
pub(crate) fn insert(connection: &Connection, bucket: i64, upload: &Upload) -> Result<()> {
    connection.execute(
        "INSERT INTO s3_uploads (id, bucket, key, initiated, plan) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            upload.id,
            bucket,
            upload.key.as_bytes(),
            upload.initiated.millis(),
            serde_json::to_string(&upload.plan)?
        ],
    )?;
    Ok(())
}

/// Removes the rows of an upload and its parts.
pub(crate) fn delete(connection: &Connection, id: &str) -> Result<()> {
    connection.execute("DELETE FROM s3_parts WHERE upload = ?1", [id])?;
    connection.execute("DELETE FROM s3_uploads WHERE id = ?1", [id])?;
    Ok(())
}

/// Makes or replaces the row of a part, and gives the blob that it replaces.
pub(crate) fn put_part(connection: &Connection, upload: &str, part: &Part) -> Result<Option<String>> {
    let old = connection
        .query_row("SELECT blob FROM s3_parts WHERE upload = ?1 AND number = ?2", params![upload, part.number], |row| {
            row.get(0)
        })
        .optional()?;
    connection.execute(
        "INSERT OR REPLACE INTO s3_parts (upload, number, blob, size, etag, modified, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![upload, part.number, part.blob, signed(part.size), part.etag, part.modified.millis(), part.checksum],
    )?;
    Ok(old)
}

/// Up to `limit` parts of an upload with numbers above `after`, by number.
pub(crate) fn parts(connection: &Connection, upload: &str, after: u32, limit: usize) -> Result<Vec<Part>> {
    let mut query = connection.prepare_cached(
        "SELECT number, blob, size, etag, modified, checksum FROM s3_parts
         WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
    )?;
    let rows = query.query_map(params![upload, after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(Part {
            number: row.get(0)?,
            blob: row.get(1)?,
            size: unsigned(row.get(2)?),
            etag: row.get(3)?,
            modified: Timestamp::from_millis(row.get(4)?),
            checksum: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}
