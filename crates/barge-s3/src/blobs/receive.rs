//! From a request's body to a blob: bytes are hashed and written as they come, in constant memory.

use super::{Blobs, NewBlob};
use crate::checksum::{Algorithm, Hasher, encode};
use crate::error::{
    ENTITY_TOO_LARGE, Error, INCOMPLETE_BODY, MALFORMED_TRAILER, Result, SHA256_MISMATCH, SIGNATURE_MISMATCH,
};
use bytes::Bytes;
use futures::StreamExt as _;
use s3s::StdError;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::StreamingBlob;
use std::io::{self, Write as _};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Chunks on their way from the network to the disk.
const CHUNKS_IN_FLIGHT: usize = 8;

/// What is known of bytes once all have been seen.
pub(crate) struct Digests {
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    checksums: Vec<(Algorithm, String)>,
}

impl Digests {
    /// The bytes' checksum in base64, where it was asked for.
    pub(crate) fn checksum(&self, algorithm: Algorithm) -> Option<&str> {
        self.checksums.iter().find(|(found, _)| *found == algorithm).map(|(_, value)| value.as_str())
    }
}

/// A blob on disk and what is known of it.
pub(crate) struct Received {
    pub(crate) blob: NewBlob,
    pub(crate) digests: Digests,
}

/// Computes [`Digests`] as bytes pass.
pub(super) struct Digester {
    size: u64,
    md5: Md5,
    checksums: Vec<(Algorithm, Hasher)>,
}

impl Digester {
    pub(super) fn new(algorithms: &[Algorithm]) -> Self {
        let checksums = algorithms.iter().map(|algorithm| (*algorithm, Hasher::new(*algorithm))).collect();
        Self { size: 0, md5: Md5::new(), checksums }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.md5.update(bytes);
        self.checksums.iter_mut().for_each(|(_, hasher)| hasher.update(bytes));
    }

    pub(super) fn finish(self) -> Digests {
        let encoded = |(algorithm, hasher): (Algorithm, Hasher)| (algorithm, encode(&hasher.finish()));
        Digests {
            size: self.size,
            md5: self.md5.finalize(),
            checksums: self.checksums.into_iter().map(encoded).collect(),
        }
    }
}

enum Message {
    Bytes(Bytes),
    End,
}

/// Stores `body`, at most `limit` bytes of it, and computes its MD5 and the checksums of `algorithms`. The blob is on
/// disk when this returns.
pub(crate) async fn receive(
    blobs: &Arc<Blobs>,
    mut body: StreamingBlob,
    algorithms: Vec<Algorithm>,
    limit: u64,
) -> Result<Received> {
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let blob = blobs.create()?;
    let writer = tokio::task::spawn_blocking(move || write(blob, &algorithms, receiver));
    let mut size = 0;
    while let Some(chunk) = body.next().await {
        // Leaving here drops the sender without an end, and with it the blob.
        let bytes = chunk.map_err(|error| broken(&error))?;
        size += bytes.len() as u64;
        if size > limit {
            return Err(ENTITY_TOO_LARGE.into());
        }
        if sender.send(Message::Bytes(bytes)).await.is_err() {
            break;
        }
    }
    // Where the writer has stopped, its own error says why.
    let _ = sender.send(Message::End).await;
    Ok(writer.await??)
}

fn write(mut blob: NewBlob, algorithms: &[Algorithm], mut messages: mpsc::Receiver<Message>) -> io::Result<Received> {
    let mut digester = Digester::new(algorithms);
    loop {
        match messages.blocking_recv() {
            Some(Message::Bytes(bytes)) => {
                digester.update(&bytes);
                blob.file.write_all(&bytes)?;
            }
            Some(Message::End) => break,
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
    blob.sync()?;
    Ok(Received { blob, digests: digester.finish() })
}

/// What ended a body early. s3s keeps the types of its streams' errors to itself; their texts tell them apart.
fn broken(error: &StdError) -> Error {
    let text = error.to_string();
    if text.ends_with("Sha256Mismatch") {
        SHA256_MISMATCH.into()
    } else if text.ends_with("SignatureMismatch") {
        SIGNATURE_MISMATCH.into()
    } else if text.contains("a signed chunk is larger") {
        ENTITY_TOO_LARGE.because("A signed chunk of an aws-chunked body may not exceed 64 MiB.")
    } else if text.ends_with("FormatError") || text.contains("TooLarge") || text.contains("TooMany") {
        MALFORMED_TRAILER.because("The request's aws-chunked body was not well-formed.")
    } else {
        INCOMPLETE_BODY.into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::blobs;
    use super::*;
    use crate::error::{Error, Refusal};

    fn body(chunks: &[&'static [u8]], end: Option<&'static str>) -> StreamingBlob {
        let mut items: Vec<io::Result<Bytes>> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        items.extend(end.map(|text| Err(io::Error::other(text))));
        StreamingBlob::wrap(futures::stream::iter(items))
    }

    #[tokio::test]
    async fn a_body_becomes_a_blob_with_its_digests() {
        let directory = tempfile::tempdir().unwrap();
        let (blobs, _) = blobs(directory.path());
        let chunks: [&[u8]; 3] = [b"123", b"", b"456789"];
        let received = receive(&blobs, body(&chunks, None), vec![Algorithm::Crc32], 9).await.unwrap();
        assert_eq!(received.digests.size, 9);
        assert_eq!(hex::encode(received.digests.md5), "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(received.digests.checksum(Algorithm::Crc32), Some("y/Q5Jg=="));
        assert_eq!(received.digests.checksum(Algorithm::Sha1), None);
    }

    #[tokio::test]
    async fn a_body_that_breaks_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (blobs, _) = blobs(directory.path());
        let cases: [(&'static [u8], Option<&str>, Refusal); 5] = [
            (b"1234567890", None, ENTITY_TOO_LARGE),
            (b"1", Some("connection reset"), INCOMPLETE_BODY),
            (b"1", Some("UploadStreamError: Sha256Mismatch"), SHA256_MISMATCH),
            (b"1", Some("AwsChunkedStreamError: SignatureMismatch"), SIGNATURE_MISMATCH),
            (b"1", Some("AwsChunkedStreamError: Underlying: AwsChunkedStreamError: FormatError"), MALFORMED_TRAILER),
        ];
        for (chunk, end, refusal) in cases {
            let error: Error = receive(&blobs, body(&[chunk], end), Vec::new(), 9).await.err().unwrap();
            assert!(error.is(&refusal), "{error}");
        }
    }
}
