//! Resource types without a service: nested stacks, custom resources, wait conditions, notes. To the engine they are types
//! like any others.

mod cdk_metadata;
mod custom;
mod mailbox;
mod nested;
mod wait;

pub(crate) use mailbox::deliver;
pub(crate) use nested::{arn as nested_stack, wanted as wanted_nested_stack};

use crate::CloudFormation;
use crate::engine::PLAIN;
use barge_core::AwsError;
use barge_core::resource::ResourceProvider;
use std::sync::{Arc, OnceLock, Weak};

/// The service that the types belong to, set once it is there.
#[derive(Clone, Default)]
pub(crate) struct Home(Arc<OnceLock<Weak<CloudFormation>>>);

impl Home {
    /// Says which service it is.
    pub(crate) fn set(&self, service: &Arc<CloudFormation>) {
        // Set once, by the service itself.
        let _ = self.0.set(Arc::downgrade(service));
    }

    fn service(&self) -> Result<Arc<CloudFormation>, AwsError> {
        self.0.get().and_then(Weak::upgrade).ok_or_else(|| AwsError::internal("the server is stopping"))
    }
}

/// The types' providers.
pub(crate) fn providers(home: &Home) -> Vec<Arc<dyn ResourceProvider>> {
    vec![
        Arc::new(cdk_metadata::CdkMetadata),
        Arc::new(nested::NestedStack { home: home.clone() }),
        Arc::new(custom::CustomResource { home: home.clone() }),
        Arc::new(wait::WaitHandle { home: home.clone() }),
        Arc::new(wait::WaitCondition { home: home.clone() }),
    ]
}

/// An error whose message is the whole reason of the resource's failure.
fn failed(reason: impl Into<String>) -> AwsError {
    AwsError::new(PLAIN, 400, reason)
}
