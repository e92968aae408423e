//! What attempts print: from the shim's pipe into a file of timed lines, and from there to whoever wants them.
//!
//! The file is the only thing between shim and server, so that either can be killed: the shim appends, the server reads
//! on from the position that it last stored. What was read is given back to the file system (a hole is punched), so
//! the file takes up only what nobody has taken yet.

mod pump;
mod reader;
pub(crate) mod record;
pub(crate) mod writer;

pub(crate) use pump::persist;
pub use pump::pump_output;
pub(crate) use reader::Wake;
pub use reader::{OutputBatch, OutputReader};
