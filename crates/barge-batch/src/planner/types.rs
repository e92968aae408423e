//! Which instance types can matter to a workload.
//!
//! The scheduler looks through all types of an environment for each job that it places. Of types in the order of preference
//! for a job only those matter that are smaller than every one before: the scheduler takes the first that fits below the
//! environment's maximum, and a larger one never fits where a smaller one does not. Leaving the others out changes nothing.

use crate::core::{FleetSpec, InstanceType, Needs};
use std::collections::BTreeSet;

/// The fleet with only the types that can matter to these jobs.
pub(super) fn relevant(spec: FleetSpec, needs: &BTreeSet<Needs>) -> FleetSpec {
    let nothing = Needs { vcpu_milli: 0, memory_mib: 0 };
    let mut kept: BTreeSet<String> = BTreeSet::new();
    for needs in needs.iter().chain([&nothing]) {
        let mut smallest = u32::MAX;
        for kind in spec.types_for(*needs) {
            if kind.vcpu_milli < smallest {
                smallest = kind.vcpu_milli;
                kept.insert(kind.name.to_string());
            }
        }
    }
    spec.only(|kind: &InstanceType| kept.contains(kind.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Strategy;
    use crate::prices::{Catalog, Spot};
    use std::time::Duration;

    #[test]
    fn whatever_room_is_left_the_same_type_is_launched() {
        let types = Catalog::get().fleet_types(&["optimal".to_owned(), "r5".to_owned()], Spot::No).unwrap();
        let needs = [(1000, 2048), (4000, 40_000), (250, 70_000), (90_000, 1)];
        let needs: BTreeSet<Needs> = needs.map(|(vcpu_milli, memory_mib)| Needs { vcpu_milli, memory_mib }).into();
        for strategy in [Strategy::Smallest, Strategy::Cheapest] {
            let idle_time = Duration::from_secs(1);
            let all = FleetSpec::new(0, types.clone(), strategy, idle_time);
            let few = relevant(all.clone(), &needs);
            let count = |spec: &FleetSpec| spec.types_for(Needs { vcpu_milli: 0, memory_mib: 0 }).count();
            assert!(count(&few) < count(&all) / 2, "{}", count(&few));
            for needs in &needs {
                for room in [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 1000] {
                    let first = |spec: &FleetSpec| {
                        spec.types_for(*needs).find(|kind| kind.vcpu_milli <= room * 1000).map(|kind| kind.name.clone())
                    };
                    assert_eq!(first(&few), first(&all), "{needs:?} {room}");
                }
            }
        }
    }
}
