//! Images by path: a job definition may name an OCI layout or an archive of this machine instead of a repository.

use crate::ImageStore;
use async_trait::async_trait;
use barge_core::ports::{ImageSource, LocalImage};
use barge_core::{AwsError, Scope};
use std::path::Path;

/// Images in files of this machine: `/path/to/layout`, `file:///path/to/archive.tar`.
pub struct LocalPaths(pub ImageStore);

#[async_trait]
impl ImageSource for LocalPaths {
    async fn resolve(&self, _: &Scope, reference: &str) -> Result<Option<LocalImage>, AwsError> {
        let path = reference.strip_prefix("file://").unwrap_or(reference).to_owned();
        if !path.starts_with('/') {
            return Ok(None);
        }
        let store = self.0.clone();
        let taken = tokio::task::spawn_blocking(move || store.import(Path::new(&path))).await;
        match taken.map_err(AwsError::internal)? {
            Ok(digest) => Ok(Some(LocalImage { digest: digest.as_str().to_owned() })),
            Err(error) => {
                Err(AwsError::new("ImageNotFoundException", 400, format!("failed to resolve ref {reference}: {error}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageConfig, pack};
    use std::fs;

    #[tokio::test]
    async fn a_path_names_an_image_and_other_names_are_left_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, root) = (dir.path().join("layout"), dir.path().join("root"));
        fs::create_dir(&root).unwrap();
        let maker = ImageStore::open(dir.path().join("maker")).unwrap();
        let digest = pack::from_directory(&maker, &root, &ImageConfig::default()).unwrap();
        maker.export(&digest, &layout).unwrap();

        let source = LocalPaths(ImageStore::open(dir.path().join("store")).unwrap());
        let scope = Scope::default();
        for reference in [layout.display().to_string(), format!("file://{}", layout.display())] {
            let found = source.resolve(&scope, &reference).await.unwrap().unwrap();
            assert_eq!(found.digest, digest.as_str());
        }
        assert_eq!(source.resolve(&scope, "busybox:latest").await, Ok(None));
        let missing = source.resolve(&scope, "/nowhere").await.unwrap_err();
        assert!(missing.message.contains("/nowhere"), "{missing}");
    }
}
