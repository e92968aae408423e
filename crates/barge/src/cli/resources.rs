//! `barge resources`: the CloudFormation resource types, as their providers describe themselves.

use crate::cloud::{Cloud, Settings};
use std::process::ExitCode;

/// Arguments of `barge resources`.
#[derive(clap::Args)]
pub(crate) struct Resources {
    /// Print types, properties and attributes as Markdown
    #[arg(long)]
    markdown: bool,
}

impl Resources {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        // The providers are their services', so the services are opened, on nothing.
        let scratch = tempfile::tempdir()?;
        let settings = Settings {
            data_dir: scratch.path().to_owned(),
            endpoint: "http://127.0.0.1:4566".to_owned(),
            root_key: None,
            event_log: None,
            batch: barge_batch::Settings::default(),
        };
        tokio::runtime::Runtime::new()?.block_on(async {
            let cloud = Cloud::open(settings).await?;
            if self.markdown {
                print!("{}", barge_cloudformation::reference(cloud.resource_types()));
            } else {
                for schema in cloud.resource_types().schemas() {
                    println!("{:<42} {} properties", schema.type_name, schema.properties.len());
                }
            }
            cloud.stop().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}
