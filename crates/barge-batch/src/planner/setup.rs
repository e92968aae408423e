//! Queues, environments and job definitions as a plan has them: a small JSON file, or what a template declares.

use super::Problem;
use crate::core::{EnvironmentKind, ExitAction, ExitRule, FairShare, Pattern, TimeLimit, share};
use crate::prices::{Catalog, Spot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a workload runs in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Setup {
    /// Compute environments.
    pub environments: Vec<EnvironmentSetup>,
    /// Job queues.
    pub queues: Vec<QueueSetup>,
    /// Job definitions, which jobs may name.
    #[serde(default)]
    pub definitions: Vec<Definition>,
}

/// A compute environment (API Reference, "ComputeResource").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentSetup {
    /// Its name.
    pub name: String,
    /// `FARGATE`, `FARGATE_SPOT`, `EC2` or `SPOT`.
    #[serde(rename = "type", deserialize_with = "kind", serialize_with = "kind_name")]
    pub kind: EnvironmentKind,
    /// vCPUs at most.
    #[serde(rename = "maxvCpus")]
    pub max_vcpus: u32,
    /// vCPUs that are kept also while idle.
    #[serde(default, rename = "minvCpus")]
    pub min_vcpus: u32,
    /// Instance types, families or bundles; `optimal` where there are none.
    #[serde(default)]
    pub instance_types: Vec<String>,
    /// `BEST_FIT` or one of the others, which all take the cheapest.
    #[serde(default)]
    pub allocation_strategy: Option<String>,
    /// Whether jobs may start here.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// A job queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueueSetup {
    /// Its name.
    pub name: String,
    /// Another name by which jobs may name it: a template's logical id.
    #[serde(skip)]
    pub alias: Option<String>,
    /// Higher goes first.
    #[serde(default = "one")]
    pub priority: i32,
    /// Names of environments, the preferred first.
    pub environments: Vec<String>,
    /// A fair-share policy; first-in-first-out without.
    #[serde(default)]
    pub fair_share: Option<FairShareSetup>,
    /// How long jobs may block it.
    #[serde(default)]
    pub time_limits: Vec<LimitSetup>,
}

/// A fair-share policy (API Reference, "FairsharePolicy").
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FairShareSetup {
    /// The window.
    #[serde(default)]
    pub share_decay_seconds: u64,
    /// Percent, 0 to 99.
    #[serde(default)]
    pub compute_reservation: u8,
    /// Weights.
    #[serde(default)]
    pub share_distribution: Vec<ShareSetup>,
}

/// A share's weight (API Reference, "ShareAttributes").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShareSetup {
    /// Share identifier, or the beginning of one and `*`.
    pub share_identifier: String,
    /// 0.0001 to 999.9999.
    #[serde(default = "weight_one")]
    pub weight_factor: f64,
}

/// How long jobs may block a queue for a reason (API Reference, "JobStateTimeLimitAction").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitSetup {
    /// AWS's name of the reason.
    pub reason: String,
    /// Seconds at most; then the job is cancelled.
    pub max_time_seconds: u64,
}

/// What jobs have in common that name it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Another name by which jobs may name it: a template's logical id.
    #[serde(skip)]
    pub alias: Option<String>,
    /// vCPUs of each attempt, or of each of its nodes.
    #[serde(default)]
    pub vcpus: Option<f64>,
    /// MiB of each attempt, or of each of its nodes.
    #[serde(default)]
    pub memory: Option<u32>,
    /// Attempts at most, 1 to 10.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// Which failures are tried again.
    #[serde(default)]
    pub evaluate_on_exit: Vec<ExitRuleSetup>,
    /// Seconds that an attempt may run.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// Scheduling priority.
    #[serde(default)]
    pub priority: Option<i32>,
    /// Nodes of a multi-node parallel job.
    #[serde(default)]
    pub nodes: Option<u16>,
}

/// Whether a failure is tried again (API Reference, "EvaluateOnExit").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExitRuleSetup {
    /// Against the exit code.
    #[serde(default)]
    pub on_exit_code: Option<String>,
    /// Against the container's reason.
    #[serde(default)]
    pub on_reason: Option<String>,
    /// Against the attempt's status reason.
    #[serde(default)]
    pub on_status_reason: Option<String>,
    /// `RETRY` or `EXIT`.
    pub action: String,
}

