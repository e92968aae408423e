//! A network on a database in memory, and a service on a temporary store, for unit tests.

use crate::network::{Network, TABLES};
use crate::{Ec2Service, default_vpc};
use barge_core::ids::SeededIds;
use barge_core::{Ambient, Context, Scope};
use barge_store::Store;
use barge_store::rusqlite::Connection;
use std::sync::Arc;

pub(crate) fn context() -> Context {
    Ambient::system("http://localhost").context(Scope::default(), "test")
}

/// Runs `story` on an empty network with its default VPC.
pub(crate) fn with_network<T>(story: impl FnOnce(&Network<'_>) -> T) -> T {
    let conn = Connection::open_in_memory().unwrap();
    for step in TABLES {
        conn.execute_batch(step).unwrap();
    }
    let ids = SeededIds::new("test");
    let net = Network::new(&conn, &context(), &ids);
    default_vpc::prepare(&net).unwrap();
    story(&net)
}

pub(crate) struct Bench {
    pub(crate) ec2: Arc<Ec2Service>,
    pub(crate) cx: Context,
    store: Store,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("barge.db")).unwrap();
        Self { ec2: open(&store), cx: context(), store, _dir: dir }
    }

    /// Another service on the same store, as after a restart.
    pub(crate) fn reopen(&self) -> Arc<Ec2Service> {
        open(&self.store)
    }
}

fn open(store: &Store) -> Arc<Ec2Service> {
    Arc::new(Ec2Service::open(store.clone(), Ambient::system("http://localhost")).unwrap())
}
