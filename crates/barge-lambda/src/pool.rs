//! Which instances are free, and how many invocations run: concurrency limits, warm instances first. No I/O.

use crate::instance::Signal;
use crate::names::FunctionKey;
use barge_core::{Scope, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// What an instance is known by.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub id: String,
    pub deployment: String,
    /// When its credentials get too old for another invocation.
    pub usable_until: Timestamp,
    pub signals: mpsc::UnboundedSender<Signal>,
}

impl Handle {
    fn tell(&self, signal: Signal) {
        // An instance that is gone needs no telling.
        let _ = self.signals.send(signal);
    }
}

/// How many invocations may run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Of this function.
    Reserved(u32),
    /// Of all functions of the account and region that have nothing reserved.
    Unreserved(u32),
}

/// The limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throttled;

/// The right to run one invocation; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    pools: Arc<Pools>,
    key: FunctionKey,
    /// What it counts against; none once it was given back.
    limit: Option<Limit>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(limit) = self.limit {
            self.pools.inner().give_back(&self.key, limit);
        }
    }
}

/// Whether an instance that has finished goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Future {
    /// It is free for the next invocation.
    Stay,
    /// It belongs to an earlier deployment.
    Leave,
}

#[derive(Debug, Default)]
struct Pool {
    free: Vec<Handle>,
    in_flight: u32,
    /// The deployment whose instances may stay, once that is known.
    current: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    pools: HashMap<FunctionKey, Pool>,
    unreserved: HashMap<Scope, u32>,
    /// Every instance that lives, by id.
    living: HashMap<String, Handle>,
}

impl Inner {
    fn give_back(&mut self, key: &FunctionKey, limit: Limit) {
        if let Some(pool) = self.pools.get_mut(key) {
            pool.in_flight = pool.in_flight.saturating_sub(1);
        }
        if let (Limit::Unreserved(_), Some(running)) = (limit, self.unreserved.get_mut(&key.scope)) {
            *running = running.saturating_sub(1);
        }
        self.tidy(key);
    }

    fn tidy(&mut self, key: &FunctionKey) {
        if self.pools.get(key).is_some_and(|pool| pool.free.is_empty() && pool.in_flight == 0) {
            self.pools.remove(key);
        }
    }
}

/// The instances of all functions.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    inner: Mutex<Inner>,
}

impl Pools {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to run an invocation of `key`, within `limit`.
    pub(crate) fn permit(self: &Arc<Self>, key: &FunctionKey, limit: Limit) -> Result<Permit, Throttled> {
        let mut inner = self.inner();
        let (running, most) = match limit {
            // What is reserved is reserved for all versions together.
            Limit::Reserved(most) => {
                let same = |other: &FunctionKey| other.scope == key.scope && other.name == key.name;
                (inner.pools.iter().filter(|(other, _)| same(other)).map(|(_, pool)| pool.in_flight).sum(), most)
            }
            Limit::Unreserved(most) => (inner.unreserved.get(&key.scope).copied().unwrap_or(0), most),
        };
        if running >= most {
            return Err(Throttled);
        }
        inner.pools.entry(key.clone()).or_default().in_flight += 1;
        if let Limit::Unreserved(_) = limit {
            *inner.unreserved.entry(key.scope.clone()).or_default() += 1;
        }
        Ok(Permit { pools: Arc::clone(self), key: key.clone(), limit: Some(limit) })
    }

    /// A free instance of `deployment`, the last used first; instances that have become useless are sent away.
    pub(crate) fn take(&self, key: &FunctionKey, deployment: &str, now: Timestamp) -> Option<Handle> {
        let mut inner = self.inner();
        let pool = inner.pools.get_mut(key)?;
        while let Some(handle) = pool.free.pop() {
            if handle.deployment == deployment && now < handle.usable_until {
                return Some(handle);
            }
            handle.tell(Signal::Retire);
        }
        None
    }

    /// Notes an instance that has been started for an invocation.
    pub(crate) fn born(&self, handle: Handle) {
        self.inner().living.insert(handle.id.clone(), handle);
    }

    /// Offers an instance that nobody has asked for yet; others that are free come first.
    pub(crate) fn offer(&self, key: &FunctionKey, handle: Handle) {
        let mut inner = self.inner();
        inner.living.insert(handle.id.clone(), handle.clone());
        inner.pools.entry(key.clone()).or_default().free.insert(0, handle);
    }

    /// Whether any instance of `key` is free.
    pub(crate) fn has_free(&self, key: &FunctionKey) -> bool {
        self.inner().pools.get(key).is_some_and(|pool| !pool.free.is_empty())
    }

    /// Takes back an invocation's permit and its instance, in one step, so that whoever comes next finds both.
    pub(crate) fn finish(&self, mut permit: Permit, handle: &Handle) -> Future {
        let mut inner = self.inner();
        let pool = inner.pools.entry(permit.key.clone()).or_default();
        let stays = pool.current.as_ref().is_none_or(|current| *current == handle.deployment);
        if stays {
            pool.free.push(handle.clone());
        }
        if let Some(limit) = permit.limit.take() {
            inner.give_back(&permit.key, limit);
        }
        if stays { Future::Stay } else { Future::Leave }
    }

