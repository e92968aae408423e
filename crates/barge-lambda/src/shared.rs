//! What every part of the service needs of the others, and how an event finds an instance.

use crate::code::CodeStore;
use crate::code::Opt;
use crate::config::{LambdaConfig, Prewarm};
use crate::function::Function;
use crate::instance::{Answer, Invoke, Outcome, launch};
use crate::pool::{Limit, Pools, Throttled};
use crate::registry::Registry;
use crate::runtimes::Runtimes;
use crate::sandbox::SandboxHost;
use barge_core::ports::{CredentialIssuer, LogSink, NetworkDirectory, ObjectStore};
use barge_core::{Ambient, AwsError};
use barge_wire::lambda::error;
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// An instance may end just as it is chosen; so often is another one asked.
const TRIES: usize = 5;

pub(crate) struct Shared {
    pub ambient: Ambient,
    pub config: LambdaConfig,
    pub logs: Arc<dyn LogSink>,
    pub credentials: Arc<dyn CredentialIssuer>,
    pub sandboxes: Arc<dyn SandboxHost>,
    pub objects: OnceLock<Arc<dyn ObjectStore>>,
    pub network: OnceLock<Arc<dyn NetworkDirectory>>,
    pub registry: Registry,
    pub runtimes: Runtimes,
    pub code: Arc<CodeStore>,
    pub opt: Opt,
    pub pools: Arc<Pools>,
    /// Where each instance has a directory while it lives.
    pub instances_dir: PathBuf,
    pub tasks: TaskTracker,
}

/// One event for a function.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub request_id: String,
    pub payload: Bytes,
    pub client_context: Option<String>,
}

impl Shared {
    /// Runs `function` on `event`: on a free instance, or on a new one.
    ///
    /// # Errors
    /// `TooManyRequestsException` at the concurrency limit; `ServiceException` where no instance could be started.
    pub(crate) async fn run(self: &Arc<Self>, function: &Arc<Function>, event: Event) -> Result<Outcome, AwsError> {
        let (key, limit) = (&function.key, self.limit(function));
        for _ in 0..TRIES {
            let throttled = |_: Throttled| error::too_many_requests_exception("Rate Exceeded.");
            let permit = self.pools.permit(key, limit).map_err(throttled)?;
            let (reply, answer) = oneshot::channel();
            let invoke = Box::new(Invoke {
                request_id: event.request_id.clone(),
                payload: event.payload.clone(),
                client_context: event.client_context.clone(),
                trace_id: self.trace_id(),
                permit,
                reply,
            });
            match self.pools.take(key, &function.deployment, self.ambient.clock.now()) {
                Some(warm) => {
                    // Where the instance is gone, so is the reply's sender, and the next round finds another.
                    let _ = warm.signals.send(crate::instance::Signal::Invoke(invoke));
                }
                None => launch(self, function, Some(invoke)),
            }
            match answer.await {
                Ok(Answer::Done(outcome)) => return Ok(outcome),
                Ok(Answer::Failed(error)) => return Err(error),
                Ok(Answer::NotTaken) | Err(_) => {}
            }
        }
        Err(error::service_exception("No instance of the function took the event."))
    }

    /// A number from 0 to 1, 1 excluded.
    pub(crate) fn chance(&self) -> f64 {
        let bits = u32::from_str_radix(&self.ambient.ids.hex(8), 16).unwrap_or(0);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }

    /// `Root=1-…;Parent=…;Sampled=0`, as functions find it in `_X_AMZN_TRACE_ID`.
    fn trace_id(&self) -> String {
        let ids = &self.ambient.ids;
        let seconds = self.ambient.clock.now().seconds();
        format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", ids.hex(24), ids.hex(16))
    }

    fn limit(&self, function: &Function) -> Limit {
        match function.reserved_concurrency {
            Some(reserved) => Limit::Reserved(reserved),
            None => Limit::Unreserved(self.unreserved(function)),
        }
    }

    /// What the account may run beyond what functions of the region have reserved.
    fn unreserved(&self, function: &Function) -> u32 {
        let reserved: u32 =
            self.registry.all(&function.key.scope).iter().filter_map(|other| other.reserved_concurrency).sum();
        self.config.concurrency.saturating_sub(reserved)
    }

    /// Makes `function`, which has just been stored, the one that instances are kept for.
    pub(crate) fn deployed(self: &Arc<Self>, function: &Arc<Function>) {
        self.pools.deploy(&function.key, &function.deployment);
        let wanted = self.config.prewarm == Prewarm::One && function.reserved_concurrency != Some(0);
        if wanted && !self.pools.has_free(&function.key) {
            launch(self, function, None);
        }
    }

    /// After an instance: its code may be nobody's now.
    pub(crate) async fn instance_ended(self: &Arc<Self>, function: &Function) {
        if !self.registry.uses_code(&function.code.sha256) {
            self.collect_code().await;
        }
    }

    /// Removes code that no function refers to and no instance runs.
    pub(crate) async fn collect_code(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let collected =
            tokio::task::spawn_blocking(move || shared.code.collect(|sha256| shared.registry.uses_code(sha256)));
        if let Err(error) = collected.await {
            tracing::warn!(%error, "code could not be collected");
        }
    }
}
