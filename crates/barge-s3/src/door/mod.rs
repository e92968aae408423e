//! How requests come in and answers go out, around s3s: hosts, keys, framing, and the last touches to an answer.
//! Nothing here reads or changes a bucket.

pub(crate) mod answer;
pub(crate) mod auth;
pub(crate) mod chunks;
pub(crate) mod cors;
pub(crate) mod host;
pub(crate) mod unread;
