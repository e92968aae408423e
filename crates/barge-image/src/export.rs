//! Gives images out as files: OCI layout directories (OCI Image Specification, "Image Layout").

use crate::{Digest, ImageError, ImageStore, references};
use std::fs::{self, File};
use std::io;
use std::path::Path;

impl ImageStore {
    /// Writes the image `digest` as an OCI layout into `directory`, which is made where it does not exist. Blocks.
    pub fn export(&self, digest: &Digest, directory: &Path) -> Result<(), ImageError> {
        let wrong = || ImageError::io(directory.display().to_string());
        fs::create_dir_all(directory.join("blobs/sha256")).map_err(wrong())?;
        let size = self.export_manifest(digest, directory)?;
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).map_err(wrong())?;
        let index = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest.as_str(),
                "size": size,
            }],
        });
        fs::write(directory.join("index.json"), index.to_string()).map_err(wrong())
    }

    /// Writes a manifest and what it names; gives its size in bytes.
    fn export_manifest(&self, digest: &Digest, directory: &Path) -> Result<u64, ImageError> {
        for reference in references(&self.manifest(digest)?)? {
            if reference.is_manifest {
                self.export_manifest(&reference.digest, directory)?;
            } else {
                self.export_blob(&reference.digest, directory)?;
            }
        }
        self.export_blob(digest, directory)
    }

    fn export_blob(&self, digest: &Digest, directory: &Path) -> Result<u64, ImageError> {
        let (mut blob, size) = self.open_blob(digest)?;
        let path = directory.join("blobs/sha256").join(digest.hex());
        let copied = File::create(&path).and_then(|mut file| io::copy(&mut blob, &mut file));
        copied.map_err(ImageError::io(path.display().to_string()))?;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageConfig, pack};

    #[test]
    fn what_is_exported_can_be_imported() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let source = dir.path().join("root");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("file"), "content").unwrap();
        let store = ImageStore::open(from).unwrap();
        let digest = pack::from_directory(&store, &source, &ImageConfig::default()).unwrap();
        store.export(&digest, &dir.path().join("layout")).unwrap();
        assert_eq!(ImageStore::open(to).unwrap().import(&dir.path().join("layout")).unwrap(), digest);
    }
}
