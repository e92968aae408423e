//! What can be set about the service as a whole. Nothing about single functions.

use std::time::Duration;

/// Whether a function that was created or changed gets an instance before its first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prewarm {
    /// One instance is started in the background, so that the first event finds it warm.
    One,
    /// Instances start on demand only.
    Off,
}

/// Whether packages that a runtime offers may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packages {
    /// The AWS SDK is installed once for each language: boto3 with pip, where the host's Python lacks it, and the SDK for
    /// JavaScript with npm.
    Install,
    /// Functions get what the host has.
    HostOnly,
}

/// The service's limits and habits. [`LambdaConfig::default`] is what `barge serve` uses.
#[derive(Clone, Debug)]
pub struct LambdaConfig {
    /// How long an instance without work is kept.
    pub idle_timeout: Duration,
    /// How long a runtime may take until it first asks for work (Lambda Developer Guide, "Understanding the Lambda
    /// execution environment lifecycle": 10 seconds).
    pub init_timeout: Duration,
    /// Invocations of one account that run at the same time in one region, at most.
    pub concurrency: u32,
    /// How much of [`LambdaConfig::concurrency`] must stay unreserved.
    pub unreserved_minimum: u32,
    /// Queued events that run at the same time, at most.
    pub event_workers: usize,
    /// Time before the second and the third try of an event (Lambda Developer Guide, "How Lambda handles errors and
    /// retries with asynchronous invocation": one minute, then two).
    pub retry_delays: [Duration; 2],
    /// Time before an event that found no free instance is tried again, at first; it doubles up to five minutes.
    pub throttle_delay: Duration,
    /// How old an event may get before it is dropped (same page: six hours).
    pub max_event_age: Duration,
    /// Bytes per second that one instance may print in the long run; beyond it the function waits in its write.
    pub log_rate: u32,
    /// Whether new functions start warm.
    pub prewarm: Prewarm,
    /// Whether the AWS SDK may be installed.
    pub packages: Packages,
}

impl Default for LambdaConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_mins(10),
            init_timeout: Duration::from_secs(10),
            concurrency: 100,
            unreserved_minimum: 10,
            event_workers: 16,
            retry_delays: [Duration::from_mins(1), Duration::from_mins(2)],
            throttle_delay: Duration::from_secs(1),
            max_event_age: Duration::from_hours(6),
            log_rate: 8 * 1024 * 1024,
            prewarm: Prewarm::One,
            packages: Packages::Install,
        }
    }
}