const fn yes() -> bool {
    true
}

const fn one() -> i32 {
    1
}

const fn weight_one() -> f64 {
    1.0
}

/// An environment's type by AWS's name.
pub(super) fn kind_named(name: &str) -> Option<EnvironmentKind> {
    Some(match name.to_ascii_uppercase().as_str() {
        "FARGATE" => EnvironmentKind::Fargate,
        "FARGATE_SPOT" => EnvironmentKind::FargateSpot,
        "EC2" => EnvironmentKind::Ec2,
        "SPOT" => EnvironmentKind::Spot,
        _ => return None,
    })
}

fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<EnvironmentKind, D::Error> {
    let name = String::deserialize(deserializer)?;
    let unknown = || serde::de::Error::custom(format!("`{name}` is none of FARGATE, FARGATE_SPOT, EC2, SPOT"));
    kind_named(&name).ok_or_else(unknown)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks for it
fn kind_name<S: serde::Serializer>(kind: &EnvironmentKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(super::Scenario::All(*kind).as_str())
}

impl Setup {
    /// Reads the JSON file `file` with this text.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problem> {
        let setup: Self = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column().max(1));
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            Problem::at(file, u32::try_from(line).unwrap_or(1), u32::try_from(column).unwrap_or(1), message)
        })?;
        setup.checked(file)
    }

    /// The setup, where everything named is there and can be; `source` is where it comes from.
    pub fn checked(self, source: &str) -> Result<Self, Problem> {
        self.check().map_err(|message| Problem::of(source, message))?;
        Ok(self)
    }

    /// Whether everything named is there and can be.
    pub(super) fn check(&self) -> Result<(), String> {
        unique("environment", self.environments.iter().map(|environment| environment.name.as_str()))?;
        unique("queue", self.queues.iter().map(|queue| queue.name.as_str()))?;
        unique("definition", self.definitions.iter().map(|definition| definition.name.as_str()))?;
        if self.queues.is_empty() {
            return Err("there is no queue".to_owned());
        }
        for environment in &self.environments {
            Catalog::get()
                .fleet_types(&environment.types(), Spot::No)
                .map_err(|unknown| format!("environment {}: {unknown}", environment.name))?;
        }
        self.queues
            .iter()
            .try_for_each(|queue| self.check_queue(queue).map_err(|text| format!("queue {}: {text}", queue.name)))?;
        self.definitions.iter().try_for_each(|definition| {
            definition.check().map_err(|text| format!("definition {}: {text}", definition.name))
        })
    }

    fn check_queue(&self, queue: &QueueSetup) -> Result<(), String> {
        if queue.environments.is_empty() {
            return Err("it has no environment".to_owned());
        }
        let mut platforms = Vec::new();
        for name in &queue.environments {
            let Some(environment) = self.environments.iter().find(|environment| environment.name == *name) else {
                return Err(format!("there is no environment {name}"));
            };
            platforms.push(environment.kind.platform());
        }
        if platforms.iter().any(|platform| *platform != platforms[0]) {
            return Err("Fargate and EC2 environments can't be mixed in one queue".to_owned());
        }
        let Some(policy) = &queue.fair_share else { return Ok(()) };
        if policy.compute_reservation > 99 {
            return Err("computeReservation is 0 to 99".to_owned());
        }
        match policy.share_distribution.iter().find(|share| !(0.0001..=999.9999).contains(&share.weight_factor)) {
            Some(share) => Err(format!("the weightFactor of {} is 0.0001 to 999.9999", share.share_identifier)),
            None => Ok(()),
        }
    }

    /// The queue that a job names.
    pub(super) fn queue(&self, name: &str) -> Option<u32> {
        let named = |queue: &QueueSetup| queue.name == name || queue.alias.as_deref() == Some(name);
        self.queues.iter().position(named).and_then(|index| u32::try_from(index).ok())
    }

    /// The definition that a job names.
    pub(super) fn definition(&self, name: &str) -> Option<&Definition> {
        self.definitions.iter().find(|definition| definition.name == name || definition.alias.as_deref() == Some(name))
    }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() || !seen.insert(name) {
            return Err(format!("each {what} has a name of its own; `{name}` is there twice or empty"));
        }
    }
    Ok(())
}

