//! What AWS's runtimes bring beside the language: the AWS SDK, installed once, by the language's own installer, into the
//! directory that has our bootstrap too. Nothing about single languages.

use super::RuntimeError;
use super::host::{install, make_dir, output};
use crate::config::Packages;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_mins(3);

/// What a language's directory holds.
pub(super) struct Bundle {
    /// The packages, for people.
    pub name: &'static str,
    /// A directory that is there where they are.
    pub proof: &'static str,
    /// Name and content of the file that speaks the Runtime API.
    pub bootstrap: (&'static str, &'static str),
}

/// A language's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub dir: PathBuf,
    /// Why it has no packages, where it lacks them.
    pub without: Option<String>,
}

impl Bundle {
    /// Makes `dir` with what the command installs into the directory that it is given, or takes up what an earlier server
    /// made. Functions run without packages that cannot be had.
    pub(super) async fn prepare(
        &self,
        dir: PathBuf,
        packages: Packages,
        installer: impl FnOnce(&Path) -> Command,
    ) -> Result<Prepared, RuntimeError> {
        let without = match self.provide(&dir, packages, installer).await {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(%error, "functions run without {}", self.name);
                Some(error.to_string())
            }
        };
        Ok(Prepared { without, ..self.bare(dir)? })
    }

    /// Makes `dir` without packages, for a host that has them.
    pub(super) fn bare(&self, dir: PathBuf) -> Result<Prepared, RuntimeError> {
        make_dir(&dir)?;
        let (name, content) = self.bootstrap;
        install(&dir.join(name), content)?;
        Ok(Prepared { dir, without: None })
    }

    /// What INIT_START says of missing packages.
    pub(super) fn note(&self, prepared: &Prepared) -> String {
        prepared.without.as_ref().map(|why| format!("; without {}: {why}", self.name)).unwrap_or_default()
    }

    async fn provide(
        &self,
        dir: &Path,
        packages: Packages,
        installer: impl FnOnce(&Path) -> Command,
    ) -> Result<(), RuntimeError> {
        if dir.join(self.proof).is_dir() {
            return Ok(());
        }
        if packages == Packages::HostOnly {
            return Err(RuntimeError::Host("nothing may be installed".to_owned()));
        }
        let runtimes = dir.parent().unwrap_or(dir);
        make_dir(runtimes)?;
        let making = tempfile::Builder::new().prefix("new-").tempdir_in(runtimes)?;
        let target = making.path().join("target");
        tracing::info!("installing {} for functions", self.name);
        output(installer(&target), PATIENCE).await?;
        if dir.exists() {
            std::fs::remove_dir_all(dir)?;
        }
        make_dir(&target)?;
        std::fs::rename(&target, dir)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLE: Bundle = Bundle { name: "the SDK", proof: "sdk", bootstrap: ("bootstrap", "run") };

    fn shell(script: &str, target: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh"]).arg(target);
        command
    }

    #[tokio::test]
    async fn packages_are_installed_once() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("runtimes/language");
        let prepared = BUNDLE.prepare(dir.clone(), Packages::Install, |to| shell("mkdir -p $1/sdk", to)).await.unwrap();
        assert_eq!(prepared, Prepared { dir: dir.clone(), without: None });
        assert!(dir.join("sdk").is_dir());
        assert_eq!(std::fs::read_to_string(dir.join("bootstrap")).unwrap(), "run");
        let again = BUNDLE.prepare(dir, Packages::Install, |to| shell("exit 1", to)).await.unwrap();
        assert_eq!(again, prepared);
    }

    #[tokio::test]
    async fn a_failure_leaves_the_bootstrap_and_its_reason() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("runtimes/language");
        let script = "mkdir -p $1/half; echo no network >&2; exit 1";
        let prepared = BUNDLE.prepare(dir.clone(), Packages::Install, |to| shell(script, to)).await.unwrap();
        assert!(BUNDLE.note(&prepared).starts_with("; without the SDK: "), "{prepared:?}");
        assert!(BUNDLE.note(&prepared).ends_with("no network"), "{prepared:?}");
        assert!(dir.join("bootstrap").is_file() && !dir.join("half").exists());
    }
}
