//! The resource types that templates may use.

mod group;
mod metric_filter;
mod stream;

use crate::CloudWatchLogs;
use barge_core::Document;
use barge_core::resource::ResourceProvider;
use std::sync::Arc;

/// Every resource type of this service.
pub fn resources(service: &Arc<CloudWatchLogs>) -> Vec<Arc<dyn ResourceProvider>> {
    vec![
        Arc::new(group::Group::new(Arc::clone(service))),
        Arc::new(stream::Stream::new(Arc::clone(service))),
        Arc::new(metric_filter::MetricFilter(Arc::clone(service))),
    ]
}

/// A property's text.
fn text(properties: &Document, name: &str) -> Option<String> {
    properties.get(name).and_then(Document::scalar_text)
}
