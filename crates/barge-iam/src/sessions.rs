//! Temporary credentials in the store: containers and functions hold them across a restart of the server.

use crate::account::db;
use crate::key_ring::REMEMBERED;
use barge_core::ports::AccessKey;
use barge_core::{AccountId, AwsError, Principal, Timestamp};
use barge_store::rusqlite::{Connection, params};
use barge_wire::sts::AssumeRoleRequest;
use serde::{Deserialize, Serialize};

/// One set of temporary credentials.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) principal: Principal,
    pub(crate) account: AccountId,
    /// What AssumeRole was asked for: session policies, tags and source identity restrict what the session may do.
    pub(crate) request: Option<AssumeRoleRequest>,
}

impl Session {
    pub(crate) fn key(&self, expiration: Timestamp) -> AccessKey {
        AccessKey {
            secret_access_key: self.secret.clone(),
            session_token: Some(self.token.clone()),
            principal: self.principal.clone(),
            account: self.account.clone(),
            expiration: Some(expiration),
        }
    }
}

pub(crate) fn insert(conn: &Connection, id: &str, expiration: Timestamp, session: &Session) -> Result<(), AwsError> {
    let body = serde_json::to_string(session).map_err(AwsError::internal)?;
    db(conn.execute(
        "INSERT INTO iam_sessions (id, expiration, body) VALUES (?1, ?2, ?3)",
        params![id, expiration.millis(), body],
    ))?;
    Ok(())
}

/// Deletes what has ended, as [`crate::key_ring::KeyRing::sweep`] forgets it.
pub(crate) fn sweep(conn: &Connection, now: Timestamp) -> Result<(), AwsError> {
    let remembered = i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
    db(conn
        .execute("DELETE FROM iam_sessions WHERE expiration < ?1", [now.millis().saturating_sub(remembered)])
        .map(drop))
}

/// Every session there is.
pub(crate) fn load(conn: &Connection) -> Result<Vec<(String, AccessKey)>, AwsError> {
    let mut statement = db(conn.prepare("SELECT id, expiration, body FROM iam_sessions"))?;
    let rows =
        db(statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))))?;
    rows.map(|row| {
        let (id, expiration, body) = db(row)?;
        let session: Session = serde_json::from_str(&body).map_err(AwsError::internal)?;
        Ok((id, session.key(Timestamp::from_millis(expiration))))
    })
    .collect()
}
