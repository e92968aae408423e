//! `barge serve`: claim the data directory, listen, wire everything together, answer until told to stop.

use super::DataDirArgument;
use crate::cloud::{Cloud, Settings};
use crate::data_dir::DataDir;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Arguments of `barge serve`.
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// Address and port to answer on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4566")]
    listen: SocketAddr,
    #[command(flatten)]
    data_dir: DataDirArgument,
    /// Append what services tell of, e.g. jobs' states, to this file, one event a line
    #[arg(long, value_name = "FILE")]
    event_log: Option<PathBuf>,
    #[command(flatten)]
    batch: Batch,
}

/// What the operator decides about jobs.
#[derive(clap::Args)]
#[command(next_help_heading = "Jobs")]
struct Batch {
    /// vCPUs to promise for each one that the machine has; memory is never promised twice
    #[arg(long, value_name = "FACTOR", default_value_t = 4.0, value_parser = at_least_zero)]
    vcpu_overcommit: f64,
    /// How long an idle instance of an EC2 or SPOT compute environment stays
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    idle_instances: u64,
    /// How many times an hour each Spot instance, or attempt on FARGATE_SPOT, is interrupted on average
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = at_least_zero)]
    spot_interruptions: f64,
    /// JSON file of secrets that jobs may have, by name or ARN
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Folder of this machine that jobs may mount, with all below it; may be given again
    #[arg(long = "allow-host-path", value_name = "FOLDER")]
    host_paths: Vec<PathBuf>,
}

impl From<Batch> for barge_batch::Settings {
    fn from(batch: Batch) -> Self {
        let Batch { vcpu_overcommit, idle_instances, spot_interruptions, secrets, host_paths } = batch;
        Self {
            vcpu_overcommit,
            idle_time: Duration::from_secs(idle_instances),
            spot_interruptions_per_hour: spot_interruptions,
            operator: barge_batch::Operator { secrets, host_paths },
        }
    }
}

fn at_least_zero(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (number >= 0.0 && number.is_finite()).then_some(number).ok_or_else(|| "must be zero or more".to_owned())
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let filter = EnvFilter::try_from_env("BARGE_LOG").unwrap_or_else(|_| EnvFilter::new("info,s3s=off"));
        // Where the log can't be written, e.g. on a full disk, saying so on the same stream would panic.
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        log.log_internal_errors(false).init();
        let Self { listen, data_dir, event_log, batch } = self;
        let data_dir = DataDir::claim(&data_dir.path())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(serve(listen, event_log, batch.into(), &data_dir));
        // Blocking work that nobody waits for any more must not hold the process.
        runtime.shutdown_timeout(Duration::from_secs(1));
        result.map(|()| ExitCode::SUCCESS)
    }
}

async fn serve(
    listen: SocketAddr,
    event_log: Option<PathBuf>,
    batch: barge_batch::Settings,
    data_dir: &DataDir,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("can't listen on {listen}: choose another with --listen"))?;
    let endpoint = reachable(listener.local_addr()?);
    let cloud = Cloud::open(Settings {
        data_dir: data_dir.path().to_owned(),
        endpoint: endpoint.clone(),
        root_key: key_from_environment(),
        event_log,
        batch,
    })
    .await?;
    data_dir.publish_endpoint(&endpoint)?;
    println!("Barge answers on {endpoint} (data in {})", data_dir.path().display());
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    barge_gateway::serve(listener, cloud.gateway(), stop).await;
    cloud.stop().await;
    Ok(())
}

/// The URL at which work on this machine reaches an address that the server listens on.
fn reachable(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("http://{address}")
}

/// The root key pair that the operator chose: `BARGE_ACCESS_KEY_ID` and `BARGE_SECRET_ACCESS_KEY`, both or neither.
pub(super) fn key_from_environment() -> Option<(String, String)> {
    let get = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some((get("BARGE_ACCESS_KEY_ID")?, get("BARGE_SECRET_ACCESS_KEY")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_reaches_a_server_that_listens_everywhere() {
        for (listen, url) in [
            ("127.0.0.1:4566", "http://127.0.0.1:4566"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), url);
        }
    }
}
