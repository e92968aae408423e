//! The table of instance types and prices, as the data file has it.
//!
//! Memory: an instance never offers its tasks all that it has. The kernel keeps some, and the ECS agent of Batch's AMI
//! reserves 32 MiB (Batch User Guide, "Compute resource memory management"; the guide's m4.large of 8,192 MiB registers
//! 7,985). Here three hundredths and 32 MiB are kept, a little more than on AWS: what fits here fits there.

use super::fargate::FargatePrices;
use crate::core::{InstanceType, Name};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

/// Whether instances are Spot instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spot {
    /// They cost the list price.
    No,
    /// They cost the Spot price, which is an example (see the data file).
    Yes,
}

/// What processors an instance has (API Reference, "RuntimePlatform", `cpuArchitecture`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum Architecture {
    /// `X86_64`.
    #[default]
    #[serde(rename = "x86_64")]
    X86,
    /// `ARM64`.
    #[serde(rename = "arm64")]
    Arm,
}

/// No such instance type, family or bundle is in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an instance type in the price table")]
pub struct UnknownType(pub String);

/// Instance types, families and prices.
#[derive(Debug, Deserialize)]
pub struct Catalog {
    date: String,
    region: String,
    source: String,
    spot: String,
    spot_percent: SpotPercent,
    pub(super) fargate: FargatePrices,
    bundles: BTreeMap<String, Vec<String>>,
    families: BTreeMap<String, Family>,
}

/// Spot prices as hundredths of list prices.
#[derive(Clone, Copy, Debug, Deserialize)]
struct SpotPercent {
    ec2: u64,
    fargate: u64,
}

#[derive(Debug, Deserialize)]
struct Family {
    architecture: Architecture,
    types: Vec<Row>,
}

/// Type, vCPUs, MiB, millionths of a US dollar per hour.
#[derive(Debug, Deserialize)]
struct Row(String, u32, u32, u64);

impl Row {
    fn usable_memory_mib(&self) -> u32 {
        self.2 - self.2 / 100 * 3 - 32
    }

    fn instance_type(&self, price_micros: u64) -> InstanceType {
        InstanceType {
            name: Name::new(self.0.as_str()),
            vcpu_milli: self.1 * 1000,
            memory_mib: self.usable_memory_mib(),
            price_micros,
        }
    }
}

