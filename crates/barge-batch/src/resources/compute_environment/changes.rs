//! What a template's compute environment is at creation, and what a change of it does. Nothing here asks or tells Batch.

use crate::resources::spelling::{Case, Spelling, spelled};
use barge_core::{AwsError, Document};
use barge_wire::batch::{CreateComputeEnvironmentRequest, UpdateComputeEnvironmentRequest};
use barge_wire::from_properties;
use indexmap::IndexMap;

pub(super) const RESOURCES: &str = "ComputeResources";
const POLICY: &str = "UpdatePolicy";
const REPLACE: &str = "ReplaceComputeEnvironment";

pub(super) const SPELLINGS: [Spelling; 4] = [
    (&["Type"], Case::Upper),
    (&["State"], Case::Upper),
    (&[RESOURCES, "Type"], Case::Upper),
    (&[RESOURCES, "AllocationStrategy"], Case::Upper),
];

/// What instances are made by (CloudFormation Template Reference, "AWS::Batch::ComputeEnvironment ComputeResources").
const INFRASTRUCTURE: [&str; 11] = [
    "AllocationStrategy",
    "BidPercentage",
    "Ec2Configuration",
    "Ec2KeyPair",
    "InstanceRole",
    "InstanceTypes",
    "PlacementGroup",
    "SecurityGroupIds",
    "Subnets",
    "Tags",
    "Type",
];

