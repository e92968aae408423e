//! AWS Batch: job definitions, queues, compute environments, and the scheduler that runs jobs' containers.
//!
//! `core` decides, `dispatcher` commits and acts, `api` speaks AWS's language, `runner` knows the engine, `sim` runs the
//! core without any of them.

mod api;
pub mod core;
mod dispatcher;
pub mod resources;
pub mod runner;
mod service;
pub mod sim;
mod store;
mod view;

pub use service::{BatchService, ContainerCredentials, Ports, Settings};
