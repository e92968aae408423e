//! Lambda's resource types for templates, one file each.

mod function;
mod permission;

use crate::LambdaService;
use barge_core::resource::ResourceProvider;
use std::sync::Arc;

/// The providers of `AWS::Lambda::Function` and `AWS::Lambda::Permission`.
pub fn resources(service: &Arc<LambdaService>) -> Vec<Arc<dyn ResourceProvider>> {
    vec![
        Arc::new(function::FunctionResource::new(Arc::clone(service))),
        Arc::new(permission::PermissionResource::new(Arc::clone(service))),
    ]
}
