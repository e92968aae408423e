//! Rows of buckets.

use super::{Bucket, Settings, scope};
use crate::error::Result;
use barge_core::{AccountId, Region, Timestamp};
use barge_store::rusqlite::{Connection, OptionalExtension as _, Row, params};

const COLUMNS: &str = "id, name, account, region, created, settings";

/// The bucket of this name, whoever owns it.
pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<Bucket>> {
    let mut query = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM s3_buckets WHERE name = ?1"))?;
    query.query_row([name], |row| Ok(bucket(row))).optional()?.transpose()
}

/// Makes the row of a bucket whose name is free. Its id is given by the database.
pub(crate) fn insert(connection: &Connection, bucket: &Bucket) -> Result<()> {
    connection.execute(
        "INSERT INTO s3_buckets (name, account, region, created, settings) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            bucket.name,
            bucket.scope.account.as_str(),
            bucket.scope.region.as_str(),
            bucket.created.millis(),
            serde_json::to_string(&bucket.settings)?
        ],
    )?;
    Ok(())
}

/// Replaces a bucket's settings.
pub(crate) fn configure(connection: &Connection, id: i64, settings: &Settings) -> Result<()> {
    let settings = serde_json::to_string(settings)?;
    connection.execute("UPDATE s3_buckets SET settings = ?2 WHERE id = ?1", params![id, settings])?;
    Ok(())
}

/// Removes the row of a bucket.
pub(crate) fn delete(connection: &Connection, id: i64) -> Result<()> {
    connection.execute("DELETE FROM s3_buckets WHERE id = ?1", [id])?;
    Ok(())
}

/// Up to `limit` of an account's buckets whose names come after `after`, by name.
pub(crate) fn list(
    connection: &Connection,
    account: &AccountId,
    region: Option<&Region>,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Bucket>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM s3_buckets
         WHERE account = ?1 AND name > ?2 AND substr(name, 1, length(?3)) = ?3 AND (?4 IS NULL OR region = ?4)
         ORDER BY name LIMIT ?5"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![account.as_str(), after, prefix, region.map(Region::as_str), limit], |row| {
        Ok(bucket(row))
    })?;
    rows.map(|row| row?).collect()
}

/// Every account's buckets that have lifecycle rules, by name.
pub(crate) fn with_lifecycle(connection: &Connection) -> Result<Vec<Bucket>> {
    let sql = format!("SELECT {COLUMNS} FROM s3_buckets WHERE settings ->> '$.lifecycle' IS NOT NULL ORDER BY name");
    let mut query = connection.prepare_cached(&sql)?;
    let rows = query.query_map([], |row| Ok(bucket(row)))?;
    rows.map(|row| row?).collect()
}

fn bucket(row: &Row<'_>) -> Result<Bucket> {
    Ok(Bucket {
        id: row.get(0)?,
        name: row.get(1)?,
        scope: scope(row.get_ref(2)?.as_str().unwrap_or_default(), row.get_ref(3)?.as_str().unwrap_or_default()),
        created: Timestamp::from_millis(row.get(4)?),
        settings: serde_json::from_str(row.get_ref(5)?.as_str().unwrap_or_default())?,
    })
}
