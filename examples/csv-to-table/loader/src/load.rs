//! Loading: a file's bytes through records and rows into the table, or into the rejected file.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::Batch;
use crate::bucket::{Bucket, BucketError, Object};
use crate::records::{LineCounter, Locator, MAX_RECORD, Position, Record, Splitter, look_back};
use crate::rejected::{RejectedError, RejectedFile};
use crate::row::{Columns, ColumnsError, Parser};
use crate::share::Share;
use crate::summary::{Counts, Summary};
use crate::table::{Stamp, Table, TableError};

/// How far back of its share a child begins to look for the beginning of a record. Enough in all but odd files.
const LOOK_BACK: u64 = MAX_RECORD + 64 * 1024;

/// Why a file isn't loaded to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The file can't be read.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Its columns make no sense.
    #[error("cannot read s3://{bucket}/{key}: {source}")]
    Columns {
        /// The bucket's name.
        bucket: String,
        /// The file's key.
        key: String,
        /// What is wrong with them.
        source: ColumnsError,
    },
    /// Its rejected rows can't be put away.
    #[error(transparent)]
    Rejected(#[from] RejectedError),
    /// The table can't be written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// There is no file.
    #[error("no .csv file under s3://{bucket}/{prefix}")]
    NoFile {
        /// The bucket's name.
        bucket: String,
        /// The prefix asked for.
        prefix: String,
    },
}

/// What is the same for all files of a run.
#[derive(Debug)]
pub(crate) struct Loader {
    /// Where the files are.
    pub(crate) bucket: Bucket,
    /// Where the rows go.
    pub(crate) table: Table,
    /// The table's key.
    pub(crate) keys: Vec<String>,
    /// The columns of files without a header row.
    pub(crate) columns: Option<Vec<String>>,
    /// The share of each file that is this job's.
    pub(crate) share: Share,
}

impl Loader {
    /// Loads every file under a prefix. A file that fails doesn't keep the others from being loaded; a table that
    /// fails does. Each file's outcome is printed, and each failure.
    pub(crate) async fn run(&mut self, prefix: &str) -> Summary {
        let mut summary = Summary::default();
        if let Err(error) = self.files(prefix, &mut summary).await {
            eprintln!("error: {error}");
            summary.failed += 1;
        }
        summary
    }

