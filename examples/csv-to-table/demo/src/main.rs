//! `make demo`: the pipeline from nothing to the last row, through AWS's own Rust SDK, on a Barge that it starts and ends.
//!
//! `server` starts Barge; `deploy` makes the stack; `pipeline` uploads the file and waits for its rows; `report` prints.

mod deploy;
mod pipeline;
mod report;
mod server;

use anyhow::Context as _;
use clap::Parser;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Where the demo finds what was built.
#[derive(Parser)]
struct Arguments {
    /// The barge program
    #[arg(long)]
    barge: PathBuf,
    /// The directory that has the job's and the function's binaries
    #[arg(long)]
    binaries: PathBuf,
    /// The example's directory: template and sample data
    #[arg(long)]
    example: PathBuf,
    /// Leave the server up, and say how to reach it
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let server = server::Server::start(&arguments.barge)?;
    report::title(&format!("Barge runs on {}", server.endpoint));
    let outcome = show(arguments, &server).await;
    if arguments.keep {
        server.keep();
        return outcome;
    }
    let stopped = server.stop();
    outcome.and(stopped)
}

async fn show(arguments: &Arguments, server: &server::Server) -> anyhow::Result<()> {
    let config = server.sdk().await;

    report::title("Deploying the stack");
    let started = Instant::now();
    let function = arguments.binaries.join("trigger");
    let template = arguments.example.join("template.yaml");
    let stack = deploy::deploy(&config, &template, &function).await?;
    report::line(&format!("the stack is complete after {} ms", started.elapsed().as_millis()));

    report::title("Pushing the job's image");
    push_image(arguments, server, &stack.repository_uri)?;

    report::title("Uploading sample.csv");
    let sample = arguments.example.join("sample.csv");
    let expected = pipeline::expected_rows(&sample)?;
    let run = pipeline::run(&config, &stack, &sample, expected.len()).await?;
    report::job(&run.job);
    report::log(&run.log);
    report::rows(&run.rows);
    pipeline::check(&expected, &run.rows)?;
    report::line(&format!(
        "\nupload to last row: {} ms; all {} rows are in the table {}",
        run.upload_to_last_row.as_millis(),
        expected.len(),
        stack.table
    ));
    Ok(())
}

/// Packs the job's binary into an image without Docker, and pushes it to the repository that the stack made.
fn push_image(arguments: &Arguments, server: &server::Server, repository_uri: &str) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let layout = scratch.path().join("image").display().to_string();
    let binary = arguments.binaries.join("loader").display().to_string();
    let image = |words: &[&str]| -> anyhow::Result<()> {
        let mut command = Command::new(&arguments.barge);
        command.arg("image").args(words).envs(server.variables.clone()).stdin(Stdio::null());
        let status = command.status().with_context(|| format!("{} can't run", arguments.barge.display()))?;
        anyhow::ensure!(status.success(), "barge image {} failed: {status}", words.join(" "));
        Ok(())
    };
    image(&["pack", "--binary", &binary, "--output", &layout])?;
    image(&["push", &layout, &format!("{repository_uri}:latest")])
}
