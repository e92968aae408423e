//! S3 as other services use it: objects as open files.

use crate::api::{Place, open_object};
use crate::blobs;
use crate::caller::{Aim, Caller};
use crate::error::Error;
use crate::service::S3Service;
use async_trait::async_trait;
use barge_core::ports::{ObjectStore, StoredObject};
use barge_core::{AwsError, Principal, Scope};
use std::io::{self, Seek as _};

#[async_trait]
impl ObjectStore for S3Service {
    async fn object(&self, scope: &Scope, bucket: &str, key: &str) -> Result<StoredObject, AwsError> {
        let caller = Caller {
            principal: Principal::Service("s3.amazonaws.com".to_owned()),
            scope: scope.clone(),
            aim: Aim::Anywhere,
            request_id: self.core.ambient.ids.upper_alphanumeric(16),
            address: "127.0.0.1".to_owned(),
        };
        let place = Place { caller, bucket: bucket.to_owned(), key: key.to_owned(), version: None, owner: None };
        let (_, object, pinned) = open_object(&self.core, &place).await?;
        let opened = tokio::task::spawn_blocking(move || {
            if let [segment] = &object.detail.segments[..] {
                return Ok(StoredObject { file: pinned.file(&segment.blob)?, size: object.size });
            }
            let mut file = pinned.scratch()?;
            blobs::copy(pinned, object.pieces(0..object.size), &mut file, &[])?;
            file.rewind()?;
            Ok(StoredObject { file, size: object.size })
        });
        let opened: io::Result<StoredObject> = opened.await.map_err(Error::from)?;
        Ok(opened.map_err(Error::from)?)
    }
}
