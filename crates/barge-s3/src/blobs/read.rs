//! From blobs to a response's body, or to one file.

use super::receive::Digester;
use super::{Blobs, Digests, Pinned, Received};
use crate::checksum::Algorithm;
use bytes::Bytes;
use futures::{StreamExt as _, stream as streams};
use s3s::dto::StreamingBlob;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Bytes read at once, and so in memory for each response.
const CHUNK: usize = 256 * 1024;

/// Part of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) blob: String,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// Reads pieces one after the other.
struct Cursor {
    pinned: Pinned,
    rest: std::vec::IntoIter<Piece>,
    open: Option<(File, Piece)>,
}

impl Cursor {
    fn new(pinned: Pinned, pieces: Vec<Piece>) -> Self {
        Self { pinned, rest: pieces.into_iter(), open: None }
    }

    /// The next bytes; empty at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some((file, piece)) = &mut self.open
                && piece.size > 0
            {
                let size = usize::try_from(piece.size).unwrap_or(CHUNK).min(CHUNK);
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, piece.offset)?;
                piece.offset += size as u64;
                piece.size -= size as u64;
                return Ok(bytes.into());
            }
            let Some(piece) = self.rest.next() else { return Ok(Bytes::new()) };
            self.open = Some((self.pinned.file(&piece.blob)?, piece));
        }
    }
}

/// The bytes of `pieces` as a body; the first are read before this returns, so that a broken disk is an error and not
/// a broken body.
pub(crate) async fn stream(pinned: Pinned, pieces: Vec<Piece>) -> io::Result<StreamingBlob> {
    let whole: u64 = pieces.iter().map(|piece| piece.size).sum();
    let (cursor, first) = step(Cursor::new(pinned, pieces)).await?;
    if first.len() as u64 == whole {
        return Ok(StreamingBlob::from(s3s::Body::from(first)));
    }
    let rest = streams::try_unfold(cursor, async |cursor| {
        let (cursor, bytes) = step(cursor).await?;
        Ok::<_, io::Error>((!bytes.is_empty()).then_some((bytes, cursor)))
    });
    Ok(StreamingBlob::wrap(streams::once(async { Ok(first) }).chain(rest)))
}

async fn step(mut cursor: Cursor) -> io::Result<(Cursor, Bytes)> {
    tokio::task::spawn_blocking(move || {
        let bytes = cursor.next()?;
        Ok((cursor, bytes))
    })
    .await?
}

/// Joins `pieces` into one new blob. Blocks.
pub(crate) fn concatenate(
    blobs: &Arc<Blobs>,
    pinned: Pinned,
    pieces: Vec<Piece>,
    algorithms: &[Algorithm],
) -> io::Result<Received> {
    let mut blob = blobs.create()?;
    let digests = copy(pinned, pieces, &mut blob.file, algorithms)?;
    blob.sync()?;
    Ok(Received { blob, digests })
}

/// Writes `pieces` to `target`. Blocks.
pub(crate) fn copy(
    pinned: Pinned,
    pieces: Vec<Piece>,
    target: &mut impl Write,
    algorithms: &[Algorithm],
) -> io::Result<Digests> {
    let mut digester = Digester::new(algorithms);
    let mut cursor = Cursor::new(pinned, pieces);
    loop {
        let bytes = cursor.next()?;
        if bytes.is_empty() {
            return Ok(digester.finish());
        }
        digester.update(&bytes);
        target.write_all(&bytes)?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{blobs, write};
    use super::*;

    fn piece(blob: &str, offset: u64, size: u64) -> Piece {
        Piece { blob: blob.to_owned(), offset, size }
    }

    #[tokio::test]
    async fn pieces_follow_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let (blobs, _) = blobs(directory.path());
        let long: Vec<u8> = (0..u32::try_from(CHUNK).unwrap()).flat_map(u32::to_le_bytes).collect();
        let (one, two) = (write(&blobs, b"0123456789"), write(&blobs, &long));
        let pieces = vec![piece(&one, 8, 2), piece(&one, 0, 0), piece(&two, 1, long.len() as u64 - 2)];
        let expected = [b"89", &long[1..long.len() - 1]].concat();

        let pinned = || blobs.pin(vec![one.clone(), two.clone()]).unwrap();
        let body = stream(pinned(), pieces.clone()).await.unwrap();
        let chunks: Vec<Bytes> = body.map(Result::unwrap).collect().await;
        assert_eq!(chunks.concat(), expected);

        let joined = concatenate(&blobs, pinned(), pieces, &[]).unwrap();
        assert_eq!(joined.digests.size, expected.len() as u64);
        let name = joined.blob.keep();
        let mut bytes = Vec::new();
        copy(blobs.pin(vec![name.clone()]).unwrap(), vec![piece(&name, 0, expected.len() as u64)], &mut bytes, &[])
            .unwrap();
        assert_eq!(bytes, expected);
    }

    #[tokio::test]
    async fn a_body_of_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (blobs, _) = blobs(directory.path());
        let body = stream(blobs.pin(Vec::new()).unwrap(), Vec::new()).await.unwrap();
        assert_eq!(body.count().await, 0);
    }
}
