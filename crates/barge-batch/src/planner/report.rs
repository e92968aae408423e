//! What a plan comes to, as data: the same in JSON, in the table and in the chart.

use super::{Assumptions, Scenario};
use serde::Serialize;

/// A workload under several scenarios.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How many jobs there were; children of arrays, not the arrays themselves.
    pub jobs: u64,
    /// What was assumed.
    pub assumptions: Assumptions,
    /// Of which month the prices are.
    pub prices_of: String,
    /// One for each scenario, the environments as given first.
    pub outcomes: Vec<Outcome>,
}

/// What came of a workload under one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Under which.
    pub scenario: Scenario,
    /// The scenario for people, e.g. `FARGATE, as given`.
    pub title: String,
    /// From the first submission to the end of the last job that ended.
    pub makespan_seconds: f64,
    /// Jobs that succeeded.
    pub succeeded: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that will never start.
    pub waiting: u64,
    /// Jobs that can't be submitted: too large for Fargate, or multi-node; and those that depend on them.
    pub refused: u64,
    /// Attempts placed.
    pub attempts: u64,
    /// Attempts that Spot interrupted.
    pub interruptions: u64,
    /// Of each queue, how long its attempts waited.
    pub waits: Vec<QueueWait>,
    /// vCPUs held by attempts.
    pub vcpus: Level,
    /// GiB of memory held by attempts.
    pub memory_gib: Level,
    /// Instances, where an environment has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
    /// What AWS would charge, in millionths of a US dollar; `None` on the own machine.
    pub cost_micros: Option<u64>,
    /// What jobs that never start wait for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<WaitingReason>,
    /// What was seen over time.
    pub timeline: Timeline,
}

/// How long the attempts of a queue waited, in seconds: from submission, or from the end of the attempt before, until they
/// were placed. Waiting for other jobs is part of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueWait {
    /// The queue's name.
    pub queue: String,
    /// Attempts placed.
    pub attempts: u64,
    /// Half of them did not wait longer.
    pub p50: f64,
    /// 90 % of them did not.
    pub p90: f64,
    /// 99 % of them did not.
    pub p99: f64,
    /// None of them did.
    pub max: f64,
}

/// How much of something was held from the first submission to the last end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// On average over time.
    pub mean: f64,
    /// At most.
    pub peak: f64,
    /// How much there is, where that is bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
    /// The mean as a part of what there is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<f64>,
}

/// Instances of all environments together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Instances {
    /// How many were launched.
    pub launched: u64,
    /// Hours that they were there, idle ones included.
    pub hours: f64,
    /// vCPUs times those hours.
    pub vcpu_hours: f64,
    /// The part of their vCPU time that tasks held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcpu_utilisation: Option<f64>,
    /// The part of their memory, over time, that tasks held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_utilisation: Option<f64>,
}

/// What jobs that never start wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingReason {
    /// The queue that they wait in.
    pub queue: String,
    /// How many there are.
    pub jobs: u64,
    /// What for: of the first of them.
    pub reason: String,
}

/// What was seen at regular moments.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// States of jobs, as each sample's queues count them.
    pub states: [&'static str; 4],
    /// Names of queues, in the order of each sample's.
    pub queues: Vec<String>,
    /// In order of time.
    pub samples: Vec<Sample>,
}

/// What was seen at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Seconds from the first submission.
    pub at_seconds: f64,
    /// vCPUs held.
    pub vcpus: f64,
    /// GiB held.
    pub memory_gib: f64,
    /// Of each queue, jobs in each state.
    pub queues: Vec<[u64; 4]>,
}
