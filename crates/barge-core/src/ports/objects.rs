//! S3 as other services need it.

use crate::{AwsError, Scope};
use async_trait::async_trait;

/// An object's body on local disk.
#[derive(Debug)]
pub struct StoredObject {
    /// An open file that holds exactly the body; it stays readable where the object is overwritten or deleted.
    pub file: std::fs::File,
    /// Bytes.
    pub size: u64,
}

/// Reads objects.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// The object, or `NoSuchBucket`, `NoSuchKey`.
    async fn object(&self, scope: &Scope, bucket: &str, key: &str) -> Result<StoredObject, AwsError>;
}
