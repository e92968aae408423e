//! Carrying lifecycle rules out: once a day, at start, and whenever rules change, a pass over the buckets that have any.
//! What is due is looked up in a snapshot and looked at again in the commit that acts, so that a pass may stop anywhere
//! and begin anew.

use super::decide::{Deed, abortion, decide};
use super::rules::{DAY, Rule, Status};
use crate::api::{destroy, hide};
use crate::caller::{Aim, Caller};
use crate::core::{Changes, Core};
use crate::error::Result;
use crate::meta::{Bucket, Entry, buckets, uploads, versions};
use crate::notify::Occurrence;
use barge_core::{Principal, Timestamp};
use barge_store::rusqlite::{Connection, Transaction};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Keys or uploads of one look and one commit.
const BATCH: usize = 256;
/// The longest wait between two looks at the clock: it may be set, and the machine may sleep.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Sweeps for ever.
pub(crate) async fn sweep_forever(core: Arc<Core>) {
    loop {
        let day = day(core.now());
        if let Err(error) = sweep(&core).await {
            tracing::error!(%error, "lifecycle rules wait for the next pass");
        }
        loop {
            let midnight = Timestamp::from_millis((day + 1).saturating_mul(DAY));
            let wait = midnight.since(core.now()).min(LONGEST_WAIT);
            // The permit of a change that came meanwhile is kept, so none is missed.
            let changed = tokio::time::timeout(wait, core.lifecycle.notified()).await.is_ok();
            if changed || self::day(core.now()) != day {
                break;
            }
        }
    }
}

fn day(now: Timestamp) -> i64 {
    now.millis().div_euclid(DAY)
}

/// One pass over everything.
async fn sweep(core: &Arc<Core>) -> Result<()> {
    let buckets = core.read(buckets::with_lifecycle).await?;
    for bucket in buckets {
        let name = bucket.name.clone();
        if let Err(error) = sweep_bucket(core, bucket).await {
            tracing::error!(%error, bucket = name, "lifecycle rules of a bucket wait for the next pass");
        }
    }
    Ok(())
}

async fn sweep_bucket(core: &Arc<Core>, bucket: Bucket) -> Result<()> {
    let bucket = Arc::new(bucket);
    if bucket.settings.lifecycle.iter().any(|rule| rule.abort.is_some()) {
        abort_uploads(core, &bucket).await?;
    }
    for prefix in prefixes(&bucket.settings.lifecycle) {
        let mut after = None;
        while let Some(batch) = look(core, &bucket, prefix.clone(), after).await? {
            after = batch.last;
            if !batch.due.is_empty() {
                act(core, &bucket, batch.due).await?;
            }
        }
    }
    Ok(())
}

/// The prefixes of keys that rules speak of, none within another.
fn prefixes(rules: &[Rule]) -> Vec<String> {
    let speaking = rules
        .iter()
        .filter(|rule| rule.status == Status::Enabled && (rule.expiration.is_some() || rule.noncurrent.is_some()));
    let mut found: Vec<String> = speaking.map(|rule| rule.filter.prefix.clone().unwrap_or_default()).collect();
    found.sort();
    found.dedup_by(|longer, kept| longer.starts_with(kept.as_str()));
    found
}

struct Batch {
    /// The last key that was looked at.
    last: Option<String>,
    /// Keys with something to do.
    due: Vec<String>,
}

/// Looks at the next keys; `None` where there are no more.
async fn look(core: &Core, bucket: &Arc<Bucket>, prefix: String, after: Option<String>) -> Result<Option<Batch>> {
    let (bucket, now) = (Arc::clone(bucket), core.now());
    core.read(move |connection| {
        let keys = versions::keys(connection, bucket.id, &prefix, after.as_deref(), BATCH)?;
        let Some(last) = keys.last().cloned() else { return Ok(None) };
        let mut due = Vec::new();
        for key in keys {
            if !deeds(connection, &bucket, &key, now)?.1.is_empty() {
                due.push(key);
            }
        }
        Ok(Some(Batch { last: Some(last), due }))
    })
    .await
}

