//! The first two invariants of ARCHITECTURE.md: arrows point down, and services never import each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// From the ground up. A crate may use its own layer only where that layer is not of peers.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &["barge-core", "barge-store", "barge-wire"]),
    ("compute", &["barge-image", "barge-engine"]),
    (
        "services",
        &[
            "barge-batch",
            "barge-cloudformation",
            "barge-dynamodb",
            "barge-ec2",
            "barge-ecr",
            "barge-iam",
            "barge-lambda",
            "barge-logs",
            "barge-s3",
            "barge-ssm",
        ],
    ),
    ("front", &["barge-gateway"]),
    ("program", &["barge"]),
];

fn layer(name: &str) -> usize {
    LAYERS
        .iter()
        .position(|(_, crates)| crates.contains(&name))
        .unwrap_or_else(|| panic!("{name} stands in no layer: give it one here and in ARCHITECTURE.md"))
}

/// The crates of ours that each crate names in its manifest, tests' dependencies included.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_dir(crates)
        .unwrap()
        .map(|entry| {
            let folder = entry.unwrap().path();
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            let ours = manifest
                .lines()
                .filter(|line| line.starts_with("barge-"))
                .map(|line| line.split(['.', ' ', '=']).next().unwrap().to_owned())
                .collect();
            (folder.file_name().unwrap().to_string_lossy().into_owned(), ours)
        })
        .collect()
}

#[test]
fn arrows_point_down() {
    for (name, uses) in dependencies() {
        for used in uses {
            assert!(layer(&used) <= layer(&name), "{name} is below {used} and must not use it");
        }
    }
}

#[test]
fn services_never_import_each_other() {
    let services = layer("barge-batch");
    for (name, uses) in dependencies() {
        for used in uses {
            let peers = layer(&name) == services && layer(&used) == services;
            assert!(!peers, "{name} imports {used}: let them meet at a port in barge-core");
        }
    }
}

#[test]
fn every_crate_has_a_layer() {
    let crates = dependencies();
    let listed: usize = LAYERS.iter().map(|(_, crates)| crates.len()).sum();
    for name in crates.keys() {
        layer(name);
    }
    assert_eq!(crates.len(), listed, "a crate that is gone still stands in a layer");
}
