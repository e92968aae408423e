//! Batch as its clients meet it, over a runner that runs what it is told to and a store on disk.

mod arrays;
mod consumables;
mod definitions;
mod fixture;
mod history;
mod jobs;
mod nodes;
mod queues;
mod refusals;
mod resources;
mod restarts;
