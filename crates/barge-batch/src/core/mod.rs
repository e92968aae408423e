//! The heart of Batch: jobs' lives and the scheduler, as one pure function.
//!
//! [`apply`] takes what is known ([`State`]), the time, and what happened ([`Event`]), changes the state and says what is
//! to be done ([`Effect`]). No clock, no I/O, no randomness: production, the simulator and the tests run the same code.
//! What AWS's guides leave open is decided in the modules below and written there: [`schedule`] for the order in which jobs
//! start, [`lifecycle`] for what becomes of them, [`pool`] for what they hold.
//!
//! Assertions stay on in every build: a core that has lost count must stop before it starts a container twice.

mod event;
mod ids;
mod job;
pub mod lifecycle;
pub mod pool;
mod queue;
mod restore;
pub mod schedule;
mod state;

pub use event::{Effect, Event, Memory, Outcome, Refusal};
pub use ids::{AttemptId, EnvironmentId, JobId, NotAnId, QueueId, Reason};
pub use job::{EndedBy, Job, JobSpec, LiveAttempt, Misfit, PastAttempt, Status, StopCause};
pub use pool::{Environment, EnvironmentKind, EnvironmentSpec, Machine, Needs, Platform, Switch, Usage};
pub use queue::{Queue, QueueSpec};
pub use restore::Saved;
pub use state::{State, apply};
