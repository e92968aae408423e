//! Resource types of templates, one file each.

mod bucket;
mod bucket_policy;
mod outline;
mod properties;
mod settings;

use crate::service::S3Service;
use barge_core::resource::ResourceProvider;
use std::sync::Arc;

/// `AWS::S3::Bucket` and `AWS::S3::BucketPolicy`.
pub fn resources(service: &Arc<S3Service>) -> Vec<Arc<dyn ResourceProvider>> {
    vec![
        Arc::new(bucket::BucketProvider { core: Arc::clone(&service.core) }),
        Arc::new(bucket_policy::BucketPolicyProvider { core: Arc::clone(&service.core) }),
    ]
}
