//! The program: its command line, and in `cloud` the one place that wires the services together.

mod cli;
mod client;
mod cloud;
mod data_dir;
mod event_log;
mod operator;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A shim is one thread without a runtime: it forks. So it is told apart before anything else starts.
    if let Some(code) = cli::shim() {
        return code;
    }
    match cli::run(cli::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("barge: {error:#}");
            ExitCode::FAILURE
        }
    }
}
