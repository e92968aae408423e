//! The front door: an HTTP request comes in; the service it is signed for, the operation's caller and the caller's
//! account are found; the service answers. What an operation means is not known here.
//!
//! - `server`: connections.
//! - `route`: which service a request is for.
//! - `signature`: AWS Signature Version 4.
//! - `refusal`: what a request hears that is not let through, in the words of each protocol.

mod body;
mod refusal;
mod route;
mod server;
mod signature;

pub use body::{Body, BoxError, full};
pub use route::{Gateway, Mount, Services};
pub use server::serve;
pub use signature::Signer;
