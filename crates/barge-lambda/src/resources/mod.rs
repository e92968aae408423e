//! Lambda's resource types for templates, one file each.

mod alias;
mod event_invoke_config;
mod function;
mod layer_version;
mod permission;
mod properties;
mod version;

use crate::LambdaService;
use barge_core::resource::ResourceProvider;
use std::sync::Arc;

/// A provider for each of Lambda's resource types.
pub fn resources(service: &Arc<LambdaService>) -> Vec<Arc<dyn ResourceProvider>> {
    vec![
        Arc::new(function::FunctionResource::new(Arc::clone(service))),
        Arc::new(permission::PermissionResource::new(Arc::clone(service))),
        Arc::new(version::VersionResource(Arc::clone(service))),
        Arc::new(alias::AliasResource(Arc::clone(service))),
        Arc::new(layer_version::LayerVersionResource(Arc::clone(service))),
        Arc::new(event_invoke_config::EventInvokeConfigResource(Arc::clone(service))),
    ]
}
