//! Durations sorted into classes, as Prometheus's histograms are.

use std::time::Duration;

/// Upper ends of the classes, milliseconds: from a container's start to a day.
const BOUNDS: [u32; 16] = [
    10, 50, 100, 500, 1000, 5000, 10_000, 30_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 14_400_000,
    43_200_000, 86_400_000,
];

/// Durations, counted by class.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// How many fell in each class, and in none of the classes below it.
    classes: [u64; BOUNDS.len()],
    count: u64,
    sum: Duration,
}

impl Histogram {
    pub(crate) fn add(&mut self, duration: Duration) {
        let class = BOUNDS.iter().position(|bound| duration <= Duration::from_millis((*bound).into()));
        if let Some(class) = class {
            self.classes[class] += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(duration);
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) const fn seconds(&self) -> f64 {
        self.sum.as_secs_f64()
    }

    /// For each class its upper end in seconds, and how many were at most as long.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut below = 0;
        BOUNDS.iter().zip(self.classes).map(move |(bound, count)| {
            below += count;
            (f64::from(*bound) / 1000.0, below)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_in_their_class_and_all_above() {
        let mut histogram = Histogram::default();
        for millis in [0, 10, 11, 1000, 200_000_000] {
            histogram.add(Duration::from_millis(millis));
        }
        let classes: Vec<_> = histogram.cumulative().take(5).collect();
        assert_eq!(classes, [(0.01, 2), (0.05, 3), (0.1, 3), (0.5, 3), (1.0, 4)]);
        assert_eq!((histogram.count(), histogram.seconds()), (5, 200_001.021));
        assert_eq!(histogram.cumulative().last(), Some((86_400.0, 4)), "longer than a day is in no class");
    }
}
