//! Amazon S3: buckets, objects, multipart uploads, and notifications of what happens to them.
//!
//! `door` takes requests in around s3s, which speaks the protocol; `api` says what each operation means; `meta` keeps
//! rows; `blobs` keeps bodies; `lifecycle` lets objects expire; `notify` tells functions and EventBridge; `resources`
//! serves templates. An object is
//! its row: a body's file is written and on disk before the row that refers to it is committed, and removed after the
//! row is gone.

mod api;
mod blobs;
mod caller;
mod checksum;
mod core;
mod cors;
mod door;
mod encryption;
mod error;
mod lifecycle;
mod meta;
mod names;
mod notify;
mod port;
pub mod resources;
mod service;

pub use s3s::Body;
pub use service::{LARGEST_FORM, Neighbours, S3Service};
