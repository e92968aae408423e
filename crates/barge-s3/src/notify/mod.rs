//! Event notifications: what a bucket is configured to tell whom, what it tells, and getting it there.

pub(crate) mod config;
pub(crate) mod event;
mod outbox;

pub(crate) use config::{Notification, Target};
pub(crate) use event::{Occurrence, Subject, record};
pub(crate) use outbox::{Delivery, SERVICE, bucket_arn, deliver_forever};
