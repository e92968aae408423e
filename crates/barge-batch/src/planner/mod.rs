//! Planning: what a workload would do in given queues and environments, how long it would take and what it would cost.
//!
//! The scheduler is [`crate::core`] itself, driven by a virtual clock: nothing is estimated that the core decides. What the
//! core does not know is assumed here and said in the report: how long containers take to start, how long they run (unless a history tells),
//! how often Spot takes them away. Nothing is stored and nothing is checked on the way, so that a million jobs take seconds.
//! Files are read by the caller: this takes text and says what is wrong by file, line and column.

mod agenda;
mod assumptions;
mod cells;
mod compare;
mod dice;
mod distribution;
mod fleets;
mod history;
mod measured;
mod meter;
mod problem;
mod report;
mod rows;
mod run;
mod scenario;
mod series;
mod setup;
mod svg;
mod table;
mod template;
mod types;
mod workload;

#[cfg(test)]
mod tests;

pub use assumptions::Assumptions;
pub use compare::{Progress, compare};
pub use distribution::Distribution;
pub use history::{History, Notes};
pub use problem::Problem;
pub use report::{Instances, Level, Outcome, QueueWait, Report, Sample, Timeline, WaitingReason};
pub use scenario::Scenario;
pub use setup::{
    Definition, EnvironmentSetup, ExitRuleSetup, FairShareSetup, LimitSetup, QueueSetup, Setup, ShareSetup,
};
pub use svg::chart;
pub use table::table;
pub use template::{Declared, from_template};
pub use workload::Workload;
