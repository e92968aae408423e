//! Chance that follows from what it is asked for, not from when it is asked: a job runs as long under every scenario, and on
//! every machine.

use std::f64::consts::TAU;

/// Chance, from a seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice {
    seed: u64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    /// How long a job runs.
    RunTime = 1,
    /// Whether an attempt fails.
    Failure = 2,
    /// When an attempt is interrupted.
    Interruption = 3,
    /// When an instance is interrupted.
    Instance = 4,
}

/// A stream of chance about one thing.
#[derive(Clone, Debug)]
pub(super) struct Draw(u64);

/// Spreads the bits of a number over all of it (SplitMix64's finalizer).
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed: mix(seed.wrapping_add(GOLDEN)) }
    }

    /// Chance about `about`, told apart by three numbers.
    pub(super) const fn roll(self, about: About, numbers: [u64; 3]) -> Draw {
        let mut bits = mix(self.seed ^ (about as u64).wrapping_mul(GOLDEN));
        bits = mix(bits ^ numbers[0].wrapping_mul(GOLDEN));
        bits = mix(bits.wrapping_add(GOLDEN) ^ numbers[1]);
        bits = mix(bits.wrapping_add(GOLDEN) ^ numbers[2]);
        Draw(bits)
    }
}

impl Draw {
    /// A number above 0 and up to 1.
    #[allow(clippy::cast_precision_loss)] // 53 bits are exact
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        ((mix(self.0) >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Of the standard normal distribution (Box and Muller).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (TAU * self.unit()).cos()
    }

    /// Of the exponential distribution with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_answer_and_others_have_others() {
        let dice = Dice::new(7);
        let ask = |about, numbers| dice.roll(about, numbers).unit().to_bits();
        assert_eq!(ask(About::RunTime, [1, 2, 3]), ask(About::RunTime, [1, 2, 3]));
        let all = [
            ask(About::RunTime, [1, 2, 3]),
            ask(About::Failure, [1, 2, 3]),
            ask(About::RunTime, [2, 1, 3]),
            ask(About::RunTime, [1, 3, 2]),
            Dice::new(8).roll(About::RunTime, [1, 2, 3]).unit().to_bits(),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn means_are_as_they_should_be() {
        let mean = |of: fn(&mut Draw) -> f64| {
            let draws = (0..20_000).map(|n| of(&mut Dice::new(1).roll(About::RunTime, [n, 0, 0])));
            draws.sum::<f64>() / 20_000.0
        };
        for (of, expected) in [(Draw::unit as fn(&mut Draw) -> f64, 0.5), (Draw::normal, 0.0), (Draw::exponential, 1.0)]
        {
            assert!((mean(of) - expected).abs() < 0.03, "{}", mean(of));
        }
    }
}
