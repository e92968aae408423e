//! The command line: what can be said, and which function does it.

mod doctor;
mod env;
mod image;
mod job_logs;
mod jobs;
mod past_jobs;
mod queues;
mod resources;
mod serve;
mod server;
mod simulate;
mod spot;
mod table;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// AWS Batch pipelines on machines you own.
#[derive(Parser)]
#[command(name = "barge", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Print the exports that a shell needs to reach the server: eval "$(barge env)"
    Env(env::Env),
    /// Say where attempts will run, and what this machine lacks for it
    Doctor(doctor::Doctor),
    /// Make container images and push them to a registry
    #[command(subcommand)]
    Image(image::Image),
    /// List jobs, or say why one waits, print its log, stop it
    Jobs(jobs::Jobs),
    /// List job queues and compute environments with what they hold
    Queues(queues::Queues),
    /// Take Spot capacity away, to see what becomes of the jobs on it
    #[command(subcommand)]
    Spot(spot::Spot),
    /// Say how long a workload would take in given environments, and what it would cost
    Simulate(simulate::Simulate),
    /// List the CloudFormation resource types, their properties and attributes
    Resources(resources::Resources),
}

/// The data directory, as each command that needs one takes it.
#[derive(clap::Args)]
struct DataDirArgument {
    /// Where everything is kept [default: ~/.local/share/barge]
    #[arg(long, value_name = "DIR", env = "BARGE_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl DataDirArgument {
    fn path(self) -> PathBuf {
        self.data_dir.unwrap_or_else(crate::data_dir::default_path)
    }
}

/// Runs as a shim where the program was started as one (`barge shim DIR`); not a command for people.
pub(crate) fn shim() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == "shim")
        .then(|| arguments.next().map_or(ExitCode::FAILURE, |dir| barge_engine::shim::main(&PathBuf::from(dir))))
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Env(env) => env.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Image(image) => image.run(),
        Command::Jobs(jobs) => jobs.run(),
        Command::Queues(queues) => queues.run(),
        Command::Spot(spot) => spot.run(),
        Command::Simulate(simulate) => simulate.run(),
        Command::Resources(resources) => resources.run(),
    }
}
