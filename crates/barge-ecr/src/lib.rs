//! Amazon ECR: repositories, their images and tags, the API that describes them, and the registry that docker, podman and
//! skopeo push to and pull from.
//!
//! Blobs and manifests are kept by `barge-image`; here is who calls them what. An image is in a repository once its
//! manifest's row is committed.

mod api;
mod lifecycle;
mod mutability;
mod names;
mod registry;
pub mod resources;
mod rows;
mod source;
mod sweep;
mod token;

use barge_core::{Ambient, AwsError, Scope};
use barge_image::ImageStore;
use barge_store::{Store, StoreError};
use std::sync::Arc;
use token::TokenKey;

pub use registry::RegistryBody;

/// The ECR service and its registry. Share it in an `Arc`.
pub struct EcrService {
    store: Store,
    images: ImageStore,
    ambient: Ambient,
    token_key: TokenKey,
}

impl EcrService {
    /// Opens the service on the tables in `store` and the blobs in `images`.
    ///
    /// # Errors
    /// [`StoreError`] where its tables can't be made or read.
    pub fn open(store: Store, images: ImageStore, ambient: Ambient) -> Result<Arc<Self>, StoreError> {
        store.migrate("ecr", rows::MIGRATIONS)?;
        let fresh = ambient.ids.hex(64);
        let token_key = store.write_blocking(move |tx| rows::token_key(tx, &fresh))?;
        Ok(Arc::new(Self { store, images, ambient, token_key: TokenKey::new(token_key) }))
    }

    /// The repository, or the error that AWS answers with.
    async fn repository(&self, scope: &Scope, name: &str) -> Result<rows::Repository, AwsError> {
        let (scope, name) = (scope.clone(), name.to_owned());
        self.store.read(move |db| rows::existing_repository(db, &scope, &name)).await
    }

    /// What a client pulls and pushes: `AUTHORITY/NAME` with the authority at which it reached us.
    fn uri(endpoint: &str, name: &str) -> String {
        let authority = endpoint.split_once("://").map_or(endpoint, |(_, authority)| authority);
        format!("{authority}/{name}")
    }
}
