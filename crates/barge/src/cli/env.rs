//! `barge env`: the exports that a shell needs.

use super::DataDirArgument;
use crate::data_dir::published_endpoint;
use anyhow::Context as _;
use barge_core::{RandomIds, Region};
use barge_iam::RootKey;
use std::process::ExitCode;

/// Arguments of `barge env`.
#[derive(clap::Args)]
pub(crate) struct Env {
    #[command(flatten)]
    data_dir: DataDirArgument,
    /// Print one JSON object instead of exports
    #[arg(long)]
    json: bool,
}

impl Env {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let data_dir = self.data_dir.path();
        let endpoint = published_endpoint(&data_dir).with_context(|| {
            format!("no server has run on {}: start one with `barge serve`, or name its --data-dir", data_dir.display())
        })?;
        let (id, secret) = super::serve::key_from_environment().unzip();
        let key = RootKey::load_or_create(&data_dir, &RandomIds, id, secret)?;
        let variables = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", key.access_key_id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", key.secret_access_key.as_str()),
            ("AWS_REGION", Region::DEFAULT),
            ("AWS_DEFAULT_REGION", Region::DEFAULT),
        ];
        if self.json {
            let object: serde_json::Map<_, _> =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            println!("{}", serde_json::to_string_pretty(&object)?);
        } else {
            for (name, value) in variables {
                println!("export {name}='{}'", value.replace('\'', r"'\''"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
