//! `barge serve`: claim the data directory, listen, wire everything together, answer until told to stop.

use super::DataDirArgument;
use crate::cloud::{Cloud, Settings};
use crate::data_dir::DataDir;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::process::ExitCode;
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
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let filter = EnvFilter::try_from_env("BARGE_LOG").unwrap_or_else(|_| EnvFilter::new("info,s3s=off"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        let data_dir = DataDir::claim(&self.data_dir.path())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(serve(self.listen, &data_dir));
        // Blocking work that nobody waits for any more must not hold the process.
        runtime.shutdown_timeout(std::time::Duration::from_secs(1));
        result.map(|()| ExitCode::SUCCESS)
    }
}

async fn serve(listen: SocketAddr, data_dir: &DataDir) -> anyhow::Result<()> {
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
