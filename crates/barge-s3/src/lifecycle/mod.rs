//! Lifecycle rules (Amazon S3 User Guide, "Managing the lifecycle of objects"): `rules` are what a bucket is told,
//! `decide` says what they mean for a key or an upload at a moment, `sweep` carries that out.

mod decide;
mod rules;
mod sweep;

pub(crate) use decide::{abortion, expiry};
pub(crate) use rules::{Expiration, Filter, Form, Noncurrent, Rule, Status, check};
pub(crate) use sweep::sweep_forever;
