//! Batch as its clients meet it, over a runner that runs what it is told to and a store on disk.

mod fixture;
mod jobs;
mod refusals;
mod resources;
mod restarts;
