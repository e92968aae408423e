//! `barge doctor`: what of an engine's needs this machine offers.

use super::DataDirArgument;
use barge_engine::{ComputeEngine as _, Health};
use std::process::ExitCode;

/// Arguments of `barge doctor`.
#[derive(clap::Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    data_dir: DataDirArgument,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let data_dir = self.data_dir.path();
        let runtime = tokio::runtime::Runtime::new()?;
        let (name, findings) = runtime.block_on(async {
            let engine = crate::cloud::examined_engine(&data_dir)?;
            anyhow::Ok((engine.name(), engine.doctor().await))
        })?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&findings)?);
        } else {
            println!("engine: {name}");
            let widest = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
            for finding in &findings {
                println!("{:<8} {:<widest$}  {}", word(finding.health), finding.subject, finding.detail);
            }
        }
        let missing = findings.iter().any(|finding| finding.health == Health::Missing);
        Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Good => "ok",
        Health::Reduced => "reduced",
        Health::Missing => "missing",
    }
}