impl Catalog {
    /// The table that comes with the program, read once.
    pub fn get() -> &'static Self {
        static CATALOG: LazyLock<Catalog> =
            LazyLock::new(|| serde_json::from_str(include_str!("prices.json")).expect("the data file is tested"));
        &CATALOG
    }

    /// Of which month the prices are, e.g. `2026-06`.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// Of which region the prices are.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where the prices come from, and what is to be known of Spot prices.
    pub fn sources(&self) -> [&str; 2] {
        [&self.source, &self.spot]
    }

    /// The instance types that a compute environment's `instanceTypes` name, each once, with prices and the memory that
    /// tasks may have: types (`c5.large`), families (`c5`), and the bundles `optimal`, `default_x86_64` and
    /// `default_arm64` (API Reference, "ComputeResource", `instanceTypes`: `optimal` means what `default_x86_64` means,
    /// since November 2025).
    pub fn fleet_types(&self, instance_types: &[String], spot: Spot) -> Result<Vec<InstanceType>, UnknownType> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for wanted in instance_types {
            let rows = self.named(wanted).ok_or_else(|| UnknownType(wanted.clone()))?;
            let fresh = rows.into_iter().filter(|row| seen.insert(row.0.as_str()));
            found.extend(fresh.map(|row| row.instance_type(self.price(row, spot))));
        }
        Ok(found)
    }

    /// What processors the instances of a name that [`Self::fleet_types`] knows have; a bundle's are all alike.
    pub fn architecture(&self, name: &str) -> Option<Architecture> {
        let bundled = self.bundles.get(name).and_then(|families| families.first()).map_or(name, String::as_str);
        let family = bundled.split_once('.').map_or(bundled, |(family, _)| family);
        self.families.get(family).map(|family| family.architecture)
    }

    /// Every instance type of an architecture, as `fleet_types` gives them.
    pub(super) fn types(&self, architecture: Architecture) -> impl Iterator<Item = InstanceType> {
        let families = self.families.values().filter(move |family| family.architecture == architecture);
        families.flat_map(|family| &family.types).map(|row| row.instance_type(row.3))
    }

    /// A Spot price for a list price on EC2.
    pub(super) const fn ec2_spot(&self, price: u64) -> u64 {
        price * self.spot_percent.ec2 / 100
    }

    /// A Spot price for a list price on Fargate.
    pub(super) const fn fargate_spot(&self, price: u64) -> u64 {
        price * self.spot_percent.fargate / 100
    }

    fn price(&self, row: &Row, spot: Spot) -> u64 {
        match spot {
            Spot::No => row.3,
            Spot::Yes => self.ec2_spot(row.3),
        }
    }

    fn named(&self, name: &str) -> Option<Vec<&Row>> {
        if let Some(families) = self.bundles.get(name) {
            return Some(
                families.iter().filter_map(|family| self.families.get(family)).flat_map(|f| &f.types).collect(),
            );
        }
        match name.split_once('.') {
            None => Some(self.families.get(name)?.types.iter().collect()),
            Some((family, _)) => Some(vec![self.families.get(family)?.types.iter().find(|row| row.0 == name)?]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str]) -> Vec<String> {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let found = Catalog::get().fleet_types(&wanted, Spot::No).unwrap();
        found.iter().map(|kind| kind.name.to_string()).collect()
    }

    #[test]
    fn the_data_file_holds_together() {
        let catalog = Catalog::get();
        for (name, family) in &catalog.families {
            for row in &family.types {
                assert!(row.0.starts_with(&format!("{name}.")), "{row:?}");
                assert!(row.1 > 0 && row.2 > 1024 && row.3 > 0, "{row:?}");
            }
        }
        let bundled = catalog.bundles.values().flatten();
        assert!(bundled.clone().all(|family| catalog.families.contains_key(family)));
        for (name, families) in &catalog.bundles {
            let same = |family: &String| catalog.architecture(family) == catalog.architecture(name);
            assert!(families.iter().all(same), "{name}");
        }
    }

    #[test]
    fn types_families_and_bundles_become_types() {
        assert_eq!(names(&["c5.large"]), ["c5.large"]);
        assert_eq!(names(&["c4"]), ["c4.large", "c4.xlarge", "c4.2xlarge", "c4.4xlarge", "c4.8xlarge"]);
        assert_eq!(names(&["c4.xlarge", "c4", "c4.large"]).len(), 5, "each once");
        assert_eq!(names(&["optimal"]), names(&["default_x86_64"]));
        assert!(names(&["default_arm64"]).iter().all(|name| name.contains('g')));
        assert_eq!(names(&[]), [""; 0]);
    }

    #[test]
    fn sizes_and_prices() {
        let one = |name: &str, spot| Catalog::get().fleet_types(&[name.to_owned()], spot).unwrap().remove(0);
        for (name, vcpus, memory_mib, price, spot) in [
            ("c5.large", 2, 3944, 85_000, 34_000),
            ("m4.large", 2, 7917, 100_000, 40_000),
            ("m6i.32xlarge", 128, 508_530, 6_144_000, 2_457_600),
            ("c7g.medium", 1, 1956, 36_300, 14_520),
        ] {
            let kind = one(name, Spot::No);
            assert_eq!(
                (kind.vcpu_milli, kind.memory_mib, kind.price_micros),
                (vcpus * 1000, memory_mib, price),
                "{name}"
            );
            assert_eq!(one(name, Spot::Yes).price_micros, spot, "{name}");
        }
    }

    #[test]
    fn an_unknown_type_is_named() {
        for name in ["c5.tiny", "p4d", "x", "", "c5.", "t3.large"] {
            let wanted = ["c5".to_owned(), name.to_owned()];
            let refused = Catalog::get().fleet_types(&wanted, Spot::Yes);
            assert_eq!(refused, Err(UnknownType(name.to_owned())));
            assert_eq!(Catalog::get().architecture("p4d"), None);
        }
    }
}
