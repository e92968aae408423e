//! `AWS::S3::Bucket` (CloudFormation User Guide, "AWS::S3::Bucket").

use super::outline;
use super::settings::{Wanted, as_written};
use crate::api::{NewBucket, check_targets, create_bucket, delete_bucket, reconfigure};
use crate::caller::Caller;
use crate::core::Core;
use crate::error::{ACCESS_DENIED, BUCKET_ALREADY_OWNED, Error, NO_SUCH_BUCKET};
use crate::meta::{Settings, buckets};
use crate::names::check_bucket;
use crate::notify::bucket_arn;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, TAG, property,
};
use barge_core::{AwsError, Context, Scope};
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::S3::Bucket",
    properties: &[
        property("AccessControl", PropertyType::String),
        property("BucketEncryption", PropertyType::Map).of(outline::ENCRYPTION),
        property("BucketName", PropertyType::String).identifies(),
        property("CorsConfiguration", PropertyType::Map).of(outline::CORS),
        property("LifecycleConfiguration", PropertyType::Map).of(outline::LIFECYCLE),
        property("NotificationConfiguration", PropertyType::Map).of(outline::NOTIFICATION),
        property("OwnershipControls", PropertyType::Map).of(outline::OWNERSHIP),
        property("PublicAccessBlockConfiguration", PropertyType::Map).of(outline::PUBLIC_ACCESS_BLOCK),
        property("Tags", PropertyType::List).of(TAG),
        property("VersioningConfiguration", PropertyType::Map).of(outline::VERSIONING),
    ],
    attributes: &["Arn", "DomainName", "DualStackDomainName", "RegionalDomainName"],
};

/// A bucket's name may have so many characters.
const LONGEST_NAME: usize = 63;

pub(super) struct BucketProvider {
    pub(super) core: Arc<Core>,
}

fn resource(name: &str, scope: &Scope) -> Resource {
    let region = &scope.region;
    let attributes = [
        ("Arn", bucket_arn(name).to_string()),
        ("DomainName", format!("{name}.s3.amazonaws.com")),
        ("DualStackDomainName", format!("{name}.s3.dualstack.{region}.amazonaws.com")),
        ("RegionalDomainName", format!("{name}.s3.{region}.amazonaws.com")),
    ];
    Resource {
        physical_id: name.to_owned(),
        attributes: attributes.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect(),
    }
}

impl BucketProvider {
    async fn check(&self, wanted: &Wanted, name: &str, scope: &Scope) -> Result<(), AwsError> {
        wanted.notification.check(scope)?;
        Ok(check_targets(&self.core, &wanted.notification, name, scope).await?)
    }

    /// The token of the creation that made the bucket, where it is there and the caller's.
    async fn made_by(&self, cx: &Context, name: &str) -> Result<Option<String>, AwsError> {
        let (caller, name) = (Caller::of(cx), name.to_owned());
        let found = self.core.read(move |connection| match caller.bucket_anywhere(connection, &name) {
            Err(error) if error.is(&NO_SUCH_BUCKET) => Ok(None),
            result => result.map(|bucket| bucket.settings.creation),
        });
        Ok(found.await?)
    }
}

#[async_trait]
impl ResourceProvider for BucketProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let mut wanted = Wanted::read(&creation.properties, &creation.token)?;
        wanted.tags.extend(creation.tags.clone().into_iter().filter(|(key, _)| !key.starts_with("aws:")));
        let generated = || creation.physical_name(LONGEST_NAME).to_lowercase();
        let name = wanted.name.clone().unwrap_or_else(generated);
        check_bucket(&name)?;
        self.check(&wanted, &name, &cx.scope).await?;
        let mut new = NewBucket::new(name.clone(), cx.scope.clone());
        new.settings.creation = Some(creation.token.clone());
        let expiring = !wanted.lifecycle.is_empty();
        wanted.apply(&mut new.settings);
        match create_bucket(&self.core, new).await {
            Err(error) if error.is(&BUCKET_ALREADY_OWNED) => {
                if self.made_by(cx, &name).await?.as_deref() != Some(creation.token.as_str()) {
                    return Err(AwsError::new("AlreadyExists", 409, format!("{name} already exists")));
                }
            }
            result => result?,
        }
        if expiring {
            self.core.lifecycle.notify_one();
        }
        Ok(resource(&name, &cx.scope))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        _old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let mut wanted = Wanted::read(&new.properties, &new.token)?;
        wanted.tags.extend(new.tags.clone().into_iter().filter(|(key, _)| !key.starts_with("aws:")));
        self.check(&wanted, physical_id, &cx.scope).await?;
        let expiring = !wanted.lifecycle.is_empty();
        let change = |settings: &mut Settings| wanted.apply(settings);
        reconfigure(&self.core, Caller::of(cx), physical_id.to_owned(), change).await?;
        if expiring {
            self.core.lifecycle.notify_one();
        }
        Ok(resource(physical_id, &cx.scope))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _properties: &Properties) -> Result<(), AwsError> {
        match delete_bucket(&self.core, Caller::of(cx), physical_id.to_owned(), None).await {
            Err(error) if error.is(&NO_SUCH_BUCKET) => Ok(()),
            result => Ok(result?),
        }
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let (name, scope, made) = (physical_id.to_owned(), cx.scope.clone(), properties.clone());
        let found = self.core.read(move |connection| match buckets::find(connection, &name)? {
            Some(bucket) if bucket.scope.account != scope.account => Err(Error::from(ACCESS_DENIED)),
            found => Ok(found.map(|bucket| {
                let kept = as_written(&bucket.name, &bucket.settings, &made);
                Reading::new(&SCHEMA, resource(&bucket.name, &bucket.scope), kept)
            })),
        });
        Ok(found.await?)
    }
}
