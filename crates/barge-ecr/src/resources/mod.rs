//! The resource types that ECR brings to CloudFormation.

mod repository;

use crate::EcrService;
use barge_core::resource::ResourceProvider;
use std::sync::Arc;

/// The providers of `service`.
pub fn resources(service: &Arc<EcrService>) -> Vec<Arc<dyn ResourceProvider>> {
    vec![Arc::new(repository::Provider(Arc::clone(service)))]
}
