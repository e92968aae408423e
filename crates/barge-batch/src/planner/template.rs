//! A setup from what a CloudFormation template declares. The template is evaluated elsewhere: here come properties as
//! values, in which a resource is referred to by its logical id.

use super::setup::kind_named;
use super::{
    Definition, EnvironmentSetup, ExitRuleSetup, FairShareSetup, LimitSetup, Problem, QueueSetup, Setup, ShareSetup,
};
use barge_core::Document;
use std::collections::BTreeMap;
use std::str::FromStr;

/// A resource that a template declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Its logical id; other resources refer to it by this text.
    pub logical_id: String,
    /// e.g. `AWS::Batch::JobQueue`.
    pub type_name: String,
    /// Its properties; those whose values are not known before the stack exists are left out.
    pub properties: Document,
}

/// The environments, queues and definitions that a template declares; resources of other types do not matter.
pub fn from_template(file: &str, resources: &[Declared]) -> Result<Setup, Problem> {
    let problem = |id: &str, message: String| Problem::of(file, format!("resource {id}: {message}"));
    let mut setup = Setup::default();
    let mut policies = BTreeMap::new();
    for resource in resources.iter().filter(|resource| resource.type_name == "AWS::Batch::SchedulingPolicy") {
        let policy = policy(&resource.properties).map_err(|message| problem(&resource.logical_id, message))?;
        policies.insert(resource.logical_id.as_str(), policy);
    }
    for resource in resources {
        let (id, properties) = (resource.logical_id.as_str(), &resource.properties);
        let read = match resource.type_name.as_str() {
            "AWS::Batch::ComputeEnvironment" => environment(id, properties).map(|found| setup.environments.push(found)),
            "AWS::Batch::JobQueue" => queue(id, properties, &policies).map(|found| setup.queues.extend(found)),
            "AWS::Batch::JobDefinition" => definition(id, properties).map(|found| setup.definitions.push(found)),
            _ => Ok(()),
        };
        read.map_err(|message| problem(id, message))?;
    }
    setup.check().map_err(|message| Problem::of(file, message))?;
    Ok(setup)
}

/// The value at a path of keys. Templates write them in capitals; within some properties AWS takes the API's spelling too.
fn at<'a>(properties: &'a Document, path: &[&str]) -> Option<&'a Document> {
    path.iter().try_fold(properties, |value, key| {
        let map = value.as_map()?;
        map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    })
}

fn text(properties: &Document, path: &[&str]) -> Option<String> {
    at(properties, path)?.scalar_text()
}

fn number<N: FromStr>(properties: &Document, path: &[&str]) -> Result<Option<N>, String> {
    let Some(text) = text(properties, path) else { return Ok(None) };
    let wrong = || format!("{} `{text}` is not a number that can be", path.join("."));
    text.parse().map(Some).map_err(|_| wrong())
}

fn list<'a>(properties: &'a Document, path: &[&str]) -> &'a [Document] {
    at(properties, path).and_then(Document::as_list).unwrap_or_default()
}

fn needed<T>(value: Option<T>, path: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("{path} is missing, or depends on a parameter without a value"))
}

fn is_enabled(properties: &Document) -> bool {
    !text(properties, &["State"]).is_some_and(|state| state.eq_ignore_ascii_case("DISABLED"))
}

fn environment(id: &str, properties: &Document) -> Result<EnvironmentSetup, String> {
    const RESOURCES: &str = "ComputeResources";
    let kind = needed(text(properties, &[RESOURCES, "Type"]), "ComputeResources.Type")?;
    let types = list(properties, &[RESOURCES, "InstanceTypes"]);
    Ok(EnvironmentSetup {
        name: id.to_owned(),
        kind: kind_named(&kind).ok_or_else(|| format!("ComputeResources.Type `{kind}` is not known"))?,
        max_vcpus: needed(number(properties, &[RESOURCES, "MaxvCpus"])?, "ComputeResources.MaxvCpus")?,
        min_vcpus: number(properties, &[RESOURCES, "MinvCpus"])?.unwrap_or(0),
        instance_types: types.iter().filter_map(Document::scalar_text).collect(),
        allocation_strategy: text(properties, &[RESOURCES, "AllocationStrategy"]),
        enabled: is_enabled(properties),
    })
}

