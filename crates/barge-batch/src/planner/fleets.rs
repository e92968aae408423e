//! Instances of all environments: since when each is there, and what those that are gone have cost.
//!
//! Instances are billed by the second, a minute at least (the page Amazon EC2 On-Demand Pricing).

use super::report::Instances;
use crate::core::{EnvironmentId, Fleet, InstanceId};
use barge_core::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

const LEAST: Duration = Duration::from_mins(1);
const HOUR_MILLIS: u128 = 3_600_000;

#[derive(Clone, Copy, Debug)]
struct Open {
    launched_at: Timestamp,
    price_micros: u64,
    vcpu_milli: u32,
    memory_mib: u32,
}

/// What instances there were.
#[derive(Debug, Default)]
pub(super) struct Fleets {
    open: HashMap<EnvironmentId, BTreeMap<InstanceId, Open>>,
    launched: u64,
    /// Of those that are gone: milliseconds, and milliseconds times price, vCPUs, memory.
    millis: u128,
    price: u128,
    vcpu: u128,
    memory: u128,
}

impl Fleets {
    /// Takes note of an environment's instances as they are now; gives those that are new.
    pub(super) fn observe(&mut self, id: &EnvironmentId, fleet: &Fleet, now: Timestamp) -> Vec<InstanceId> {
        let open = self.open.entry(id.clone()).or_default();
        let mut fresh = Vec::new();
        // Most often an instance has only become idle.
        if open.keys().eq(fleet.instances.keys()) {
            return fresh;
        }
        for (id, instance) in &fleet.instances {
            if !open.contains_key(id) {
                let kind = &instance.kind;
                let (vcpu_milli, memory_mib, price_micros) = (kind.vcpu_milli, kind.memory_mib, kind.price_micros);
                open.insert(*id, Open { launched_at: instance.launched_at, price_micros, vcpu_milli, memory_mib });
                fresh.push(*id);
            }
        }
        self.launched += fresh.len() as u64;
        if open.len() > fleet.instances.len() {
            let gone: Vec<Open> =
                open.extract_if(.., |id, _| !fleet.instances.contains_key(id)).map(|(_, gone)| gone).collect();
            for gone in gone {
                self.close(gone, now);
            }
        }
        fresh
    }

    fn close(&mut self, gone: Open, now: Timestamp) {
        let millis = now.since(gone.launched_at).as_millis();
        let billed = millis.max(LEAST.as_millis()).div_ceil(1000) * 1000;
        self.millis += millis;
        self.price += billed * u128::from(gone.price_micros);
        self.vcpu += millis * u128::from(gone.vcpu_milli);
        self.memory += millis * u128::from(gone.memory_mib);
    }

    /// The end: what is still there is paid for until now. Gives the instances, and what they cost in millionths of a dollar.
    /// `held` are thousandths of a vCPU, and MiB, that tasks on instances held, each times milliseconds.
    pub(super) fn finish(mut self, now: Timestamp, held: (u128, u128)) -> (Instances, u64) {
        let left: Vec<Open> = self.open.drain().flat_map(|(_, open)| open.into_values()).collect();
        for open in left {
            self.close(open, now);
        }
        let instances = Instances {
            launched: self.launched,
            hours: ratio(self.millis, HOUR_MILLIS).unwrap_or(0.0),
            vcpu_hours: ratio(self.vcpu, HOUR_MILLIS * 1000).unwrap_or(0.0),
            vcpu_utilisation: ratio(held.0, self.vcpu),
            memory_utilisation: ratio(held.1, self.memory),
        };
        (instances, u64::try_from((self.price + HOUR_MILLIS / 2) / HOUR_MILLIS).unwrap_or(u64::MAX))
    }
}

/// One number as a part of another; `None` where that is 0.
#[allow(clippy::cast_precision_loss)] // for people
pub(super) fn ratio(part: u128, whole: u128) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