    async fn files(&mut self, prefix: &str, summary: &mut Summary) -> Result<(), LoadError> {
        let mut after = None;
        loop {
            let (objects, next) = self.bucket.page(prefix, after).await?;
            for object in &objects {
                self.file(object, summary).await?;
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if summary.files + summary.failed == 0 {
            return Err(LoadError::NoFile { bucket: self.bucket.name.clone(), prefix: prefix.to_owned() });
        }
        Ok(())
    }

    /// Loads one file, and counts it. Fails only if there is no use in going on to the next.
    async fn file(&mut self, object: &Object, summary: &mut Summary) -> Result<(), LoadError> {
        let rejected = RejectedFile::new(self.bucket.clone(), &object.key, &self.share.suffix());
        let rejected_key = rejected.key().to_owned();
        let mut load =
            FileLoad { object, rejected, lines_before: None, batch: Batch::default(), counts: Counts::default() };
        let outcome = self.share_of(&mut load).await;
        let FileLoad { rejected, mut counts, .. } = load;
        let outcome = match outcome {
            Ok(()) => rejected.finish().await.map_err(LoadError::from),
            Err(error) => {
                rejected.abandon().await;
                Err(error)
            }
        };
        counts.written = self.table.take_written();
        summary.counts += counts;
        let name = format!("s3://{}/{}", self.bucket.name, object.key);
        match outcome {
            Ok(()) => {
                summary.files += 1;
                println!("{name}: {} rows read, {} written, {} rejected", counts.read, counts.written, counts.rejected);
                if counts.rejected > 0 {
                    println!("{name}: rejected rows are in s3://{}/{rejected_key}", self.bucket.name);
                }
                Ok(())
            }
            Err(error @ LoadError::Table(_)) => Err(error),
            Err(error) => {
                summary.failed += 1;
                eprintln!("error: {error}");
                Ok(())
            }
        }
    }

    /// Loads this job's share of a file. Whatever the outcome, no call to the table is in flight afterwards unless
    /// the table failed.
    async fn share_of(&mut self, load: &mut FileLoad<'_>) -> Result<(), LoadError> {
        let part = self.share.of(load.object.size);
        let outcome = if part.is_empty() { Ok(()) } else { self.records(load, part).await };
        if !matches!(outcome, Err(LoadError::Table(_))) {
            self.table.flush().await?;
        }
        outcome
    }

    async fn records(&mut self, load: &mut FileLoad<'_>, part: Range<u64>) -> Result<(), LoadError> {
        let mut parser = Parser::new();
        let mut header = None;
        let mut position = Position::BEGINNING;
        if let Some(names) = &self.columns {
            let columns =
                Columns::new(names.clone(), &self.keys).map_err(|error| self.bad_columns(load.object, error))?;
            header = Some((None, load.stamp(columns)));
        } else if part.start > 0 {
            let Some(found) = self.header(load.object, &mut parser).await? else { return Ok(()) };
            header = Some((Some(found.0), load.stamp(found.1)));
        }
        if part.start > 0 {
            position = self.locate(load.object, part.start).await?;
        } else {
            load.lines_before = Some(0);
        }

        let mut splitter = Splitter::new(part.start, position, MAX_RECORD);
        let mut stream = self.bucket.read(load.object, part.start..load.object.size);
        while splitter.frontier() < part.end {
            let chunk = stream.chunk().await?;
            let mut bytes = chunk.as_deref().unwrap_or_default();
            loop {
                let record = if chunk.is_some() { splitter.next(&mut bytes) } else { splitter.finish() };
                let Some(record) = record.filter(|record| record.start < part.end) else { break };
                // Begun before the share: its owner is the child before.
                if record.start < part.start {
                    continue;
                }
                match &header {
                    None => {
                        let columns = Columns::from_header(&mut parser, &record, &self.keys)
                            .map_err(|error| self.bad_columns(load.object, error))?;
                        header = Some((Some(record.start), load.stamp(columns)));
                    }
                    Some((Some(start), _)) if *start == record.start => {}
                    Some((_, stamp)) => self.record(load, stamp, &mut parser, &record, part.start).await?,
                }
            }
            if chunk.is_none() {
                break;
            }
        }
        if let Some((_, stamp)) = header
            && !load.batch.is_empty()
        {
            self.table.write(&stamp, std::mem::take(&mut load.batch)).await?;
        }
        Ok(())
    }

    async fn record(
        &mut self,
        load: &mut FileLoad<'_>,
        stamp: &Arc<Stamp>,
        parser: &mut Parser,
        record: &Record<'_>,
        from: u64,
    ) -> Result<(), LoadError> {
        load.counts.read += 1;
        match stamp.columns.row(parser, record) {
            Ok(row) => {
                load.batch.add(stamp.columns.key(&row), row);
                if load.batch.is_full() {
                    self.table.write(stamp, std::mem::take(&mut load.batch)).await?;
                }
            }
            Err(reason) => {
                let before = match load.lines_before {
                    Some(lines) => lines,
                    None => self.count_lines(load.object, from).await?,
                };
                load.lines_before = Some(before);
                load.rejected.add(before + record.line + 1, &reason, record.bytes).await?;
                load.counts.rejected += 1;
            }
        }
        Ok(())
    }

    /// The file's header row, and where it begins, for who begins further on. `None` if the file has no records.
    async fn header(&self, object: &Object, parser: &mut Parser) -> Result<Option<(u64, Columns)>, LoadError> {
        let mut splitter = Splitter::new(0, Position::BEGINNING, MAX_RECORD);
        let mut stream = self.bucket.read(object, 0..object.size);
        loop {
            let chunk = stream.chunk().await?;
            let mut bytes = chunk.as_deref().unwrap_or_default();
            let record = if chunk.is_some() { splitter.next(&mut bytes) } else { splitter.finish() };
            if let Some(record) = record {
                let columns = Columns::from_header(parser, &record, &self.keys);
                return Ok(Some((record.start, columns.map_err(|error| self.bad_columns(object, error))?)));
            }
            if chunk.is_none() {
                return Ok(None);
            }
        }
    }

    /// What must be known to split a file from `offset` on. Reads some bytes before it, and more if they don't tell.
    async fn locate(&self, object: &Object, offset: u64) -> Result<Position, LoadError> {
        let mut back = LOOK_BACK;
        loop {
            let from = look_back(offset, back);
            let mut locator = Locator::new(from, MAX_RECORD);
            let mut stream = self.bucket.read(object, from..offset);
            while let Some(chunk) = stream.chunk().await? {
                locator.push(&chunk);
            }
            // From the file's beginning there is always an answer.
            if let Some(position) = locator.position() {
                return Ok(position);
            }
            back = back.saturating_mul(8);
        }
    }

    /// The line breaks before `offset`. Only a child that rejects a row must know, and then reads all of it once.
    async fn count_lines(&self, object: &Object, offset: u64) -> Result<u64, LoadError> {
        let mut counter = LineCounter::default();
        let mut stream = self.bucket.read(object, 0..offset);
        while let Some(chunk) = stream.chunk().await? {
            counter.push(&chunk);
        }
        Ok(counter.lines())
    }

    fn bad_columns(&self, object: &Object, source: ColumnsError) -> LoadError {
        LoadError::Columns { bucket: self.bucket.name.clone(), key: object.key.clone(), source }
    }
}

/// A file on its way.
#[derive(Debug)]
struct FileLoad<'a> {
    object: &'a Object,
    rejected: RejectedFile,
    /// Line breaks before the share, once known.
    lines_before: Option<u64>,
    batch: Batch,
    counts: Counts,
}

impl FileLoad<'_> {
    fn stamp(&self, columns: Columns) -> Arc<Stamp> {
        Arc::new(Stamp { columns, filename: self.object.key.clone(), modified: self.object.modified.clone() })
    }
}
