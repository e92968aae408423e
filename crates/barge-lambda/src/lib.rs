//! AWS Lambda: functions as processes behind the Runtime API, each in a sandbox, warm, started on demand, with durable
//! events.
//!
//! ```text
//! api, resources, ports ─▶ shared (run) ─▶ pool ─▶ instance ─▶ sandbox
//!                events ──────▲                       ├─ runtime_api ◀─ the function's process
//!                                                     └─ journal ─▶ log sink
//! ```
//!
//! What other services are is not known here: logs, credentials, objects and sandboxes come through ports.

mod api;
mod code;
mod config;
mod destinations;
mod downloads;
mod events;
mod function;
mod instance;
mod invoker;
mod layers;
mod logging;
mod names;
mod policy;
mod pool;
mod registry;
pub mod resources;
mod runtimes;
mod sandbox;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod vpc;

pub use config::{LambdaConfig, Packages, Prewarm};
pub use sandbox::{Bind, EngineSandboxes, Exit, Sandbox, SandboxError, SandboxHost, SandboxSpec};

use barge_core::ports::{CredentialIssuer, LogSink, NetworkDirectory, ObjectStore};
use barge_core::{Ambient, AwsError};
use barge_store::Store;
use downloads::Downloads;
use events::Events;
use pool::Pools;
use shared::Shared;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a stopping service waits for its instances.
const FAREWELL: Duration = Duration::from_secs(5);

/// What Lambda needs of others.
pub struct LambdaPorts {
    /// Takes functions' output.
    pub logs: Arc<dyn LogSink>,
    /// Gives functions the credentials of their roles.
    pub credentials: Arc<dyn CredentialIssuer>,
    /// Runs functions' processes.
    pub sandboxes: Arc<dyn SandboxHost>,
}

/// The Lambda service.
pub struct LambdaService {
    shared: Arc<Shared>,
    events: Arc<Events>,
    downloads: Downloads,
    stop: CancellationToken,
}

impl LambdaService {
    /// Opens the service with its files under `data_dir` (`code`, `runtimes`, `instances`). Nothing runs until
    /// [`LambdaService::start`].
    ///
    /// # Errors
    /// `InternalFailure` where database or directory can't be used.
    pub fn open(
        store: &Store,
        data_dir: &Path,
        ambient: Ambient,
        ports: LambdaPorts,
        config: LambdaConfig,
    ) -> Result<Arc<Self>, AwsError> {
        // Sandboxes are given absolute paths.
        std::fs::create_dir_all(data_dir).map_err(AwsError::internal)?;
        let data_dir = data_dir.canonicalize().map_err(AwsError::internal)?;
        store.migrate(
            "lambda",
            &[registry::FUNCTIONS_TABLE, events::EVENTS_TABLE, events::QUALIFIER_COLUMN, layers::LAYERS_TABLE],
        )?;
        let registry = registry::Registry::open(store.clone())?;
        let code = code::CodeStore::open(data_dir.join("code")).map_err(AwsError::internal)?;
        code.collect(|sha256| registry.uses_code(sha256));
        let instances_dir = emptied(data_dir.join("instances")).map_err(AwsError::internal)?;
        let opt = code::Opt::new(emptied(data_dir.join("opt")).map_err(AwsError::internal)?);
        let runtimes = runtimes::Runtimes::new(data_dir.join("runtimes"), config.packages);
        let shared = Arc::new(Shared {
            ambient,
            config,
            logs: ports.logs,
            credentials: ports.credentials,
            sandboxes: ports.sandboxes,
            objects: OnceLock::new(),
            network: OnceLock::new(),
            registry,
            runtimes,
            code,
            opt,
            pools: Arc::new(Pools::default()),
            instances_dir,
            tasks: TaskTracker::new(),
        });
        let events = Arc::new(Events::new(store.clone(), Arc::clone(&shared)));
        Ok(Arc::new(Self { shared, events, downloads: Downloads::default(), stop: CancellationToken::new() }))
    }

    /// Plugs S3 in, from where functions' code may come. Later calls change nothing.
    pub fn set_objects(&self, objects: Arc<dyn ObjectStore>) {
        let _ = self.shared.objects.set(objects);
    }

    /// Plugs EC2 in, whose subnets and security groups functions may name. Later calls change nothing.
    pub fn set_network(&self, network: Arc<dyn NetworkDirectory>) {
        let _ = self.shared.network.set(network);
    }

    /// Takes up the queue of events, also those that an earlier server accepted. Call it inside the async runtime, once.
    pub fn start(&self) {
        self.shared.tasks.spawn(Arc::clone(&self.events).work(self.stop.clone()));
    }

    /// Stops taking events and ends every instance; events that were running run again on the next start.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.shared.pools.stop_all();
        self.shared.tasks.close();
        if tokio::time::timeout(FAREWELL, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("some functions' instances did not end in time");
        }
    }

    /// The zip file that a link of GetFunction (`/_barge/lambda/code/TOKEN`) stands for, while it works.
    pub fn code_by_token(&self, token: &str) -> Option<PathBuf> {
        let sha256 = self.downloads.code(token, self.shared.ambient.clock.now())?;
        Some(self.shared.code.zip_path(&sha256))
    }
}

/// The directory `path`, with nothing in it.
fn emptied(path: PathBuf) -> std::io::Result<PathBuf> {
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    std::fs::create_dir_all(&path)?;
    Ok(path)
}
