//! Node.js functions: the host's node, our bootstrap, and the AWS SDK for JavaScript.

use super::host::{output, place};
use super::packages::{Bundle, Prepared};
use super::{Launch, OPT, RUNTIME_DIR, RuntimeError, TASK_ROOT};
use crate::config::Packages;
use crate::sandbox::Bind;
use barge_wire::lambda::Runtime;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

const BUNDLE: Bundle = Bundle {
    name: "the AWS SDK",
    proof: "node_modules/@aws-sdk",
    bootstrap: ("bootstrap.mjs", include_str!("bootstrap.mjs")),
};

/// A version that all of [`SDK`] has and that runs on [`OLDEST`].
const SDK_VERSION: &str = "3.967.0";

/// Of the AWS SDK for JavaScript, the clients of the services that Barge has, what goes with them, and the client that the
/// CDK's framework for custom resources loads whether it has work for it or not (`client-sfn`).
const SDK: [&str; 17] = [
    "client-batch",
    "client-cloudformation",
    "client-cloudwatch-logs",
    "client-dynamodb",
    "client-ec2",
    "client-ecr",
    "client-iam",
    "client-lambda",
    "client-s3",
    "client-sfn",
    "client-ssm",
    "client-sts",
    "credential-providers",
    "lib-dynamodb",
    "lib-storage",
    "s3-request-presigner",
    "util-dynamodb",
];

/// Oldest Node.js that the bootstrap is written for.
const OLDEST: u32 = 18;

const ASK: &str = "console.log(process.versions.node); console.log(require('fs').realpathSync(process.execPath))";

const PATIENCE: Duration = Duration::from_secs(20);

/// The host's node.
pub(super) struct Node {
    version: String,
    executable: PathBuf,
}

/// The directory with bootstrap and SDK.
pub(super) async fn prepare(runtimes: &Path, packages: Packages) -> Result<Prepared, RuntimeError> {
    // A server with a longer list installs anew.
    let dir = runtimes.join(format!("node-sdk-{SDK_VERSION}-{}", SDK.len()));
    BUNDLE.prepare(dir, packages, npm).await
}

fn npm(target: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.args(["install", "--loglevel=error", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]);
    // Without a network it must give up soon: a function waits.
    npm.args(["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=10000", "--prefix"]);
    npm.arg(target).args(SDK.map(|package| format!("@aws-sdk/{package}@{SDK_VERSION}")));
    npm
}

impl Node {
    pub(super) async fn find() -> Result<Self, RuntimeError> {
        let mut command = Command::new("node");
        command.args(["-e", ASK]);
        let missing = |error: RuntimeError| {
            RuntimeError::Host(format!(
                "Node.js functions need node {OLDEST} or later on this machine (package nodejs): {error}"
            ))
        };
        let (version, executable) = parse(&output(command, PATIENCE).await.map_err(missing)?).map_err(missing)?;
        Ok(Self { version, executable })
    }

    pub(super) fn launch(&self, prepared: &Prepared, runtime: Runtime, opt: Option<&Path>) -> Launch {
        let prefix = self.executable.parent().and_then(Path::parent).unwrap_or(&self.executable);
        let (seen, bind) = place(prefix);
        let executable = match self.executable.strip_prefix(prefix) {
            Ok(inside) => seen.join(inside),
            Err(_) => self.executable.clone(),
        };
        let own = Bind { source: prepared.dir.clone(), target: RUNTIME_DIR.into() };
        let modules = modules(runtime);
        let [of_version, of_all] = &modules;
        let path = format!("{OPT}/{of_version}:{OPT}/{of_all}:{RUNTIME_DIR}/node_modules:{RUNTIME_DIR}:{TASK_ROOT}");
        Launch {
            command: vec![executable.to_string_lossy().into_owned(), format!("{RUNTIME_DIR}/bootstrap.mjs")],
            binds: [own].into_iter().chain(bind).chain(above_the_code(prepared, opt, &modules)).collect(),
            env: vec![("NODE_PATH".to_owned(), path)],
            version: format!("the host's Node.js {}{}", self.version, BUNDLE.note(prepared)),
        }
    }
}

/// Where layers have modules, what counts first first (Lambda Developer Guide, "Packaging your layer content").
fn modules(runtime: Runtime) -> [String; 2] {
    let name = runtime.as_str().trim_end_matches(".x").replacen("nodejs", "node", 1);
    [format!("nodejs/{name}/node_modules"), "nodejs/node_modules".to_owned()]
}

/// The modules of layers and of the runtime, in the folders where `import` looks for them: it knows no `NODE_PATH`, which
/// AWS's runtime makes it obey, but it goes up from the code to the root.
fn above_the_code(prepared: &Prepared, opt: Option<&Path>, modules: &[String]) -> Vec<Bind> {
    let of_layers = opt.and_then(|opt| modules.iter().map(|modules| opt.join(modules)).find(|dir| dir.is_dir()));
    let of_runtime = Some(prepared.dir.join("node_modules")).filter(|_| prepared.without.is_none());
    let places = [(of_layers, "/var/node_modules"), (of_runtime, "/node_modules")];
    places.into_iter().filter_map(|(source, target)| Some(Bind { source: source?, target: target.into() })).collect()
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
    fn import_finds_layers_before_the_runtime() {
        let (opt, node) = (tempfile::tempdir().unwrap(), parsed());
        let prepared = Prepared { dir: "/data/sdk".into(), without: None };
        let shown = |opt: Option<&Path>| {
            let binds = node.launch(&prepared, Runtime::Nodejs20X, opt).binds.into_iter();
            binds.map(|bind| (bind.target.display().to_string(), bind.source)).collect::<Vec<_>>()
        };
        let of_runtime = [
            ("/var/runtime".to_owned(), "/data/sdk".into()),
            ("/node_modules".to_owned(), "/data/sdk/node_modules".into()),
        ];
        assert_eq!(shown(Some(opt.path())), of_runtime);
        for modules in ["nodejs/node_modules", "nodejs/node20/node_modules"] {
            std::fs::create_dir_all(opt.path().join(modules)).unwrap();
            assert_eq!(shown(Some(opt.path()))[1], ("/var/node_modules".to_owned(), opt.path().join(modules)));
        }
        let missing = Prepared { without: Some("offline".to_owned()), ..prepared.clone() };
        let launch = node.launch(&missing, Runtime::Nodejs20X, None);
        assert_eq!(launch.binds.len(), 1);
        assert_eq!(launch.version, "the host's Node.js 20.1.0; without the AWS SDK: offline");
    }

    fn parsed() -> Node {
        let (version, executable) = parse("20.1.0\n/usr/bin/node").unwrap();
        Node { version, executable }
    }

    #[test]
    fn what_node_says_of_itself() {
        assert_eq!(parse("20.1.0\n/usr/bin/node").unwrap(), ("20.1.0".to_owned(), "/usr/bin/node".into()));
        assert!(parse("16.1.0\n/usr/bin/node").is_err());
        assert!(parse("").is_err());
    }
}
