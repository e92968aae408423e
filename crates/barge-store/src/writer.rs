//! The one thread that writes: takes what has queued, runs each change in a savepoint, commits once, answers all.

use crate::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use tokio::sync::oneshot;

/// Changes that share one commit, at most: a bound on how long the first of them waits.
const GROUP: usize = 512;

/// A queued change. The first call runs it; what it gives back is called with the commit's outcome.
type Change = Box<dyn FnOnce(&Transaction<'_>) -> Result<Answer, rusqlite::Error> + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Change>,
}

/// The answer to a submitted change.
pub(crate) struct Pending<T, E>(oneshot::Receiver<Result<T, E>>);

impl<T, E: From<StoreError>> Pending<T, E> {
    pub(crate) async fn wait(self) -> Result<T, E> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::Stopped.into()))
    }

    pub(crate) fn wait_blocking(self) -> Result<T, E> {
        // Not `blocking_recv`, which refuses to run inside the async runtime: start-up code may be in either.
        let mut receiver = self.0;
        loop {
            match receiver.try_recv() {
                Ok(result) => return result,
                Err(oneshot::error::TryRecvError::Closed) => return Err(StoreError::Stopped.into()),
                Err(oneshot::error::TryRecvError::Empty) => std::thread::sleep(std::time::Duration::from_micros(200)),
            }
        }
    }
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (queue, changes) = mpsc::channel();
        std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || serve(connection, &changes))?;
        Ok(Self { queue })
    }

    pub(crate) fn submit<T, E, F>(&self, change: F) -> Pending<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, pending) = oneshot::channel();
        let run = move |tx: &Transaction<'_>| {
            let result = in_savepoint(tx, change)?;
            let answer = move |commit: Result<(), StoreError>| {
                // Nobody may be waiting any more; the change stands all the same.
                let _ = reply.send(match commit {
                    Ok(()) => result,
                    Err(error) => Err(error.into()),
                });
            };
            Ok(Box::new(answer) as Answer)
        };
        // A send fails only where the thread is gone; the reply's end is dropped with it, and that is the answer.
        let _ = self.queue.send(Box::new(run));
        Pending(pending)
    }
}

/// Runs `change`; undoes it where it fails. The outer error is SQLite's own refusal to open or end the savepoint.
fn in_savepoint<T, E>(
    tx: &Transaction<'_>,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<Result<T, E>, rusqlite::Error> {
    tx.execute_batch("SAVEPOINT change")?;
    let result = change(tx);
    if result.is_err() {
        tx.execute_batch("ROLLBACK TO change")?;
    }
    tx.execute_batch("RELEASE change")?;
    Ok(result)
}

fn serve(mut connection: Connection, changes: &mpsc::Receiver<Change>) {
    while let Ok(first) = changes.recv() {
        let group = std::iter::once(first).chain(changes.try_iter()).take(GROUP);
        let (answers, outcome) = commit(&mut connection, group);
        for answer in answers {
            answer(outcome.clone().map_err(StoreError::Commit));
        }
    }
}

/// Runs a group of changes in one transaction. A change that SQLite itself refuses fails the whole group: after a full
/// disk or a broken file no savepoint can be trusted.
fn commit(connection: &mut Connection, group: impl Iterator<Item = Change>) -> (Vec<Answer>, Result<(), String>) {
    let mut answers = Vec::new();
    let run = || -> Result<(), rusqlite::Error> {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for change in group {
            answers.push(change(&tx)?);
        }
        tx.commit()
    };
    // A change that panics takes its group with it, not the thread that everybody's changes need.
    let outcome = match std::panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("a change could not be completed".to_owned()),
    };
    if let Err(error) = &outcome {
        tracing::error!(%error, "a group of changes was not committed");
    }
    (answers, outcome)
}
