//! The framing of aws-chunked bodies before s3s reads them (AWS Signature Version 4, "Transferring payload in multiple
//! chunks"). s3s holds each chunk in memory; clients may send a whole body as one. Chunks without signatures are cut
//! into pieces as they come; with signatures they can't be, so their size is limited.

use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::HeaderMap;
use s3s::stream::{ByteStream, DynByteStream};
use s3s::{Body, StdError};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const LONGEST_HEADER: usize = 1024;
/// The largest signed chunk, in bytes.
pub(crate) const LARGEST_SIGNED: u64 = 64 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signing {
    Unsigned,
    Signed,
}

/// `body`, framed so that reading it takes constant memory.
pub(crate) fn bounded(headers: &HeaderMap, body: Body) -> Body {
    let kind = headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    let signing = match kind {
        Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Signing::Unsigned,
        Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") => Signing::Signed,
        _ => return body,
    };
    let stream: DynByteStream = Box::pin(Reframed { inner: Box::pin(body), framer: Framer::new(signing) });
    Body::from(stream)
}

struct Reframed {
    inner: Pin<Box<Body>>,
    framer: Framer,
}

impl ByteStream for Reframed {}

impl Stream for Reframed {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(bytes) = self.framer.output.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            match ready!(self.inner.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) => self.framer.push(bytes)?,
                other => return Poll::Ready(other),
            }
        }
    }
}

/// The body breaks the framing's rules.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FramingError {
    /// Not a chunk's header.
    #[error("AwsChunkedStreamError: FormatError")]
    Format,
    /// Too much to hold in memory until its signature comes.
    #[error("AwsChunkedStreamError: a signed chunk is larger than {LARGEST_SIGNED} bytes")]
    ChunkTooLarge,
}

#[derive(Debug)]
enum State {
    /// In a line that says how long the chunk is.
    Header(BytesMut),
    /// In a chunk's bytes; so many are left.
    Data(u64),
    /// In the line end after a chunk's bytes; so many are left.
    End(usize),
    /// After the last chunk.
    Trailer,
}

struct Framer {
    signing: Signing,
    state: State,
    output: VecDeque<Bytes>,
}

impl Framer {
    fn new(signing: Signing) -> Self {
        Self { signing, state: State::Header(BytesMut::new()), output: VecDeque::new() }
    }

    fn push(&mut self, mut input: Bytes) -> Result<(), FramingError> {
        while !input.is_empty() {
            match &mut self.state {
                State::Header(line) => {
                    let end = input.iter().position(|byte| *byte == b'\n').map_or(input.len(), |at| at + 1);
                    line.extend_from_slice(&input.split_to(end));
                    if line.len() > LONGEST_HEADER {
                        return Err(FramingError::Format);
                    }
                    if line.ends_with(b"\n") {
                        let line = std::mem::take(line).freeze();
                        self.begin(line)?;
                    }
                }
                State::Data(left) => {
                    let size = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    *left -= size as u64;
                    let done = *left == 0;
                    let bytes = input.split_to(size);
                    if self.signing == Signing::Unsigned {
                        self.output.push_back(format!("{size:x}\r\n").into());
                        self.output.push_back(bytes);
                        self.output.push_back(Bytes::from_static(b"\r\n"));
                    } else {
                        self.output.push_back(bytes);
                    }
                    if done {
                        self.state = State::End(2);
                    }
                }
                State::End(left) => {
                    let end = input.split_to((*left).min(input.len()));
                    *left -= end.len();
                    let done = *left == 0;
                    if self.signing == Signing::Signed {
                        self.output.push_back(end);
                    } else if end.iter().any(|byte| !b"\r\n".contains(byte)) {
                        return Err(FramingError::Format);
                    }
                    if done {
                        self.state = State::Header(BytesMut::new());
                    }
                }
                State::Trailer => self.output.push_back(std::mem::take(&mut input)),
            }
        }
        Ok(())
    }

    fn begin(&mut self, line: Bytes) -> Result<(), FramingError> {
        let text = std::str::from_utf8(&line).map_err(|_| FramingError::Format)?;
        let digits = text.split([';', '\r', '\n']).next().unwrap_or_default();
        let size = u64::from_str_radix(digits, 16).map_err(|_| FramingError::Format)?;
        if self.signing == Signing::Signed && size > LARGEST_SIGNED {
            return Err(FramingError::ChunkTooLarge);
        }
        self.state = if size == 0 { State::Trailer } else { State::Data(size) };
        if self.signing == Signing::Signed || size == 0 {
            self.output.push_back(line);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reframe(signing: Signing, input: &[u8], cut: usize) -> Result<Vec<u8>, FramingError> {
        let mut framer = Framer::new(signing);
        for piece in input.chunks(cut) {
            framer.push(Bytes::copy_from_slice(piece))?;
        }
        Ok(framer.output.iter().flat_map(|bytes| bytes.to_vec()).collect())
    }

    #[test]
    fn a_large_unsigned_chunk_is_cut_as_it_comes() {
        let input = b"a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        let output = reframe(Signing::Unsigned, input, 8).unwrap();
        let expected = "5\r\n01234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn signed_chunks_pass_unless_they_are_too_large() {
        let input = b"3;chunk-signature=00\r\nabc\r\n0;chunk-signature=11\r\n\r\n";
        assert_eq!(reframe(Signing::Signed, input, 7).unwrap(), input);
        let large = format!("{:x};chunk-signature=00\r\n", LARGEST_SIGNED + 1);
        assert_eq!(reframe(Signing::Signed, large.as_bytes(), 9), Err(FramingError::ChunkTooLarge));
    }

    #[test]
    fn what_is_not_framing_is_refused() {
        for input in ["zz\r\n", "\r\n", &"1".repeat(2000), "1\r\naXX3\r\n", "ffffffffffffffffff\r\n"] {
            assert_eq!(reframe(Signing::Unsigned, input.as_bytes(), 5), Err(FramingError::Format), "{input}");
        }
    }

    proptest! {
        #[test]
        fn reframing_keeps_the_bytes(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5), cut in 1_usize..50) {
            let mut input: Vec<u8> = Vec::new();
            for chunk in &chunks {
                input.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
            }
            input.extend(b"0\r\n\r\n");
            let output = reframe(Signing::Unsigned, &input, cut).unwrap();
            let mut data: Vec<u8> = Vec::new();
            let mut rest = &output[..];
            while !rest.is_empty() {
                let line = rest.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                let size = usize::from_str_radix(std::str::from_utf8(&rest[..line - 2]).unwrap(), 16).unwrap();
                data.extend(&rest[line..line + size]);
                rest = &rest[line + size + 2..];
            }
            prop_assert_eq!(data, chunks.concat());
        }
    }
}
