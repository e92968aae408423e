//! The core with a virtual clock and a virtual engine: a scheduling case in ten lines.
//!
//! Everything follows from the calls made; nothing waits. After each event the state is counted anew and everything that
//! must hold is asserted: no attempt starts twice, nothing is saved out of order, and what was saved rebuilds the state.

mod engine;
mod world;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod random;

pub use engine::Run;
pub use world::{SimJob, Simulation};
