//! The same workload under several scenarios, side by side.

use super::run::simulate;
use super::{Assumptions, Outcome, Report, Scenario, Setup, Workload};
use crate::core::EnvironmentKind;
use crate::prices::{Catalog, UnknownType};
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Is told how many jobs have ended under a scenario, and of how many.
pub type Progress<'a> = &'a (dyn Fn(Scenario, u64, u64) + Sync);

/// Plans the workload in the environments as given, and with all of them of each of the types; a type that all are of already
/// is not planned twice. As many at a time as the machine has processors.
pub fn compare(
    setup: &Setup,
    workload: &Workload,
    assumptions: &Assumptions,
    types: &[EnvironmentKind],
    progress: Progress<'_>,
) -> Result<Report, UnknownType> {
    let given = |kind: EnvironmentKind| {
        assumptions.machine.is_none() && setup.environments.iter().all(|environment| environment.kind == kind)
    };
    let others = types.iter().filter(|kind| !given(**kind)).map(|kind| Scenario::All(*kind));
    let scenarios: Vec<Scenario> = [Scenario::AsGiven].into_iter().chain(others).collect();
    let outcomes = side_by_side(&scenarios, |scenario| simulate(setup, workload, scenario, assumptions, progress))?;
    let prices_of = Catalog::get().date().to_owned();
    Ok(Report { jobs: workload.jobs(), assumptions: *assumptions, prices_of, outcomes })
}

fn side_by_side(
    scenarios: &[Scenario],
    simulate: impl Fn(Scenario) -> Result<Outcome, UnknownType> + Sync,
) -> Result<Vec<Outcome>, UnknownType> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(scenarios.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(scenarios.len()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((number, scenario)) = take(scenarios, &next) {
                    let outcome = simulate(scenario);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((number, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn take(scenarios: &[Scenario], next: &AtomicUsize) -> Option<(usize, Scenario)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    scenarios.get(number).map(|scenario| (number, *scenario))
}
