//! Which resource types there are: the providers that the services brought, by type name.

use crate::template::Schemas;
use barge_core::resource::{Properties, ResourceProvider, ResourceSchema};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The resource types that templates may use. Clones share the providers.
#[derive(Clone, Default)]
pub struct Registry {
    providers: Arc<BTreeMap<&'static str, Arc<dyn ResourceProvider>>>,
}

impl Registry {
    /// The types of `providers`; of two with one type name the later counts.
    pub fn new(providers: Vec<Arc<dyn ResourceProvider>>) -> Self {
        let by_name = providers.into_iter().map(|provider| (provider.schema().type_name, provider)).collect();
        Self { providers: Arc::new(by_name) }
    }

    /// These types and those of `providers`; of two with one type name the later counts.
    #[must_use]
    pub fn with(self, providers: Vec<Arc<dyn ResourceProvider>>) -> Self {
        let mut by_name = Arc::unwrap_or_clone(self.providers);
        by_name.extend(providers.into_iter().map(|provider| (provider.schema().type_name, provider)));
        Self { providers: Arc::new(by_name) }
    }

    /// The provider of a type. Every type that begins with `Custom::` is a custom resource.
    pub fn provider(&self, type_name: &str) -> Option<&Arc<dyn ResourceProvider>> {
        let custom = type_name.starts_with("Custom::");
        self.providers.get(if custom { "AWS::CloudFormation::CustomResource" } else { type_name })
    }

    /// Every type's schema, in the order of their names.
    pub fn schemas(&self) -> impl Iterator<Item = &ResourceSchema> {
        self.providers.values().map(|provider| provider.schema())
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.providers.keys()).finish()
    }
}

impl Schemas for Registry {
    fn schema(&self, type_name: &str) -> Option<&ResourceSchema> {
        self.provider(type_name).map(|provider| provider.schema())
    }

    fn replaces(&self, type_name: &str, old: &Properties, new: &Properties) -> bool {
        self.provider(type_name).is_some_and(|provider| provider.replaces(old, new))
    }
}
