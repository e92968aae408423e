//! What a task costs: by the hour for its size, and for a time.
//!
//! - Fargate bills the next larger size that it has, by the second, a minute at least, from the start of the image's
//!   download to the end (the page AWS Fargate Pricing). That is the time between placement and end here.
//! - On EC2 a task is charged its share of the instance type on which that share is cheapest: the larger of its parts of
//!   vCPUs and memory. That is what a well packed fleet costs; idle instances come on top and are nobody's.

use super::fargate::fargate_size;
use super::{Architecture, Catalog};
use crate::core::{InstanceType, Needs};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a task asks for, as far as it has a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Demand {
    /// vCPUs and memory.
    pub needs: Needs,
    /// On which processors.
    pub architecture: Architecture,
    /// Ephemeral storage in GiB; what Fargate includes costs nothing.
    pub storage_gib: u32,
}

impl From<Needs> for Demand {
    /// On x86, with the storage that is included.
    fn from(needs: Needs) -> Self {
        Self { needs, architecture: Architecture::X86, storage_gib: 0 }
    }
}

/// Prices of one task, millionths of a US dollar per hour; `None` where it fits on nothing of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// On Fargate: size, and storage, which has no Spot price.
    fargate: Option<(u64, u64)>,
    fargate_spot: Option<(u64, u64)>,
    ec2: Option<u64>,
    ec2_spot: Option<u64>,
    fargate_least: Duration,
}

/// What something cost, or would have, in millionths of a US dollar; `None` where it would fit on nothing of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// On Fargate.
    pub fargate: Option<u64>,
    /// On Fargate Spot, at an example price.
    pub fargate_spot: Option<u64>,
    /// On EC2.
    pub ec2: Option<u64>,
    /// On EC2 Spot, at an example price.
    pub ec2_spot: Option<u64>,
}

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self { fargate: Some(0), fargate_spot: Some(0), ec2: Some(0), ec2_spot: Some(0) };
}

impl std::ops::Add for Cost {
    type Output = Self;

    /// Both together; `None` where one of them fits on nothing of the kind.
    fn add(self, other: Self) -> Self {
        let both = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
        Self {
            fargate: both(self.fargate, other.fargate),
            fargate_spot: both(self.fargate_spot, other.fargate_spot),
            ec2: both(self.ec2, other.ec2),
            ec2_spot: both(self.ec2_spot, other.ec2_spot),
        }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, |sum, cost| sum + cost)
    }
}

impl Catalog {
    /// A task's prices. Looks through the whole table: keep them where many tasks are alike.
    pub fn rates(&self, demand: Demand) -> Rates {
        let Demand { needs, architecture, storage_gib } = demand;
        let storage = self.fargate.storage_per_hour(storage_gib);
        let fargate = fargate_size(needs).map(|size| self.fargate.per_hour(size, architecture));
        let ec2 = self.types(architecture).filter(|kind| kind.holds(needs)).map(|kind| share(&kind, needs)).min();
        Rates {
            fargate: fargate.map(|price| (price, storage)),
            fargate_spot: fargate.map(|price| (self.fargate_spot(price), storage)),
            ec2,
            ec2_spot: ec2.map(|price| self.ec2_spot(price)),
            fargate_least: Duration::from_secs(self.fargate.least_seconds),
        }
    }
}

/// A task's share of an instance, per hour.
fn share(kind: &InstanceType, needs: Needs) -> u64 {
    let part = |of: u32, all: u32| (kind.price_micros * u64::from(of)).div_ceil(u64::from(all.max(1)));
    part(needs.vcpu_milli, kind.vcpu_milli).max(part(needs.memory_mib, kind.memory_mib))
}

