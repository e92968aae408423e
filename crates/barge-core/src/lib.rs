//! What every room of Barge stands on: names of things (ARNs, accounts, regions), the request context, time and
//! randomness as parameters, AWS's error shape, and the ports through which services meet.
//!
//! Nothing here knows a service, opens a file or speaks a protocol.

pub mod arn;
pub mod clock;
pub mod context;
pub mod document;
pub mod error;
pub mod ids;
pub mod ports;
pub mod resource;

pub use arn::{AccountId, Arn, Region, Scope};
pub use clock::{Clock, SystemClock, Timestamp};
pub use context::{Ambient, Context, Principal};
pub use document::Document;
pub use error::AwsError;
pub use ids::{IdSource, RandomIds};
