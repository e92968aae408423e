//! A Barge of the demo's own: on a temporary directory and a free port, ended and removed afterwards.

use anyhow::{Context as _, bail};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use csv_to_table_client::{Patience, SdkConfig, configure};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server.
pub(crate) struct Server {
    /// e.g. `http://127.0.0.1:40123`.
    pub(crate) endpoint: String,
    /// e.g. `us-east-1`.
    pub(crate) region: String,
    /// What `barge env` gives a shell, for programs that the demo starts.
    pub(crate) variables: Vec<(String, String)>,
    barge: PathBuf,
    child: Child,
    dir: tempfile::TempDir,
}

impl Server {
    /// Starts `barge serve` and waits until it answers. Its variables become this process's own, where the SDK and the
    /// commands of barge find them.
    pub(crate) fn start(barge: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("barge-demo-").tempdir()?;
        let data_dir = dir.path().join("data");
        check_machine(barge, &data_dir)?;
        let log = std::fs::File::create(dir.path().join("server.log"))?;
        let mut child = Command::new(barge)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} can't be started", barge.display()))?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut first = String::new();
        BufReader::new(stdout).read_line(&mut first)?;
        if first.is_empty() {
            let log = std::fs::read_to_string(dir.path().join("server.log")).unwrap_or_default();
            let status = child.wait()?;
            bail!("the server ended ({status}):\n{log}");
        }
        let output = Command::new(barge).args(["env", "--json", "--data-dir"]).arg(&data_dir).output()?;
        let variables: BTreeMap<String, String> =
            serde_json::from_slice(&output.stdout).context("barge env printed no variables")?;
        let get = |name: &str| variables.get(name).cloned().unwrap_or_default();
        Ok(Self {
            endpoint: get("AWS_ENDPOINT_URL"),
            region: get("AWS_REGION"),
            barge: barge.to_owned(),
            child,
            dir,
            variables: variables.into_iter().collect(),
        })
    }

    /// The SDK's configuration for this server, whatever the environment says.
    pub(crate) async fn sdk(&self) -> SdkConfig {
        let get = |wanted: &str| self.variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let credentials = Credentials::new(
            get("AWS_ACCESS_KEY_ID").unwrap_or_default(),
            get("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
            None,
            None,
            "demo",
        );
        let config = configure(self.region.clone(), Patience::Short).await;
        let builder = config.to_builder().endpoint_url(&self.endpoint);
        builder.credentials_provider(SharedCredentialsProvider::new(credentials)).build()
    }

    /// Ends the server and removes its directory.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let status = Command::new("kill").arg(self.child.id().to_string()).status()?;
        anyhow::ensure!(status.success(), "the server could not be told to stop");
        let ended = self.child.wait()?;
        anyhow::ensure!(ended.success(), "the server ended with {ended}");
        Ok(())
    }

    /// Leaves the server up, and says how to reach it.
    pub(crate) fn keep(self) {
        let pid = self.child.id();
        let dir = self.dir.keep();
        println!("\nThe server stays up (process {pid}, everything in {}). A shell reaches it after", dir.display());
        println!("  eval \"$({} env --data-dir {}/data)\"", self.barge.display(), dir.display());
        println!("and it ends with");
        println!("  kill {pid} && rm -r {}", dir.display());
    }
}

/// Refuses a machine that can't run containers, with what to enable.
fn check_machine(barge: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let doctor = Command::new(barge).args(["doctor", "--data-dir"]).arg(data_dir).output();
    let doctor = doctor.with_context(|| format!("{} can't be started", barge.display()))?;
    let report = String::from_utf8_lossy(&doctor.stdout);
    anyhow::ensure!(
        doctor.status.success(),
        "containers can't run here:\n{report}{}",
        String::from_utf8_lossy(&doctor.stderr)
    );
    Ok(())
}