impl Rates {
    /// What a task costs that holds its resources for this long.
    pub fn cost(&self, held: Duration) -> Cost {
        let billed = Duration::from_secs(held.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        let fargate = billed.max(self.fargate_least);
        let on_fargate = |(size, storage): (u64, u64)| amount(size + storage, fargate);
        Cost {
            fargate: self.fargate.map(on_fargate),
            fargate_spot: self.fargate_spot.map(on_fargate),
            ec2: self.ec2.map(|price| amount(price, billed)),
            ec2_spot: self.ec2_spot.map(|price| amount(price, billed)),
        }
    }
}

/// To the nearest millionth.
fn amount(per_hour: u64, time: Duration) -> u64 {
    let exact = u128::from(per_hour) * u128::from(time.as_secs());
    u64::try_from((exact + 1800) / 3600).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn cost(vcpu_milli: u32, memory_mib: u32, held: Duration) -> Cost {
        Catalog::get().rates(Needs { vcpu_milli, memory_mib }.into()).cost(held)
    }

    #[test]
    fn fargate_bills_sizes_by_the_second_and_a_minute_at_least() {
        for (vcpu_milli, memory_mib, seconds, micros) in [
            (1000, 2048, 3600, 40_480 + 2 * 4445),
            (1000, 1, 3600, 40_480 + 2 * 4445),
            (250, 512, 3600, 10_120 + 2222),
            (250, 512, 1, 206),
            (250, 512, 60, 206),
            (250, 512, 120, 411),
            (16_000, 122_880, 7200, 2 * (16 * 40_480 + 120 * 4445)),
        ] {
            let cost = cost(vcpu_milli, memory_mib, Duration::from_secs(seconds));
            assert_eq!(cost.fargate, Some(micros), "{vcpu_milli} {memory_mib} {seconds}");
        }
        assert_eq!(cost(1000, 2048, HOUR).fargate_spot, Some((40_480 + 2 * 4445) * 30 / 100));
        assert_eq!(
            cost(1000, 2048, Duration::from_millis(60_001)).fargate,
            cost(1000, 2048, Duration::from_secs(61)).fargate
        );
    }

    #[test]
    fn ec2_bills_the_share_of_the_type_on_which_it_is_cheapest() {
        for (vcpu_milli, memory_mib, micros) in [
            // By its vCPUs: half a c6a.large.
            (1000, 1024, 38_250),
            // All of a c6a.large's vCPUs.
            (2000, 3900, 76_500),
            // By its memory: of r5a, the cheapest by the GiB, the larger ones keep the least for themselves.
            (250, 61_440, 436_874),
        ] {
            assert_eq!(cost(vcpu_milli, memory_mib, HOUR).ec2, Some(micros), "{vcpu_milli} {memory_mib}");
        }
        let cost = cost(1000, 1024, HOUR);
        assert_eq!(cost.ec2_spot, Some(38_250 * 40 / 100));
    }

    #[test]
    fn arm_has_its_own_prices_and_storage_beyond_the_included_costs() {
        let needs = Needs { vcpu_milli: 1000, memory_mib: 2048 };
        let arm = Catalog::get().rates(Demand { architecture: Architecture::Arm, ..needs.into() }).cost(HOUR);
        assert_eq!(arm.fargate, Some(32_380 + 2 * 3560));
        assert!(arm.ec2 < Some(42_500));
        for (storage_gib, more) in [(0, 0), (20, 0), (21, 111), (120, 11_100)] {
            let cost = Catalog::get().rates(Demand { storage_gib, ..needs.into() }).cost(HOUR);
            assert_eq!(cost.fargate, Some(40_480 + 2 * 4445 + more), "{storage_gib}");
            assert_eq!(cost.fargate_spot, Some((40_480 + 2 * 4445) * 30 / 100 + more), "{storage_gib}");
        }
    }

    #[test]
    fn what_fits_on_nothing_has_no_price() {
        let large = cost(20_000, 1024, HOUR);
        assert_eq!((large.fargate, large.fargate_spot), (None, None));
        assert!(large.ec2.is_some());
        let huge = cost(1000, u32::MAX, HOUR);
        assert_eq!(huge, Cost { fargate: None, fargate_spot: None, ec2: None, ec2_spot: None });
        assert_eq!([cost(1000, 2048, HOUR), large].into_iter().sum::<Cost>().fargate, None);
        assert_eq!([cost(1000, 2048, HOUR); 2].into_iter().sum::<Cost>().fargate, Some(2 * (40_480 + 2 * 4445)));
    }
}
