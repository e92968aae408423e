//! What every operation works with: the tables, the blobs, and commits that keep the two together.

use crate::blobs::{Blobs, NewBlob};
use crate::error::Result;
use crate::meta::objects;
use crate::notify::Delivery;
use barge_core::ports::{EventSink, FunctionInvoker};
use barge_core::{Ambient, Timestamp};
use barge_store::Store;
use barge_store::rusqlite::{Connection, Transaction, params};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Shared by every operation and background task.
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) ambient: Ambient,
    pub(crate) functions: Arc<dyn FunctionInvoker>,
    pub(crate) events: Option<Arc<dyn EventSink>>,
    /// Wakes the delivery of notifications.
    pub(crate) outbox: Notify,
    /// Wakes the lifecycle's pass.
    pub(crate) lifecycle: Notify,
    /// Takes the names of blobs whose garbage rows are committed.
    pub(crate) garbage: UnboundedSender<Vec<String>>,
}

/// What a commit entails beyond its rows.
#[derive(Default)]
pub(crate) struct Changes {
    kept: Vec<NewBlob>,
    garbage: Vec<String>,
    notified: bool,
}

impl Changes {
    /// The commit refers to `blob`.
    pub(crate) fn keep(&mut self, blob: NewBlob) {
        self.kept.push(blob);
    }

    /// The commit drops the last reference to each of `blobs`.
    pub(crate) fn discard(&mut self, blobs: impl IntoIterator<Item = String>) {
        self.garbage.extend(blobs);
    }

    /// Puts a notification into the outbox.
    pub(crate) fn notify(&mut self, tx: &Transaction<'_>, delivery: &Delivery, now: Timestamp) -> Result<()> {
        self.notified = true;
        tx.prepare_cached("INSERT INTO s3_outbox (delivery, created, attempts, due) VALUES (?1, ?2, 0, ?2)")?
            .execute(params![serde_json::to_string(delivery)?, now.millis()])?;
        Ok(())
    }
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.ambient.clock.now()
    }

    /// Reads from a snapshot.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.store.read(query).await
    }

    /// Runs `work` in a transaction and carries out its [`Changes`] once it is on disk. This goes on to its end even
    /// if the caller goes away.
    pub(crate) async fn commit<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        F: FnOnce(&Transaction<'_>, &mut Changes) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let core = Arc::clone(self);
        tokio::spawn(async move {
            let committed = core.store.write(move |tx| {
                let mut changes = Changes::default();
                let value = work(tx, &mut changes)?;
                for blob in &changes.garbage {
                    tx.prepare_cached("INSERT OR IGNORE INTO s3_garbage (blob) VALUES (?1)")?.execute([blob])?;
                }
                // From here on the commit may happen without our hearing of it, so the blobs must stay.
                let kept: Vec<String> = changes.kept.into_iter().map(NewBlob::keep).collect();
                Result::Ok((value, kept, changes.garbage, changes.notified))
            });
            let (value, kept, garbage, notified) = committed.await?;
            for blob in kept {
                core.blobs.settle(&blob);
            }
            if !garbage.is_empty() {
                // The collector ends with the service; the next start removes what is left.
                let _ = core.garbage.send(garbage);
            }
            if notified {
                core.outbox.notify_one();
            }
            Ok(value)
        })
        .await?
    }

    /// Finishes what a run before this one left half-done: blobs whose commit it did not hear of, and garbage.
    pub(crate) fn recover(&self) -> Result<()> {
        for name in self.blobs.unsettled()? {
            if self.store.read_blocking(|connection| objects::refers(connection, &name))? {
                self.blobs.settle(&name);
            } else {
                self.blobs.remove(&name)?;
            }
        }
        let garbage = self.store.read_blocking(|connection| {
            let mut query = connection.prepare("SELECT blob FROM s3_garbage")?;
            let rows = query.query_map([], |row| row.get(0))?;
            Result::Ok(rows.collect::<std::result::Result<Vec<String>, _>>()?)
        })?;
        let _ = self.garbage.send(garbage);
        Ok(())
    }

    /// Removes the files of blobs that nothing refers to, for ever. `late` names blobs whose last reader removed them.
    pub(crate) async fn collect(
        self: Arc<Self>,
        mut garbage: UnboundedReceiver<Vec<String>>,
        mut late: UnboundedReceiver<String>,
    ) {
        loop {
            let gone = tokio::select! {
                Some(names) = garbage.recv() => self.remove(names).await,
                Some(name) = late.recv() => vec![name],
                else => return,
            };
            if gone.is_empty() {
                continue;
            }
            let forget = move |tx: &Transaction<'_>| {
                for blob in &gone {
                    tx.prepare_cached("DELETE FROM s3_garbage WHERE blob = ?1")?.execute([blob])?;
                }
                Result::Ok(())
            };
            if let Err(error) = self.store.write(forget).await {
                tracing::warn!(%error, "garbage rows stay until the next start");
            }
        }
    }

    async fn remove(&self, names: Vec<String>) -> Vec<String> {
        let blobs = Arc::clone(&self.blobs);
        let removal = tokio::task::spawn_blocking(move || {
            let gone = |name: &String| match blobs.remove(name) {
                Ok(gone) => gone,
                Err(error) => {
                    tracing::warn!(%error, blob = name, "a blob stays until the next start");
                    false
                }
            };
            names.into_iter().filter(gone).collect()
        });
        removal.await.unwrap_or_default()
    }
}
