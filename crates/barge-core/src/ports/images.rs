//! Container images as engines need them.

use crate::{AwsError, Scope};
use async_trait::async_trait;

/// An image whose every blob is in the local image store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalImage {
    /// Digest of the image's manifest, `sha256:…`.
    pub digest: String,
}

/// Finds images by the names that job definitions use.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// The image that `reference` names, seen from `scope`. `Ok(None)` where the reference is not this source's to
    /// answer; an error, worded as the end of a `CannotPullContainerError: `, where it is but there is no such image.
    async fn resolve(&self, scope: &Scope, reference: &str) -> Result<Option<LocalImage>, AwsError>;
}
