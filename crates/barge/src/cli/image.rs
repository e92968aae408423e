//! `barge image`: pack images without Docker, and push them to a registry.

use crate::client;
use anyhow::{Context as _, bail};
use barge_core::Document;
use barge_image::{Digest, ImageConfig, ImageStore, pack, registry::Registry};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Commands of `barge image`.
#[derive(Subcommand)]
pub(crate) enum Image {
    /// Make an image of one program with the libraries it needs, or of a directory, as an OCI layout
    Pack(Pack),
    /// Push an OCI layout, or an archive of `docker save`, to a repository of a running Barge
    Push(Push),
}

/// Arguments of `barge image pack`.
#[derive(Args)]
pub(crate) struct Pack {
    #[command(flatten)]
    source: Source,
    /// Where the program goes in the image [default: / and its name]
    #[arg(long, value_name = "PATH", requires = "binary")]
    at: Option<PathBuf>,
    /// What runs, one argument each time [default: the program]
    #[arg(long, value_name = "ARG")]
    entrypoint: Vec<String>,
    /// A variable of the image's environment, NAME=value
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// User that runs it
    #[arg(long, default_value = "")]
    user: String,
    /// The directory to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The program
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The image's root directory
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Arguments of `barge image push`.
#[derive(Args)]
pub(crate) struct Push {
    /// An OCI layout directory, or a tar archive
    image: PathBuf,
    /// The repository's URI with a tag: HOST:PORT/REPOSITORY:TAG (latest where there is no tag)
    uri: String,
}

impl Image {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Pack(arguments) => arguments.run(),
            Self::Push(arguments) => tokio::runtime::Runtime::new()?.block_on(arguments.run()),
        }
    }
}

/// A store for the time of one command.
fn scratch() -> anyhow::Result<(tempfile::TempDir, ImageStore)> {
    let dir = tempfile::tempdir()?;
    let store = ImageStore::open(dir.path())?;
    Ok((dir, store))
}

impl Pack {
    fn run(self) -> anyhow::Result<ExitCode> {
        let (_dir, store) = scratch()?;
        let config =
            ImageConfig { entrypoint: self.entrypoint, env: self.env, user: self.user, ..ImageConfig::default() };
        let digest = match (self.source.binary, self.source.directory) {
            (Some(binary), _) => {
                let name = binary.file_name().with_context(|| format!("{} is no file", binary.display()))?;
                let at = self.at.unwrap_or_else(|| PathBuf::from("/").join(name));
                pack::from_binary(&store, &binary, &at, config)?
            }
            (None, Some(directory)) => pack::from_directory(&store, &directory, &config)?,
            (None, None) => bail!("name a --binary or a --directory"),
        };
        store.export(&digest, &self.output)?;
        println!("{digest}");
        Ok(ExitCode::SUCCESS)
    }
}

impl Push {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let (registry, name) = self.uri.split_once('/').context("the URI is HOST:PORT/REPOSITORY[:TAG]")?;
        let (repository, tag) = name.split_once(':').unwrap_or((name, "latest"));
        let endpoint = format!("http://{registry}");
        let password = authorization_token(&endpoint).await?;
        let (_dir, store) = scratch()?;
        let digest: Digest = store.import(&self.image)?;
        Registry::new(&endpoint, Some(("AWS", &password)))?.push(&store, &digest, repository, tag).await?;
        println!("{registry}/{repository}:{tag} {digest}");
        Ok(ExitCode::SUCCESS)
    }
}

/// The password for the registry behind `endpoint`, as `aws ecr get-login-password` prints it.
async fn authorization_token(endpoint: &str) -> anyhow::Result<String> {
    use base64::Engine as _;
    let signer = client::signer_from_environment("ecr")?;
    let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
    let answer = client::call_json(endpoint, &signer, target, &Document::map::<String>([])).await?;
    let token = answer
        .get("authorizationData")
        .and_then(Document::as_list)
        .and_then(|list| list.first()?.get("authorizationToken")?.as_str())
        .context("the registry gave no token")?;
    let pair = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(token)?)?;
    Ok(pair.split_once(':').map_or(pair.clone(), |(_, password)| password.to_owned()))
}
