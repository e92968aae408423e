//! `AWS::S3::BucketPolicy` (CloudFormation User Guide, "AWS::S3::BucketPolicy"). Policies are kept, and not yet
//! enforced.

use super::properties::Members;
use crate::api::{check_policy, reconfigure};
use crate::caller::Caller;
use crate::core::Core;
use crate::error::NO_SUCH_BUCKET;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::S3::BucketPolicy",
    properties: &[
        property("Bucket", PropertyType::String).required().replaces(),
        property("PolicyDocument", PropertyType::Json).required(),
    ],
    attributes: &[],
};

pub(super) struct BucketPolicyProvider {
    pub(super) core: Arc<Core>,
}

fn read(properties: &Properties) -> Result<(String, String), AwsError> {
    let mut members = Members::of("", properties)?;
    let bucket = members.required_text("Bucket")?;
    let policy = match members.take("PolicyDocument") {
        Some(Document::String(text)) => text.clone(),
        Some(document) => document.to_json(),
        None => return Err(AwsError::validation("Property PolicyDocument is required")),
    };
    members.finish()?;
    check_policy(&policy, &bucket)?;
    Ok((bucket, policy))
}

fn resource(bucket: &str) -> Resource {
    Resource { physical_id: bucket.to_owned(), attributes: BTreeMap::new() }
}

impl BucketPolicyProvider {
    async fn put(&self, cx: &Context, properties: &Properties) -> Result<Resource, AwsError> {
        let (bucket, policy) = read(properties)?;
        reconfigure(&self.core, Caller::of(cx), bucket.clone(), |settings| settings.policy = Some(policy)).await?;
        Ok(resource(&bucket))
    }
}

#[async_trait]
impl ResourceProvider for BucketPolicyProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        self.put(cx, &creation.properties).await
    }

    async fn update(
        &self,
        cx: &Context,
        _physical_id: &str,
        _old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        self.put(cx, &new.properties).await
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _properties: &Properties) -> Result<(), AwsError> {
        let removal =
            reconfigure(&self.core, Caller::of(cx), physical_id.to_owned(), |settings| settings.policy = None);
        match removal.await {
            Err(error) if error.is(&NO_SUCH_BUCKET) => Ok(()),
            result => Ok(result?),
        }
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        _properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let (caller, bucket) = (Caller::of(cx), physical_id.to_owned());
        let found = self.core.read(move |connection| match caller.bucket_anywhere(connection, &bucket) {
            Err(error) if error.is(&NO_SUCH_BUCKET) => Ok(None),
            result => result.map(|bucket| bucket.settings.policy),
        });
        let kept = |policy: String| Document::map([("Bucket", physical_id.into()), ("PolicyDocument", policy.into())]);
        Ok(found.await?.map(|policy| Reading::new(&SCHEMA, resource(physical_id), kept(policy))))
    }
}
