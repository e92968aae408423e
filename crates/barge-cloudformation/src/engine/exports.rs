//! What stacks export and import: names are unique in an account and region, and what is imported stays as it is
//! (CloudFormation User Guide, "Get exported outputs from a deployed CloudFormation stack").

use super::record::{OutputRecord, StackRecord};
use super::tables::{execute, one};
use barge_core::{AwsError, Scope};
use barge_store::rusqlite::{Connection, Transaction, params};
use barge_store::sql;
use barge_wire::cloudformation::StackStatus;
use std::collections::BTreeMap;

/// An export of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Export {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) stack_id: String,
}

/// The exports in `scope`, in the order of their names.
pub(crate) fn exports(db: &Connection, scope: &Scope) -> Result<Vec<Export>, AwsError> {
    let mut statement = sql(db.prepare_cached(
        "SELECT name, value, stack_id FROM cloudformation_exports WHERE account = ?1 AND region = ?2 ORDER BY name",
    ))?;
    let rows = sql(statement.query_map(params![scope.account.as_str(), scope.region.as_str()], |row| {
        Ok(Export { name: row.get(0)?, value: row.get(1)?, stack_id: row.get(2)? })
    }))?;
    rows.map(sql).collect()
}

/// The values of the exports in `scope` by name.
pub(crate) fn export_values(db: &Connection, scope: &Scope) -> Result<BTreeMap<String, String>, AwsError> {
    Ok(exports(db, scope)?.into_iter().map(|export| (export.name, export.value)).collect())
}

/// The names of the stacks that import an export.
pub(crate) fn importers(db: &Connection, scope: &Scope, name: &str) -> Result<Vec<String>, AwsError> {
    let mut statement = sql(db.prepare_cached(
        "SELECT s.name FROM cloudformation_imports i JOIN cloudformation_stacks s ON s.id = i.stack_id
         WHERE i.account = ?1 AND i.region = ?2 AND i.name = ?3 ORDER BY s.name",
    ))?;
    let rows = sql(statement
        .query_map(params![scope.account.as_str(), scope.region.as_str(), name], |row| row.get::<_, String>(0)))?;
    rows.map(sql).collect()
}

/// What an export's use by others forbids.
fn in_use(db: &Connection, scope: &Scope, name: &str, verb: &str) -> Result<Option<String>, AwsError> {
    let users = importers(db, scope, name)?;
    let Some((last, others)) = users.split_last() else { return Ok(None) };
    let users = if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) };
    Ok(Some(format!("Export {name} cannot be {verb} as it is in use by {users}")))
}

fn own(db: &Connection, stack: &StackRecord) -> Result<BTreeMap<String, String>, AwsError> {
    let all = exports(db, &stack.scope)?.into_iter();
    Ok(all.filter(|export| export.stack_id == stack.id).map(|export| (export.name, export.value)).collect())
}

/// Makes the stack's exports those of its new outputs; the inner error says why they can't be.
pub(crate) fn publish(
    tx: &Transaction<'_>,
    stack_id: &str,
    outputs: &[OutputRecord],
) -> Result<Result<(), String>, AwsError> {
    let found: Option<StackRecord> = one(tx, "SELECT body FROM cloudformation_stacks WHERE id = ?1", [stack_id])?;
    let Some(stack) = found else { return Ok(Ok(())) };
    // A stack that is being deleted meanwhile exports nothing.
    if !matches!(stack.status, StackStatus::CreateInProgress | StackStatus::UpdateInProgress) {
        return Ok(Ok(()));
    }
    let mut wanted = BTreeMap::new();
    for output in outputs {
        let Some(name) = &output.export else { continue };
        let holder = exports(tx, &stack.scope)?.into_iter().find(|export| export.name == *name);
        let holder = holder.filter(|export| export.stack_id != stack.id);
        let twice = wanted.insert(name.clone(), output.value.clone()).is_some();
        if let Some(holder) = holder {
            let holder = holder.stack_id.split('/').nth(1).unwrap_or_default().to_owned();
            return Ok(Err(format!("Export with name {name} is already exported by stack {holder}")));
        }
        if twice {
            return Ok(Err(format!("Export with name {name} is already exported by stack {}", stack.name)));
        }
    }
    for (name, value) in own(tx, &stack)? {
        let verb = match wanted.get(&name) {
            None => "deleted",
            Some(new) if *new != value => "updated",
            Some(_) => continue,
        };
        if let Some(refusal) = in_use(tx, &stack.scope, &name, verb)? {
            return Ok(Err(refusal));
        }
    }
    execute(tx, "DELETE FROM cloudformation_exports WHERE stack_id = ?1", [stack_id])?;
    for (name, value) in wanted {
        execute(
            tx,
            "INSERT INTO cloudformation_exports (account, region, name, stack_id, value) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![stack.scope.account.as_str(), stack.scope.region.as_str(), name, stack_id, value],
        )?;
    }
    Ok(Ok(()))
}

/// Removes the stack's exports; `ValidationError` where another stack imports one.
pub(super) fn withdraw(tx: &Transaction<'_>, stack: &StackRecord) -> Result<(), AwsError> {
    for name in own(tx, stack)?.into_keys() {
        if let Some(refusal) = in_use(tx, &stack.scope, &name, "deleted")? {
            return Err(AwsError::new("ValidationError", 400, refusal));
        }
    }
    execute(tx, "DELETE FROM cloudformation_exports WHERE stack_id = ?1", [&stack.id]).map(drop)
}

/// Records what the stack imports, beside what it imported before; `ValidationError` where an export is not there any
/// more or has another value.
pub(super) fn import(tx: &Transaction<'_>, stack: &StackRecord) -> Result<(), AwsError> {
    if stack.imports.is_empty() {
        return Ok(());
    }
    let there = export_values(tx, &stack.scope)?;
    for (name, value) in &stack.imports {
        if there.get(name) != Some(value) {
            return Err(AwsError::new("ValidationError", 400, format!("No export named {name} found")));
        }
        execute(
            tx,
            "INSERT OR IGNORE INTO cloudformation_imports (account, region, name, stack_id) VALUES (?1, ?2, ?3, ?4)",
            params![stack.scope.account.as_str(), stack.scope.region.as_str(), name, stack.id],
        )?;
    }
    Ok(())
}

/// The stack imports what its record says and nothing else.
pub(super) fn settle(tx: &Transaction<'_>, stack: &StackRecord) -> Result<(), AwsError> {
    execute(tx, "DELETE FROM cloudformation_imports WHERE stack_id = ?1", [&stack.id])?;
    import(tx, stack)
}

/// The stack is gone, and nobody answers to its resources' URLs any more.
pub(super) fn forget(tx: &Transaction<'_>, stack: &StackRecord) -> Result<(), AwsError> {
    let letters = "DELETE FROM cloudformation_letters WHERE token IN
                   (SELECT token FROM cloudformation_mailboxes WHERE stack_id = ?1)";
    execute(tx, letters, [&stack.id])?;
    execute(tx, "DELETE FROM cloudformation_mailboxes WHERE stack_id = ?1", [&stack.id])?;
    for table in ["exports", "imports"] {
        execute(tx, &format!("DELETE FROM cloudformation_{table} WHERE stack_id = ?1"), [&stack.id])?;
    }
    Ok(())
}
