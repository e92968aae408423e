//! `barge resources`: the CloudFormation resource types, as their providers describe themselves.

use crate::cloud::{Cloud, Settings};
use std::process::ExitCode;

/// Arguments of `barge resources`.
#[derive(clap::Args)]
pub(crate) struct Resources {
    /// Print types, properties and attributes as Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print them, with what is within the properties, as JSON
    #[arg(long)]
    json: bool,
}

/// Settings of a cloud that has nothing in it.
fn nowhere(scratch: &tempfile::TempDir) -> Settings {
    Settings {
        data_dir: scratch.path().to_owned(),
        endpoint: "http://127.0.0.1:4566".to_owned(),
        root_key: None,
        event_log: None,
        batch: barge_batch::Settings::default(),
    }
}

impl Resources {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        // The providers are their services', so the services are opened, on nothing.
        let scratch = tempfile::tempdir()?;
        tokio::runtime::Runtime::new()?.block_on(async {
            let cloud = Cloud::open(nowhere(&scratch)).await?;
            if self.markdown {
                print!("{}", barge_cloudformation::reference(cloud.resource_types()));
            } else if self.json {
                let catalogue = barge_cloudformation::catalogue(cloud.resource_types());
                println!("{}", serde_json::to_string_pretty(&catalogue)?);
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

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::resource::{PropertyType, Readback};
    use std::collections::BTreeSet;

    /// What can't be told back, so that its drift is not found. One more is one too many where its service keeps the value.
    const WRITE_ONLY: [(&str, &str); 7] = [
        ("AWS::Batch::ComputeEnvironment", "ReplaceComputeEnvironment"),
        ("AWS::Batch::JobDefinition", "ResourceRetentionPolicy"),
        ("AWS::EC2::NatGateway", "MaxDrainDurationSeconds"),
        ("AWS::ECR::Repository", "EmptyOnDelete"),
        ("AWS::IAM::AccessKey", "Serial"),
        ("AWS::Lambda::Function", "Code"),
        ("AWS::Lambda::LayerVersion", "Content"),
    ];

    #[tokio::test]
    async fn every_type_says_what_of_it_can_be_read_back() {
        let scratch = tempfile::tempdir().unwrap();
        let cloud = Cloud::open(nowhere(&scratch)).await.unwrap();
        let mut write_only = Vec::new();
        for schema in cloud.resource_types().schemas() {
            let mut names = BTreeSet::new();
            for property in schema.properties {
                let place = format!("{} {}", schema.type_name, property.name);
                assert!(names.insert(property.name), "{place} is there twice");
                let open = match property.readback {
                    Readback::Value { open } => open,
                    Readback::WriteOnly => {
                        write_only.push((schema.type_name, property.name));
                        &[]
                    }
                };
                let holds_maps = matches!(property.kind, PropertyType::Map | PropertyType::List);
                assert!(open.is_empty() || holds_maps, "{place} has no maps in it");
                let own_keys = property.name == "Tags" && property.kind == PropertyType::Map;
                let ours = schema.type_name.starts_with("AWS::CloudFormation::");
                assert!(!own_keys || ours || open.contains(&"Tags"), "{place}: one tag more would be no drift");
            }
        }
        cloud.stop().await;
        write_only.sort_unstable();
        assert_eq!(write_only, WRITE_ONLY);
    }
}
