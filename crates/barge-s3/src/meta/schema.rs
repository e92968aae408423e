//! The tables.

/// Each step runs once, in order.
pub(crate) const STEPS: &[&str] = &[FIRST, VERSIONS];

const FIRST: &str = "
    CREATE TABLE s3_buckets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        account TEXT NOT NULL,
        region TEXT NOT NULL,
        created INTEGER NOT NULL,
        settings TEXT NOT NULL
    );
    CREATE INDEX s3_buckets_by_account ON s3_buckets (account, name);

    -- Keys are blobs, so that they sort by their bytes and the end of a prefix is its bytes plus one. The detail comes
    -- last, so that a listing doesn't read it.
    CREATE TABLE s3_objects (
        bucket INTEGER NOT NULL,
        key BLOB NOT NULL,
        size INTEGER NOT NULL,
        etag TEXT NOT NULL,
        modified INTEGER NOT NULL,
        storage_class TEXT NOT NULL,
        checksum TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID;

    CREATE TABLE s3_uploads (
        id TEXT PRIMARY KEY,
        bucket INTEGER NOT NULL,
        key BLOB NOT NULL,
        initiated INTEGER NOT NULL,
        plan TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX s3_uploads_by_key ON s3_uploads (bucket, key, id);

    CREATE TABLE s3_parts (
        upload TEXT NOT NULL,
        number INTEGER NOT NULL,
        blob TEXT NOT NULL,
        size INTEGER NOT NULL,
        etag TEXT NOT NULL,
        modified INTEGER NOT NULL,
        checksum TEXT NOT NULL,
        PRIMARY KEY (upload, number)
    ) WITHOUT ROWID;

    -- Blobs that nothing refers to any more, until their files are gone.
    CREATE TABLE s3_garbage (blob TEXT PRIMARY KEY) WITHOUT ROWID;

    -- Notifications, until they are delivered.
    CREATE TABLE s3_outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        delivery TEXT NOT NULL,
        created INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        due INTEGER NOT NULL
    );
    CREATE INDEX s3_outbox_by_due ON s3_outbox (due);

    -- Orders the notifications of a key.
    CREATE TABLE s3_sequence (value INTEGER NOT NULL);
    INSERT INTO s3_sequence VALUES (0);
";

/// Objects that were there are the null versions of their keys.
const VERSIONS: &str = "
    -- The current version of each key, where that is an object: what listings and plain reads see. A null version has no
    -- version id. The sequence, from s3_sequence, orders the versions of a key; it stays 0 in buckets without versions.
    CREATE TABLE s3_current (
        bucket INTEGER NOT NULL,
        key BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        version TEXT,
        size INTEGER NOT NULL,
        etag TEXT NOT NULL,
        modified INTEGER NOT NULL,
        storage_class TEXT NOT NULL,
        checksum TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID;
    INSERT INTO s3_current (bucket, key, sequence, version, size, etag, modified, storage_class, checksum, detail)
        SELECT bucket, key, 0, NULL, size, etag, modified, storage_class, checksum, detail FROM s3_objects
        ORDER BY bucket, key;
    DROP TABLE s3_objects;
    ALTER TABLE s3_current RENAME TO s3_objects;

    -- All other versions, newest first. A delete marker has no size, and nothing after it but its time.
    CREATE TABLE s3_hidden (
        bucket INTEGER NOT NULL,
        key BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        version TEXT,
        size INTEGER,
        etag TEXT,
        modified INTEGER NOT NULL,
        storage_class TEXT,
        checksum TEXT,
        detail TEXT,
        PRIMARY KEY (bucket, key, sequence DESC)
    ) WITHOUT ROWID;
    -- A key has at most one null version.
    CREATE UNIQUE INDEX s3_hidden_null ON s3_hidden (bucket, key) WHERE version IS NULL;
";