impl EnvironmentSetup {
    pub(super) fn types(&self) -> Vec<String> {
        if self.instance_types.is_empty() { vec!["optimal".to_owned()] } else { self.instance_types.clone() }
    }
}

impl Definition {
    fn check(&self) -> Result<(), String> {
        for rule in &self.evaluate_on_exit {
            rule.action()?;
        }
        match self.attempts {
            Some(attempts) if !(1..=10).contains(&attempts) => Err("attempts are 1 to 10".to_owned()),
            _ => Ok(()),
        }
    }

    pub(super) fn rules(&self) -> Vec<ExitRule> {
        self.evaluate_on_exit.iter().filter_map(ExitRuleSetup::rule).collect()
    }
}

impl ExitRuleSetup {
    fn action(&self) -> Result<ExitAction, String> {
        match self.action.to_ascii_uppercase().as_str() {
            "RETRY" => Ok(ExitAction::Retry),
            "EXIT" => Ok(ExitAction::Exit),
            _ => Err(format!("`{}` is neither RETRY nor EXIT", self.action)),
        }
    }

    fn rule(&self) -> Option<ExitRule> {
        let [exit_code, reason, status_reason] =
            [&self.on_exit_code, &self.on_reason, &self.on_status_reason].map(|text| text.as_deref().map(Pattern::new));
        Some(ExitRule { exit_code, reason, status_reason, action: self.action().ok()? })
    }
}

impl FairShareSetup {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked to be within 0.0001 and 999.9999
    pub(crate) fn policy(&self) -> FairShare {
        let weight = |share: &ShareSetup| {
            let weight = (share.weight_factor * f64::from(share::WEIGHT_ONE)).round() as u32;
            (share.share_identifier.clone(), weight)
        };
        FairShare {
            decay: Duration::from_secs(self.share_decay_seconds),
            compute_reservation: self.compute_reservation,
            weights: self.share_distribution.iter().map(weight).collect(),
        }
    }
}

impl LimitSetup {
    pub(super) fn limit(&self) -> TimeLimit {
        TimeLimit { code: self.reason.clone(), longest: Duration::from_secs(self.max_time_seconds) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
  "environments": [{"name": "ce", "type": "FARGATE", "maxvCpus": 4}],
  "queues": [{"name": "q", "environments": ["ce"], "fairShare": {"shareDistribution": [{"shareIdentifier": "a"}]}}],
  "definitions": [{"name": "d", "vcpus": 0.5, "memory": 1024, "evaluateOnExit": [{"action": "exit"}]}]
}"#;

    #[test]
    fn a_small_file_is_enough() {
        let setup = Setup::parse("plan.json", GOOD).unwrap();
        assert_eq!((setup.environments[0].kind, setup.queues[0].priority), (EnvironmentKind::Fargate, 1));
        assert_eq!((setup.queue("q"), setup.queue("x")), (Some(0), None));
        assert_eq!(setup.definition("d").and_then(|definition| definition.vcpus), Some(0.5));
        assert_eq!(setup.definition("d").map(|definition| definition.rules().len()), Some(1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, message) in [
            ("\"FARGATE\"", "\"LAMBDA\"", "plan.json:2:50: `LAMBDA` is none of FARGATE, FARGATE_SPOT, EC2, SPOT"),
            ("\"maxvCpus\": 4", "\"size\": 4", "plan.json:2:59: unknown field `size`"),
            ("[\"ce\"]", "[\"other\"]", "plan.json: queue q: there is no environment other"),
            ("[\"ce\"]", "[]", "plan.json: queue q: it has no environment"),
            ("\"exit\"", "\"stop\"", "plan.json: definition d: `stop` is neither RETRY nor EXIT"),
            ("\"memory\": 1024", "\"attempts\": 11", "plan.json: definition d: attempts are 1 to 10"),
            (
                "\"maxvCpus\": 4",
                "\"maxvCpus\": 4, \"instanceTypes\": [\"z9\"]",
                "plan.json: environment ce: z9 is not an instance type in the price table",
            ),
        ] {
            let found = Setup::parse("plan.json", &GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(found.starts_with(message), "{found}");
        }
    }
}
