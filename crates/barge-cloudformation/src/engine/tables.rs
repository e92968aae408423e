//! The engine's tables: a few columns to look things up by, and a JSON body.

use super::record::{ChangeSetRecord, EventRecord, ResourceRecord, StackRecord};
use barge_core::{AwsError, Scope, Timestamp};
use barge_store::rusqlite::{Connection, OptionalExtension, Params, Transaction, params};
use barge_store::{StoreError, sql};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) const ROOM: &str = "cloudformation";

pub(crate) const STEPS: &[&str] = &[
    "
    CREATE TABLE cloudformation_stacks (
        id TEXT PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
        live INTEGER NOT NULL, settled INTEGER NOT NULL, created INTEGER NOT NULL, deleted INTEGER, body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX cloudformation_names ON cloudformation_stacks (account, region, name) WHERE live = 1;
    CREATE INDEX cloudformation_order ON cloudformation_stacks (account, region, created);
    CREATE TABLE cloudformation_templates (stack_id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE cloudformation_resources (
        stack_id TEXT NOT NULL, position INTEGER NOT NULL, physical_id TEXT, body TEXT NOT NULL,
        PRIMARY KEY (stack_id, position)
    ) WITHOUT ROWID;
    CREATE INDEX cloudformation_physical ON cloudformation_resources (physical_id);
    CREATE TABLE cloudformation_events (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, stack_id TEXT NOT NULL, body TEXT NOT NULL
    );
    CREATE INDEX cloudformation_history ON cloudformation_events (stack_id, sequence);
    CREATE TABLE cloudformation_change_sets (
        id TEXT PRIMARY KEY, stack_id TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL, body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX cloudformation_change_set_names ON cloudformation_change_sets (stack_id, name);
",
    "
    ALTER TABLE cloudformation_templates ADD COLUMN processed TEXT;
    ALTER TABLE cloudformation_templates ADD COLUMN former TEXT;
    ALTER TABLE cloudformation_templates ADD COLUMN former_processed TEXT;
    CREATE TABLE cloudformation_exports (
        account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, stack_id TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (account, region, name)
    ) WITHOUT ROWID;
    CREATE INDEX cloudformation_exporters ON cloudformation_exports (stack_id);
    CREATE TABLE cloudformation_imports (
        account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, stack_id TEXT NOT NULL,
        PRIMARY KEY (account, region, name, stack_id)
    ) WITHOUT ROWID;
    CREATE INDEX cloudformation_importers ON cloudformation_imports (stack_id);
    CREATE TABLE cloudformation_mailboxes (
        key TEXT PRIMARY KEY, token TEXT NOT NULL UNIQUE, stack_id TEXT NOT NULL, created INTEGER NOT NULL,
        sent INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX cloudformation_mailbox_owners ON cloudformation_mailboxes (stack_id);
    CREATE TABLE cloudformation_letters (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL, body TEXT NOT NULL
    );
    CREATE INDEX cloudformation_letters_in ON cloudformation_letters (token, sequence);
    CREATE TABLE cloudformation_detections (
        id TEXT PRIMARY KEY, stack_id TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX cloudformation_detections_of ON cloudformation_detections (stack_id, at);
    CREATE TABLE cloudformation_drifts (
        stack_id TEXT NOT NULL, logical_id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (stack_id, logical_id)
    ) WITHOUT ROWID;
",
];

pub(super) fn json(record: &impl Serialize) -> Result<String, AwsError> {
    serde_json::to_string(record).map_err(AwsError::internal)
}

pub(super) fn record<T: DeserializeOwned>(body: &str) -> Result<T, AwsError> {
    serde_json::from_str(body).map_err(AwsError::internal)
}

pub(super) fn one<T: DeserializeOwned>(
    db: &Connection,
    query: &str,
    params: impl Params,
) -> Result<Option<T>, AwsError> {
    let body: Option<String> = text(db, query, params)?;
    body.map(|body| record(&body)).transpose()
}

pub(super) fn text(db: &Connection, query: &str, params: impl Params) -> Result<Option<String>, AwsError> {
    let mut statement = sql(db.prepare_cached(query))?;
    sql(statement.query_row(params, |row| row.get(0)).optional())
}

pub(super) fn all<T: DeserializeOwned>(db: &Connection, query: &str, params: impl Params) -> Result<Vec<T>, AwsError> {
    let mut statement = sql(db.prepare_cached(query))?;
    let bodies = sql(statement.query_map(params, |row| row.get::<_, String>(0)))?;
    bodies.map(|body| record(&sql(body)?)).collect()
}

pub(super) fn execute(tx: &Transaction<'_>, statement: &str, params: impl Params) -> Result<usize, AwsError> {
    let mut statement = sql(tx.prepare_cached(statement))?;
    sql(statement.execute(params))
}

pub(crate) fn save_stack(tx: &Transaction<'_>, stack: &StackRecord, settled: bool) -> Result<(), AwsError> {
    execute(
        tx,
        "INSERT INTO cloudformation_stacks (id, account, region, name, live, settled, created, deleted, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET live = ?5, settled = ?6, deleted = ?8, body = ?9",
        params![
            stack.id,
            stack.scope.account.as_str(),
            stack.scope.region.as_str(),
            stack.name,
            stack.live(),
            settled,
            stack.created.millis(),
            stack.deleted.map(Timestamp::millis),
            json(stack)?
        ],
    )
    .map(drop)
}

/// Stores a stack's template as it was given and, where that is another, after its transforms.
pub(crate) fn save_template(
    tx: &Transaction<'_>,
    stack_id: &str,
    body: &str,
    processed: Option<&str>,
) -> Result<(), AwsError> {
    execute(
        tx,
        "INSERT INTO cloudformation_templates (stack_id, body, processed) VALUES (?1, ?2, ?3)
         ON CONFLICT (stack_id) DO UPDATE SET body = ?2, processed = ?3",
        params![stack_id, body, processed],
    )
    .map(drop)
}

/// Gives a stack a new template, and keeps the one that counted before until the update has succeeded.
pub(crate) fn propose_template(
    tx: &Transaction<'_>,
    stack_id: &str,
    body: &str,
    processed: Option<&str>,
) -> Result<(), AwsError> {
    execute(
        tx,
        "UPDATE cloudformation_templates SET former = body, former_processed = processed
         WHERE stack_id = ?1 AND former IS NULL",
        [stack_id],
    )?;
    let statement = "UPDATE cloudformation_templates SET body = ?2, processed = ?3 WHERE stack_id = ?1";
    execute(tx, statement, params![stack_id, body, processed]).map(drop)
}

/// The template before the update counts again.
pub(crate) fn restore_template(tx: &Transaction<'_>, stack_id: &str) -> Result<(), AwsError> {
    execute(
        tx,
        "UPDATE cloudformation_templates SET body = former, processed = former_processed, former = NULL,
                former_processed = NULL
         WHERE stack_id = ?1 AND former IS NOT NULL",
        [stack_id],
    )
    .map(drop)
}

/// The template before the update is no longer needed.
pub(crate) fn settle_template(tx: &Transaction<'_>, stack_id: &str) -> Result<(), AwsError> {
    let statement = "UPDATE cloudformation_templates SET former = NULL, former_processed = NULL WHERE stack_id = ?1";
    execute(tx, statement, [stack_id]).map(drop)
}

/// Forgets a stack's resources, which are about to be stored under other positions.
pub(crate) fn clear_resources(tx: &Transaction<'_>, stack_id: &str) -> Result<(), AwsError> {
    execute(tx, "DELETE FROM cloudformation_resources WHERE stack_id = ?1", [stack_id]).map(drop)
}

pub(crate) fn save_resource(
    tx: &Transaction<'_>,
    stack_id: &str,
    position: usize,
    resource: &ResourceRecord,
) -> Result<(), AwsError> {
    execute(
        tx,
        "INSERT INTO cloudformation_resources (stack_id, position, physical_id, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (stack_id, position) DO UPDATE SET physical_id = ?3, body = ?4",
        params![stack_id, position, resource.physical_id, json(resource)?],
    )
    .map(drop)
}

pub(crate) fn add_event(tx: &Transaction<'_>, stack_id: &str, event: &EventRecord) -> Result<(), AwsError> {
    let body = json(event)?;
    execute(tx, "INSERT INTO cloudformation_events (stack_id, body) VALUES (?1, ?2)", params![stack_id, body]).map(drop)
}

pub(crate) fn save_change_set(tx: &Transaction<'_>, set: &ChangeSetRecord) -> Result<(), AwsError> {
    execute(
        tx,
        "INSERT INTO cloudformation_change_sets (id, stack_id, name, created, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET body = ?5",
        params![set.id, set.stack_id, set.name, set.created.millis(), json(set)?],
    )
    .map(drop)
}

pub(crate) fn remove_change_set(tx: &Transaction<'_>, id: &str) -> Result<(), AwsError> {
    execute(tx, "DELETE FROM cloudformation_change_sets WHERE id = ?1", [id]).map(drop)
}

/// Removes every change set of the stack but this one, which was executed.
pub(crate) fn remove_other_change_sets(tx: &Transaction<'_>, set: &ChangeSetRecord) -> Result<(), AwsError> {
    let statement = "DELETE FROM cloudformation_change_sets WHERE stack_id = ?1 AND id <> ?2";
    execute(tx, statement, params![set.stack_id, set.id]).map(drop)
}

/// Removes everything about stacks deleted before `moment`.
pub(crate) fn forget_deleted(tx: &Transaction<'_>, moment: Timestamp) -> Result<usize, AwsError> {
    const OLD: &str = "SELECT id FROM cloudformation_stacks WHERE deleted < ?1";
    for table in ["templates", "resources", "events", "change_sets", "detections", "drifts"] {
        let statement = format!("DELETE FROM cloudformation_{table} WHERE stack_id IN ({OLD})");
        execute(tx, &statement, [moment.millis()])?;
    }
    execute(tx, "DELETE FROM cloudformation_stacks WHERE deleted < ?1", [moment.millis()])
}

/// The stack with this ARN in `scope`, deleted or not.
pub(crate) fn stack_by_id(db: &Connection, scope: &Scope, id: &str) -> Result<Option<StackRecord>, AwsError> {
    one(
        db,
        "SELECT body FROM cloudformation_stacks WHERE id = ?1 AND account = ?2 AND region = ?3",
        params![id, scope.account.as_str(), scope.region.as_str()],
    )
}

/// The stack with this ARN in any scope, deleted or not.
pub(crate) fn stack_with_id(db: &Connection, id: &str) -> Result<Option<StackRecord>, AwsError> {
    one(db, "SELECT body FROM cloudformation_stacks WHERE id = ?1", [id])
}

/// The stack that has the name now.
pub(crate) fn stack_by_name(db: &Connection, scope: &Scope, name: &str) -> Result<Option<StackRecord>, AwsError> {
    one(
        db,
        "SELECT body FROM cloudformation_stacks WHERE account = ?1 AND region = ?2 AND name = ?3 AND live = 1",
        params![scope.account.as_str(), scope.region.as_str(), name],
    )
}

/// Stacks of `scope`, latest first.
pub(crate) fn stacks(db: &Connection, scope: &Scope) -> Result<Vec<StackRecord>, AwsError> {
    all(
        db,
        "SELECT body FROM cloudformation_stacks WHERE account = ?1 AND region = ?2 ORDER BY created DESC, id",
        params![scope.account.as_str(), scope.region.as_str()],
    )
}

/// Ids of the stacks of every account that something is being done to.
pub(crate) fn unsettled(db: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare_cached("SELECT id FROM cloudformation_stacks WHERE settled = 0 ORDER BY created")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// A stack with what is needed to go on with it.
pub(crate) fn whole(db: &Connection, id: &str) -> Result<Option<(StackRecord, Vec<ResourceRecord>, String)>, AwsError> {
    let Some(stack) = one(db, "SELECT body FROM cloudformation_stacks WHERE id = ?1", [id])? else {
        return Ok(None);
    };
    let template = processed_template(db, id)?.unwrap_or_default();
    Ok(Some((stack, resources(db, id)?, template)))
}

/// A stack's template as it was given.
pub(crate) fn template(db: &Connection, stack_id: &str) -> Result<Option<String>, AwsError> {
    text(db, "SELECT body FROM cloudformation_templates WHERE stack_id = ?1", [stack_id])
}

/// A stack's template after its transforms.
pub(crate) fn processed_template(db: &Connection, stack_id: &str) -> Result<Option<String>, AwsError> {
    let query = "SELECT coalesce(processed, body) FROM cloudformation_templates WHERE stack_id = ?1";
    text(db, query, [stack_id])
}

/// A stack's resources in the template's order.
pub(crate) fn resources(db: &Connection, stack_id: &str) -> Result<Vec<ResourceRecord>, AwsError> {
    all(db, "SELECT body FROM cloudformation_resources WHERE stack_id = ?1 ORDER BY position", [stack_id])
}

/// The stack in `scope` that holds the resource with a physical id; the latest of several.
pub(crate) fn stack_of(db: &Connection, scope: &Scope, physical_id: &str) -> Result<Option<StackRecord>, AwsError> {
    one(
        db,
        "SELECT s.body FROM cloudformation_resources r JOIN cloudformation_stacks s ON s.id = r.stack_id
         WHERE r.physical_id = ?1 AND s.account = ?2 AND s.region = ?3 ORDER BY s.live DESC, s.created DESC LIMIT 1",
        params![physical_id, scope.account.as_str(), scope.region.as_str()],
    )
}

/// Up to `limit` events of a stack before `before`, latest first, each with its sequence number.
pub(crate) fn events(
    db: &Connection,
    stack_id: &str,
    before: i64,
    limit: usize,
) -> Result<Vec<(i64, EventRecord)>, AwsError> {
    let mut statement = sql(db.prepare_cached(
        "SELECT sequence, body FROM cloudformation_events WHERE stack_id = ?1 AND sequence < ?2
         ORDER BY sequence DESC LIMIT ?3",
    ))?;
    let rows =
        sql(statement.query_map(params![stack_id, before, limit], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))))?;
    rows.map(|row| {
        let (sequence, body) = sql(row)?;
        Ok((sequence, record(&body)?))
    })
    .collect()
}

/// The change set with this ARN.
pub(crate) fn change_set(db: &Connection, id: &str) -> Result<Option<ChangeSetRecord>, AwsError> {
    one(db, "SELECT body FROM cloudformation_change_sets WHERE id = ?1", [id])
}

/// The change sets of nested stacks that belong to the change set `root`.
pub(crate) fn change_sets_below(db: &Connection, root: &str) -> Result<Vec<ChangeSetRecord>, AwsError> {
    all(db, "SELECT body FROM cloudformation_change_sets WHERE body ->> '$.root' = ?1 ORDER BY created, id", [root])
}

/// A stack's change sets, in the order of their making.
pub(crate) fn change_sets(db: &Connection, stack_id: &str) -> Result<Vec<ChangeSetRecord>, AwsError> {
    all(db, "SELECT body FROM cloudformation_change_sets WHERE stack_id = ?1 ORDER BY created, id", [stack_id])
}
