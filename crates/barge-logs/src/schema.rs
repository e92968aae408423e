//! The tables. Events are one row each, clustered by stream and time, so that appending touches the end of a stream's
//! range and a page is one seek.

pub(crate) const STEPS: &[&str] = &[
    "
CREATE TABLE logs_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
    created INTEGER NOT NULL, retention INTEGER, protected INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0, creation TEXT,
    UNIQUE (account, region, name)
);
CREATE TABLE logs_tags (
    grp INTEGER NOT NULL REFERENCES logs_groups (id) ON DELETE CASCADE,
    key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (grp, key)
) WITHOUT ROWID;
CREATE TABLE logs_streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    grp INTEGER NOT NULL REFERENCES logs_groups (id),
    name TEXT NOT NULL, created INTEGER NOT NULL,
    first INTEGER, last INTEGER, ingested INTEGER,
    next_seq INTEGER NOT NULL DEFAULT 0, position INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0, creation TEXT,
    UNIQUE (grp, name)
);
CREATE INDEX logs_streams_by_first ON logs_streams (grp, first);
CREATE INDEX logs_streams_by_last ON logs_streams (grp, last, name);
CREATE TABLE logs_events (
    stream INTEGER NOT NULL, at INTEGER NOT NULL, seq INTEGER NOT NULL,
    ingested INTEGER NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (stream, at, seq)
) WITHOUT ROWID;
CREATE TABLE logs_trash (stream INTEGER PRIMARY KEY);
",
    "
CREATE TABLE logs_metric_filters (
    grp INTEGER NOT NULL REFERENCES logs_groups (id) ON DELETE CASCADE,
    name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (grp, name)
) WITHOUT ROWID;
",
    "ALTER TABLE logs_groups ADD COLUMN class TEXT NOT NULL DEFAULT 'STANDARD'",
];
