//! What the database promises its rooms.

use barge_core::AwsError;
use barge_store::{Store, StoreError, sql};

const TABLE: &[&str] = &["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)"];

fn open(dir: &tempfile::TempDir) -> Store {
    let store = Store::open(dir.path().join("barge.db")).unwrap();
    store.migrate("notes", TABLE).unwrap();
    store
}

async fn add(store: &Store, text: &'static str) -> Result<(), AwsError> {
    store.write(move |tx| sql(tx.execute("INSERT INTO notes (text) VALUES (?1)", [text]).map(drop))).await
}

async fn all(store: &Store) -> Vec<String> {
    store
        .read(|db| -> Result<_, StoreError> {
            let mut statement = db.prepare_cached("SELECT text FROM notes ORDER BY text")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_written_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    add(&open(&dir), "kept").await.unwrap();
    assert_eq!(all(&open(&dir)).await, ["kept"]);
}

#[tokio::test]
async fn a_failing_change_undoes_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let failing = store.write(|tx| -> Result<(), StoreError> {
        tx.execute("INSERT INTO notes (text) VALUES ('half')", [])?;
        tx.execute("INSERT INTO notes (text) VALUES ('half')", [])?;
        Ok(())
    });
    let (good, bad, other) = tokio::join!(add(&store, "good"), failing, add(&store, "other"));
    assert!(good.is_ok() && bad.is_err() && other.is_ok());
    assert_eq!(all(&store).await, ["good", "other"]);
}

#[tokio::test]
async fn migrations_run_once_and_in_order() {
    const TWO: &[&str] = &[TABLE[0], "ALTER TABLE notes ADD COLUMN extra TEXT"];
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.migrate("notes", TWO).unwrap();
    store.migrate("notes", TWO).unwrap();
    open(&dir);
    let columns: i64 = store
        .read(|db| -> Result<_, StoreError> {
            Ok(db.query_row("SELECT count(*) FROM pragma_table_info('notes')", [], |row| row.get(0))?)
        })
        .await
        .unwrap();
    assert_eq!(columns, 3);
}

#[tokio::test]
async fn readers_can_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let result = store.read(|db| sql(db.execute("DELETE FROM notes", []))).await;
    assert!(result.is_err());
}

#[tokio::test]
async fn a_change_that_panics_leaves_the_database_usable() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let broken = store.write(|tx| -> Result<(), AwsError> {
        sql(tx.execute("INSERT INTO notes (text) VALUES ('half')", []))?;
        panic!("on purpose");
    });
    assert!(broken.await.is_err());
    add(&store, "after").await.unwrap();
    assert_eq!(all(&store).await, ["after"]);
}
