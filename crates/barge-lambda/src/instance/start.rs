//! From a function to a running process: credentials, code, runtime, pipe, Runtime API, sandbox.

use super::env::{Surroundings, environment};
use super::journal::Journal;
use super::output::{self, Output};
use super::report::{Ending, Event, Report};
use super::runtime_api::RuntimeApi;
use super::{Answer, Failure, Instance, Invoke, Outcome, Phase, Signal, Verdict};
use crate::function::Function;
use crate::pool::Handle;
use crate::runtimes::{OPT, RuntimeError, TASK_ROOT};
use crate::sandbox::{Bind, SandboxSpec};
use crate::shared::Shared;
use barge_core::AwsError;
use barge_core::ports::LogTarget;
use barge_wire::lambda::error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long an instance's credentials work; it is replaced before they end.
const CREDENTIALS_LIFETIME: Duration = Duration::from_hours(6);
/// What must be left of them, beyond the function's timeout, for another invocation.
const CREDENTIALS_RESERVE: Duration = Duration::from_mins(5);

/// Why an instance did not come to life.
enum StartError {
    /// The function's own fault.
    Function(Failure),
    /// Not the function's.
    Server(AwsError),
}

impl From<RuntimeError> for StartError {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Code { kind, message } => Self::Function(Failure::new(kind, message)),
            other => Self::Server(error::service_exception(other.to_string())),
        }
    }
}

impl From<AwsError> for StartError {
    fn from(error: AwsError) -> Self {
        Self::Server(error)
    }
}

fn server(what: &str) -> impl FnOnce(std::io::Error) -> StartError {
    move |error| StartError::Server(error::service_exception(format!("{what}: {error}")))
}

/// Starts an instance of `function` in the background. It runs `first` as soon as it can; without one it is free from
/// the beginning.
pub(crate) fn launch(shared: &Arc<Shared>, function: &Arc<Function>, first: Option<Box<Invoke>>) {
    let (signals, received) = mpsc::unbounded_channel();
    let timeout = Duration::from_secs(function.settings.timeout_seconds.into());
    let useful = CREDENTIALS_LIFETIME.saturating_sub(CREDENTIALS_RESERVE + timeout);
    let handle = Handle {
        id: shared.ambient.ids.hex(32),
        deployment: function.deployment.clone(),
        usable_until: shared.ambient.clock.now() + useful,
        signals,
    };
    match first {
        Some(invoke) => {
            shared.pools.born(handle.clone());
            // The receiver is here.
            let _ = handle.signals.send(Signal::Invoke(invoke));
        }
        None => shared.pools.offer(&function.key, handle.clone()),
    }
    shared.tasks.spawn(run(Arc::clone(shared), Arc::clone(function), handle, received));
}

async fn run(
    shared: Arc<Shared>,
    function: Arc<Function>,
    handle: Handle,
    mut signals: mpsc::UnboundedReceiver<Signal>,
) {
    let target = log_target(&shared, &function, &handle);
    let logs = Arc::clone(&shared.logs);
    let mut journal = Journal::open(
        logs,
        target.clone(),
        function.settings.log_format,
        Arc::clone(&shared.ambient.clock),
        &shared.tasks,
    );
    match start(&shared, &function, &handle, &target, &mut journal).await {
        Ok(Started { sandbox, output, api, code, since }) => {
            let phase = Phase::Starting { since, first: None };
            let parts = Instance {
                shared,
                function,
                handle,
                signals,
                sandbox,
                output,
                journal,
                phase,
                exited: false,
                _api: api,
                _code: code,
            };
            parts.live().await;
        }
        Err(error) => {
            shared.pools.died(&function.key, &handle.id);
            refuse(&function, &error, &mut signals, &mut journal);
            if journal.has_lines() {
                journal.flush().await;
            }
            shared.instance_ended(&function).await;
        }
    }
}

struct Started {
    sandbox: Box<dyn crate::sandbox::Sandbox>,
    output: Output,
    api: RuntimeApi,
    code: Vec<crate::code::Pin>,
    since: Instant,
}

