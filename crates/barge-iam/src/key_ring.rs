//! Every usable access key in memory: the gateway asks for one with each request.

use barge_core::Timestamp;
use barge_core::ports::AccessKey;
use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// How long an ended key is remembered, so that its holder hears that it has expired and not that it never was.
pub(crate) const REMEMBERED: Duration = Duration::from_hours(1);

#[derive(Default)]
pub(crate) struct KeyRing(RwLock<Keys>);

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, AccessKey>,
    /// Temporary keys by their ends, so that sweeping looks at nothing that stays.
    ends: BTreeSet<(Timestamp, String)>,
}

impl KeyRing {
    pub(crate) fn get(&self, id: &str) -> Option<AccessKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }

    /// Adds a key, or replaces what it stands for; `None` takes it out.
    pub(crate) fn set(&self, id: &str, key: Option<AccessKey>) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match key {
            Some(key) => {
                keys.ends.extend(key.expiration.map(|end| (end, id.to_owned())));
                keys.by_id.insert(id.to_owned(), key);
            }
            None => drop(keys.by_id.remove(id)),
        }
    }

    /// Forgets the keys that ended before `now`, less [`REMEMBERED`].
    pub(crate) fn sweep(&self, now: Timestamp) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        while let Some((end, _)) = keys.ends.first()
            && *end + REMEMBERED < now
        {
            if let Some((_, id)) = keys.ends.pop_first() {
                keys.by_id.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::{AccountId, Principal};

    fn key(expiration: Option<Timestamp>) -> AccessKey {
        let account = AccountId::default();
        AccessKey {
            secret_access_key: "s".to_owned(),
            session_token: None,
            principal: Principal::Root { account: account.clone() },
            account,
            expiration,
        }
    }

    #[test]
    fn ended_keys_go_after_a_while_and_lasting_ones_stay() {
        let ring = KeyRing::default();
        let end = Timestamp::from_millis(1_000_000);
        ring.set("lasting", Some(key(None)));
        ring.set("temporary", Some(key(Some(end))));
        ring.sweep(end + REMEMBERED);
        assert!(ring.get("temporary").is_some());
        ring.sweep(end + REMEMBERED + Duration::from_secs(1));
        assert!(ring.get("temporary").is_none());
        assert!(ring.get("lasting").is_some());
        ring.set("lasting", None);
        assert!(ring.get("lasting").is_none());
    }
}
