//! How code in each language is run: the interpreter on this host, the bootstrap that speaks the Runtime API for it,
//! and what a sandbox must see of both. Nothing about single invocations.

mod host;
mod node;
mod packages;
mod provided;
mod python;

use crate::config::Packages;
use crate::sandbox::Bind;
use barge_core::AwsError;
use barge_wire::lambda::{Runtime, error};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Where a sandbox sees the function's code.
pub(crate) const TASK_ROOT: &str = "/var/task";
/// Where it sees the runtime's bootstrap and packages.
pub(crate) const RUNTIME_DIR: &str = "/var/runtime";
/// Where it sees the function's layers.
pub(crate) const OPT: &str = "/opt";
/// Where it sees an interpreter that is not among the host's system directories.
const LANGUAGE_DIR: &str = "/var/lang";

/// The users that functions see: as on AWS, their own has a name and a home, which some libraries ask for.
const USERS: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
                     sbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n";

/// The kinds of runtime that Barge has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// The code brings its own executable, `bootstrap`.
    Provided,
    /// The host's python3.
    Python,
    /// The host's node.
    Node,
}

impl Family {
    /// The family of `runtime`; `None` where Barge cannot run it.
    pub(crate) fn of(runtime: Runtime) -> Option<Self> {
        match runtime {
            Runtime::ProvidedAl2 | Runtime::ProvidedAl2023 => Some(Self::Provided),
            Runtime::Python39
            | Runtime::Python310
            | Runtime::Python311
            | Runtime::Python312
            | Runtime::Python313
            | Runtime::Python314 => Some(Self::Python),
            Runtime::Nodejs18X | Runtime::Nodejs20X | Runtime::Nodejs22X | Runtime::Nodejs24X => Some(Self::Node),
            _ => None,
        }
    }
}

/// How to start one instance's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub command: Vec<String>,
    /// Beyond the function's code.
    pub binds: Vec<Bind>,
    pub env: Vec<(String, String)>,
    /// What runs the code, for the INIT_START line.
    pub version: String,
}

/// Why no process can be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeError {
    /// The function's own fault: the error type and message that its invocations answer with.
    #[error("{kind}: {message}")]
    Code {
        /// e.g. `Runtime.InvalidEntrypoint`.
        kind: &'static str,
        /// For people.
        message: String,
    },
    /// The host lacks something.
    #[error("{0}")]
    Host(String),
    /// The disk.
    #[error("the runtime could not be prepared: {0}")]
    Io(#[from] io::Error),
}

/// The host's runtimes, each looked for and prepared once.
pub(crate) struct Runtimes {
    dir: PathBuf,
    packages: Packages,
    python: OnceCell<Arc<python::Python>>,
    prepared_python: OnceCell<packages::Prepared>,
    node: OnceCell<Arc<node::Node>>,
    prepared_node: OnceCell<packages::Prepared>,
}

impl Runtimes {
    /// Runtimes prepared under `dir`.
    pub(crate) fn new(dir: PathBuf, packages: Packages) -> Self {
        let (python, prepared_python) = (OnceCell::new(), OnceCell::new());
        let (node, prepared_node) = (OnceCell::new(), OnceCell::new());
        Self { dir, packages, python, prepared_python, node, prepared_node }
    }

    async fn python(&self) -> Result<&Arc<python::Python>, RuntimeError> {
        self.python.get_or_try_init(async || python::Python::find().await.map(Arc::new)).await
    }

    async fn node(&self) -> Result<&Arc<node::Node>, RuntimeError> {
        self.node.get_or_try_init(async || node::Node::find().await.map(Arc::new)).await
    }

    /// Fails, as a client's error, where this host cannot run `family`.
    pub(crate) async fn require(&self, family: Family) -> Result<(), AwsError> {
        let found = match family {
            Family::Provided => Ok(()),
            Family::Python => self.python().await.map(drop),
            Family::Node => self.node().await.map(drop),
        };
        found.map_err(|missing| error::invalid_parameter_value_exception(missing.to_string()))
    }

    /// How to start code for `runtime` that is unpacked in `task`, with its layers in `opt`.
    pub(crate) async fn launch(
        &self,
        runtime: Runtime,
        family: Family,
        task: &Path,
        opt: Option<&Path>,
    ) -> Result<Launch, RuntimeError> {
        let mut launch = match family {
            Family::Provided => provided::launch(task, opt)?,
            Family::Python => {
                let python = self.python().await?;
                let prepare = async || python.prepare(&self.dir, self.packages).await;
                let prepared = self.prepared_python.get_or_try_init(prepare).await?;
                python.launch(prepared, runtime)
            }
            Family::Node => {
                let node = self.node().await?;
                let prepare = async || node::prepare(&self.dir, self.packages).await;
                let prepared = self.prepared_node.get_or_try_init(prepare).await?;
                node.launch(prepared, runtime, opt)
            }
        };
        launch.binds.push(self.users()?);
        Ok(launch)
    }

    fn users(&self) -> Result<Bind, RuntimeError> {
        let source = self.dir.join("passwd");
        host::make_dir(&self.dir)?;
        host::install(&source, USERS)?;
        Ok(Bind { source, target: "/etc/passwd".into() })
    }
}