async fn start(
    shared: &Arc<Shared>,
    function: &Function,
    handle: &Handle,
    log: &LogTarget,
    journal: &mut Journal,
) -> Result<Started, StartError> {
    let mut code = vec![shared.code.pin(&function.code.sha256)];
    let task = code[0].task_dir();
    code.extend(function.settings.layers.iter().map(|layer| shared.code.pin(&layer.code.sha256)));
    let opt = shared.opt.laid(&code[1..]).await.map_err(server("layers"))?;
    let runtime = function.settings.runtime;
    let launch = shared.runtimes.launch(runtime, function.settings.family(), &task, opt.as_deref()).await?;
    let since = Instant::now();
    let version = format!("{}, {}", function.settings.runtime.as_str(), launch.version);
    journal.event(&Event::InitStart { function: &function.key, version: &version });
    let role = &function.settings.role;
    let credentials = shared.credentials.issue(role, &function.key.name, CREDENTIALS_LIFETIME).await?;
    let api = RuntimeApi::open(handle.signals.clone(), Signal::Runtime).await.map_err(server("Runtime API"))?;
    let directory = shared.instances_dir.join(&handle.id);
    let output = Output::create(directory, shared.config.log_rate).map_err(server("output"))?;
    let around = Surroundings {
        log,
        credentials: &credentials,
        endpoint: &shared.ambient.endpoint,
        runtime_api: api.address(),
        runtime: &launch.env,
    };
    let mut binds = vec![
        Bind { source: task, target: TASK_ROOT.into() },
        Bind { source: output.directory().to_owned(), target: output::DIRECTORY.into() },
    ];
    binds.extend(opt.map(|source| Bind { source, target: OPT.into() }));
    binds.extend(launch.binds);
    let spec = SandboxSpec {
        id: handle.id.clone(),
        command: Output::redirected(launch.command),
        env: environment(function, &around),
        workdir: TASK_ROOT.into(),
        binds,
        memory_mib: function.settings.memory_mib,
        tmp_mib: function.settings.tmp_mib,
    };
    let started = shared.sandboxes.start(spec).await;
    let sandbox = started.map_err(|error| StartError::Server(error::service_exception(error.to_string())))?;
    Ok(Started { sandbox, output, api, code, since })
}

/// `YYYY/MM/DD/[VERSION]ID` in the function's group.
fn log_target(shared: &Shared, function: &Function, handle: &Handle) -> LogTarget {
    let date = shared.ambient.clock.now().iso8601();
    let date = date.get(..10).unwrap_or_default().replace('-', "/");
    LogTarget {
        scope: function.key.scope.clone(),
        group: function.settings.log_group(&function.key.name),
        stream: format!("{date}/[{}]{}", function.key.version_name(), handle.id),
    }
}

/// Answers the invocation that waits for an instance that did not come to life.
fn refuse(
    function: &Function,
    error: &StartError,
    signals: &mut mpsc::UnboundedReceiver<Signal>,
    journal: &mut Journal,
) {
    if let StartError::Server(error) = error {
        tracing::warn!(%error, function = %function.key.name, "an instance was not started");
    }
    signals.close();
    while let Ok(signal) = signals.try_recv() {
        let Signal::Invoke(invoke) = signal else { continue };
        let Invoke { request_id, permit, reply, .. } = *invoke;
        drop(permit);
        let answer = match error {
            StartError::Server(error) => Answer::Failed(error.clone()),
            StartError::Function(failure) => {
                journal.begin_tail();
                let (request_id, ending) = (request_id.as_str(), Ending::Failed(failure));
                let version = function.key.version_name();
                journal.event(&Event::Start { request_id, version: &version });
                journal.event(&Event::End { request_id, ending });
                let memory_mib = function.settings.memory_mib;
                journal.event(&Event::Report(Report {
                    request_id,
                    duration: Duration::ZERO,
                    memory_mib,
                    init: None,
                    ending,
                }));
                let (payload, tail) = (failure.payload(request_id).into(), journal.tail().to_owned());
                Answer::Done(Outcome { payload, verdict: Verdict::Failed, tail })
            }
        };
        // The client may have hung up.
        let _ = reply.send(answer);
    }
}
