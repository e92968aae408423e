//! One account's records inside one transaction: reading, writing, listing. What the records mean is not known here.

use crate::errors;
use barge_core::{AccountId, AwsError, Context, IdSource, Principal, Timestamp};
use barge_store::rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Tables of this room; steps are only ever added.
pub(crate) const TABLES: &[&str] = &["
    CREATE TABLE iam_records (
        account TEXT NOT NULL, kind TEXT NOT NULL, lookup TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (account, kind, lookup)
    ) WITHOUT ROWID;
    CREATE TABLE iam_access_keys (
        id TEXT PRIMARY KEY, account TEXT NOT NULL, user TEXT NOT NULL, secret TEXT NOT NULL,
        active INTEGER NOT NULL, created INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX iam_access_keys_by_user ON iam_access_keys (account, user);
    CREATE TABLE iam_sessions (id TEXT PRIMARY KEY, expiration INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX iam_sessions_by_expiration ON iam_sessions (expiration);
"];

/// Something with a name that is unique in its account, whatever the case of its letters (IAM User Guide, "IAM and AWS
/// STS quotas", "IAM name requirements").
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// The table's word for this kind.
    const KIND: &'static str;

    /// The name, in the case that it was made with.
    fn name(&self) -> &str;

    /// NoSuchEntity in AWS's words for this kind.
    fn missing(name: &str) -> AwsError;

    /// EntityAlreadyExists in AWS's words for this kind.
    fn exists(name: &str) -> AwsError;
}

/// One account's tables, the caller, and the moment.
pub(crate) struct Account<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) id: AccountId,
    pub(crate) principal: Principal,
    pub(crate) now: Timestamp,
    pub(crate) ids: &'a dyn IdSource,
}

impl<'a> Account<'a> {
    pub(crate) fn new(conn: &'a Connection, cx: &Context, ids: &'a dyn IdSource) -> Self {
        Self { conn, id: cx.scope.account.clone(), principal: cx.principal.clone(), now: cx.now, ids }
    }

    /// The ARN of `resource`, e.g. `role/path/name`.
    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:iam::{}:{resource}", self.id)
    }

    /// An id with IAM's prefix for its kind (IAM User Guide, "IAM identifiers", "Understanding unique ID prefixes").
    pub(crate) fn unique_id(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.ids.upper_alphanumeric(17))
    }

    /// The record called `name`, exactly.
    pub(crate) fn find<R: Record>(&self, name: &str) -> Result<Option<R>, AwsError> {
        let record = self.find_any_case::<R>(name)?;
        Ok(record.filter(|record| record.name() == name))
    }

    pub(crate) fn get<R: Record>(&self, name: &str) -> Result<R, AwsError> {
        self.find(name)?.ok_or_else(|| R::missing(name))
    }

    /// Adds a record; refuses a name that is taken in any case.
    pub(crate) fn insert<R: Record>(&self, record: &R) -> Result<(), AwsError> {
        if self.find_any_case::<R>(record.name())?.is_some() {
            return Err(R::exists(record.name()));
        }
        self.put(record)
    }

    /// Writes a record in its present form.
    pub(crate) fn put<R: Record>(&self, record: &R) -> Result<(), AwsError> {
        let body = serde_json::to_string(record).map_err(AwsError::internal)?;
        let mut statement = db(self.conn.prepare_cached(
            "INSERT OR REPLACE INTO iam_records (account, kind, lookup, body) VALUES (?1, ?2, ?3, ?4)",
        ))?;
        db(statement.execute(params![self.id.as_str(), R::KIND, lookup(record.name()), body]))?;
        Ok(())
    }

    /// Reads a record, lets `change` alter it, writes it.
    pub(crate) fn change<R: Record>(
        &self,
        name: &str,
        change: impl FnOnce(&mut R) -> Result<(), AwsError>,
    ) -> Result<R, AwsError> {
        let mut record = self.get::<R>(name)?;
        change(&mut record)?;
        self.put(&record)?;
        Ok(record)
    }

    pub(crate) fn remove<R: Record>(&self, name: &str) -> Result<(), AwsError> {
        db(self.conn.execute(
            "DELETE FROM iam_records WHERE account = ?1 AND kind = ?2 AND lookup = ?3",
            params![self.id.as_str(), R::KIND, lookup(name)],
        ))?;
        Ok(())
    }

    /// Every record of a kind, by name.
    pub(crate) fn list<R: Record>(&self) -> Result<Vec<R>, AwsError> {
        let mut statement = db(self
            .conn
            .prepare_cached("SELECT body FROM iam_records WHERE account = ?1 AND kind = ?2 ORDER BY lookup"))?;
        let rows = db(statement.query_map(params![self.id.as_str(), R::KIND], |row| row.get::<_, String>(0)))?;
        rows.map(|body| parse(&db(body)?)).collect()
    }

    fn find_any_case<R: Record>(&self, name: &str) -> Result<Option<R>, AwsError> {
        let mut statement = db(self
            .conn
            .prepare_cached("SELECT body FROM iam_records WHERE account = ?1 AND kind = ?2 AND lookup = ?3"))?;
        let key = params![self.id.as_str(), R::KIND, lookup(name)];
        let body = db(statement.query_row(key, |row| row.get::<_, String>(0)).optional())?;
        body.map(|body| parse(&body)).transpose()
    }

    /// The name in the input or, where it is left out, of the user who asks.
    pub(crate) fn user_name(&self, given: Option<String>) -> Result<String, AwsError> {
        if let Some(name) = given {
            return Ok(name);
        }
        match &self.principal {
            Principal::User { arn, .. } => arn
                .resource
                .rsplit('/')
                .next()
                .map(str::to_owned)
                .ok_or_else(|| AwsError::internal(format!("{arn} names no user"))),
            _ => Err(errors::validation("Must specify userName when calling with non-User credentials")),
        }
    }
}

/// What SQLite answers, with its errors as the client hears of them.
pub(crate) fn db<T>(result: Result<T, barge_store::rusqlite::Error>) -> Result<T, AwsError> {
    barge_store::sql(result)
}

fn lookup(name: &str) -> String {
    name.to_lowercase()
}

fn parse<R: Record>(body: &str) -> Result<R, AwsError> {
    serde_json::from_str(body).map_err(AwsError::internal)
}
