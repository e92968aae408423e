//! What the scheduler does not know and a plan needs.

use crate::core::{EnvironmentKind, Machine};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is assumed of the world. Durations are in seconds in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assumptions {
    /// All chance follows from it.
    pub seed: u64,
    /// Spot interruptions an hour: of each task on FARGATE_SPOT, of each instance of a SPOT environment.
    pub interruptions_per_hour: f64,
    /// From placement on Fargate to the container's start: the microVM and the image.
    #[serde(with = "seconds")]
    pub fargate_start: Duration,
    /// From placement on an instance that serves to the container's start.
    #[serde(with = "seconds")]
    pub ec2_start: Duration,
    /// From an instance's launch until it serves.
    #[serde(with = "seconds")]
    pub instance_boot: Duration,
    /// How long an idle instance is kept.
    #[serde(with = "seconds")]
    pub instance_idle: Duration,
    /// The machine that the plan as given runs on: containers start there at once, and nothing is paid for. `None` plans AWS,
    /// where only the environments' maxima bound what runs.
    #[serde(skip)]
    pub machine: Option<Machine>,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            seed: 1,
            interruptions_per_hour: 0.05,
            fargate_start: Duration::from_secs(30),
            ec2_start: Duration::from_secs(5),
            instance_boot: Duration::from_mins(2),
            instance_idle: Duration::from_mins(5),
            machine: None,
        }
    }
}

impl Assumptions {
    /// Nothing takes time but the containers, and nothing is taken away.
    pub const fn ideal(seed: u64) -> Self {
        Self {
            seed,
            interruptions_per_hour: 0.0,
            fargate_start: Duration::ZERO,
            ec2_start: Duration::ZERO,
            instance_boot: Duration::ZERO,
            instance_idle: Duration::from_mins(5),
            machine: None,
        }
    }

    /// From placement to the container's start, the instance serving.
    pub(super) const fn start(&self, kind: EnvironmentKind) -> Duration {
        match kind {
            EnvironmentKind::Fargate | EnvironmentKind::FargateSpot => self.fargate_start,
            EnvironmentKind::Ec2 | EnvironmentKind::Spot => self.ec2_start,
        }
    }
}

/// Durations as seconds.
mod seconds {
    use std::time::Duration;

    #[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde calls
    pub(super) fn serialize<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = <f64 as serde::Deserialize>::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}
