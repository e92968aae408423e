//! The core with a virtual clock and a virtual engine: a scheduling case in ten lines.
//!
//! Everything follows from the calls made; nothing waits. After each event the state is counted anew and everything that
//! must hold is asserted: nothing starts twice, nothing is saved out of order, and what was saved rebuilds the state.

mod engine;
mod job;
mod saved;
mod soak;
mod world;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod cases_arrays;
#[cfg(test)]
mod cases_capacity;
#[cfg(test)]
mod cases_nodes;
#[cfg(test)]
mod cases_replacement;
#[cfg(test)]
mod cases_shares;

pub use engine::Run;
pub use job::SimJob;
pub use soak::{Dice, soak};
pub use world::{Scrutiny, Simulation};
