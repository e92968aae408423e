//! What work costs on AWS: instance types with their sizes and prices, Fargate's prices, and what an attempt would have cost.
//!
//! All figures stand in one data file, `prices.json`, with its date and its sources; nothing here asks for live prices.
//! What runs where is decided in [`crate::core`], not here.

mod catalog;
mod cost;
mod fargate;
mod record;

pub use catalog::{Architecture, Catalog, Spot, UnknownType};
pub use cost::{Cost, Demand, Rates};
pub use fargate::fargate_size;
pub use record::AttemptRecord;
