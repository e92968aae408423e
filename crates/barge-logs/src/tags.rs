//! Tags of log groups (Amazon CloudWatch Logs API Reference, TagResource and the older TagLogGroup).

use crate::errors::invalid;
use crate::{CloudWatchLogs, groups};
use barge_core::{AwsError, Context};
use barge_store::rusqlite::{Connection, params};
use barge_store::sql;
use barge_wire::logs::error;
use std::collections::BTreeMap;

/// Tags per resource, at most.
const MOST: i64 = 50;

/// What a set of tags must be.
pub(crate) fn check(tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    match tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        Some(key) => Err(invalid(format!("Tag keys starting with 'aws:' are reserved: {key}"))),
        None => Ok(()),
    }
}

/// Sets tags of a group, beside those that it has.
pub(crate) fn put(connection: &Connection, group: i64, tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    for (key, value) in tags {
        sql(connection.execute(
            "INSERT INTO logs_tags (grp, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (grp, key) DO UPDATE SET value = excluded.value",
            params![group, key, value],
        ))?;
    }
    let count: i64 =
        sql(connection.query_row("SELECT count(*) FROM logs_tags WHERE grp = ?1", [group], |row| row.get(0)))?;
    if count > MOST {
        return Err(error::too_many_tags_exception("The limit of 50 tags per resource has been exceeded."));
    }
    Ok(())
}

/// A group's tags.
pub(crate) fn get(connection: &Connection, group: i64) -> Result<BTreeMap<String, String>, AwsError> {
    let mut statement = sql(connection.prepare_cached("SELECT key, value FROM logs_tags WHERE grp = ?1"))?;
    sql(statement.query_map([group], |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect))
}

fn remove(connection: &Connection, group: i64, keys: &[String]) -> Result<(), AwsError> {
    for key in keys {
        sql(connection.execute("DELETE FROM logs_tags WHERE grp = ?1 AND key = ?2", params![group, key]))?;
    }
    Ok(())
}

impl CloudWatchLogs {
    pub(crate) async fn tag(&self, cx: &Context, name: String, tags: BTreeMap<String, String>) -> Result<(), AwsError> {
        check(&tags)?;
        let scope = cx.scope.clone();
        self.store.write(move |tx| put(tx, groups::find(tx, &scope, &name)?.id, &tags)).await
    }

    pub(crate) async fn untag(&self, cx: &Context, name: String, keys: Vec<String>) -> Result<(), AwsError> {
        let scope = cx.scope.clone();
        self.store.write(move |tx| remove(tx, groups::find(tx, &scope, &name)?.id, &keys)).await
    }

    pub(crate) async fn tags_of(&self, cx: &Context, name: String) -> Result<BTreeMap<String, String>, AwsError> {
        let scope = cx.scope.clone();
        self.store.read(move |connection| get(connection, groups::find(connection, &scope, &name)?.id)).await
    }
}
