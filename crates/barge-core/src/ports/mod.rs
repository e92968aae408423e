//! Where services meet: small traits, each named for what is needed, implemented by one service and used by others.
//! Only `barge::cloud` knows who implements what.

mod credentials;
mod events;
mod functions;
mod images;
mod jobs;
mod logs;
mod network;
mod objects;
mod parameters;

pub use credentials::{AccessKey, CredentialIssuer, Credentials, KeyDirectory};
pub use events::{Event, EventSink};
pub use functions::{FunctionInvoker, Invocation, InvocationMode};
pub use images::{ImageSource, LocalImage};
pub use jobs::JobSubmitter;
pub use logs::{LogLine, LogSink, LogTarget};
pub use network::NetworkDirectory;
pub use objects::{ObjectStore, StoredObject};
pub use parameters::ParameterStore;
