//! A service on a temporary store with a clock that stands still, for unit tests.

use crate::{IamService, RootKey};
use barge_core::clock::ManualClock;
use barge_core::{Ambient, Context, Principal, RandomIds, Scope, Timestamp};
use barge_store::Store;
use std::sync::Arc;

pub(crate) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"batch.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
pub(crate) const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

pub(crate) struct Bench {
    pub(crate) iam: Arc<IamService>,
    pub(crate) cx: Context,
    pub(crate) clock: Arc<ManualClock>,
    store: Store,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("barge.db")).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000_000_000)));
        let iam = open(&store, &clock);
        let scope = Scope::default();
        let mut cx = Ambient::system("http://localhost").context(scope.clone(), "test");
        cx.principal = Principal::Root { account: scope.account };
        Self { iam, cx, clock, store, _dir: dir }
    }

    /// Another service on the same store, as after a restart.
    pub(crate) fn reopen(&self) -> Arc<IamService> {
        open(&self.store, &self.clock)
    }
}

fn open(store: &Store, clock: &Arc<ManualClock>) -> Arc<IamService> {
    let ambient =
        Ambient { clock: Arc::<ManualClock>::clone(clock), ids: Arc::new(RandomIds), endpoint: String::new() };
    let root = RootKey { access_key_id: "ROOT".to_owned(), secret_access_key: "secret".to_owned() };
    Arc::new(IamService::open(store.clone(), ambient, root).unwrap())
}
