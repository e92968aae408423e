//! A host for unit tests: plain processes, with binds played by rewriting paths. No protection at all.

use super::{Exit, Sandbox, SandboxError, SandboxHost, SandboxSpec};
use async_trait::async_trait;
use std::os::unix::process::ExitStatusExt as _;
use tokio::process::{Child, Command};

#[derive(Debug, Default)]
pub(crate) struct Processes;

struct Process(Child);

#[async_trait]
impl SandboxHost for Processes {
    async fn start(&self, spec: SandboxSpec) -> Result<Box<dyn Sandbox>, SandboxError> {
        let seen = |text: &str| {
            spec.binds.iter().fold(text.to_owned(), |text, bind| {
                text.replace(&*bind.target.to_string_lossy(), &bind.source.to_string_lossy())
            })
        };
        let mut command = Command::new(&spec.command[0]);
        command.args(spec.command[1..].iter().map(|argument| seen(argument)));
        command.env_clear().envs(spec.env.iter().map(|(name, value)| (name, seen(value))));
        command.current_dir(seen(&spec.workdir.to_string_lossy())).kill_on_drop(true);
        command.spawn().map(|child| Box::new(Process(child)) as _).map_err(|error| SandboxError(error.to_string()))
    }
}

#[async_trait]
impl Sandbox for Process {
    async fn exited(&mut self) -> Exit {
        match self.0.wait().await {
            Ok(status) => status.signal().map_or_else(|| Exit::Code(status.code().unwrap_or(-1)), Exit::Signal),
            Err(error) => Exit::NotStarted(error.to_string()),
        }
    }

    async fn kill(&mut self) {
        let _ = self.0.start_kill();
    }

    async fn dispose(&mut self) {}
}
