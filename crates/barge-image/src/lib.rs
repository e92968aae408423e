//! OCI images on disk: blobs by digest, layers unpacked once, images packed from files, pushed and pulled.
//!
//! Repositories and tags are not here: who calls an image what is a registry's business. Nothing here runs anything.

mod archive;
mod blobs;
mod digest;
mod error;
mod export;
mod image;
mod layers;
mod local;
pub mod pack;
pub mod registry;
mod store;
mod unpack;
mod uploads;

pub use digest::Digest;
pub use error::ImageError;
pub use image::{ImageConfig, Reference, references};
pub use layers::{PreparedImage, remove_tree};
pub use local::LocalPaths;
pub use store::{ImageStore, Removed};
pub use unpack::UnpackLimits;
