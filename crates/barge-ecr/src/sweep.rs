//! Removing the images that lifecycle policies have expired.

use crate::names::Pick;
use crate::{EcrService, lifecycle, rows};
use barge_core::{AwsError, Document, Scope};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often images are looked at; AWS promises a day.
const EVERY: Duration = Duration::from_mins(5);

impl EcrService {
    /// Removes expired images every five minutes, for ever.
    pub async fn run_sweeps(&self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "expired images could not be removed");
            }
        }
    }

    /// Removes the images that have expired by now.
    pub(crate) async fn sweep(&self) -> Result<(), AwsError> {
        let repositories = self.store.read(rows::with_lifecycle).await?;
        for (scope, repository) in repositories {
            self.sweep_one(&scope, &repository).await?;
        }
        Ok(())
    }

    /// Removes the expired images of one repository.
    pub(crate) async fn sweep_one(&self, scope: &Scope, repository: &rows::Repository) -> Result<(), AwsError> {
        let Some(text) = &repository.lifecycle else { return Ok(()) };
        let policy = lifecycle::Policy::parse(text)?;
        let (place, name) = (scope.clone(), repository.name.clone());
        let images = self.store.read(move |db| rows::images(db, &place, &name)).await?;
        let parts = self.parts(&images).await?;
        let mut expired = policy.expired(&images, self.ambient.clock.now());
        // What a list of images needs stays as long as the list.
        expired.retain(|digest| !parts.contains(digest));
        if expired.is_empty() {
            return Ok(());
        }
        let (place, name) = (scope.clone(), repository.name.clone());
        self.store
            .write(move |tx| {
                for digest in expired {
                    let pick = Pick::Digest(digest.parse().map_err(AwsError::internal)?);
                    rows::remove(tx, &place, &name, &pick)?;
                }
                Ok::<_, AwsError>(())
            })
            .await
    }

    /// The digests that lists among `images` refer to.
    async fn parts(&self, images: &[rows::Image]) -> Result<BTreeSet<String>, AwsError> {
        let mut parts = BTreeSet::new();
        let lists =
            images.iter().filter(|image| image.media_type.contains("index") || image.media_type.contains("list"));
        for list in lists {
            let (store, digest) = (self.images.clone(), list.digest.parse().map_err(AwsError::internal)?);
            let read = tokio::task::spawn_blocking(move || store.manifest(&digest)).await;
            let bytes = read.map_err(AwsError::internal)?.map_err(AwsError::internal)?;
            let manifest = Document::from_json(&bytes).map_err(AwsError::internal)?;
            let entries = manifest.get("manifests").and_then(Document::as_list).unwrap_or_default();
            parts.extend(entries.iter().filter_map(|entry| entry.get("digest")?.as_str().map(str::to_owned)));
        }
        Ok(parts)
    }
}
