//! Fargate's sizes and prices (Batch User Guide, "Job definition parameters": `resourceRequirements` on Fargate; the page
//! AWS Fargate Pricing).

use super::Architecture;
use crate::core::Needs;
use serde::Deserialize;

/// vCPU in thousandths; least and most MiB, and the step between.
const SIZES: &[(u32, u32, u32, u32)] = &[
    (250, 512, 512, 512),
    (250, 1024, 2048, 1024),
    (500, 1024, 4096, 1024),
    (1000, 2048, 8192, 1024),
    (2000, 4096, 16_384, 1024),
    (4000, 8192, 30_720, 1024),
    (8000, 16_384, 61_440, 4096),
    (16_000, 32_768, 122_880, 8192),
];

/// The smallest size that Fargate has and that holds this; `None` where it is too large for Fargate.
pub fn fargate_size(needs: Needs) -> Option<Needs> {
    let size = |(vcpu_milli, least, most, step): &(u32, u32, u32, u32)| {
        let holds = needs.vcpu_milli <= *vcpu_milli && needs.memory_mib <= *most;
        let steps = needs.memory_mib.saturating_sub(*least).div_ceil(*step);
        holds.then(|| Needs { vcpu_milli: *vcpu_milli, memory_mib: least + steps * step })
    };
    SIZES.iter().find_map(size)
}

/// Prices in millionths of a US dollar.
#[derive(Debug, Deserialize)]
pub(super) struct FargatePrices {
    x86_64: PerHour,
    arm64: PerHour,
    storage_gib_hour: u64,
    storage_included_gib: u32,
    /// What is billed at least for each task.
    pub(super) least_seconds: u64,
}

#[derive(Debug, Deserialize)]
struct PerHour {
    vcpu_hour: u64,
    gib_hour: u64,
}

impl FargatePrices {
    /// vCPU and memory of a size that Fargate has, per hour.
    pub(super) fn per_hour(&self, size: Needs, architecture: Architecture) -> u64 {
        let prices = match architecture {
            Architecture::X86 => &self.x86_64,
            Architecture::Arm => &self.arm64,
        };
        u64::from(size.vcpu_milli) * prices.vcpu_hour / 1000 + u64::from(size.memory_mib) * prices.gib_hour / 1024
    }

    /// Ephemeral storage beyond what is included, per hour.
    pub(super) fn storage_per_hour(&self, gib: u32) -> u64 {
        u64::from(gib.saturating_sub(self.storage_included_gib)) * self.storage_gib_hour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_becomes_the_next_size() {
        for (vcpu_milli, memory_mib, size) in [
            (250, 512, Some((250, 512))),
            (100, 100, Some((250, 512))),
            (250, 513, Some((250, 1024))),
            (250, 1536, Some((250, 2048))),
            (250, 2049, Some((500, 3072))),
            (1000, 1, Some((1000, 2048))),
            (1000, 4000, Some((1000, 4096))),
            (3000, 8192, Some((4000, 8192))),
            (4000, 30_721, Some((8000, 32_768))),
            (8000, 17_000, Some((8000, 20_480))),
            (1, 122_880, Some((16_000, 122_880))),
            (1, 122_881, None),
            (16_001, 1, None),
            (1, u32::MAX, None),
        ] {
            let found = fargate_size(Needs { vcpu_milli, memory_mib }).map(|size| (size.vcpu_milli, size.memory_mib));
            assert_eq!(found, size, "{vcpu_milli} {memory_mib}");
        }
    }
}
