//! Reads an attempt's lines while they come.

use super::record::{Record, decode};
use barge_core::Timestamp;
use barge_core::ports::LogLine;
use rustix::fs::FallocateFlags;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use tokio::sync::watch;

/// At most as many bytes of records come in one batch.
const BATCH: usize = 512 * 1024;

/// Space is given back to the file system in steps of as many bytes.
const RECLAIM: u64 = 1024 * 1024;

/// What makes a reader look again: the shim's signals, counted, and whether more can come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wake {
    pub count: u64,
    pub over: bool,
}

/// Some lines, in the order they were printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputBatch {
    /// The lines. Bytes that are not UTF-8 are shown as U+FFFD.
    pub lines: Vec<LogLine>,
    /// The position after them, in bytes.
    pub read_to: u64,
}

/// Reads one attempt's lines.
pub struct OutputReader {
    path: PathBuf,
    file: Option<File>,
    position: u64,
    reclaimed: u64,
    wake: watch::Receiver<Wake>,
    buffer: Vec<u8>,
}

impl OutputReader {
    pub(crate) fn new(path: PathBuf, from: u64, wake: watch::Receiver<Wake>) -> Self {
        Self { path, file: None, position: from, reclaimed: 0, wake, buffer: Vec::new() }
    }

    /// The position after the lines read so far, in bytes: what a later reader goes on from.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next lines, as soon as there are any; `None` once the attempt has ended and everything was read.
    ///
    /// Asking for more says that the lines before are in safety: they may leave the disk.
    pub async fn next(&mut self) -> io::Result<Option<OutputBatch>> {
        self.reclaim();
        loop {
            let over = self.wake.borrow_and_update().over;
            if let Some(batch) = self.read_now()? {
                return Ok(Some(batch));
            }
            // A sender that is gone sends nothing more either.
            if over || self.wake.changed().await.is_err() {
                return self.read_now();
            }
        }
    }

    /// The lines that are there now, if any.
    fn read_now(&mut self) -> io::Result<Option<OutputBatch>> {
        let file = match &self.file {
            Some(file) => file,
            None => match File::options().read(true).write(true).open(&self.path) {
                Ok(file) => self.file.insert(file),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            },
        };
        let there = file.metadata()?.len().saturating_sub(self.position);
        if there == 0 {
            return Ok(None);
        }
        self.buffer.resize(usize::try_from(there).map_or(BATCH, |there| there.min(BATCH)), 0);
        let filled = file.read_at(&mut self.buffer, self.position)?;
        let mut lines = Vec::new();
        let mut used = 0;
        while let Some(Record { millis, line, size }) = decode(&self.buffer[used..filled]).map_err(io::Error::other)? {
            lines.push(LogLine {
                timestamp: Timestamp::from_millis(millis),
                message: String::from_utf8_lossy(line).into_owned(),
            });
            used += size;
        }
        if filled == BATCH {
            // A burst is no reason to keep that much for good.
            self.buffer = Vec::new();
        }
        if lines.is_empty() {
            return Ok(None);
        }
        self.position += used as u64;
        Ok(Some(OutputBatch { lines, read_to: self.position }))
    }

    fn reclaim(&mut self) {
        let end = self.position / RECLAIM * RECLAIM;
        if end <= self.reclaimed {
            return;
        }
        if let Some(file) = &self.file {
            let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Where the file system has no holes the space stays taken until the attempt is forgotten.
            if let Err(error) = rustix::fs::fallocate(file, how, self.reclaimed, end - self.reclaimed) {
                tracing::debug!(%error, "output space was not given back");
            }
        }
        self.reclaimed = end;
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::encode;
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    #[tokio::test]
    async fn lines_come_as_they_are_written_and_end_with_the_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        let (waker, wake) = watch::channel(Wake::default());
        let mut reader = OutputReader::new(path.clone(), 0, wake);
        let writing = tokio::spawn(async move {
            let mut file = File::options().create(true).append(true).open(&path).unwrap();
            for text in ["one", "two"] {
                let mut record = Vec::new();
                encode(&mut record, 7, text.as_bytes());
                let (head, tail) = record.split_at(5);
                for part in [head, tail] {
                    file.write_all(part).unwrap();
                    waker.send_modify(|w| w.count += 1);
                    tokio::task::yield_now().await;
                }
            }
            waker.send_modify(|w| w.over = true);
        });
        let mut seen = Vec::new();
        while let Some(batch) = reader.next().await.unwrap() {
            seen.extend(batch.lines.into_iter().map(|line| (line.timestamp.millis(), line.message)));
        }
        writing.await.unwrap();
        assert_eq!(seen, [(7, "one".to_owned()), (7, "two".to_owned())]);
        assert_eq!(reader.position(), 30);
    }

    #[tokio::test]
    async fn what_was_read_leaves_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        let mut record = Vec::new();
        for _ in 0..4096 {
            encode(&mut record, 7, &[b'x'; 1012]);
        }
        std::fs::write(&path, &record).unwrap();
        let (_waker, wake) = watch::channel(Wake { count: 0, over: true });
        let mut reader = OutputReader::new(path.clone(), 0, wake);
        let mut lines = 0;
        while let Some(batch) = reader.next().await.unwrap() {
            lines += batch.lines.len();
        }
        assert_eq!(lines, 4096);
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!(meta.len(), record.len() as u64);
        assert!(meta.blocks() * 512 <= RECLAIM, "{} blocks", meta.blocks());
    }
}