    /// Withdraws an instance from the free ones; false where it was taken.
    pub(crate) fn withdraw(&self, key: &FunctionKey, id: &str) -> bool {
        let mut inner = self.inner();
        let Some(pool) = inner.pools.get_mut(key) else { return false };
        let before = pool.free.len();
        pool.free.retain(|handle| handle.id != id);
        let found = pool.free.len() < before;
        inner.tidy(key);
        found
    }

    /// Forgets an instance that is over.
    pub(crate) fn died(&self, key: &FunctionKey, id: &str) {
        self.withdraw(key, id);
        self.inner().living.remove(id);
    }

    /// From now on only instances of `deployment` stay; free ones of others go.
    pub(crate) fn deploy(&self, key: &FunctionKey, deployment: &str) {
        let mut inner = self.inner();
        let pool = inner.pools.entry(key.clone()).or_default();
        pool.current = Some(deployment.to_owned());
        let (stay, leave) = std::mem::take(&mut pool.free).into_iter().partition(|h| h.deployment == deployment);
        pool.free = stay;
        inner.tidy(key);
        for handle in &leave as &Vec<Handle> {
            handle.tell(Signal::Retire);
        }
    }

    /// Ends every instance, whatever it does.
    pub(crate) fn stop_all(&self) {
        for handle in self.inner().living.values() {
            handle.tell(Signal::Stop);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> FunctionKey {
        FunctionKey::new(&Scope::default(), "f")
    }

    fn handle(id: &str, deployment: &str) -> (Handle, mpsc::UnboundedReceiver<Signal>) {
        let (signals, received) = mpsc::unbounded_channel();
        let usable_until = Timestamp::from_millis(1000);
        (Handle { id: id.to_owned(), deployment: deployment.to_owned(), usable_until, signals }, received)
    }

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn reserved_and_unreserved_functions_count_apart() {
        let pools = Arc::new(Pools::default());
        let other = FunctionKey::new(&Scope::default(), "g");
        let first = pools.permit(&key(), Limit::Unreserved(2)).unwrap();
        let _second = pools.permit(&other, Limit::Unreserved(2)).unwrap();
        assert!(pools.permit(&key(), Limit::Unreserved(2)).is_err());
        let reserved = FunctionKey::new(&Scope::default(), "r");
        let _third = pools.permit(&reserved, Limit::Reserved(1)).unwrap();
        assert!(pools.permit(&reserved, Limit::Reserved(1)).is_err());
        drop(first);
        assert!(pools.permit(&key(), Limit::Unreserved(2)).is_ok());
        assert!(pools.permit(&key(), Limit::Reserved(0)).is_err());
    }

    #[test]
    fn a_finished_instance_is_the_next_to_work() {
        let pools = Arc::new(Pools::default());
        let permit = pools.permit(&key(), Limit::Unreserved(1)).unwrap();
        let (warm, _warm) = handle("warm", "d");
        let (fresh, _fresh) = handle("fresh", "d");
        pools.offer(&key(), fresh);
        assert_eq!(pools.finish(permit, &warm), Future::Stay);
        assert_eq!(pools.take(&key(), "d", NOW).unwrap().id, "warm");
        assert_eq!(pools.take(&key(), "d", NOW).unwrap().id, "fresh");
        assert!(pools.take(&key(), "d", NOW).is_none());
        assert!(pools.permit(&key(), Limit::Unreserved(1)).is_ok());
    }

    #[test]
    fn a_new_deployment_sends_the_old_instances_away() {
        let pools = Arc::new(Pools::default());
        let (old, mut told) = handle("old", "1");
        let (busy, _) = handle("busy", "1");
        let permit = pools.permit(&key(), Limit::Unreserved(9)).unwrap();
        pools.offer(&key(), old);
        pools.deploy(&key(), "2");
        assert!(matches!(told.try_recv(), Ok(Signal::Retire)));
        assert_eq!(pools.finish(permit, &busy), Future::Leave);
        assert!(pools.take(&key(), "2", NOW).is_none());
    }

    #[test]
    fn credentials_that_end_soon_end_the_instance() {
        let pools = Pools::default();
        let (old, mut told) = handle("old", "1");
        pools.offer(&key(), old);
        assert!(pools.take(&key(), "1", Timestamp::from_millis(1000)).is_none());
        assert!(matches!(told.try_recv(), Ok(Signal::Retire)));
    }

    #[test]
    fn only_a_free_instance_can_withdraw() {
        let pools = Pools::default();
        let (handle, _told) = handle("a", "1");
        pools.offer(&key(), handle);
        assert!(pools.withdraw(&key(), "a"));
        assert!(!pools.withdraw(&key(), "a"));
    }
}
