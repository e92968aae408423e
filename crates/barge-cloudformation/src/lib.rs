//! CloudFormation: templates and stacks. `template` reads and checks templates and is pure, `engine` makes and removes
//! what they declare, `api` speaks CloudFormation's operations.
//!
//! No service is known here: each resource type is a `ResourceProvider` that its service's crate brings.

mod api;
pub mod engine;
#[cfg(test)]
mod fake;
mod reference;
mod registry;
pub mod template;
mod types;

pub use api::{CloudFormation, Ports};
pub use engine::Engine;
pub use reference::{catalogue, reference};
pub use registry::Registry;
