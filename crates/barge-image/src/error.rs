//! What can go wrong with images.

use crate::Digest;
use std::io;

/// An image, or the store, is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The store has no such blob or manifest.
    #[error("{0} is not in the image store")]
    NotFound(Digest),
    /// Content does not have the digest that it was announced with.
    #[error("digest mismatch: {expected} was announced, the content has {actual}")]
    DigestMismatch {
        /// Announced.
        expected: Digest,
        /// Computed.
        actual: Digest,
    },
    /// A manifest names what the store does not have.
    #[error("the manifest refers to unknown blobs: {}", .0.iter().map(Digest::as_str).collect::<Vec<_>>().join(", "))]
    MissingBlobs(Vec<Digest>),
    /// A manifest, index or configuration is not what the specification says.
    #[error("{0}")]
    Malformed(String),
    /// A layer's entry would reach outside its layer.
    #[error("layer {layer}: {entry:?} {reason}")]
    Escape {
        /// The layer's diff id.
        layer: Digest,
        /// The entry's name.
        entry: String,
        /// How.
        reason: String,
    },
    /// A layer is too big, or not a layer.
    #[error("layer {layer}: {reason}")]
    Layer {
        /// The layer's diff id.
        layer: Digest,
        /// Why.
        reason: String,
    },
    /// There is no such upload.
    #[error("there is no upload {0}")]
    UnknownUpload(String),
    /// A chunk does not start where the upload stands.
    #[error("the upload stands at byte {stands}, the chunk starts at {offset}")]
    WrongOffset {
        /// Bytes there are.
        stands: u64,
        /// First byte of the refused chunk.
        offset: u64,
    },
    /// The registry refused.
    #[error("{0}")]
    Registry(String),
    /// The disk, or the network.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl ImageError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn malformed(what: &str) -> impl FnOnce(serde_json::Error) -> Self + '_ {
        move |error| Self::Malformed(format!("{what}: {error}"))
    }
}
