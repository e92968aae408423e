//! `barge spot`: Spot capacity is taken away when the operator says so.

use super::server::{self, ServerArgument};
use super::table::ShownOnce;
use barge_batch::operator::{InterruptAnswer, InterruptQuery};
use clap::Subcommand;
use std::process::ExitCode;

/// Commands of `barge spot`.
#[derive(Subcommand)]
pub(crate) enum Spot {
    /// Interrupt a Spot instance with all that runs on it, or an attempt on FARGATE_SPOT, as AWS would
    Interrupt(Interrupt),
}

/// Arguments of `barge spot interrupt`.
#[derive(clap::Args)]
pub(crate) struct Interrupt {
    /// An instance (i-…), or a job whose instances or attempt are meant [default: what runs the most, or the longest]
    #[arg(value_name = "INSTANCE|JOB")]
    target: Option<String>,
    /// In this compute environment alone, by name or ARN
    #[arg(long, short, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    #[command(flatten)]
    shown: ShownOnce,
    #[command(flatten)]
    server: ServerArgument,
}

impl Spot {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Interrupt(Interrupt { target, environment, shown, server }) = self;
        server::run(async {
            let answer: InterruptAnswer = server.ask("interrupt", &InterruptQuery { environment, target }).await?;
            shown.show(&answer, text)
        })
    }
}

fn text(answer: &InterruptAnswer) -> String {
    let list = |items: &[String]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    let jobs: Vec<String> = answer.jobs.iter().map(ToString::to_string).collect();
    let instances: Vec<String> = answer.instances.iter().map(ToString::to_string).collect();
    let what = if instances.is_empty() { "an attempt".to_owned() } else { list(&instances) };
    format!("Interrupted {what} in {}; stopped: {}", answer.environment, list(&jobs))
}