fn queue(
    id: &str,
    properties: &Document,
    policies: &BTreeMap<&str, FairShareSetup>,
) -> Result<Option<QueueSetup>, String> {
    if !is_enabled(properties) {
        return Ok(None);
    }
    let mut order = Vec::new();
    for entry in list(properties, &["ComputeEnvironmentOrder"]) {
        let place: u32 = number(entry, &["Order"])?.unwrap_or(0);
        let name = needed(text(entry, &["ComputeEnvironment"]), "ComputeEnvironmentOrder.ComputeEnvironment")?;
        order.push((place, name));
    }
    order.sort();
    let fair_share = match text(properties, &["SchedulingPolicyArn"]) {
        Some(policy) => {
            let found = policies.get(policy.as_str());
            Some(found.ok_or_else(|| format!("SchedulingPolicyArn: the template declares no policy {policy}"))?.clone())
        }
        None => None,
    };
    let mut time_limits = Vec::new();
    for entry in list(properties, &["JobStateTimeLimitActions"]) {
        let reason = needed(text(entry, &["Reason"]), "JobStateTimeLimitActions.Reason")?;
        let longest = number(entry, &["MaxTimeSeconds"])?;
        let max_time_seconds = needed(longest, "JobStateTimeLimitActions.MaxTimeSeconds")?;
        time_limits.push(LimitSetup { reason, max_time_seconds });
    }
    Ok(Some(QueueSetup {
        name: text(properties, &["JobQueueName"]).unwrap_or_else(|| id.to_owned()),
        alias: Some(id.to_owned()),
        priority: needed(number(properties, &["Priority"])?, "Priority")?,
        environments: order.into_iter().map(|(_, name)| name).collect(),
        fair_share,
        time_limits,
    }))
}

fn policy(properties: &Document) -> Result<FairShareSetup, String> {
    const POLICY: &str = "FairsharePolicy";
    let mut share_distribution = Vec::new();
    for entry in list(properties, &[POLICY, "ShareDistribution"]) {
        share_distribution.push(ShareSetup {
            share_identifier: needed(text(entry, &["ShareIdentifier"]), "ShareDistribution.ShareIdentifier")?,
            weight_factor: number(entry, &["WeightFactor"])?.unwrap_or(1.0),
        });
    }
    Ok(FairShareSetup {
        share_decay_seconds: number(properties, &[POLICY, "ShareDecaySeconds"])?.unwrap_or(0),
        compute_reservation: number(properties, &[POLICY, "ComputeReservation"])?.unwrap_or(0),
        share_distribution,
    })
}

