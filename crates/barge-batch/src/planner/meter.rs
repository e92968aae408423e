//! What is counted while a plan runs.

use super::fleets::ratio;
use super::report::{Level, QueueWait, Sample, Timeline};
use super::series::Series;
use crate::core::{Queue, State, Status, Usage};
use barge_core::Timestamp;
use std::time::Duration;

/// States of jobs that are drawn.
pub(super) const DRAWN: [Status; 4] = [Status::Pending, Status::Runnable, Status::Starting, Status::Running];
/// Numbers of a sample before those of the queues: thousandths of a vCPU, MiB.
const FIXED: usize = 2;

/// Counts and sums so far.
#[derive(Debug)]
pub(super) struct Meter {
    start: Timestamp,
    last: Timestamp,
    /// Thousandths of a vCPU, and MiB, each times milliseconds.
    held: (u128, u128),
    peak: (u64, u64),
    /// Of each queue, what each attempt waited, in milliseconds.
    waits: Vec<Vec<u64>>,
    series: Series,
    sample: Vec<u64>,
}

impl Meter {
    pub(super) fn new(queues: usize, start: Timestamp) -> Self {
        let width = FIXED + queues * DRAWN.len();
        Self {
            start,
            last: start,
            held: (0, 0),
            peak: (0, 0),
            waits: vec![Vec::new(); queues],
            series: Series::new(width, start),
            sample: Vec::with_capacity(width),
        }
    }

    /// Counts that the state was as it is until `now`.
    pub(super) fn pass(&mut self, state: &State, now: Timestamp) {
        if now <= self.last {
            return;
        }
        let (used, time) = (state.used(), now.since(self.last).as_millis());
        self.held.0 += u128::from(used.vcpu_milli) * time;
        self.held.1 += u128::from(used.memory_mib) * time;
        self.last = now;
        if self.series.is_due(now) {
            self.look(state);
            self.series.take(&self.sample, now);
        }
    }

    fn look(&mut self, state: &State) {
        let used = state.used();
        self.sample.clear();
        self.sample.extend([used.vcpu_milli, used.memory_mib]);
        for queue in state.queues() {
            let census = state.census(&queue.spec.id);
            self.sample.extend(DRAWN.map(|status| census.get(&status).copied().unwrap_or(0)));
        }
    }

    /// Takes note of what is held now.
    pub(super) fn saw(&mut self, used: Usage) {
        self.peak = (self.peak.0.max(used.vcpu_milli), self.peak.1.max(used.memory_mib));
    }

    /// An attempt of a queue was placed after it had waited.
    pub(super) fn waited(&mut self, queue: usize, wait: Duration) {
        self.waits[queue].push(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    }

    pub(super) fn attempts(&self) -> u64 {
        self.waits.iter().map(|waits| waits.len() as u64).sum()
    }

    /// What was held of vCPUs and memory until `end`, of at most so much.
    pub(super) fn levels(&self, end: Timestamp, most: (Option<u64>, Option<u64>)) -> (Level, Level) {
        let time = end.since(self.start).as_millis();
        let level = |held: u128, peak: u64, most: Option<u64>, unit: u64| Level {
            mean: ratio(held, time * u128::from(unit)).unwrap_or(0.0),
            peak: ratio(peak.into(), unit.into()).unwrap_or(0.0),
            most: most.and_then(|most| ratio(most.into(), unit.into())),
            utilisation: most.and_then(|most| ratio(held, time * u128::from(most))),
        };
        (level(self.held.0, self.peak.0, most.0, 1000), level(self.held.1, self.peak.1, most.1, 1024))
    }

    /// What the attempts of each queue waited; `names` as the queues were numbered.
    pub(super) fn take_waits<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Vec<QueueWait> {
        let waits = std::mem::take(&mut self.waits);
        names.zip(waits).map(|(name, waits)| queue_wait(name, waits)).collect()
    }

    /// What was seen over time, the end of it included.
    pub(super) fn timeline(mut self, state: &State) -> Timeline {
        self.look(state);
        let names = state.queues().map(|queue: &Queue| queue.spec.id.to_string()).collect();
        let step = self.series.step();
        let mut samples: Vec<Sample> = (0u32..)
            .zip(self.series.samples())
            .map(|(number, sample)| read(sample, (step * number).as_secs_f64()))
            .collect();
        samples.push(read(&self.sample, self.last.since(self.start).as_secs_f64()));
        Timeline { states: DRAWN.map(Status::as_str), queues: names, samples }
    }
}

fn read(sample: &[u64], at_seconds: f64) -> Sample {
    Sample {
        at_seconds,
        vcpus: ratio(sample[0].into(), 1000).unwrap_or(0.0),
        memory_gib: ratio(sample[1].into(), 1024).unwrap_or(0.0),
        queues: sample[FIXED..]
            .chunks_exact(DRAWN.len())
            .map(|counts| [counts[0], counts[1], counts[2], counts[3]])
            .collect(),
    }
}

fn queue_wait(name: &str, mut waits: Vec<u64>) -> QueueWait {
    waits.sort_unstable();
    // The nearest rank: the smallest wait that so many percent of the attempts do not exceed.
    let percentile = |percent: usize| {
        let rank = (waits.len() * percent).div_ceil(100).max(1);
        waits.get(rank - 1).and_then(|millis| ratio((*millis).into(), 1000)).unwrap_or(0.0)
    };
    QueueWait {
        queue: name.to_owned(),
        attempts: waits.len() as u64,
        p50: percentile(50),
        p90: percentile(90),
        p99: percentile(99),
        max: percentile(100),
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // small whole numbers
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        for (waits, expected) in [
            (Vec::new(), [0.0; 4]),
            (vec![3000], [3.0; 4]),
            ((1..=100).rev().map(|wait| wait * 1000).collect(), [50.0, 90.0, 99.0, 100.0]),
            (vec![1000, 2000, 3000, 4000], [2.0, 4.0, 4.0, 4.0]),
        ] {
            let found = queue_wait("q", waits);
            assert_eq!([found.p50, found.p90, found.p99, found.max], expected);
        }
    }
}
