//! Client request tokens: a transaction that is sent again with its token is done once (Amazon DynamoDB API Reference,
//! TransactWriteItems, "ClientRequestToken"). Tokens are committed with the transaction, so a kill in between changes nothing.

use crate::engine::Engine;
use dynoxide::DynoxideError;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

/// How long a token is remembered, in milliseconds: ten minutes, as AWS documents.
const REMEMBERED: i64 = 600_000;
/// A token's greatest length.
const LONGEST: usize = 36;

/// Makes the table of tokens. A table of DynamoDB can't have a space in its name, so the names never meet.
pub(crate) fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS \"barge tokens\"
         (token TEXT PRIMARY KEY, request BLOB NOT NULL, at INTEGER NOT NULL, response TEXT NOT NULL) WITHOUT ROWID",
    )
}

/// What a request says, whatever the order of its members: a digest.
pub(crate) fn digest(operation: &str, body: &[u8], token_member: &str) -> Vec<u8> {
    let mut request: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(members) = request.as_object_mut() {
        // Neither changes what is written, so a repeated call may differ in them.
        members.remove(token_member);
        members.remove("ReturnConsumedCapacity");
    }
    sort(&mut request);
    let mut hash = Sha256::new();
    hash.update(operation);
    hash.update(request.to_string());
    hash.finalize().to_vec()
}

fn sort(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.sort_keys();
            members.values_mut().for_each(sort);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(sort),
        _ => {}
    }
}

/// Runs `operation` unless the token has been used: then gives the response of that time again.
pub(crate) fn once(
    engine: &Engine,
    token: Option<&str>,
    request: &[u8],
    operation: impl FnOnce() -> Result<String, DynoxideError>,
) -> Result<String, DynoxideError> {
    let Some(token) = token else {
        return operation();
    };
    if token.len() > LONGEST {
        return Err(DynoxideError::ValidationException(format!(
            "1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to {LONGEST}"
        )));
    }
    let (connection, now) = (engine.storage.conn(), engine.clock.now().millis());
    connection.execute("DELETE FROM \"barge tokens\" WHERE at < ?1", [now - REMEMBERED])?;
    let known: Option<(Vec<u8>, String)> = connection
        .query_row("SELECT request, response FROM \"barge tokens\" WHERE token = ?1", [token], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match known {
        Some((known, response)) if known == request => Ok(response),
        Some(_) => Err(DynoxideError::IdempotentParameterMismatchException(
            "An error occurred (IdempotentParameterMismatchException)".to_owned(),
        )),
        None => {
            let response = operation()?;
            connection.execute(
                "INSERT INTO \"barge tokens\" (token, request, at, response) VALUES (?1, ?2, ?3, ?4)",
                params![token, request, now, response],
            )?;
            Ok(response)
        }
    }
}
