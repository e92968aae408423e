//! What is left of a request's body when the answer is there. A refused body that is small is read to its end, so that
//! the connection can go on; otherwise the client is told that the connection ends.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::stream::{ByteStream, DynByteStream, RemainingLength};
use s3s::{Body, StdError};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes that are read for the connection's sake.
const WORTH_READING: usize = 256 * 1024;
/// How long the client may take to send them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a body has been read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remainder {
    /// It has.
    Nothing,
    /// There may be more.
    Left,
}

/// A body that is still to be read, or the mark that it has been.
type Slot = Arc<Mutex<Option<Pin<Box<Body>>>>>;

/// Knows what is left of a body.
pub(crate) struct Rest(Slot);

/// `body`, and what will know what is left of it.
pub(crate) fn watched(body: Body) -> (Body, Rest) {
    // Without bytes to come there is nothing to watch, and s3s takes what is in memory as it is.
    if body.bytes().is_some() {
        return (body, Rest(Slot::default()));
    }
    let slot = Arc::new(Mutex::new(Some(Box::pin(body))));
    let stream: DynByteStream = Box::pin(Watched(Arc::clone(&slot)));
    (Body::from(stream), Rest(slot))
}

struct Watched(Slot);

impl Stream for Watched {
    type Item = Result<Bytes, StdError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(body) = slot.as_mut() else { return Poll::Ready(None) };
        let polled = body.as_mut().poll_next(cx);
        if matches!(polled, Poll::Ready(None)) {
            *slot = None;
        }
        polled
    }
}

impl ByteStream for Watched {
    fn remaining_length(&self) -> RemainingLength {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map_or_else(|| RemainingLength::new_exact(0), |body| body.remaining_length())
    }
}

impl Rest {
    /// Reads what is left, where that is little.
    pub(crate) async fn drain(self) -> Remainder {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = taken else { return Remainder::Nothing };
        let known = body.remaining_length().exact();
        if known == Some(0) {
            return Remainder::Nothing;
        }
        if known.is_none_or(|size| size > WORTH_READING) {
            return Remainder::Left;
        }
        let reading = async {
            while let Some(chunk) = body.next().await {
                if chunk.is_err() {
                    return Remainder::Left;
                }
            }
            Remainder::Nothing
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or(Remainder::Left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sized(usize, Vec<Bytes>);

    impl Stream for Sized {
        type Item = Result<Bytes, StdError>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.1.pop().map(Ok))
        }
    }

    impl ByteStream for Sized {
        fn remaining_length(&self) -> RemainingLength {
            RemainingLength::new_exact(self.0)
        }
    }

    fn body(size: usize) -> Body {
        let stream: DynByteStream = Box::pin(Sized(size, vec![Bytes::from_static(b"x")]));
        Body::from(stream)
    }

    #[tokio::test]
    async fn little_is_read_and_much_is_left() {
        let (_, rest) = watched(body(1));
        assert_eq!(rest.drain().await, Remainder::Nothing);
        let (_, rest) = watched(body(WORTH_READING + 1));
        assert_eq!(rest.drain().await, Remainder::Left);
    }

    #[tokio::test]
    async fn a_body_that_was_read_leaves_nothing() {
        let (body, rest) = watched(body(WORTH_READING + 1));
        assert_eq!(body.count().await, 1);
        assert_eq!(rest.drain().await, Remainder::Nothing);
        let (_, rest) = watched(Body::from(Bytes::from_static(b"in memory")));
        assert_eq!(rest.drain().await, Remainder::Nothing);
    }
}
