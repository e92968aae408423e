//! The heart of Batch: jobs' lives and the scheduler, as one pure function.
//!
//! [`apply`] takes what is known ([`State`]), the time, and what happened ([`Event`]), changes the state and says what is
//! to be done ([`Effect`]). No clock, no I/O, no randomness: production, the simulator and the tests run the same code.
//! What AWS's guides leave open is decided in the modules below and written there: [`schedule`] for the order in which jobs
//! start, [`lifecycle`] for what becomes of them, [`dependencies`] for those that wait for others, [`share`] for fair shares,
//! [`fleet`] for instances, [`pool`] for what attempts hold.
//!
//! Assertions stay on in every build: a core that has lost count must stop before it starts a container twice.

mod array;
mod attempt;
mod check;
mod consumable;
pub mod dependencies;
mod event;
pub mod fleet;
mod front;
pub mod hold;
mod ids;
mod indexes;
mod job;
pub mod lifecycle;
pub mod pool;
mod queue;
mod replacement;
mod restore;
mod retry;
mod scaling;
pub mod schedule;
pub mod share;
mod spot;
mod state;
mod step;
mod timer;
pub mod why;

pub use array::{Array, Closed, Tally};
pub use consumable::{Consumable, ConsumableKind};
pub use event::{Effect, Event, Interruption, Known, Memory, Outcome, Refusal, Success};
pub use fleet::{Condition, Fleet, FleetSpec, Instance, InstanceType, Replacement, Strategy};
pub use ids::{
    AttemptId, ConsumableId, EnvironmentId, InstanceId, JobId, Name, NotAnId, QueueId, Reason, ShareId, TaskId,
};
pub use indexes::IndexSet;
pub use job::{
    Blockage, Blocked, ContainerEnd, Dependency, EndedBy, Job, JobSpec, Kind, LiveAttempt, LiveTask, PastAttempt,
    PastTask, Shape, Status, StopCause, Terms, Told,
};
pub use pool::{Environment, EnvironmentKind, EnvironmentSpec, Machine, Needs, Platform, Switch, Usage};
pub use queue::{Discipline, Queue, QueueSpec, Share, TimeLimit};
pub use restore::{Saved, Settled};
pub use retry::{ExitAction, ExitRule, Pattern, Retry};
pub use share::{FairShare, Ledger};
pub use spot::spot_targets;
pub use state::{State, apply};
