//! Python functions: the host's python3, our bootstrap, and boto3.

use super::host::{output, place};
use super::packages::{Bundle, Prepared};
use super::{Launch, OPT, RUNTIME_DIR, RuntimeError};
use crate::config::Packages;
use crate::sandbox::Bind;
use barge_wire::lambda::Runtime;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

const BUNDLE: Bundle =
    Bundle { name: "boto3", proof: "boto3", bootstrap: ("bootstrap.py", include_str!("bootstrap.py")) };

/// Oldest Python that the bootstrap is written for.
const OLDEST: (u32, u32) = (3, 9);

/// Tells the version, the installation's root and the interpreter, behind virtual environments and version managers'
/// shims.
const ASK: &str = "import os, sys; print('%d.%d.%d' % sys.version_info[:3]); print(os.path.realpath(sys.base_prefix)); \
                   print(os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable))";

const ASK_PATIENCE: Duration = Duration::from_secs(20);

/// The host's python3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Python {
    version: String,
    prefix: PathBuf,
    executable: PathBuf,
}

impl Python {
    pub(super) async fn find() -> Result<Self, RuntimeError> {
        let mut command = Command::new("python3");
        command.args(["-I", "-c", ASK]);
        let missing = |error: RuntimeError| {
            RuntimeError::Host(format!(
                "Python functions need python3 {}.{} or later on this machine (package python3): {error}",
                OLDEST.0, OLDEST.1
            ))
        };
        Self::parse(&output(command, ASK_PATIENCE).await.map_err(missing)?).map_err(missing)
    }

    fn parse(answer: &str) -> Result<Self, RuntimeError> {
        let strange = || RuntimeError::Host(format!("python3 answers {answer:?}"));
        let mut lines = answer.lines();
        let (Some(version), Some(prefix), Some(executable)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(strange());
        };
        let mut numbers = version.split('.').map(str::parse::<u32>);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return Err(strange()) };
        if (major, minor) < OLDEST {
            return Err(RuntimeError::Host(format!("python3 is Python {version}")));
        }
        Ok(Self { version: version.to_owned(), prefix: prefix.into(), executable: executable.into() })
    }

    /// The directory with bootstrap and, where the host has none, boto3.
    pub(super) async fn prepare(&self, runtimes: &Path, packages: Packages) -> Result<Prepared, RuntimeError> {
        let dir = runtimes.join(format!("python-{}", self.version));
        if self.has_boto3().await {
            return BUNDLE.bare(dir);
        }
        BUNDLE.prepare(dir, packages, |target| self.pip(target)).await
    }

    fn pip(&self, target: &Path) -> Command {
        let mut pip = Command::new(&self.executable);
        // Without a network it must give up soon: a function waits.
        pip.args(["-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "10"]);
        pip.args(["--disable-pip-version-check", "--no-input", "--target"]);
        pip.arg(target).arg("boto3").env("PIP_ROOT_USER_ACTION", "ignore");
        pip
    }

    async fn has_boto3(&self) -> bool {
        let mut command = Command::new(&self.executable);
        command.args(["-I", "-c", "import boto3"]);
        output(command, ASK_PATIENCE).await.is_ok()
    }

    pub(super) fn launch(&self, prepared: &Prepared, runtime: Runtime) -> Launch {
        let (seen, bind) = place(&self.prefix);
        let executable = match self.executable.strip_prefix(&self.prefix) {
            Ok(inside) => seen.join(inside),
            Err(_) => self.executable.clone(),
        };
        let mut binds = vec![Bind { source: prepared.dir.clone(), target: RUNTIME_DIR.into() }];
        // Layers come before what the runtime brings (Lambda Developer Guide, "Packaging your layer content").
        let layers = format!("{OPT}/python/lib/{}/site-packages:{OPT}/python", runtime.as_str());
        let mut env = vec![("PYTHONPATH".to_owned(), format!("{layers}:{RUNTIME_DIR}"))];
        if let Some(bind) = bind {
            binds.push(bind);
            // A shared libpython's path is compiled in, and it is another inside.
            env.push(("LD_LIBRARY_PATH".to_owned(), format!("{}/lib", seen.display())));
        }
        Launch {
            // Nothing can be written beside the code, and looking for a place costs time.
            command: vec![
                executable.to_string_lossy().into_owned(),
                "-B".to_owned(),
                format!("{RUNTIME_DIR}/bootstrap.py"),
            ],
            binds,
            env,
            version: format!("the host's Python {}{}", self.version, BUNDLE.note(prepared)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_says_of_itself() {
        let python = Python::parse("3.11.7\n/opt/py\n/opt/py/bin/python3.11").unwrap();
        let prepared = Prepared { dir: "/data/python-3.11.7".into(), without: Some("offline".to_owned()) };
        let launch = python.launch(&prepared, Runtime::Python312);
        assert_eq!(launch.command, ["/var/lang/bin/python3.11", "-B", "/var/runtime/bootstrap.py"]);
        assert_eq!(launch.binds.len(), 2);
        assert_eq!(launch.version, "the host's Python 3.11.7; without boto3: offline");
        let system = Python::parse("3.13.1\n/usr\n/usr/bin/python3.13").unwrap();
        assert_eq!(system.launch(&prepared, Runtime::Python312).command[0], "/usr/bin/python3.13");
        assert_eq!(system.launch(&prepared, Runtime::Python312).binds.len(), 1);
    }

    #[test]
    fn too_old_or_strange_pythons_are_refused() {
        for answer in ["3.8.1\n/usr\n/usr/bin/python3", "", "Python\n/usr\n/usr/bin/python3"] {
            assert!(Python::parse(answer).is_err(), "{answer}");
        }
    }
}
