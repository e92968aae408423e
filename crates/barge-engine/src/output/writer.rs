//! The shim's side of the output file.

use super::record::{LineCutter, encode};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// Disk space is asked for again after as many bytes.
const CHECK_EVERY: u64 = 256 * 1024;

/// Appends lines to the output file, as long as it takes up less than its limit.
///
/// A file is full because nobody takes its lines, or not as fast as they come. A container that blocks on its own log is
/// worse than one whose log has a gap, so lines are left out then, and a line says how many.
pub(crate) struct OutputWriter {
    path: PathBuf,
    /// Made with the first line: many containers print nothing.
    file: Option<File>,
    length: u64,
    limit: u64,
    unchecked: u64,
    full: bool,
    left_out: u64,
    cutter: LineCutter,
    encoded: Vec<u8>,
}

impl OutputWriter {
    /// Writes to `path`, where nothing is yet, which may take up `limit` bytes of disk.
    pub(crate) fn new(path: impl Into<PathBuf>, limit: u64) -> Self {
        Self {
            path: path.into(),
            file: None,
            length: 0,
            limit,
            unchecked: 0,
            full: false,
            left_out: 0,
            cutter: LineCutter::default(),
            encoded: Vec::new(),
        }
    }

    /// Takes what the container printed at `millis`. Gives whether there are new lines to be read.
    pub(crate) fn write(&mut self, bytes: &[u8], millis: i64) -> bool {
        self.encoded.clear();
        let lines = self.cutter.feed(bytes, millis, &mut self.encoded);
        lines > 0 && self.append(lines, millis)
    }

    /// Writes the last line, where it has no newline, and how many lines were left out.
    pub(crate) fn finish(&mut self, millis: i64) {
        self.encoded.clear();
        let lines = self.cutter.finish(millis, &mut self.encoded);
        if lines > 0 {
            self.append(lines, millis);
        }
        if self.left_out > 0 {
            self.write_notice(millis);
        }
    }

    fn append(&mut self, lines: u64, millis: i64) -> bool {
        if self.full || self.unchecked >= CHECK_EVERY {
            self.unchecked = 0;
            self.full = self.used() >= self.limit;
        }
        if self.full {
            self.left_out += lines;
            return false;
        }
        if self.left_out > 0 && !self.write_notice(millis) {
            self.left_out += lines;
            return false;
        }
        let encoded = std::mem::take(&mut self.encoded);
        let written = self.write_whole(&encoded);
        self.encoded = encoded;
        if !written {
            self.left_out += lines;
        }
        written
    }

    /// Bytes of disk that the file takes up.
    fn used(&self) -> u64 {
        let Some(file) = &self.file else { return 0 };
        file.metadata().map_or(u64::MAX, |meta| meta.blocks().saturating_mul(512))
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(File::options().create(true).append(true).mode(0o600).open(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write_notice(&mut self, millis: i64) -> bool {
        let text = format!(
            "[barge: {} lines left out here: they came faster than they were stored, and {} MiB were waiting]",
            self.left_out,
            self.limit / (1024 * 1024)
        );
        let mut record = Vec::new();
        encode(&mut record, millis, text.as_bytes());
        let written = self.write_whole(&record);
        if written {
            self.left_out = 0;
        }
        written
    }

    /// All of `bytes` or, on a full disk, nothing of them: half a record would make the rest unreadable.
    fn write_whole(&mut self, bytes: &[u8]) -> bool {
        if self.open().and_then(|file| file.write_all(bytes)).is_ok() {
            self.length += bytes.len() as u64;
            self.unchecked += bytes.len() as u64;
            return true;
        }
        self.full = true;
        let length = self.length;
        if self.file.as_ref().is_some_and(|file| file.set_len(length).is_err()) {
            // The tail stays torn: readers stop before it, and nothing may follow it.
            self.limit = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::decode;
    use super::*;

    fn lines(file: &std::path::Path) -> Vec<String> {
        let bytes = std::fs::read(file).unwrap();
        let (mut rest, mut lines) = (bytes.as_slice(), Vec::new());
        while let Some(record) = decode(rest).unwrap() {
            lines.push(String::from_utf8(record.line.to_vec()).unwrap());
            rest = &rest[record.size..];
        }
        lines
    }

    fn writer(limit: u64) -> (tempfile::NamedTempFile, OutputWriter) {
        let place = tempfile::NamedTempFile::new().unwrap();
        let writer = OutputWriter::new(place.path(), limit);
        (place, writer)
    }

    #[test]
    fn lines_are_kept_and_the_last_needs_no_newline() {
        let (place, mut writer) = writer(1 << 20);
        assert!(!writer.write(b"a", 1));
        assert!(writer.write(b"b\nc\nd", 2));
        writer.finish(3);
        assert_eq!(lines(place.path()), ["ab", "c", "d"]);
    }

    #[test]
    fn a_full_file_leaves_lines_out_and_says_how_many() {
        let (place, mut writer) = writer(1 << 20);
        let line = [vec![b'x'; 1023], vec![b'\n']].concat();
        for _ in 0..4096 {
            writer.write(&line, 1);
        }
        writer.finish(2);
        assert!(place.as_file().metadata().unwrap().len() < (1 << 20) + 2 * CHECK_EVERY);
        let kept = lines(place.path());
        let left_out = 4096 - (kept.len() - 1);
        assert!(kept.last().unwrap().starts_with(&format!("[barge: {left_out} lines left out")), "{:?}", kept.last());
    }
}
