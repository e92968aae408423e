//! Parameters in the database: a head with tags, and its versions.

use barge_core::{AwsError, Scope, Timestamp};
use barge_store::rusqlite::{Connection, OptionalExtension as _, Row, params};
use barge_store::sql;
use barge_wire::ssm::{ParameterTier, ParameterType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) const STEPS: &[&str] = &["CREATE TABLE ssm_parameters (
        account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
        latest INTEGER NOT NULL, tags TEXT NOT NULL, creation TEXT,
        PRIMARY KEY (account, region, name)
    ) WITHOUT ROWID;
    CREATE TABLE ssm_versions (
        account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
        version INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (account, region, name, version)
    ) WITHOUT ROWID;"];

/// Versions that are kept (Systems Manager User Guide, "Working with parameter versions").
const MOST_VERSIONS: i64 = 100;

/// One version of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) number: i64,
    pub(crate) kind: ParameterType,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    pub(crate) allowed_pattern: Option<String>,
    pub(crate) tier: ParameterTier,
    pub(crate) modified: Timestamp,
    /// ARN of who wrote it.
    pub(crate) user: String,
}

/// A parameter with one of its versions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) tags: BTreeMap<String, String>,
    /// The template's creation that made it.
    pub(crate) creation: Option<String>,
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, AwsError> {
    serde_json::from_str(text).map_err(AwsError::internal)
}

fn text<T: Serialize>(value: &T) -> Result<String, AwsError> {
    serde_json::to_string(value).map_err(AwsError::internal)
}

const HEAD: &str = "SELECT p.name, v.body, p.tags, p.creation FROM ssm_parameters p
     JOIN ssm_versions v ON v.account = p.account AND v.region = p.region AND v.name = p.name";

fn row(row: &Row<'_>) -> barge_store::rusqlite::Result<(String, String, String, Option<String>)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn found((name, body, tags, creation): (String, String, String, Option<String>)) -> Result<Found, AwsError> {
    Ok(Found { name, version: json(&body)?, tags: json(&tags)?, creation })
}

/// The parameter called `name` in that version, the latest where none is named.
pub(crate) fn find(
    connection: &Connection,
    scope: &Scope,
    name: &str,
    version: Option<i64>,
) -> Result<Option<Found>, AwsError> {
    let query =
        format!("{HEAD} AND v.version = coalesce(?4, p.latest) WHERE p.account = ?1 AND p.region = ?2 AND p.name = ?3");
    let place = params![scope.account.as_str(), scope.region.as_str(), name, version];
    sql(connection.query_row(&query, place, row).optional())?.map(found).transpose()
}

/// The latest versions of the parameters after the one called `after` whose names begin with `prefix`, by name.
pub(crate) fn list(connection: &Connection, scope: &Scope, after: &str, prefix: &str) -> Result<Vec<Found>, AwsError> {
    let query = format!(
        "{HEAD} AND v.version = p.latest WHERE p.account = ?1 AND p.region = ?2 AND p.name > ?3
         AND substr(p.name, 1, length(?4)) = ?4 ORDER BY p.name"
    );
    let mut statement = sql(connection.prepare_cached(&query))?;
    let place = params![scope.account.as_str(), scope.region.as_str(), after, prefix];
    let rows: Vec<_> = sql(statement.query_map(place, row).and_then(Iterator::collect))?;
    rows.into_iter().map(found).collect()
}

/// Every version of a parameter that is kept, the oldest first.
pub(crate) fn versions(connection: &Connection, scope: &Scope, name: &str) -> Result<Vec<Version>, AwsError> {
    let mut statement = sql(connection.prepare_cached(
        "SELECT body FROM ssm_versions WHERE account = ?1 AND region = ?2 AND name = ?3 ORDER BY version",
    ))?;
    let place = params![scope.account.as_str(), scope.region.as_str(), name];
    let bodies: Vec<String> = sql(statement.query_map(place, |row| row.get(0)).and_then(Iterator::collect))?;
    bodies.iter().map(|body| json(body)).collect()
}

/// Writes a parameter with a new version, and forgets the versions that are too many.
pub(crate) fn save(connection: &Connection, scope: &Scope, found: &Found) -> Result<(), AwsError> {
    let (account, region) = (scope.account.as_str(), scope.region.as_str());
    let (name, number) = (&found.name, found.version.number);
    sql(connection.execute(
        "INSERT INTO ssm_parameters (account, region, name, latest, tags, creation) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET latest = excluded.latest, tags = excluded.tags, creation = excluded.creation",
        params![account, region, name, number, text(&found.tags)?, found.creation],
    ))?;
    sql(connection.execute(
        "INSERT OR REPLACE INTO ssm_versions (account, region, name, version, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![account, region, name, number, text(&found.version)?],
    ))?;
    sql(connection.execute(
        "DELETE FROM ssm_versions WHERE account = ?1 AND region = ?2 AND name = ?3 AND version <= ?4",
        params![account, region, name, number - MOST_VERSIONS],
    ))
    .map(drop)
}

/// Removes a parameter; says whether there was one.
pub(crate) fn remove(connection: &Connection, scope: &Scope, name: &str) -> Result<bool, AwsError> {
    let place = params![scope.account.as_str(), scope.region.as_str(), name];
    let versions = "DELETE FROM ssm_versions WHERE account = ?1 AND region = ?2 AND name = ?3";
    sql(connection.execute(versions, place))?;
    let head = "DELETE FROM ssm_parameters WHERE account = ?1 AND region = ?2 AND name = ?3";
    Ok(sql(connection.execute(head, place))? > 0)
}