/// What attempts need; of a multi-node definition as its first range of nodes has it, of several containers their sum.
fn definition(id: &str, properties: &Document) -> Result<Definition, String> {
    let ranges = list(properties, &["NodeProperties", "NodeRangeProperties"]);
    let container = match ranges.first() {
        Some(range) => at(range, &["Container"]),
        None => at(properties, &["ContainerProperties"]),
    };
    let tasks = list(properties, &["EcsProperties", "TaskProperties"]);
    let several = tasks.first().map(|task| list(task, &["Containers"])).unwrap_or_default();
    let (mut vcpus, mut memory): (Option<f64>, Option<u32>) = (None, None);
    for container in container.into_iter().chain(several) {
        let required = |kind: &str| {
            let mut all = list(container, &["ResourceRequirements"]).iter();
            all.find(|one| text(one, &["Type"]).as_deref() == Some(kind)).and_then(|one| text(one, &["Value"]))
        };
        if let Some(found) = required("VCPU").or_else(|| text(container, &["Vcpus"])) {
            let found: f64 = found.parse().map_err(|_| format!("VCPU `{found}` is not a number"))?;
            vcpus = Some(vcpus.unwrap_or(0.0) + found);
        }
        if let Some(found) = required("MEMORY").or_else(|| text(container, &["Memory"])) {
            let found: u32 = found.parse().map_err(|_| format!("MEMORY `{found}` is not a number of MiB"))?;
            memory = Some(memory.unwrap_or(0).saturating_add(found));
        }
    }
    let rule = |entry: &Document| ExitRuleSetup {
        on_exit_code: text(entry, &["OnExitCode"]),
        on_reason: text(entry, &["OnReason"]),
        on_status_reason: text(entry, &["OnStatusReason"]),
        action: text(entry, &["Action"]).unwrap_or_default(),
    };
    Ok(Definition {
        name: text(properties, &["JobDefinitionName"]).unwrap_or_else(|| id.to_owned()),
        alias: Some(id.to_owned()),
        vcpus,
        memory,
        attempts: number(properties, &["RetryStrategy", "Attempts"])?,
        evaluate_on_exit: list(properties, &["RetryStrategy", "EvaluateOnExit"]).iter().map(rule).collect(),
        timeout: number(properties, &["Timeout", "AttemptDurationSeconds"])?,
        priority: number(properties, &["SchedulingPriority"])?,
        nodes: number(properties, &["NodeProperties", "NumNodes"])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::EnvironmentKind;

    fn declared(id: &str, kind: &str, json: &str) -> Declared {
        let properties = Document::from_json(json.as_bytes()).unwrap();
        Declared { logical_id: id.to_owned(), type_name: format!("AWS::Batch::{kind}"), properties }
    }

    const ENVIRONMENT: &str = r#"{"ComputeResources": {"Type": "SPOT", "MaxvCpus": "64", "InstanceTypes": ["c5"]}}"#;
    const QUEUE: &str = r#"{"Priority": 7, "JobQueueName": "jobs", "SchedulingPolicyArn": "Policy",
        "ComputeEnvironmentOrder": [{"Order": 2, "ComputeEnvironment": "Two"}, {"Order": 1, "ComputeEnvironment": "One"}]}"#;
    const POLICY: &str =
        r#"{"FairsharePolicy": {"ShareDistribution": [{"ShareIdentifier": "a", "WeightFactor": 0.5}]}}"#;
    const DEFINITION: &str = r#"{"ContainerProperties": {"ResourceRequirements": [{"Type": "VCPU", "Value": "0.5"},
        {"Type": "MEMORY", "Value": "1024"}]}, "RetryStrategy": {"Attempts": 3, "EvaluateOnExit":
        [{"OnStatusReason": "Host EC2*", "Action": "RETRY"}]}, "Timeout": {"AttemptDurationSeconds": 90}}"#;

    #[test]
    fn what_a_template_declares_is_a_setup() {
        let setup = from_template(
            "t.yaml",
            &[
                declared("Queue", "JobQueue", QUEUE),
                declared("One", "ComputeEnvironment", ENVIRONMENT),
                declared("Two", "ComputeEnvironment", ENVIRONMENT),
                declared("Policy", "SchedulingPolicy", POLICY),
                declared("Definition", "JobDefinition", DEFINITION),
            ],
        )
        .unwrap();
        let one = &setup.environments[0];
        assert_eq!((one.kind, one.max_vcpus, one.instance_types.len()), (EnvironmentKind::Spot, 64, 1));
        assert_eq!((setup.queue("jobs"), setup.queue("Queue")), (Some(0), Some(0)));
        assert_eq!((setup.queues[0].environments.join(" "), setup.queues[0].priority), ("One Two".to_owned(), 7));
        assert!(setup.queues[0].fair_share.is_some());
        let definition = setup.definition("Definition").unwrap();
        assert_eq!((definition.vcpus, definition.memory, definition.attempts), (Some(0.5), Some(1024), Some(3)));
        assert_eq!((definition.timeout, definition.rules().len()), (Some(90), 1));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (kind, json, message) in [
            ("ComputeEnvironment", "{}", "resource X: ComputeResources.Type is missing"),
            ("ComputeEnvironment", r#"{"ComputeResources": {"Type": "EKS"}}"#, "`EKS` is not known"),
            ("ComputeEnvironment", r#"{"ComputeResources": {"Type": "EC2"}}"#, "MaxvCpus is missing"),
            ("JobQueue", r#"{"Priority": "high"}"#, "Priority `high` is not a number"),
            ("JobQueue", r#"{"Priority": 1, "SchedulingPolicyArn": "P"}"#, "declares no policy P"),
            ("Other", "{}", "there is no queue"),
        ] {
            let found = from_template("t.yaml", &[declared("X", kind, json)]).unwrap_err().to_string();
            assert!(found.starts_with("t.yaml: ") && found.contains(message), "{found}");
        }
    }
}
