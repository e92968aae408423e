//! The resource types that templates may use.

mod global_table;
mod outline;
mod reading;
mod table;

use crate::DynamoDb;
use barge_core::resource::ResourceProvider;
use std::sync::Arc;

/// Every resource type of this service.
pub fn resources(service: &Arc<DynamoDb>) -> Vec<Arc<dyn ResourceProvider>> {
    let table = || table::Table::new(Arc::clone(service));
    vec![Arc::new(table()), Arc::new(global_table::GlobalTable(table()))]
}
