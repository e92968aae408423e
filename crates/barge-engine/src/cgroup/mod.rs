//! Limits on memory, processor time and processes, by control groups, on hosts with cgroup v1, v2, or both (hybrid).
//!
//! One group per attempt, named after it, below a group called `barge` next to the server's own processes. The shim makes
//! it, and the container's first process goes into it before that process runs anything of the image's. Nothing here
//! knows containers.

mod group;
mod layout;

pub(crate) use group::{Entrance, Group, Limits};
pub(crate) use layout::{Controller, Layout};
