//! Node.js functions: the host's node and our bootstrap. The AWS SDK comes with the function's code.

use super::host::{install, make_dir, output, place};
use super::{Launch, OPT, RUNTIME_DIR, RuntimeError};
use crate::sandbox::Bind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

const BOOTSTRAP: &str = include_str!("bootstrap.mjs");

/// Oldest Node.js that the bootstrap is written for.
const OLDEST: u32 = 18;

const ASK: &str = "console.log(process.versions.node); console.log(require('fs').realpathSync(process.execPath))";

const PATIENCE: Duration = Duration::from_secs(20);

/// The host's node.
pub(super) struct Node {
    version: String,
    executable: PathBuf,
    runtime_dir: PathBuf,
}

impl Node {
    pub(super) async fn find(runtimes: &Path) -> Result<Self, RuntimeError> {
        let mut command = Command::new("node");
        command.args(["-e", ASK]);
        let missing = |error: RuntimeError| {
            RuntimeError::Host(format!(
                "Node.js functions need node {OLDEST} or later on this machine (package nodejs): {error}"
            ))
        };
        let (version, executable) = parse(&output(command, PATIENCE).await.map_err(missing)?).map_err(missing)?;
        let runtime_dir = runtimes.join("node");
        make_dir(&runtime_dir)?;
        install(&runtime_dir.join("bootstrap.mjs"), BOOTSTRAP)?;
        Ok(Self { version, executable, runtime_dir })
    }

    pub(super) fn launch(&self) -> Launch {
        let prefix = self.executable.parent().and_then(Path::parent).unwrap_or(&self.executable);
        let (seen, bind) = place(prefix);
        let executable = match self.executable.strip_prefix(prefix) {
            Ok(inside) => seen.join(inside),
            Err(_) => self.executable.clone(),
        };
        let runtime = Bind { source: self.runtime_dir.clone(), target: RUNTIME_DIR.into() };
        Launch {
            command: vec![executable.to_string_lossy().into_owned(), format!("{RUNTIME_DIR}/bootstrap.mjs")],
            binds: std::iter::once(runtime).chain(bind).collect(),
            env: vec![("NODE_PATH".to_owned(), format!("{OPT}/nodejs/node_modules"))],
            version: format!("the host's Node.js {}", self.version),
        }
    }
}

fn parse(answer: &str) -> Result<(String, PathBuf), RuntimeError> {
    let (version, executable) =
        answer.split_once('\n').ok_or_else(|| RuntimeError::Host(format!("node answers {answer:?}")))?;
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        return Err(RuntimeError::Host(format!("node is version {version}")));
    }
    Ok((version.to_owned(), executable.trim().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_node_says_of_itself() {
        assert_eq!(parse("20.1.0\n/usr/bin/node").unwrap(), ("20.1.0".to_owned(), "/usr/bin/node".into()));
        assert!(parse("16.1.0\n/usr/bin/node").is_err());
        assert!(parse("").is_err());
    }
}
