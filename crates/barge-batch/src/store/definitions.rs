//! Job definitions' rows. The core does not know definitions: they are read when a job is submitted.

use super::{Rows, collect, parse, text};
use barge_core::{AwsError, Scope, Timestamp};
use barge_store::rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};
use barge_store::{rusqlite, sql};
use barge_wire::batch::JobDefinition;
use std::collections::BTreeMap;

/// A revision of a job definition.
#[derive(Clone, Debug)]
pub(crate) struct StoredDefinition {
    pub(crate) definition: JobDefinition,
    pub(crate) active: bool,
    pub(crate) former: Former,
}

/// What becomes of a template's former revision when another takes its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Former {
    /// It is deregistered.
    #[default]
    Deregistered,
    /// It stays active.
    Kept,
}

/// Where a revision comes from; by default from a call of the API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The token of a template's creation or update: it registers once.
    pub(crate) token: Option<String>,
    pub(crate) former: Former,
}

/// Which definitions to list, and where to go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct DefinitionPage {
    pub(crate) name: Option<String>,
    pub(crate) active: Option<bool>,
    /// Inactive ones are shown that became so since this moment, in milliseconds since the epoch.
    pub(crate) shown_since: i64,
    /// The name and revision after which the page begins.
    pub(crate) after: Option<(String, i64)>,
    pub(crate) limit: usize,
}

impl Rows {
    /// Registers the next revision; `make` builds it from its number. With a token that was used before, gives what was
    /// registered then.
    pub(crate) async fn register(
        &self,
        scope: Scope,
        name: String,
        origin: Origin,
        make: impl FnOnce(i64) -> JobDefinition + Send + 'static,
    ) -> Result<JobDefinition, AwsError> {
        self.store
            .write(move |tx| {
                let Origin { token, former } = origin;
                if let Some(found) = by_token(tx, &scope, token.as_deref())? {
                    return Ok(found);
                }
                let (account, region) = (scope.account.as_str(), scope.region.as_str());
                let last: Option<i64> = sql(tx.query_row(
                    "SELECT max(revision) FROM batch_definitions WHERE account = ?1 AND region = ?2 AND name = ?3",
                    params![account, region, name],
                    |row| row.get(0),
                ))?;
                let revision = last.unwrap_or(0) + 1;
                let definition = make(revision);
                sql(tx.execute(
                    "INSERT INTO batch_definitions (account, region, name, revision, active, token, body, keeps_former)
                     VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)",
                    params![account, region, name, revision, token, text(&definition)?, former == Former::Kept],
                ))?;
                Ok(definition)
            })
            .await
    }

    /// A revision, or the latest active one where `revision` is none.
    pub(crate) async fn definition(
        &self,
        scope: Scope,
        name: String,
        revision: Option<i64>,
    ) -> Result<Option<StoredDefinition>, AwsError> {
        self.store.read(move |conn| find(conn, &scope, &name, revision)).await
    }

    /// A page of definitions, by name and revision.
    pub(crate) async fn definitions(
        &self,
        scope: Scope,
        page: DefinitionPage,
    ) -> Result<Vec<StoredDefinition>, AwsError> {
        self.store
            .read(move |conn| {
                let DefinitionPage { name, active, shown_since, after, limit } = page;
                let (after_name, after_revision) = after.unwrap_or_default();
                let (account, region) = (scope.account.as_str(), scope.region.as_str());
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let values: [&dyn ToSql; 8] =
                    [&account, &region, &name, &active, &after_name, &after_revision, &limit, &shown_since];
                let mut statement = sql(conn.prepare_cached(
                    "SELECT active, body, keeps_former FROM batch_definitions
                     WHERE account = ?1 AND region = ?2 AND (?3 IS NULL OR name = ?3)
                       AND (?4 IS NULL OR active = ?4) AND (name, revision) > (?5, ?6)
                       AND (active OR coalesce(inactive_since, ?8) >= ?8)
                     ORDER BY name, revision LIMIT ?7",
                ))?;
                let rows = collect(&mut statement, params_from_iter(values), columns)?;
                rows.into_iter().map(stored).collect()
            })
            .await
    }

    /// Makes a revision inactive, for good; `None` where there is no such revision. A second time changes nothing.
    pub(crate) async fn deregister(
        &self,
        scope: Scope,
        name: String,
        revision: i64,
        now: Timestamp,
    ) -> Result<Option<()>, AwsError> {
        self.store
            .write(move |tx| {
                let changed = sql(tx.execute(
                    "UPDATE batch_definitions SET inactive_since = coalesce(inactive_since, ?5), active = 0
                     WHERE account = ?1 AND region = ?2 AND name = ?3 AND revision = ?4",
                    params![scope.account.as_str(), scope.region.as_str(), name, revision, now.millis()],
                ))?;
                Ok((changed > 0).then_some(()))
            })
            .await
    }

    /// Changes a revision's tags; `None` where there is no such revision.
    pub(crate) async fn change_definition_tags(
        &self,
        scope: Scope,
        name: String,
        revision: i64,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), AwsError> + Send + 'static,
    ) -> Result<Option<()>, AwsError> {
        self.store
            .write(move |tx| {
                let Some(mut stored) = find(tx, &scope, &name, Some(revision))? else { return Ok(None) };
                change(stored.definition.tags.get_or_insert_default())?;
                sql(tx.execute(
                    "UPDATE batch_definitions SET body = ?5
                     WHERE account = ?1 AND region = ?2 AND name = ?3 AND revision = ?4",
                    params![scope.account.as_str(), scope.region.as_str(), name, revision, text(&stored.definition)?],
                ))?;
                Ok(Some(()))
            })
            .await
    }
}

fn by_token(conn: &Connection, scope: &Scope, token: Option<&str>) -> Result<Option<JobDefinition>, AwsError> {
    let Some(token) = token else { return Ok(None) };
    let body: Option<String> = sql(conn
        .query_row(
            "SELECT body FROM batch_definitions WHERE token = ?1 AND account = ?2 AND region = ?3",
            params![token, scope.account.as_str(), scope.region.as_str()],
            |row| row.get(0),
        )
        .optional())?;
    body.map(|body| parse(&body)).transpose()
}

fn find(
    conn: &Connection,
    scope: &Scope,
    name: &str,
    revision: Option<i64>,
) -> Result<Option<StoredDefinition>, AwsError> {
    let mut statement = sql(conn.prepare_cached(
        "SELECT active, body, keeps_former FROM batch_definitions
         WHERE account = ?1 AND region = ?2 AND name = ?3
           AND (revision = ?4 OR (?4 IS NULL AND active)) ORDER BY revision DESC LIMIT 1",
    ))?;
    let params = params![scope.account.as_str(), scope.region.as_str(), name, revision];
    let row = sql(statement.query_row(params, columns).optional())?;
    row.map(stored).transpose()
}

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<(bool, String, bool)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn stored((active, body, keeps_former): (bool, String, bool)) -> Result<StoredDefinition, AwsError> {
    let mut definition: JobDefinition = parse(&body)?;
    definition.status = Some(if active { "ACTIVE" } else { "INACTIVE" }.to_owned());
    let former = if keeps_former { Former::Kept } else { Former::Deregistered };
    Ok(StoredDefinition { definition, active, former })
}
