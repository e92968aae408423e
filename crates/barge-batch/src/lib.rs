//! AWS Batch: job definitions, queues, compute environments, and the scheduler that runs jobs' containers.
//!
//! `core` decides, `dispatcher` commits and acts, `api` speaks AWS's language, `runner` knows the engine, `sim` runs the
//! core without any of them.

mod api;
pub mod board;
pub mod core;
mod dispatcher;
pub mod history;
pub mod operator;
pub mod planner;
pub mod prices;
mod ranges;
pub mod resources;
pub mod runner;
mod service;
pub mod sim;
mod spot;
mod store;
mod view;

pub use dispatcher::Operator;
pub use service::{BatchService, ContainerCredentials, Ports, Settings};