/// A key's versions and what is to be done with them.
fn deeds(connection: &Connection, bucket: &Bucket, key: &str, now: Timestamp) -> Result<(Vec<Entry>, Vec<Deed>)> {
    let entries = versions::of_key(connection, bucket.id, key)?;
    let deeds = decide(&bucket.settings.lifecycle, bucket.settings.versioning, &entries, now);
    Ok((entries, deeds))
}

/// The one who acts on behalf of rules.
fn caller(core: &Core, bucket: &Bucket) -> Caller {
    Caller {
        principal: Principal::Service("s3.amazonaws.com".to_owned()),
        scope: bucket.scope.clone(),
        aim: Aim::Region,
        request_id: core.ambient.ids.upper_alphanumeric(16),
        address: "s3.amazonaws.com".to_owned(),
    }
}

/// The bucket as it is now, where it is still the one that was looked at.
fn again(tx: &Transaction<'_>, bucket: &Bucket) -> Result<Option<Bucket>> {
    Ok(buckets::find(tx, &bucket.name)?.filter(|found| found.id == bucket.id))
}

async fn act(core: &Arc<Core>, bucket: &Arc<Bucket>, keys: Vec<String>) -> Result<()> {
    let (this, bucket, now) = (Arc::clone(core), Arc::clone(bucket), core.now());
    core.commit(move |tx, changes| {
        let Some(bucket) = again(tx, &bucket)? else { return Ok(()) };
        let caller = caller(&this, &bucket);
        keys.iter().try_for_each(|key| act_on(&this, tx, changes, (&bucket, &caller), key, now))
    })
    .await
}

fn act_on(
    core: &Core,
    tx: &Transaction<'_>,
    changes: &mut Changes,
    whose: (&Bucket, &Caller),
    key: &str,
    now: Timestamp,
) -> Result<()> {
    let (entries, deeds) = deeds(tx, whose.0, key, now)?;
    for deed in deeds {
        match (deed, &entries[..]) {
            (Deed::Destroy(at), entries) => {
                let Some(entry) = entries.get(at).cloned() else { continue };
                destroy(core, tx, changes, whose, key, entry, Occurrence::LifecycleDelete)?;
            }
            (Deed::Hide, [Entry::Object(current), ..]) => {
                let (current, occurrence) = (Some((**current).clone()), Occurrence::LifecycleDeleteMarkerCreated);
                hide(core, tx, changes, whose, key, current, occurrence)?;
            }
            (Deed::Hide, _) => {}
        }
    }
    Ok(())
}

async fn abort_uploads(core: &Arc<Core>, bucket: &Arc<Bucket>) -> Result<()> {
    loop {
        let (bucket, now) = (Arc::clone(bucket), core.now());
        let more = core.commit(move |tx, changes| {
            let Some(bucket) = again(tx, &bucket)? else { return Ok(false) };
            let mut due = Vec::new();
            uploads::each(tx, bucket.id, ("", ""), |upload| {
                let abortion = abortion(&bucket.settings.lifecycle, &upload.key, upload.initiated);
                if abortion.is_some_and(|due| due.at <= now) {
                    due.push(upload.id);
                }
                if due.len() == BATCH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            for id in &due {
                changes.discard(uploads::parts(tx, id, 0, usize::MAX)?.into_iter().map(|part| part.blob));
                uploads::delete(tx, id)?;
            }
            Ok(due.len() == BATCH)
        });
        if !more.await? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::rule;
    use super::super::rules::{Expiration, Filter};
    use super::*;

    #[test]
    fn only_keys_that_rules_speak_of_are_looked_at() {
        let of = |prefix: Option<&str>| Rule {
            filter: Filter { prefix: prefix.map(str::to_owned), ..Filter::default() },
            expiration: Some(Expiration::Days(1)),
            ..rule()
        };
        let aborting = Rule { abort: Some(1), ..rule() };
        let off = Rule { status: Status::Disabled, ..of(None) };
        for (rules, found) in [
            (vec![of(Some("b/")), of(Some("a/")), of(Some("a/x")), of(Some("b/"))], vec!["a/", "b/"]),
            (vec![of(Some("a/")), of(None)], vec![""]),
            (vec![aborting, off], vec![]),
        ] {
            assert_eq!(prefixes(&rules), found, "{rules:?}");
        }
    }
}