/// What an update says of what a template says no more of.
fn unsaid() -> [(&'static str, Document); 6] {
    [
        ("MinvCpus", "0".into()),
        ("BidPercentage", "100".into()),
        ("Ec2KeyPair", "".into()),
        ("PlacementGroup", "".into()),
        ("Ec2Configuration", Document::List(Vec::new())),
        ("Tags", Document::Map(IndexMap::new())),
    ]
}

/// The environment that `properties` declare. `UpdateToLatestImageVersion` concerns updates only, and the template's own
/// properties are not the API's.
pub(super) fn creation(properties: &Document) -> Result<CreateComputeEnvironmentRequest, AwsError> {
    let mut declared = map(&spelled(properties, &SPELLINGS));
    declared.shift_remove(REPLACE);
    declared.shift_remove(POLICY);
    if let Some(Document::Map(resources)) = declared.get_mut(RESOURCES) {
        resources.shift_remove("UpdateToLatestImageVersion");
    }
    from_properties(&Document::Map(declared))
}

/// What must be said of a new environment after its creation, which takes no update policy.
pub(super) fn completion(
    arn: &str,
    properties: &Document,
) -> Result<Option<UpdateComputeEnvironmentRequest>, AwsError> {
    if properties.get(POLICY).is_none_or(|policy| map(policy).is_empty()) {
        return Ok(None);
    }
    let said = [("ComputeEnvironment", arn.into()), (POLICY, policy(properties))];
    from_properties(&Document::map(said)).map(Some)
}

/// The update from `old` to `new`.
pub(super) fn update(arn: &str, old: &Document, new: &Document) -> Result<UpdateComputeEnvironmentRequest, AwsError> {
    let mut change = map(&spelled(new, &SPELLINGS));
    for kept in ["ComputeEnvironmentName", "Type", "Tags", REPLACE] {
        change.shift_remove(kept);
    }
    if old.get("State").is_some() {
        change.entry("State".to_owned()).or_insert_with(|| "ENABLED".into());
    }
    if let Some(Document::Map(resources)) = change.get_mut(RESOURCES) {
        // Where it differs, a new environment replaces the old one.
        resources.shift_remove("SpotIamFleetRole");
        let said = old.get(RESOURCES).map(map).unwrap_or_default();
        for (name, nothing) in unsaid().into_iter().filter(|(name, _)| said.contains_key(*name)) {
            resources.entry(name.to_owned()).or_insert(nothing);
        }
    }
    if old.get(POLICY).or(new.get(POLICY)).is_some() {
        change.insert(POLICY.to_owned(), policy(new));
    }
    change.insert("ComputeEnvironment".to_owned(), arn.into());
    from_properties(&Document::Map(change))
}

/// Whether a new environment takes the old one's place.
pub(super) fn replaces(old: &Document, new: &Document) -> bool {
    let (old, new) = (spelled(old, &SPELLINGS), spelled(new, &SPELLINGS));
    let (before, after) = (old.get(RESOURCES), new.get(RESOURCES));
    let differs = |name: &str| compared(before, name) != compared(after, name);
    if old.get("Type") != new.get("Type") || differs("SpotIamFleetRole") {
        return true;
    }
    if is(new.get(REPLACE), "false") {
        return false;
    }
    let kind = after.and_then(|resources| resources.get("Type"));
    let has_instances = is(kind, "EC2") || is(kind, "SPOT");
    differs("Type") || (has_instances && INFRASTRUCTURE.into_iter().any(differs))
}

/// A sub-property as it is compared: neither the order of a list nor a number written as text makes a difference.
fn compared(resources: Option<&Document>, name: &str) -> Option<Vec<String>> {
    let value = resources?.get(name)?;
    let text = |value: &Document| value.scalar_text().unwrap_or_else(|| value.to_json());
    let mut texts = value.as_list().map_or_else(|| vec![text(value)], |list| list.iter().map(text).collect());
    texts.sort_unstable();
    Some(texts)
}

/// The whole update policy: AWS's defaults where the template says nothing.
fn policy(properties: &Document) -> Document {
    let mut policy = properties.get(POLICY).map(map).unwrap_or_default();
    policy.entry("TerminateJobsOnUpdate".to_owned()).or_insert_with(|| "false".into());
    policy.entry("JobExecutionTimeoutMinutes".to_owned()).or_insert_with(|| "30".into());
    policy.into()
}

fn map(document: &Document) -> IndexMap<String, Document> {
    document.as_map().cloned().unwrap_or_default()
}

fn is(value: Option<&Document>, text: &str) -> bool {
    value.and_then(Document::scalar_text).is_some_and(|found| found == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The properties with the entries of `change` merged in; `null` takes an entry away.
    fn changed(properties: &Document, change: &Document) -> Document {
        let mut merged = map(properties);
        for (name, value) in map(change) {
            match (merged.get(&name), value) {
                (_, Document::Null) => drop(merged.shift_remove(&name)),
                (Some(old @ Document::Map(_)), value @ Document::Map(_)) => {
                    let value = changed(old, &value);
                    merged.insert(name, value);
                }
                (_, value) => drop(merged.insert(name, value)),
            }
        }
        merged.into()
    }

    fn json(text: &str) -> Document {
        Document::from_json(text.as_bytes()).unwrap()
    }

    fn instances() -> Document {
        json(
            r#"{"Type": "managed", "ComputeResources": {"Type": "EC2", "AllocationStrategy": "BEST_FIT_PROGRESSIVE",
                "InstanceTypes": ["c5", "m5"], "InstanceRole": "r", "MaxvCpus": 16, "Subnets": ["s"]}}"#,
        )
    }

    fn fargate() -> Document {
        json(r#"{"Type": "MANAGED", "ComputeResources": {"Type": "FARGATE", "MaxvCpus": 16, "Subnets": ["s"]}}"#)
    }

    #[test]
    fn what_changes_and_the_template_say_whether_it_is_replaced() {
        // The change, and whether it replaces by default and with ReplaceComputeEnvironment false.
        for (base, change, by_default, when_false) in [
            (instances(), r#"{"State": "DISABLED", "ServiceRole": "r"}"#, false, false),
            (instances(), r#"{"Type": "MANAGED", "ComputeResources": {"Type": "ec2"}}"#, false, false),
            (instances(), r#"{"ComputeResources": {"MaxvCpus": 32, "MinvCpus": 2, "DesiredvCpus": 2}}"#, false, false),
            (instances(), r#"{"ComputeResources": {"UpdateToLatestImageVersion": true}}"#, false, false),
            (instances(), r#"{"ComputeResources": {"InstanceTypes": ["m5", "c5"]}}"#, false, false),
            (instances(), r#"{"ComputeResources": {"InstanceTypes": ["m5"]}}"#, true, false),
            (instances(), r#"{"ComputeResources": {"Subnets": ["s", "t"]}}"#, true, false),
            (instances(), r#"{"ComputeResources": {"Tags": {"a": "b"}}}"#, true, false),
            (instances(), r#"{"ComputeResources": {"Ec2Configuration": [{"ImageType": "ECS_AL2"}]}}"#, true, false),
            (instances(), r#"{"ComputeResources": {"Type": "SPOT"}}"#, true, false),
            (instances(), r#"{"ComputeResources": {"SpotIamFleetRole": "r"}}"#, true, true),
            (instances(), r#"{"Type": "UNMANAGED"}"#, true, true),
            (fargate(), r#"{"ComputeResources": {"Subnets": ["t"], "SecurityGroupIds": ["g"]}}"#, false, false),
            (fargate(), r#"{"ComputeResources": {"Type": "FARGATE_SPOT"}}"#, true, false),
        ] {
            let new = changed(&base, &json(change));
            let keeping = changed(&new, &json(r#"{"ReplaceComputeEnvironment": "false"}"#));
            assert_eq!((replaces(&base, &new), replaces(&base, &keeping)), (by_default, when_false), "{change}");
            let back = (replaces(&new, &base), replaces(&keeping, &base));
            assert_eq!(back, (by_default, by_default), "back from {change}");
        }
    }

    #[test]
    fn what_is_said_no_more_is_taken_away() {
        let more = json(
            r#"{"State": "disabled", "UpdatePolicy": {"TerminateJobsOnUpdate": true}, "ComputeResources": {"MinvCpus": 4,
                "Ec2KeyPair": "k", "Tags": {"a": "b"}, "Ec2Configuration": [{"ImageType": "ECS_AL2"}]}}"#,
        );
        let old = changed(&instances(), &more);
        let change = update("arn", &old, &instances()).unwrap();
        let resources = change.compute_resources.unwrap();
        assert_eq!((resources.minv_cpus, resources.ec2_key_pair.as_deref()), (Some(0), Some("")));
        assert_eq!((resources.tags, resources.ec2_configuration), (Some([].into()), Some(Vec::new())));
        assert_eq!((resources.placement_group, resources.bid_percentage), (None, None), "it was never said");
        assert_eq!(change.state.map(|state| state.to_string()).as_deref(), Some("ENABLED"));
        let policy = change.update_policy.unwrap();
        assert_eq!((policy.terminate_jobs_on_update, policy.job_execution_timeout_minutes), (Some(false), Some(30)));
    }

    #[test]
    fn a_creation_takes_the_api_s_members_and_is_completed_by_the_policy() {
        let more = json(
            r#"{"ComputeEnvironmentName": "n", "ReplaceComputeEnvironment": false, "UpdatePolicy": {},
                "ComputeResources": {"UpdateToLatestImageVersion": true, "MaxvCpus": "16"}}"#,
        );
        let declared = changed(&instances(), &more);
        let input = creation(&declared).unwrap();
        assert_eq!(input.compute_resources.map(|resources| resources.maxv_cpus), Some(16));
        assert_eq!(completion("arn", &declared).unwrap(), None);
        let with = changed(&declared, &json(r#"{"UpdatePolicy": {"JobExecutionTimeoutMinutes": "5"}}"#));
        let policy = completion("arn", &with).unwrap().and_then(|update| update.update_policy).unwrap();
        assert_eq!((policy.terminate_jobs_on_update, policy.job_execution_timeout_minutes), (Some(false), Some(5)));
    }
}
