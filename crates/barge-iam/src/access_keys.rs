//! Access keys of users. The table is the truth; the key ring follows it.

use crate::account::{Account, db};
use crate::errors;
use crate::records::UserRecord;
use barge_core::ports;
use barge_core::{AccountId, AwsError, IdSource, Principal, Timestamp};
use barge_store::rusqlite::{OptionalExtension as _, Row, params};
use barge_wire::iam::{AccessKey, AccessKeyMetadata, StatusType, error};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Most keys of one user (IAM User Guide, "IAM and AWS STS quotas").
const MOST_KEYS: usize = 2;

/// A user's key.
#[derive(Clone)]
pub(crate) struct KeyRecord {
    pub(crate) id: String,
    pub(crate) user: String,
    secret: String,
    active: bool,
    created: Timestamp,
}

impl KeyRecord {
    pub(crate) fn show(&self) -> AccessKeyMetadata {
        AccessKeyMetadata {
            user_name: Some(self.user.clone()),
            access_key_id: Some(self.id.clone()),
            status: Some(self.status()),
            create_date: Some(self.created),
        }
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    fn status(&self) -> StatusType {
        if self.active { StatusType::Active } else { StatusType::Inactive }
    }

    /// What the gateway verifies signatures with; `None` where the key is switched off.
    pub(crate) fn usable(&self, account: &Account<'_>) -> Result<Option<ports::AccessKey>, AwsError> {
        let user = account.get::<UserRecord>(&self.user)?;
        let arn = user.arn(account).parse().map_err(AwsError::internal)?;
        Ok(self.active.then(|| ports::AccessKey {
            secret_access_key: self.secret.clone(),
            session_token: None,
            principal: Principal::User { arn, user_id: user.id },
            account: account.id.clone(),
            expiration: None,
        }))
    }
}

/// 40 characters: 240 random bits.
pub(crate) fn random_secret(ids: &dyn IdSource) -> String {
    let mut bytes = [0; 30];
    ids.fill(&mut bytes);
    STANDARD.encode(bytes)
}

const COLUMNS: &str = "SELECT id, user, secret, active, created FROM iam_access_keys";

fn from_row(row: &Row<'_>) -> Result<KeyRecord, barge_store::rusqlite::Error> {
    Ok(KeyRecord {
        id: row.get(0)?,
        user: row.get(1)?,
        secret: row.get(2)?,
        active: row.get(3)?,
        created: Timestamp::from_millis(row.get(4)?),
    })
}

pub(crate) fn create(account: &Account<'_>, user: Option<String>) -> Result<AccessKey, AwsError> {
    let id = format!("AKIA{}", account.ids.upper_alphanumeric(16));
    create_with_id(account, user, id)
}

/// A new key whose id is chosen; its secret is random.
pub(crate) fn create_with_id(account: &Account<'_>, user: Option<String>, id: String) -> Result<AccessKey, AwsError> {
    let user = account.get::<UserRecord>(&account.user_name(user)?)?.name;
    if of_user(account, &user)?.len() >= MOST_KEYS {
        return Err(errors::quota("AccessKeysPerUser", MOST_KEYS));
    }
    let key = KeyRecord { id, user, secret: random_secret(account.ids), active: true, created: account.now };
    db(account.conn.execute(
        "INSERT INTO iam_access_keys (id, account, user, secret, active, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![key.id, account.id.as_str(), key.user, key.secret, key.active, key.created.millis()],
    ))?;
    Ok(AccessKey {
        status: key.status(),
        user_name: key.user,
        access_key_id: key.id,
        secret_access_key: key.secret,
        create_date: Some(key.created),
    })
}

pub(crate) fn of_user(account: &Account<'_>, user: &str) -> Result<Vec<KeyRecord>, AwsError> {
    let query = format!("{COLUMNS} WHERE account = ?1 AND user = ?2 ORDER BY id");
    let mut statement = db(account.conn.prepare_cached(&query))?;
    let rows = db(statement.query_map(params![account.id.as_str(), user], from_row))?;
    db(rows.collect())
}

/// The key with this id, of any user of the account.
pub(crate) fn find(account: &Account<'_>, id: &str) -> Result<Option<KeyRecord>, AwsError> {
    let query = format!("{COLUMNS} WHERE account = ?1 AND id = ?2");
    db(account.conn.query_row(&query, params![account.id.as_str(), id], from_row).optional())
}

fn of_user_with_id(account: &Account<'_>, user: Option<String>, id: &str) -> Result<KeyRecord, AwsError> {
    let user = account.get::<UserRecord>(&account.user_name(user)?)?.name;
    find(account, id)?
        .filter(|key| key.user == user)
        .ok_or_else(|| error::no_such_entity_exception(format!("The Access Key with id {id} cannot be found.")))
}

pub(crate) fn set_status(
    account: &Account<'_>,
    user: Option<String>,
    id: &str,
    status: StatusType,
) -> Result<(), AwsError> {
    let active = match status {
        StatusType::Active => true,
        StatusType::Inactive => false,
        StatusType::Expired => return Err(errors::validation("Status must be Active or Inactive")),
    };
    let key = of_user_with_id(account, user, id)?;
    db(account.conn.execute("UPDATE iam_access_keys SET active = ?1 WHERE id = ?2", params![active, key.id]).map(drop))
}

pub(crate) fn delete(account: &Account<'_>, user: Option<String>, id: &str) -> Result<(), AwsError> {
    let key = of_user_with_id(account, user, id)?;
    db(account.conn.execute("DELETE FROM iam_access_keys WHERE id = ?1", [key.id]).map(drop))
}

/// Every key of every account, with the account it belongs to.
pub(crate) fn all_ids(
    conn: &barge_store::rusqlite::Connection,
) -> Result<Vec<(AccountId, String)>, barge_store::rusqlite::Error> {
    let mut statement = conn.prepare("SELECT account, id FROM iam_access_keys")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let mut ids = Vec::new();
    for row in rows {
        let (account, id) = row?;
        ids.extend(AccountId::new(&account).map(|account| (account, id)));
    }
    Ok(ids)
}
