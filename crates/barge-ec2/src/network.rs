//! One account's region inside one transaction: records by kind and id, and their tags. What a record means is not
//! known here.

use crate::kind::Kind;
use barge_core::{Arn, AwsError, Context, IdSource, Scope, Timestamp};
use barge_store::rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};
use barge_wire::ec2::Tag;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Tables of this room; steps are only ever added.
pub(crate) const TABLES: &[&str] = &["
    CREATE TABLE ec2_records (
        account TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (account, region, id)
    ) WITHOUT ROWID;
    CREATE INDEX ec2_records_by_kind ON ec2_records (account, region, kind, id);
    CREATE TABLE ec2_tags (
        account TEXT NOT NULL, region TEXT NOT NULL, resource TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (account, region, resource, key)
    ) WITHOUT ROWID;
    CREATE TABLE ec2_regions (account TEXT NOT NULL, region TEXT NOT NULL, PRIMARY KEY (account, region)) WITHOUT ROWID;
"];

/// Something with an id.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// Its kind.
    const KIND: Kind;

    /// Its id, `PREFIX-` and 17 hexadecimal digits.
    fn id(&self) -> &str;
}

/// One account's region.
pub(crate) struct Network<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) scope: Scope,
    pub(crate) now: Timestamp,
    pub(crate) ids: &'a dyn IdSource,
}

impl<'a> Network<'a> {
    pub(crate) fn new(conn: &'a Connection, cx: &Context, ids: &'a dyn IdSource) -> Self {
        Self { conn, scope: cx.scope.clone(), now: cx.now, ids }
    }

    /// The same network with ids from elsewhere.
    pub(crate) fn with_ids<'b>(&'b self, ids: &'b dyn IdSource) -> Network<'b> {
        Network { conn: self.conn, scope: self.scope.clone(), now: self.now, ids }
    }

    pub(crate) fn account(&self) -> String {
        self.scope.account.to_string()
    }

    pub(crate) fn region(&self) -> &str {
        self.scope.region.as_str()
    }

    pub(crate) fn arn(&self, resource: &str) -> Arn {
        self.scope.arn("ec2", resource)
    }

    /// A new id; where ids follow from a seed, the id that the first try of the same creation had.
    pub(crate) fn mint(&self, kind: Kind) -> String {
        self.mint_with(kind.prefix())
    }

    pub(crate) fn mint_with(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.ids.hex(17))
    }

    pub(crate) fn find<R: Record>(&self, id: &str) -> Result<Option<R>, AwsError> {
        let mut statement =
            self.prepare("SELECT body FROM ec2_records WHERE account = ?1 AND region = ?2 AND id = ?3 AND kind = ?4")?;
        let key = params![self.scope.account.as_str(), self.region(), id, R::KIND.prefix()];
        let body = db(statement.query_row(key, |row| row.get::<_, String>(0)).optional())?;
        body.map(|body| parse(&body)).transpose()
    }

    pub(crate) fn get<R: Record>(&self, id: &str) -> Result<R, AwsError> {
        self.find(id)?.ok_or_else(|| R::KIND.missing(id))
    }

    /// Every record of a kind, by id.
    pub(crate) fn list<R: Record>(&self) -> Result<Vec<R>, AwsError> {
        let mut statement =
            self.prepare("SELECT body FROM ec2_records WHERE account = ?1 AND region = ?2 AND kind = ?3 ORDER BY id")?;
        let key = params![self.scope.account.as_str(), self.region(), R::KIND.prefix()];
        let rows = db(statement.query_map(key, |row| row.get::<_, String>(0)))?;
        rows.map(|body| parse(&db(body)?)).collect()
    }

    /// The records of a kind that `wanted` accepts.
    pub(crate) fn select<R: Record>(&self, wanted: impl Fn(&R) -> bool) -> Result<Vec<R>, AwsError> {
        let mut records = self.list::<R>()?;
        records.retain(wanted);
        Ok(records)
    }

    pub(crate) fn put<R: Record>(&self, record: &R) -> Result<(), AwsError> {
        let body = serde_json::to_string(record).map_err(AwsError::internal)?;
        let mut statement = self.prepare(
            "INSERT OR REPLACE INTO ec2_records (account, region, id, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let row = params![self.scope.account.as_str(), self.region(), record.id(), R::KIND.prefix(), body];
        db(statement.execute(row)).map(drop)
    }

    /// Removes a record and its tags.
    pub(crate) fn remove(&self, id: &str) -> Result<(), AwsError> {
        for table in [
            "DELETE FROM ec2_records WHERE account = ?1 AND region = ?2 AND id = ?3",
            "DELETE FROM ec2_tags WHERE account = ?1 AND region = ?2 AND resource = ?3",
        ] {
            db(self.prepare(table)?.execute(params![self.scope.account.as_str(), self.region(), id]))?;
        }
        Ok(())
    }

    /// Whether a record of any kind has this id.
    pub(crate) fn exists(&self, id: &str) -> Result<bool, AwsError> {
        let mut statement = self.prepare("SELECT 1 FROM ec2_records WHERE account = ?1 AND region = ?2 AND id = ?3")?;
        db(statement.exists(params![self.scope.account.as_str(), self.region(), id]))
    }

    /// A record's tags, by key.
    pub(crate) fn tags(&self, id: &str) -> Result<Vec<Tag>, AwsError> {
        Ok(self.tags_of(Some(id))?.into_iter().map(|(_, tag)| tag).collect())
    }

    /// Every tag with the id it is on, or those of one id.
    pub(crate) fn tags_of(&self, id: Option<&str>) -> Result<Vec<(String, Tag)>, AwsError> {
        let mut statement = self.prepare(
            "SELECT resource, key, value FROM ec2_tags
             WHERE account = ?1 AND region = ?2 AND (?3 IS NULL OR resource = ?3) ORDER BY resource, key",
        )?;
        let rows = db(statement.query_map(params![self.scope.account.as_str(), self.region(), id], |row| {
            Ok((row.get(0)?, Tag { key: row.get(1)?, value: row.get(2)? }))
        }))?;
        db(rows.collect())
    }

    /// Adds a tag, or gives it another value.
    pub(crate) fn put_tag(&self, id: &str, key: &str, value: &str) -> Result<(), AwsError> {
        let mut statement = self.prepare(
            "INSERT OR REPLACE INTO ec2_tags (account, region, resource, key, value) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        db(statement.execute(params![self.scope.account.as_str(), self.region(), id, key, value])).map(drop)
    }

    /// Removes a tag; with a value, only where it has that value.
    pub(crate) fn remove_tag(&self, id: &str, key: Option<&str>, value: Option<&str>) -> Result<(), AwsError> {
        let mut statement = self.prepare(
            "DELETE FROM ec2_tags WHERE account = ?1 AND region = ?2 AND resource = ?3
             AND (?4 IS NULL OR key = ?4) AND (?5 IS NULL OR value = ?5)",
        )?;
        db(statement.execute(params![self.scope.account.as_str(), self.region(), id, key, value])).map(drop)
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, AwsError> {
        db(self.conn.prepare_cached(sql))
    }
}

/// What SQLite answers, with its errors as the client hears of them.
pub(crate) fn db<T>(result: Result<T, barge_store::rusqlite::Error>) -> Result<T, AwsError> {
    barge_store::sql(result)
}

fn parse<R: Record>(body: &str) -> Result<R, AwsError> {
    serde_json::from_str(body).map_err(AwsError::internal)
}
