//! How long attempts run: a number of seconds, or a distribution with its parameters.

use super::dice::Draw;
use std::str::FromStr;
use std::time::Duration;

/// How long attempts run, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same: `60`.
    Constant(f64),
    /// Anything between two: `uniform(10,20)`.
    Uniform {
        /// At least.
        low: f64,
        /// At most.
        high: f64,
    },
    /// `normal(60,5)`: mean and standard deviation; nothing below 0.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        deviation: f64,
    },
    /// `lognormal(60,20)`: mean and standard deviation of the time itself, not of its logarithm.
    Lognormal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        deviation: f64,
    },
    /// `exponential(60)`: the mean.
    Exponential {
        /// The mean.
        mean: f64,
    },
}

/// A century: longer times are taken for mistakes.
const LONGEST: f64 = 3_155_760_000.0;

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<f64>() {
            return Ok(Self::Constant(sound(seconds)?));
        }
        let call = text.strip_suffix(')').and_then(|call| call.split_once('('));
        let (name, arguments) = call.ok_or_else(|| {
            format!(
                "`{text}` is neither seconds nor uniform(A,B), normal(MEAN,SD), lognormal(MEAN,SD) or exponential(MEAN)"
            )
        })?;
        let numbers = arguments.split(',').map(|argument| {
            let argument = argument.trim();
            argument.parse::<f64>().map_err(|_| format!("`{argument}` is not a number")).and_then(sound)
        });
        let numbers: Vec<f64> = numbers.collect::<Result<_, _>>()?;
        match (name.trim(), numbers.as_slice()) {
            ("uniform", [low, high]) if low <= high => Ok(Self::Uniform { low: *low, high: *high }),
            ("uniform", [low, high]) => Err(format!("uniform({low},{high}): the first is to be the smaller")),
            ("normal", [mean, deviation]) => Ok(Self::Normal { mean: *mean, deviation: *deviation }),
            ("lognormal", [mean, _]) if *mean == 0.0 => Err("the mean of lognormal is above 0".to_owned()),
            ("lognormal", [mean, deviation]) => Ok(Self::Lognormal { mean: *mean, deviation: *deviation }),
            ("exponential", [mean]) => Ok(Self::Exponential { mean: *mean }),
            ("uniform" | "normal" | "lognormal", _) => Err(format!("{name} takes two numbers")),
            ("exponential", _) => Err("exponential takes one number".to_owned()),
            _ => Err(format!("`{name}` is no distribution: uniform, normal, lognormal, exponential are")),
        }
    }
}

fn sound(seconds: f64) -> Result<f64, String> {
    if (0.0..=LONGEST).contains(&seconds) { Ok(seconds) } else { Err(format!("{seconds} seconds can't be")) }
}

impl Distribution {
    /// One time, to the millisecond.
    pub(super) fn draw(self, draw: &mut Draw) -> Duration {
        let seconds = match self {
            Self::Constant(seconds) => seconds,
            Self::Uniform { low, high } => low + (high - low) * draw.unit(),
            Self::Normal { mean, deviation } => mean + deviation * draw.normal(),
            Self::Lognormal { mean, deviation } => {
                let variance = (1.0 + (deviation / mean).powi(2)).ln();
                (mean.ln() - variance / 2.0 + variance.sqrt() * draw.normal()).exp()
            }
            Self::Exponential { mean } => mean * draw.exponential(),
        };
        millis(seconds)
    }
}

/// Seconds as a duration of whole milliseconds; nothing below 0, nothing above a century.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped before
pub(super) fn millis(seconds: f64) -> Duration {
    Duration::from_millis((seconds.clamp(0.0, LONGEST) * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::dice::{About, Dice};
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (text, read) in [
            ("60", Distribution::Constant(60.0)),
            ("0.25", Distribution::Constant(0.25)),
            ("uniform(1, 2)", Distribution::Uniform { low: 1.0, high: 2.0 }),
            ("normal(60,5)", Distribution::Normal { mean: 60.0, deviation: 5.0 }),
            ("lognormal(60,20.5)", Distribution::Lognormal { mean: 60.0, deviation: 20.5 }),
            ("exponential(3)", Distribution::Exponential { mean: 3.0 }),
        ] {
            assert_eq!(text.parse(), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, message) in [
            ("", "is neither seconds"),
            ("-1", "-1 seconds can't be"),
            ("NaN", "can't be"),
            ("1e300", "can't be"),
            ("uniform(2,1)", "the first is to be the smaller"),
            ("uniform(1)", "takes two numbers"),
            ("lognormal(0,1)", "above 0"),
            ("poisson(1)", "is no distribution"),
            ("normal(a,1)", "`a` is not a number"),
        ] {
            let refused = text.parse::<Distribution>().unwrap_err();
            assert!(refused.contains(message), "{text}: {refused}");
        }
    }

    #[test]
    fn draws_have_the_mean_that_was_asked_for() {
        for (text, mean) in [
            ("7", 7.0),
            ("uniform(1,3)", 2.0),
            ("normal(50,5)", 50.0),
            ("lognormal(60,20)", 60.0),
            ("exponential(10)", 10.0),
        ] {
            let distribution: Distribution = text.parse().unwrap();
            let draw = |n| distribution.draw(&mut Dice::new(3).roll(About::RunTime, [n, 0, 0])).as_secs_f64();
            let found = (0..20_000).map(draw).sum::<f64>() / 20_000.0;
            assert!((found / mean - 1.0).abs() < 0.02, "{text}: {found}");
        }
    }
}
