//! Where work runs: the [`ComputeEngine`] port and the engines behind it.
//!
//! An engine knows attempts, images and limits. Jobs, queues and functions are not its business. See `docs/engine.md`
//! for what runs where, and for the trust boundary.

pub mod attempt;
mod cgroup;
mod doctor;
mod embedded;
mod engine;
mod folder;
mod linux;
mod mounts;
pub mod output;
mod plan;
pub mod shim;
mod sys;
mod user;

pub use attempt::{Access, Attempt, AttemptId, Capabilities, Lifetime, Mount, OutputTo, RootFs};
pub use embedded::{EmbeddedConfig, EmbeddedEngine, ShimCommand};
pub use engine::{
    Adopted, AttemptEvent, AttemptState, Capacity, ComputeEngine, Ending, EngineError, EventKind, ExitOutcome, Finding,
    Health, StartFailure,
};
pub use linux::{InitProcess, NotAUlimit, Scratch, Tmpfs, Ulimit, UlimitName};
pub use output::{OutputBatch, OutputReader, pump_output};
