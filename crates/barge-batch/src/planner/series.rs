//! What was seen at regular moments of the virtual time: few enough to draw, however long it lasts.

use barge_core::Timestamp;
use std::time::Duration;

/// Samples at most; beyond them every second one is dropped, and the time between them doubles.
const MOST: usize = 1024;

/// Samples at regular moments, `width` numbers each.
#[derive(Debug)]
pub(super) struct Series {
    width: usize,
    start: Timestamp,
    step: Duration,
    /// One sample's numbers after the other's.
    numbers: Vec<u64>,
    next_at: Timestamp,
}

impl Series {
    pub(super) fn new(width: usize, start: Timestamp) -> Self {
        Self { width, start, step: Duration::from_secs(1), numbers: Vec::with_capacity(MOST * width), next_at: start }
    }

    /// Whether a sample is due before `now`.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.next_at < now
    }

    /// Takes what was true until `now` as every sample due before.
    pub(super) fn take(&mut self, sample: &[u64], now: Timestamp) {
        while self.next_at < now {
            self.numbers.extend_from_slice(sample);
            self.next_at = self.next_at + self.step;
            if self.len() == MOST {
                self.thin();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len() / self.width.max(1)
    }

    pub(super) const fn step(&self) -> Duration {
        self.step
    }

    /// The samples, in order.
    pub(super) fn samples(&self) -> impl Iterator<Item = &[u64]> {
        self.numbers.chunks_exact(self.width)
    }

    fn thin(&mut self) {
        let kept: Vec<u64> = self.samples().step_by(2).flatten().copied().collect();
        self.numbers = kept;
        self.step *= 2;
        let taken = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.next_at = self.start + self.step * taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stay_few_and_evenly_spread() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let mut series = Series::new(1, at(0));
        for second in 1..=5000u32 {
            let now = at(i64::from(second));
            assert!(series.is_due(now) || series.step() > Duration::from_secs(1));
            series.take(&[u64::from(second - 1)], now);
        }
        let step = series.step().as_secs();
        assert_eq!(step, 8);
        let samples: Vec<u64> = series.samples().map(|sample| sample[0]).collect();
        assert_eq!(samples.len(), 625);
        assert!(samples.iter().zip(0u64..).all(|(sample, index)| *sample == index * step), "{samples:?}");
    }
}
