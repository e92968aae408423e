//! Mailboxes: what functions and instances send to a URL that they were given. A mailbox has a key, the same for every
//! try of a call, and a token that nobody can guess; letters stay until the mailbox goes.

use crate::CloudFormation;
use barge_core::{AwsError, Document, Timestamp};
use barge_store::rusqlite::{OptionalExtension as _, params};
use barge_store::sql;
use std::time::Duration;

/// The path before a mailbox's token.
const PATH: &str = "/_barge/cloudformation/";

/// A mailbox.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    pub(super) key: String,
    pub(super) token: String,
    pub(super) created: Timestamp,
    /// Whether its URL has been handed out.
    pub(super) sent: bool,
}

impl Mailbox {
    /// Where its letters go.
    pub(super) fn url(&self, service: &CloudFormation) -> String {
        format!("{}{PATH}{}", service.engine().ambient().endpoint, self.token)
    }
}

/// The mailbox with a key, which is made where there is none.
pub(super) async fn open(service: &CloudFormation, key: &str, stack_id: &str) -> Result<Mailbox, AwsError> {
    let ambient = service.engine().ambient();
    let (key, stack_id) = (key.to_owned(), stack_id.to_owned());
    let (token, now) = (ambient.ids.hex(40), ambient.clock.now());
    service
        .engine()
        .store()
        .write(move |tx| {
            sql(tx.execute(
                "INSERT OR IGNORE INTO cloudformation_mailboxes (key, token, stack_id, created, sent)
                 VALUES (?1, ?2, ?3, ?4, 0)",
                params![key, token, stack_id, now.millis()],
            ))?;
            let query = "SELECT token, created, sent FROM cloudformation_mailboxes WHERE key = ?1";
            sql(tx.query_row(query, [&key], |row| {
                Ok(Mailbox {
                    key: key.clone(),
                    token: row.get(0)?,
                    created: Timestamp::from_millis(row.get(1)?),
                    sent: row.get(2)?,
                })
            }))
        })
        .await
}

/// The mailbox with a key, where there is one.
pub(super) async fn find(service: &CloudFormation, key: &str) -> Result<Option<Mailbox>, AwsError> {
    let key = key.to_owned();
    service
        .engine()
        .store()
        .read(move |db| {
            let query = "SELECT token, created, sent FROM cloudformation_mailboxes WHERE key = ?1";
            let found = db.query_row(query, [&key], |row| {
                Ok(Mailbox {
                    key: key.clone(),
                    token: row.get(0)?,
                    created: Timestamp::from_millis(row.get(1)?),
                    sent: row.get(2)?,
                })
            });
            sql::<_>(found.optional())
        })
        .await
}

/// Records that the mailbox's URL has been handed out.
pub(super) async fn mark_sent(service: &CloudFormation, mailbox: &Mailbox) -> Result<(), AwsError> {
    let key = mailbox.key.clone();
    let statement = "UPDATE cloudformation_mailboxes SET sent = 1 WHERE key = ?1";
    service.engine().store().write(move |tx| sql(tx.execute(statement, [key])).map(drop)).await
}

/// Removes a mailbox with its letters.
pub(super) async fn close(service: &CloudFormation, key: &str) -> Result<(), AwsError> {
    let key = key.to_owned();
    service
        .engine()
        .store()
        .write(move |tx| {
            let letters = "DELETE FROM cloudformation_letters WHERE token IN
                           (SELECT token FROM cloudformation_mailboxes WHERE key = ?1)";
            sql(tx.execute(letters, [&key]))?;
            sql(tx.execute("DELETE FROM cloudformation_mailboxes WHERE key = ?1", [&key])).map(drop)
        })
        .await
}

/// The letters in the mailbox with a token, oldest first.
pub(super) async fn letters(service: &CloudFormation, token: &str) -> Result<Vec<Document>, AwsError> {
    let token = token.to_owned();
    service
        .engine()
        .store()
        .read(move |db| {
            let query = "SELECT body FROM cloudformation_letters WHERE token = ?1 ORDER BY sequence";
            let mut statement = sql(db.prepare_cached(query))?;
            let rows = sql(statement.query_map([token], |row| row.get::<_, String>(0)))?;
            let mut letters = Vec::new();
            for row in rows {
                letters.push(Document::from_json(sql(row)?.as_bytes()).map_err(AwsError::internal)?);
            }
            Ok(letters)
        })
        .await
}

/// Puts a letter into the mailbox with a token and wakes those who wait. `AccessDenied` where there is no such mailbox,
/// `InvalidRequest` where the letter is no JSON object.
pub(crate) async fn deliver(service: &CloudFormation, token: &str, body: &[u8]) -> Result<(), AwsError> {
    let letter = Document::from_json(body).ok().filter(|letter| letter.as_map().is_some());
    let letter = letter.ok_or_else(|| AwsError::new("InvalidRequest", 400, "The body must be a JSON object."))?;
    let (token, text) = (token.to_owned(), letter.to_json());
    service
        .engine()
        .store()
        .write(move |tx| {
            let there = "SELECT 1 FROM cloudformation_mailboxes WHERE token = ?1";
            if sql(tx.query_row(there, [&token], |_| Ok(())).optional())?.is_none() {
                return Err(AwsError::new("AccessDenied", 403, "The URL has expired or never was."));
            }
            let statement = "INSERT INTO cloudformation_letters (token, body) VALUES (?1, ?2)";
            sql(tx.execute(statement, params![token, text])).map(drop)
        })
        .await?;
    service.letters().send_modify(|count| *count += 1);
    Ok(())
}

/// What `read` makes of the letters, as soon as it makes something of them; `None` once `limit` has passed since the
/// mailbox's making.
pub(super) async fn wait<T>(
    service: &CloudFormation,
    token: &str,
    since: Timestamp,
    limit: Duration,
    read: impl Fn(&[Document]) -> Option<T>,
) -> Result<Option<T>, AwsError> {
    let mut arrivals = service.letters().subscribe();
    let left = (since + limit).since(service.engine().ambient().clock.now());
    let end = tokio::time::sleep(left);
    tokio::pin!(end);
    loop {
        arrivals.mark_unchanged();
        if let Some(found) = read(&letters(service, token).await?) {
            return Ok(Some(found));
        }
        tokio::select! {
            changed = arrivals.changed() => changed.map_err(AwsError::internal)?,
            () = &mut end => return Ok(None),
        }
    }
}
