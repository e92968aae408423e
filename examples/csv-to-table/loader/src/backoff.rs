//! How long to wait before trying again: doubling, capped, with full jitter. Pure but for the dice, which are passed in.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(10);
const TRIES: u32 = 14;

/// Counts tries that came to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait, for a `dice` throw in 0..1; `None` after some twenty seconds of waiting in vain.
    pub(crate) fn next(&mut self, dice: f64) -> Option<Duration> {
        if self.tries == TRIES {
            return None;
        }
        let longest = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries += 1;
        Some(longest.mul_f64(dice.clamp(0.0, 1.0)))
    }

    /// Something got through: start over.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_cap_and_end() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = std::iter::from_fn(|| backoff.next(1.0)).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000, 10000, 10000, 10000]);
        backoff.reset();
        assert_eq!(backoff.next(0.5), Some(Duration::from_millis(25)));
    }
}
